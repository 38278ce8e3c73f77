"""`mlflow_nas compare`: two detectors on the same images or video, as a clip."""

import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.api.results import Result
from mlflow_nas.api.settings import read_settings
from mlflow_nas.api.video import frames_per_s, opencv, read_video, write_mp4
from mlflow_nas.config import CompareConfig, DataSection, EvaluateConfig
from mlflow_nas.errors import ConfigError

if TYPE_CHECKING:
    from PIL import Image

    from mlflow_nas.api.detectors import LoadedDetector
    from mlflow_nas.report import FramePanel

__all__ = ["CompareResult", "compare"]

ByteImage = NDArray[np.uint8]

_REFERENCE = "reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareResult(Result):
    """Result of `compare`.

    Attributes:
        out: file that was written.
        frames: number of them.
        median_ms: detector to the median time of one inference on this machine, milliseconds.
        detections: detector to the number of boxes on all frames.
    """

    out: Path
    frames: int
    median_ms: dict[str, float]
    detections: dict[str, int]


@dataclass(slots=True)
class _Shown:
    """A detector of the clip, and what it has done so far."""

    name: str
    loaded: "LoadedDetector"
    times_ms: list[float] = field(default_factory=list)
    boxes: int = 0


def compare(
    settings: CompareConfig | None = None,
    /,
    *,
    config: Path | str | None = None,
    on_step: Callable[[str], None] = lambda _step: None,
    **options: object,
) -> CompareResult:
    """Draw both detectors' boxes and times side by side on every frame.

    Times are those of one inference on this machine, without decoding and drawing.

    Args:
        settings: the configuration; None for keywords.
        config: a YAML file with further settings.
        on_step: called with the name of each step.
        options: settings by option or dotted name.

    Raises:
        ConfigError: a setting, a detector or the frames; OpenCV is missing.
        RegistryError: there is no such version, or MLflow does not answer.
    """
    chosen = read_settings(CompareConfig, settings, options, config)
    if chosen.video is not None or chosen.out.suffix.lower() == ".mp4":
        opencv()
    with tempfile.TemporaryDirectory() as folder:
        shown = []
        for place, name in enumerate(chosen.models):
            on_step(f"open {name}")
            loaded = _open(chosen, name, Path(folder) / str(place))
            loaded.detector(np.zeros((1, 3, *loaded.img_size), np.float32))  # the first run is slower
            shown.append(_Shown(name, loaded))
    on_step(f"write {chosen.out}")
    count = _write(chosen, _drawn(chosen, shown))
    return CompareResult(
        out=chosen.out,
        frames=count,
        median_ms={one.name: round(statistics.median(one.times_ms), 3) for one in shown},
        detections={one.name: one.boxes for one in shown},
    )


def _open(config: CompareConfig, name: str, folder: Path) -> "LoadedDetector":
    from mlflow_nas.api.detectors import open_detector

    folder.mkdir()
    data = DataSection(classes=config.classes)
    if name.endswith(".onnx"):
        return open_detector(EvaluateConfig(onnx=Path(name), data=data), folder=folder)
    is_alias = re.fullmatch(r"[\w-]+", name)
    uri = _version(config.model, name) if is_alias else name
    return open_detector(EvaluateConfig(model=uri, data=data), folder=folder)


def _version(model: str, name: str) -> str:
    """The URI of an alias; `reference` is the newest version that others are compared with."""
    if name != _REFERENCE:
        return f"models:/{model}@{name}"
    from mlflow_nas.registry import newest_reference
    from mlflow_nas.tracking import connect, default_uri

    found = newest_reference(connect(default_uri()), model)
    if found is None:
        raise ConfigError(
            f"The registered model {model!r} has no reference: name its file or version with --models, or "
            "run a search first."
        )
    return found


def _frames(config: CompareConfig) -> Iterator[ByteImage]:
    """The frames, at most as many as are asked for.

    Raises:
        ConfigError: the folder has no image.
    """
    if config.video is not None:
        yield from read_video(config.video, most=config.max_frames)
        return
    from mlflow_nas.data import is_image, read_image

    folder = Path(str(config.images))
    paths = sorted(path for path in folder.glob("*") if is_image(path)) if folder.is_dir() else []
    if not paths:
        raise ConfigError(f"--images {folder} holds no image: give a folder of JPEG or PNG files.")
    yield from (read_image(path) for path in paths[: config.max_frames])


def _drawn(config: CompareConfig, shown: list[_Shown]) -> "Iterator[Image.Image]":
    """All frames, of the first one's size."""
    from mlflow_nas.report import draw_frame, panel_height

    height = None
    for pixels in _frames(config):
        height = height or panel_height(pixels)
        panels = [_detect(one, pixels, config) for one in shown]
        yield draw_frame(pixels, panels, classes=config.classes, height=height)


def _detect(one: _Shown, pixels: ByteImage, config: CompareConfig) -> "FramePanel":
    from mlflow_nas.data import resize_image
    from mlflow_nas.report import FramePanel
    from mlflow_nas.tasks import image_boxes

    images = resize_image(pixels, one.loaded.img_size)[np.newaxis]
    began = time.perf_counter()
    output = one.loaded.detector(images)
    elapsed_ms = (time.perf_counter() - began) * 1000
    one.times_ms.append(elapsed_ms)
    if one.loaded.task.name != "detection":
        raise ConfigError(
            f"{one.name} gives {one.loaded.task.expected}, no boxes to draw: give two detectors."
        )
    found = image_boxes(output[0], pixels.shape[:2], score_threshold=config.threshold)
    known = {index: place for place, index in enumerate(one.loaded.indexes)}
    chosen = [place for place, label in enumerate(found.labels.tolist()) if label in known]
    one.boxes += len(chosen)
    median_ms = statistics.median(one.times_ms)
    return FramePanel(
        caption=f"{one.name}: {elapsed_ms:.1f} ms, median {median_ms:.1f} ms",
        boxes=found.boxes.numpy()[chosen],
        scores=found.scores.numpy()[chosen],
        labels=[known[int(found.labels[place])] for place in chosen],
    )


def _write(config: CompareConfig, frames: "Iterator[Image.Image]") -> int:
    from mlflow_nas.report import write_gif

    config.out.parent.mkdir(parents=True, exist_ok=True)
    rate = 1 / config.frame_s if config.video is None else frames_per_s(config.video)
    if config.out.suffix.lower() == ".gif":
        return write_gif(frames, config.out, frame_s=1 / rate)
    return write_mp4((np.asarray(frame) for frame in frames), config.out, rate=rate)
