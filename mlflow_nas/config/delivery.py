"""Options of what brings a model to a device: `promote`, `deploy`, `rollback`."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from mlflow_nas.config.commands import DEVICES, NAME, CommandConfig, Name

__all__ = ["DeployConfig", "PromoteConfig", "RollbackConfig"]

Target = Annotated[str, Field(pattern=rf"^(group/)?{NAME}$", max_length=100)]


class PromoteConfig(CommandConfig):
    """Options of `promote`."""

    model: Name = Field("person-detector", description="Registered model")
    max_map_drop: float = Field(
        0.01, ge=0, le=1, description="The champion's mAP may be so much below the baseline's"
    )
    board: Name | None = Field(None, description="Only versions measured on this board; empty: all boards")
    dataset: str | None = Field(
        None, description="Data set whose front holds the aliases; empty: that of the newest version"
    )
    dry_run: bool = Field(False, description="Print the difference, write nothing")


class DeployConfig(CommandConfig):
    """Options of `deploy`."""

    model: str = Field(
        "person-detector", min_length=1, description="Registered model (its champion) or models:/NAME@ALIAS"
    )
    device: Target = Field("local", description="Device from the inventory, or group/NAME")
    devices: Path | None = Field(None, description=DEVICES)
    name: Name | None = Field(None, description="Name on the device; empty: the registered model's")
    force: bool = Field(
        False, description="Deploy also what is not int8, not measured, or measured on another board"
    )
    max_regression: float = Field(
        0.1, ge=0, description="It may be so much slower than the active version, as a share"
    )
    via: str | None = Field(
        None,
        pattern=r"^s3://",
        description="s3://BUCKET/PREFIX from which the device fetches the file itself",
    )
    atomic: bool = Field(False, description="A group whose rollout fails midway is rolled back")


class RollbackConfig(CommandConfig):
    """Options of `rollback`."""

    device: Target = Field("local", description="Device from the inventory, or group/NAME")
    devices: Path | None = Field(None, description=DEVICES)
    name: Name = Field("person-detector", description="Name on the device")
