"""Configuration of the commands that change the registry or a device."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from mlflow_nas.config.fields import NAME, CommandConfig, File, Name, Text, option
from mlflow_nas.config.sections import INVENTORY, BoardSection, DataSection, TrackingSection

__all__ = [
    "DeployConfig",
    "PinConfig",
    "PromoteConfig",
    "PublishConfig",
    "RegisterConfig",
    "RollbackConfig",
    "WatchConfig",
    "WebhookConfig",
    "WebhookInstallConfig",
    "WebhookServeConfig",
]

Target = Annotated[str, Field(pattern=rf"^(group/)?{NAME}$", max_length=100)]

FollowTarget = Annotated[str, Field(pattern=rf"^device=(group/)?{NAME}$", max_length=100)]

_HOOK = "mlflow-nas"
_HOOK_NAME = "Name of the webhook on the MLflow server"
_DEVICE = "Device of the inventory, or group/NAME"
_MODEL = "Registered model"


class PromoteConfig(CommandConfig):
    """Configuration of `promote`."""

    model: Name = Field("person-detector", description=_MODEL, json_schema_extra=option("model"))
    max_drop: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Largest drop of the champion's accuracy below the reference's; unset: the model's goal, "
        "as it was last given",
        json_schema_extra=option("max_drop"),
    )
    speedup: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="The champion is the most accurate version this many times as fast as the reference",
        json_schema_extra=option("speedup"),
    )
    max_latency_ms: float | None = Field(
        None,
        gt=0,
        le=1e9,
        description="The champion is the most accurate version that takes at most this long",
        json_schema_extra=option("max_latency_ms"),
    )
    board: Name | None = Field(
        None,
        description="Only versions measured on this board; unset: all boards",
        json_schema_extra=option("board"),
    )
    dataset: Text | None = Field(
        None,
        description="Only versions measured on this data set (NAME@DIGEST); unset: all data sets",
        json_schema_extra=option("dataset"),
    )
    primary: bool = Field(
        False,
        description="Make board and dataset those of the aliases without a suffix",
        json_schema_extra=option("primary"),
    )
    dry_run: bool = Field(
        False, description="Print the changes, write nothing", json_schema_extra=option("dry_run")
    )


class PinConfig(CommandConfig):
    """Configuration of `pin`."""

    model: Name = Field("person-detector", description=_MODEL, json_schema_extra=option("model"))
    alias: Name = Field(
        "champion",
        description="Alias of mlflow_nas, such as champion or champion-BOARD",
        json_schema_extra=option("alias", argument=True),
    )
    version: int | None = Field(
        None,
        ge=1,
        le=1_000_000_000,
        description="Version that keeps it",
        json_schema_extra=option("version", argument=True),
    )
    remove: bool = Field(
        False,
        description="Give the alias back: the next promotion moves it",
        json_schema_extra=option("remove"),
    )

    @model_validator(mode="after")
    def _one_wish(self) -> "PinConfig":
        if self.remove == (self.version is not None):
            raise ValueError("give a version to pin the alias to, or --remove to give it back")
        return self


class RegisterConfig(CommandConfig):
    """Configuration of `register`."""

    file: File = Field(
        Path("model.onnx"),
        description="ONNX file of a detector or a classifier",
        json_schema_extra=option("file", argument=True),
    )
    model: Name = Field("person-detector", description=_MODEL, json_schema_extra=option("model"))
    role: Literal["trial", "reference"] = Field(
        "trial",
        description="reference: what others are compared with; it holds no alias",
        json_schema_extra=option("role"),
    )
    data: DataSection = DataSection()
    board: BoardSection = BoardSection()
    tracking: TrackingSection = TrackingSection()


class WatchConfig(CommandConfig):
    """Configuration of `watch`."""

    model: Name = Field("person-detector", description=_MODEL, json_schema_extra=option("model"))
    deploy: FollowTarget | None = Field(
        None,
        description="Device that receives each new champion: device=NAME, device=group/NAME",
        json_schema_extra=option("deploy"),
    )
    inventory: File | None = Field(None, description=INVENTORY, json_schema_extra=option("devices"))
    interval_s: float = Field(
        30.0,
        ge=0.1,
        le=86400,
        description="Pause between two checks, seconds",
        json_schema_extra=option("interval"),
    )
    once: bool = Field(False, description="Check once and end", json_schema_extra=option("once"))


class WebhookServeConfig(CommandConfig):
    """Configuration of `webhook serve`."""

    model: Name = Field("person-detector", description=_MODEL, json_schema_extra=option("model"))
    deploy: FollowTarget | None = Field(
        None,
        description="Device that receives each new champion: device=NAME, device=group/NAME",
        json_schema_extra=option("deploy"),
    )
    inventory: File | None = Field(None, description=INVENTORY, json_schema_extra=option("devices"))
    host: Text = Field(
        "127.0.0.1", description="Address to listen on; 0.0.0.0 for all", json_schema_extra=option("host")
    )
    port: int = Field(8900, ge=1, le=65535, description="Port to listen on", json_schema_extra=option("port"))


class WebhookInstallConfig(CommandConfig):
    """Configuration of `webhook install`."""

    name: Name = Field(_HOOK, description=_HOOK_NAME, json_schema_extra=option("name"))
    url: str = Field(
        "http://127.0.0.1:8900/",
        pattern=r"^https?://[^\x00-\x20@]+$",
        max_length=500,
        description="Address of the receiver, as the MLflow server reaches it",
        json_schema_extra=option("url"),
    )


class WebhookConfig(CommandConfig):
    """Configuration of `webhook test` and `webhook remove`."""

    name: Name = Field(_HOOK, description=_HOOK_NAME, json_schema_extra=option("name"))


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
    max_drop: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Largest drop of the accuracy below the active version's, measured on the same data",
        json_schema_extra=option("max_drop"),
    )
    threshold: float = Field(
        0.3,
        ge=0,
        le=1,
        description="Score from which `predict` reports a detection",
        json_schema_extra=option("threshold"),
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


class PublishConfig(CommandConfig):
    """Configuration of `publish`."""

    model: Text = Field(
        "person-detector",
        description="Registered model (its champion) or models:/NAME@ALIAS",
        json_schema_extra=option("model"),
    )
    to: str = Field(
        "mlflow",
        pattern=r"^(mlflow|s3://[^\x00-\x20]+)$",
        max_length=1000,
        description="s3://BUCKET/PREFIX, or mlflow: the run of the version, for devices that poll the server",
        json_schema_extra=option("to"),
    )
    name: Name | None = Field(
        None,
        description="Name of the deployment; unset: the registered model's",
        json_schema_extra=option("name"),
    )
    threshold: float = Field(
        0.3,
        ge=0,
        le=1,
        description="Score from which an application reports a detection",
        json_schema_extra=option("threshold"),
    )
    signing_key: File | None = Field(
        None, description="SSH key that signs the manifest", json_schema_extra=option("signing_key")
    )
    program: File | None = Field(
        None,
        description="Also write the program that runs on the devices, one file, here",
        json_schema_extra=option("program"),
    )


class RollbackConfig(CommandConfig):
    """Configuration of `rollback`."""

    device: Target = Field("local", description=_DEVICE, json_schema_extra=option("device"))
    inventory: File | None = Field(None, description=INVENTORY, json_schema_extra=option("devices"))
    name: Name = Field("person-detector", description="Name on the device", json_schema_extra=option("name"))
