"""The manifest of a version: all that an application needs to run the file, signed where there is a key."""

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow_nas.board import NAMESPACE, DeviceBoard, canonical
from mlflow_nas.errors import ConfigError
from mlflow_nas.networks import THRESHOLD
from mlflow_nas.types import FLOAT_NCHW, INT8_NHWC_RGB, UINT8_NHWC_RGBX

if TYPE_CHECKING:
    from mlflow_nas.runtime import OnnxDetector

__all__ = ["describe_file", "describe_session", "sign"]

SIGN_S = 30.0
"""A key in an agent that asks its owner is answered within this time."""

_VERSIONS = ("onnxruntime", "litert", "numpy", "python")
_RESIZE = "stretched to the size by Pillow's bilinear filter, which averages where an image shrinks; bytes"
_INPUTS: Mapping[str, Mapping[str, object]] = {
    FLOAT_NCHW: {"layout": "NCHW", "dtype": "float32", "colour": "RGB", "range": [0, 1]},
    UINT8_NHWC_RGBX: {
        "layout": "NHWC",
        "dtype": "uint8",
        "colour": "RGBX, the fourth byte is ignored",
        "scale": 1 / 255,
        "zero_point": 0,
    },
    INT8_NHWC_RGB: {
        "layout": "NHWC",
        "dtype": "int8",
        "colour": "RGB, each byte less 128",
        "scale": 1 / 255,
        "zero_point": -128,
    },
}


def describe_file(detector: "OnnxDetector", classes: Sequence[str]) -> dict[str, object]:
    """What a file takes and gives: input, resize rule, output, decoding, thresholds, its classes."""
    from mlflow_nas.tasks import task_of

    output = task_of(detector.layout).describe_output(detector.layout, threshold=THRESHOLD)
    return {
        "input": {
            "contract": detector.input,
            **_INPUTS[detector.input],
            "size": list(detector.img_size),
            "resize": _RESIZE,
        },
        "output": {**output, **({"tensors": detector.tensors} if detector.tensors else {})},
        "classes": list(classes),
        "architecture": json.loads(detector.metadata.get("mlflow_nas.architecture", "{}")),
    }


def describe_session(board: DeviceBoard) -> dict[str, object]:
    """How a device opened the file when it was verified: runtime, its options and versions.

    Raises:
        BoardError: the device can't be reached.
    """
    facts = board.facts()
    return {
        "runtime": board.device.runtime,
        "session": {**board.session, **board.session_options},
        "versions": {name: facts[name] for name in _VERSIONS if name in facts},
    }


def sign(manifest: Mapping[str, Any], key: Path) -> str:
    """The signature of a manifest by `ssh-keygen -Y sign`, in the namespace "mlflow-nas".

    Args:
        manifest: plain JSON values.
        key: an SSH key: a private one, or a public one whose private one an agent has.

    Raises:
        ConfigError: ssh-keygen is missing or refuses the key.
    """
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "manifest"
        text.write_bytes(canonical(dict(manifest)))
        argv = ["ssh-keygen", "-Y", "sign", "-q", "-f", str(key), "-n", NAMESPACE, str(text)]
        try:
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SIGN_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ConfigError(f"The manifest can't be signed: {error}. Install OpenSSH's client.") from error
        if done.returncode:
            raise ConfigError(
                f"The manifest can't be signed with {key}: {done.stderr.strip()}. Fix signing_key in the "
                "device inventory, or load the key into the agent."
            )
        return text.with_suffix(".sig").read_text(encoding="utf-8")
