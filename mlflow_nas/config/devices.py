"""The inventory of devices: a YAML file, beside the devices `local` and `fake` that always exist."""

import difflib
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from mlflow_nas.config.environment import device_root, devices_file
from mlflow_nas.config.fields import File, Name, Section
from mlflow_nas.config.messages import shown
from mlflow_nas.errors import ConfigError
from mlflow_nas.types import Device
from mlflow_nas.yaml_file import read_yaml

__all__ = ["find_device", "find_group", "find_onnx_device", "load_devices"]

_BUILT_IN = ("local", "fake")
_CPU = "CPUExecutionProvider"


def _words(value: object) -> object:
    """A command written as one string becomes the words that a shell would see."""
    return tuple(shlex.split(value)) if isinstance(value, str) else value


def _named_options(value: object) -> object:
    """Providers without options may be listed by their names alone."""
    if not isinstance(value, list):
        return value
    return [(entry, {}) if isinstance(entry, str) else _only_item(entry) for entry in value]


def _with_options(value: object) -> object:
    """A delegate without options may be given by its path alone."""
    return (value, {}) if isinstance(value, str) else _only_item(value)


def _at_home(text: str, *, here: bool) -> str:
    """A path below ~ as it is on this machine, or relative to a distant home, where commands start."""
    return str(Path(text).expanduser()) if here and text.startswith("~") else text.removeprefix("~/")


def _only_item(entry: object) -> object:
    return next(iter(entry.items())) if isinstance(entry, dict) and len(entry) == 1 else entry


Word = Annotated[str, Field(min_length=1, pattern=r"^[^\x00]*$")]
Command = Annotated[tuple[Word, ...], BeforeValidator(_words)]
Texts = dict[str, str]
Variables = dict[
    Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], Annotated[str, Field(pattern=r"^[^\x00]*$")]
]
Providers = Annotated[
    tuple[tuple[Annotated[str, Field(pattern=r"^\w+ExecutionProvider$")], Texts], ...],
    Field(min_length=1),
    BeforeValidator(_named_options),
]


Delegate = Annotated[tuple[Word, Texts], BeforeValidator(_with_options)]

ACCELERATOR = r"^ethos-u(55-(32|64|128|256)|65-(256|512)|85-(128|256|512|1024|2048))$"
ESTIMATE = "vela:"
"""Prefix of boards without hardware: their latency is Vela's estimate for the accelerator that follows."""

_ACCELERATOR_RULE = "runtime vela needs one, such as ethos-u65-256, and no other runtime has one"


class _Entry(Section):
    """One device as the file spells it; the fields are those of `mlflow_nas.types.Device`."""

    transport: Literal["local", "ssh", "fake"]
    host: str | None = Field(None, pattern=r"^[^\s\x00@-][^\s\x00@]*$")
    user: str | None = Field(None, pattern=r"^[^\s\x00@-][^\s\x00@]*$")
    port: int | None = Field(None, ge=1, le=65_535)
    key_file: File | None = None
    directory: Word | None = None
    python: Command | None = Field(None, min_length=1)
    threads: int = Field(1, ge=1, le=256)
    cpu_affinity: tuple[Annotated[int, Field(ge=0)], ...] = ()
    providers: Providers = ((_CPU, {}),)
    environment: Variables = Field(default_factory=dict)
    latency_limit_ms: float | None = Field(None, gt=0)
    max_model_bytes: int | None = Field(None, gt=0)
    activate: Command = ()
    health: Command = ()
    signing_key: File | None = None
    groups: tuple[Name, ...] = ()
    emulated: bool = False
    runtime: Name = "onnxruntime"
    accelerator: Annotated[str, Field(pattern=ACCELERATOR)] | None = None
    delegate: Delegate | None = None

    @model_validator(mode="after")
    def _fits_the_transport(self) -> "_Entry":
        if self.transport == "ssh" and self.host is None:
            raise ValueError("transport ssh needs a host: a name, an address, or a Host of ~/.ssh/config")
        given = [name for name in ("host", "user", "port", "key_file") if getattr(self, name) is not None]
        if self.transport != "ssh" and given:
            raise ValueError(f"{given[0]} is for transport ssh; remove it, or give transport: ssh")
        if (self.accelerator is None) is (self.runtime == "vela"):
            raise ValueError(
                f"runtime {self.runtime} with accelerator {self.accelerator}; {_ACCELERATOR_RULE}"
            )
        return self

    def as_device(self, name: str) -> Device:
        """The plain record, with what depends on the name and on this machine."""
        fields = {field: getattr(self, field) for field in type(self).model_fields}
        here = self.transport != "ssh"
        folder = self.directory or (str(device_root(name)) if here else "mlflow_nas")
        fields["directory"] = _at_home(folder, here=here)
        python = self.python or (() if here else ("python3",))
        fields["python"] = tuple(_at_home(word, here=here) for word in python)
        fields["accelerator"] = self.accelerator or ""
        return Device(name=name, **fields)


