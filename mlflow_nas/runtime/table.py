"""The runtimes by name, ours and those that other packages bring."""

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points

from mlflow_nas.errors import ConfigError
from mlflow_nas.runtime.contract import Runtime
from mlflow_nas.runtime.litert import LiteRt
from mlflow_nas.runtime.onnx_runtime import OnnxRuntime
from mlflow_nas.runtime.vela import Vela
from mlflow_nas.types import Device
from mlflow_nas.user_code import describe_error

__all__ = ["ENTRY_POINTS", "RUNTIMES", "get_runtime"]

ENTRY_POINTS = "mlflow_nas.runtimes"
"""Group of the entry points of runtimes that other packages bring: each makes one of a `types.Device`."""

RUNTIMES: Mapping[str, Callable[[Device], Runtime]] = {
    "onnxruntime": OnnxRuntime,
    "litert": LiteRt,
    "vela": Vela,
}


def get_runtime(device: Device) -> Runtime:
    """The runtime that a device's record names.

    Raises:
        ConfigError: there is none of that name, or it can't be made.
    """
    name = device.runtime
    if name in RUNTIMES:
        return RUNTIMES[name](device)
    for point in entry_points(group=ENTRY_POINTS, name=name):
        try:
            made: Runtime = point.load()(device)
        except (Exception, SystemExit) as error:  # another package may do anything
            raise ConfigError(
                f"The runtime {name} of {device.name} can't be loaded from {point.value}: "
                f"{describe_error(error)}."
            ) from error
        return made
    raise ConfigError(
        f"The device {device.name} has the runtime {name!r}, known are {', '.join(RUNTIMES)} and those of "
        f"installed packages (entry points {ENTRY_POINTS}): fix `runtime` in the inventory."
    )
