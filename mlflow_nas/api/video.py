"""Frames of video files, read and written by OpenCV where it is installed."""

import importlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.config import keep_opencv_quiet
from mlflow_nas.errors import ConfigError

__all__ = ["frames_per_s", "opencv", "read_video", "write_mp4"]


def read_video(path: Path, *, most: int) -> Iterator[NDArray[np.uint8]]:
    """The first frames, RGB [h, w, 3].

    Raises:
        ConfigError: OpenCV is missing, or can't read the file.
    """
    cv2 = opencv()
    capture = _open(cv2, path)
    try:
        for _ in range(most):
            found, frame = capture.read()
            if not found:
                return
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
    finally:
        capture.release()


def frames_per_s(path: Path) -> float:
    """The rate of a video.

    Raises:
        ConfigError: OpenCV is missing, or can't read the file.
    """
    cv2 = opencv()
    capture = _open(cv2, path)
    rate = float(capture.get(cv2.CAP_PROP_FPS))
    capture.release()
    return rate if rate > 0 else 25.0


def write_mp4(frames: Iterable[NDArray[np.uint8]], path: Path, *, rate: float) -> int:
    """Write RGB frames of one size; their number.

    Raises:
        ConfigError: OpenCV is missing, or has no encoder.
    """
    cv2 = opencv()
    writer, count = None, 0
    for frame in frames:
        if writer is None:
            size = (frame.shape[1], frame.shape[0])
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), rate, size)
            if not writer.isOpened():
                raise ConfigError(f"OpenCV can't write {path}: give an --out that ends in .gif.")
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        count += 1
    if writer is not None:
        writer.release()
    return count


def _open(cv2: Any, path: Path) -> Any:
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise ConfigError(f"{path} can't be read as a video: give an .mp4 or .avi file, or --images.")
    return capture


def opencv() -> Any:
    """The module of OpenCV, without the log of its codecs: an error here says what they say.

    Raises:
        ConfigError: it is not installed.
    """
    keep_opencv_quiet()
    try:
        return importlib.import_module("cv2")
    except ImportError as error:
        raise ConfigError(
            "Videos need OpenCV, which is not installed: pip install opencv-python-headless, or give "
            "--images and an --out that ends in .gif."
        ) from error
