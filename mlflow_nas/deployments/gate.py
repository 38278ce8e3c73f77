"""What is refused before anything is sent."""

from collections.abc import Collection

from mlflow_nas.deployments.release import Release
from mlflow_nas.errors import ConfigError
from mlflow_nas.types import Device

__all__ = ["refuse_unfit"]


def refuse_unfit(release: Release, device: Device, *, measured_on: Collection[str], force: bool) -> None:
    """Refuse a version of which too little is known, or which the device has no room for.

    Args:
        release: the version.
        device: where it should go.
        measured_on: boards whose measurement counts for the device.
        force: whatever is known of it; the size limit stays.

    Raises:
        ConfigError: value, bound and remedy.
    """
    said = f"Version {release.version} of {release.model}"
    size, limit = release.file.stat().st_size, device.max_model_bytes
    if limit is not None and size > limit:
        raise ConfigError(
            f"{said} has {size} bytes, max_model_bytes of {device.name} is {limit}: deploy a smaller model, "
            "or raise the limit in the inventory."
        )
    if force:
        return
    if release.precision != "int8":
        raise ConfigError(f"{said} is {release.precision}, not int8: quantize it, or give force=true.")
    if release.board is None:
        raise ConfigError(f"{said} has no measured latency: measure it, or give force=true.")
    if release.board not in measured_on:
        search = f"search with --board {device.name}, or"
        remedy = "no search measures on an emulated board, so" if device.emulated else search
        raise ConfigError(
            f"{said} was measured on the board {release.board}, not on {device.name}: {remedy} "
            "give force=true."
        )
    if release.golden is None:
        raise ConfigError(f"{said} has no golden samples: log the model anew, or give force=true.")
