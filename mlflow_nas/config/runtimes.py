"""Configuration of the commands about runtimes."""

from typing import Literal

from pydantic import Field

from mlflow_nas.config.fields import CommandConfig, option

__all__ = ["RuntimesInstallConfig"]


class RuntimesInstallConfig(CommandConfig):
    """Configuration of `runtimes install`."""

    runtime: Literal["litert", "vela"] = Field(
        "litert",
        description="Runtime whose converters are installed; both have the same",
        json_schema_extra=option("runtime", argument=True),
    )