class _Inventory(Section):
    devices: dict[Name, _Entry]

    @model_validator(mode="after")
    def _built_in_stay_themselves(self) -> "_Inventory":
        for name in _BUILT_IN:
            if name in self.devices and self.devices[name].transport != name:
                raise ValueError(f"the device {name} has transport {name}; choose another name for this one")
        return self


def load_devices(file: Path | None = None) -> dict[str, Device]:
    """All devices by name: `local`, `fake`, then those of the file in its order.

    Args:
        file: the inventory; None for MLFLOW_NAS_DEVICES, else ./devices.yaml where there is one.

    Raises:
        ConfigError: the file can't be read, has an unknown key or a value out of its bounds.
    """
    path = file or devices_file()
    entries: dict[str, Any] = {name: _Entry.model_validate({"transport": name}) for name in _BUILT_IN}
    if path:
        entries |= _read(path).devices
    return {name: entry.as_device(name) for name, entry in entries.items()}


def find_device(name: str, file: Path | None = None) -> Device:
    """The device of that name, or the board "vela:ACCELERATOR"; `file` as in `load_devices`.

    Raises:
        ConfigError: there is none; the sentence lists those there are.
    """
    if name.startswith(ESTIMATE):
        return _estimated(name)
    devices = load_devices(file)
    if name not in devices:
        raise ConfigError(
            f"the device {name!r} is unknown; the known devices are {', '.join(sorted(devices))}; "
            "name one of them, or add it to the inventory"
        )
    return devices[name]


def find_onnx_device(name: str, file: Path | None = None) -> Device:
    """`find_device`, for a command whose files are ONNX files.

    Raises:
        ConfigError: as there; or the device runs no ONNX files.
    """
    device = find_device(name, file)
    if device.library != "onnxruntime":
        raise ConfigError(
            f"The device {name} has the runtime {device.runtime}, and this command measures ONNX files: name "
            "a device with the runtime onnxruntime; `search`, `train` and deployments work with all runtimes."
        )
    return device


def _estimated(name: str) -> Device:
    accelerator = name.removeprefix(ESTIMATE)
    if not re.fullmatch(ACCELERATOR, accelerator):
        raise ConfigError(
            f"{accelerator[:80]!r} is no accelerator that Vela knows: write {ESTIMATE}ethos-u65-256, or "
            "another of Arm's ethos-u55, ethos-u65 and ethos-u85."
        )
    folder = str(device_root(name.replace(":", "-")))
    return Device(name=name, transport="none", directory=folder, runtime="vela", accelerator=accelerator)


def find_group(group: str, file: Path | None = None) -> tuple[Device, ...]:
    """The devices of a group, in the order of the inventory; `file` as in `load_devices`.

    Raises:
        ConfigError: no device is in it; the sentence lists the groups there are.
    """
    devices = load_devices(file).values()
    members = tuple(device for device in devices if group in device.groups)
    if not members:
        known = sorted({name for device in devices for name in device.groups})
        raise ConfigError(
            f"no device is in the group {group!r}; the known groups are {', '.join(known) or 'none'}: "
            "add it to a device's groups in the inventory"
        )
    return members


def _read(path: Path) -> _Inventory:
    remedy = "name another with --devices or MLFLOW_NAS_DEVICES"
    holds = "'devices:' with a record per name"
    loaded = read_yaml(path, what="device inventory", holds=holds, remedy=remedy)
    try:
        return _Inventory.model_validate(loaded)
    except ValidationError as error:
        sentences = " ".join(_sentence(detail) for detail in error.errors())
        raise ConfigError(f"the device inventory {path} is refused: {sentences}") from None


def _sentence(detail: Mapping[str, Any]) -> str:
    """Where in the file, what is wrong, and for an unknown key the known ones."""
    where = ".".join(str(part) for part in detail["loc"]) or "the file"
    if detail["type"] != "extra_forbidden":
        return f"{where} = {shown(detail['input'])}: {detail['msg'].removeprefix('Value error, ')}."
    known = _Entry.model_fields if len(detail["loc"]) > 1 else _Inventory.model_fields
    near = difflib.get_close_matches(str(detail["loc"][-1]), known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}."
    return f"{where} is an unknown key: {hint}"
