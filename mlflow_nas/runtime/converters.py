"""The converters to TFLite: an environment of their own, because their pins differ from ours."""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.config import runtimes_root
from mlflow_nas.errors import CandidateError, ConfigError

__all__ = [
    "INSTALL_COMMAND",
    "convert",
    "converters_digest",
    "converters_folder",
    "converters_python",
    "has_converters",
    "install_converters",
]

INSTALL_COMMAND = "mlflow_nas runtimes install litert"

CONVERT_S = 600.0
"""Longest time of one conversion."""

_FOLDER = Path(__file__).parent / "converter"
_REQUIREMENTS = _FOLDER / "requirements.txt"
_SCRIPT = _FOLDER / "convert.py"
_COMPLETE = "complete"  # written last
_REFUSED = 3  # exit code of the script where the model is the cause
_SHOWN_CHARACTERS = 600


def converters_folder() -> Path:
    """Of the environment for the pins of this version: `litert-DIGEST` in the folder of runtimes."""
    digest = hashlib.sha256(_REQUIREMENTS.read_bytes()).hexdigest()
    return runtimes_root() / f"litert-{digest[:8]}"


def has_converters() -> bool:
    """Whether the environment is complete."""
    return (converters_folder() / _COMPLETE).is_file()


def converters_python() -> Path:
    """The environment's Python.

    Raises:
        ConfigError: it was not installed; the sentence has the command.
    """
    if not has_converters():
        raise ConfigError(
            f"The converters to TFLite are not installed in {converters_folder()}: run `{INSTALL_COMMAND}` "
            "once, or set MLFLOW_NAS_RUNTIMES to the folder that has them."
        )
    return converters_folder() / "bin" / "python"


def converters_digest() -> str:
    """Digest of the pins and of the scripts that use them, 12 hex digits.

    Raises:
        ConfigError: as `converters_python`.
    """
    converters_python()
    content = b"".join(path.read_bytes() for path in (_REQUIREMENTS, *sorted(_FOLDER.glob("*.py"))))
    return hashlib.sha256(content).hexdigest()[:12]


def install_converters(on_step: Callable[[str], None] = lambda _step: None) -> Path:
    """Build the environment; nothing where it is complete.

    Args:
        on_step: called with the name of each step.

    Returns:
        Its folder.

    Raises:
        ConfigError: venv or pip failed; the sentence has the last output.
    """
    folder = converters_folder()
    if has_converters():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    on_step(f"create {folder}")
    _run([sys.executable, "-m", "venv", str(folder)])
    on_step(f"install {_REQUIREMENTS}")
    # The packages' own requirements contradict each other; the file has all that is needed.
    pins = ["--ignore-requires-python", "--no-deps", "--only-binary", ":all:", "-r", str(_REQUIREMENTS)]
    _run([str(folder / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", *pins])
    (folder / _COMPLETE).touch()
    return folder


def _run(argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConfigError(
            f"{' '.join(argv[:4])} failed with code {done.returncode}: {_tail(done.stdout + done.stderr)}. "
            "Check the network and the free space, then repeat the command."
        )


def convert(fp32: Path, calibration: NDArray[np.float32], path: Path) -> dict[str, str]:
    """Write an int8 TFLite file.

    Args:
        fp32: a float ONNX file of images [1, 3, H, W].
        calibration: float32 [n, 3, H, W] in 0..1.
        path: of the int8 file; it takes int8 [1, H, W, 3], a pixel's byte less 128.

    Returns:
        Name of each output to its layout, "NHWC" or "as-onnx".

    Raises:
        CandidateError: the network can't be converted, or not within CONVERT_S.
        ConfigError: the environment is missing or broken.
    """
    python = converters_python()
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images.npy"
        np.save(images, calibration)
        argv = [str(python), str(_SCRIPT), *map(str, (fp32, images, path))]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=CONVERT_S, check=False)
        except subprocess.TimeoutExpired as error:
            raise CandidateError(
                f"The network was not converted to TFLite within {CONVERT_S:g} s: make it smaller."
            ) from error
    if done.returncode == _REFUSED:
        reason = done.stderr.splitlines()[-1]
        raise CandidateError(
            f"The network can't be converted to int8 TFLite: {reason}. Change its operators, or "
            "search with another runtime."
        )
    if done.returncode or not path.is_file():
        raise ConfigError(
            f"The converters in {converters_folder()} are broken: {_tail(done.stderr)}. Remove the folder, "
            f"then run `{INSTALL_COMMAND}`."
        )
    layouts: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return layouts


def _tail(output: str) -> str:
    return output.strip()[-_SHOWN_CHARACTERS:] or "no output"
