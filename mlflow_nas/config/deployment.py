"""Configuration of the commands that change the registry or a device."""

from typing import Annotated

from pydantic import Field

from mlflow_nas.config.fields import NAME, CommandConfig, File, Name, Text, option
from mlflow_nas.config.sections import INVENTORY

__all__ = ["DeployConfig", "PromoteConfig", "RollbackConfig"]

Target = Annotated[str, Field(pattern=rf"^(group/)?{NAME}$", max_length=100)]

_DEVICE = "Device of the inventory, or group/NAME"


class PromoteConfig(CommandConfig):
    """Configuration of `promote`."""

    model: Name = Field("person-detector", description="Registered model", json_schema_extra=option("model"))
    max_drop: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Largest drop of the champion's accuracy below the reference's",
        json_schema_extra=option("max_drop"),
    )
    board: Name | None = Field(
        None,
        description="Only versions measured on this board; unset: all boards",
        json_schema_extra=option("board"),
    )
    dataset: Text | None = Field(
        None,
        description="Data set whose front holds the aliases; unset: that of the newest version",
        json_schema_extra=option("dataset"),
    )
    dry_run: bool = Field(
        False, description="Print the changes, write nothing", json_schema_extra=option("dry_run")
    )


class DeployConfig(CommandConfig):
    """Configuration of `deploy`."""

    model: Text = Field(
        "person-detector",
        description="Registered model (its champion) or models:/NAME@ALIAS",
        json_schema_extra=option("model"),
    )
    device: Target = Field("local", description=_DEVICE, json_schema_extra=option("device"))
    inventory: File | None = Field(None, description=INVENTORY, json_schema_extra=option("devices"))
    name: Name | None = Field(
        None,
        description="Name on the device; unset: the registered model's",
        json_schema_extra=option("name"),
    )
    force: bool = Field(
        False,
        description="Deploy also what is not int8, not measured, or measured on another board",
        json_schema_extra=option("force"),
    )
    max_regression: float = Field(
        0.1,
        ge=0,
        le=1000,
        description="Largest slowdown against the active version, as a share",
        json_schema_extra=option("max_regression"),
    )
    via: str | None = Field(
        None,
        pattern=r"^s3://[^\x00-\x20]+$",
        max_length=1000,
        description="s3://BUCKET/PREFIX from which the device downloads the file itself",
        json_schema_extra=option("via"),
    )
    atomic: bool = Field(
        False,
        description="Roll back a group whose rollout fails midway",
        json_schema_extra=option("atomic"),
    )


class RollbackConfig(CommandConfig):
    """Configuration of `rollback`."""

    device: Target = Field("local", description=_DEVICE, json_schema_extra=option("device"))
    inventory: File | None = Field(None, description=INVENTORY, json_schema_extra=option("devices"))
    name: Name = Field("person-detector", description="Name on the device", json_schema_extra=option("name"))
