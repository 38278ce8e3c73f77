"""What an image costs an application: reading, resizing, inference and decoding, by `detect.py`."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from mlflow_nas.board.runtime.failure import JsonObject
from mlflow_nas.board.runtime.inputs import FLOAT_NCHW, INT8_NHWC_RGB, ZERO_POINT, image_input

__all__ = ["pipeline"]

IMAGE_SIZE = (480, 640)
MIN_RUNS, MAX_RUNS = 5, 200
THRESHOLD = 0.3


def pipeline(session: Any, seconds: float) -> JsonObject:
    """Time from an image file to the answer: `pipeline_ms`, the median, and `pipeline_image`, of what.

    The file is a JPEG of 640 x 480 where the device has Pillow, else a PPM. Nothing for a file that takes no
    images, or gives no detections or classes.

    Args:
        session: the opened model.
        seconds: of timed runs.
    """
    if not _takes_images(session) or not _gives_answers(session):
        return {}
    from mlflow_nas.board.runtime.detect import answer, prepare, read_image

    taken = image_input(session)
    with tempfile.TemporaryDirectory() as folder:
        path, shown = _write_image(Path(folder))

        def run() -> None:
            image = read_image(path)
            fed = prepare(image, taken.size, as_bytes=taken.contract != FLOAT_NCHW)
            if taken.contract == INT8_NHWC_RGB:
                fed = (fed[..., :3] ^ ZERO_POINT).view("int8")  # less 128
            answer(session.run(None, {taken.name: fed})[0][0], image.shape, THRESHOLD)

        return {"pipeline_ms": _median_ms(run, seconds), "pipeline_image": shown}


def _takes_images(session: Any) -> bool:
    """Whether the only input is one RGB image of a known size."""
    taken, nodes = image_input(session), session.get_inputs()
    is_one = len(nodes) == 1 and len(nodes[0].shape) == 4 and nodes[0].shape[0] in (1, None)
    return is_one and taken.channels == 3 and all(isinstance(side, int) for side in taken.size)


def _gives_answers(session: Any) -> bool:
    """Whether the first output is logits [1, N], boxes [1, n, 4 + N] or cells [1, 5 + N, h, w]."""
    shape = session.get_outputs()[0].shape or []
    columns = {2: 1, 3: 2, 4: 1}.get(len(shape))
    size = shape[columns] if columns else None
    return isinstance(size, int) and size >= {2: 1, 3: 5, 4: 5}[len(shape)]


def _median_ms(run: Any, seconds: float) -> float:
    run()  # the first one imports
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < MIN_RUNS or (time.perf_counter() < end and len(times) < MAX_RUNS):
        start = time.perf_counter()
        run()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def _write_image(folder: Path) -> tuple[Path, str]:
    """A smooth scene with some noise, as a camera gives it; the file, and its description."""
    import numpy as np

    from mlflow_nas.board.runtime.detect import Image

    rng, (height, width) = np.random.default_rng(0), IMAGE_SIZE
    slope = np.add.outer(np.linspace(0, 100, height), np.linspace(0, 100, width))
    pixels = (slope[..., None] + rng.normal(0, 8, (*IMAGE_SIZE, 3))).clip(0, 255).astype(np.uint8)
    name = f"{width}x{height}"
    if Image:
        Image.fromarray(pixels).save(folder / "image.jpg", quality=90)
        return folder / "image.jpg", f"{name} JPEG, Pillow"
    (folder / "image.ppm").write_bytes(f"P6 {width} {height} 255\n".encode() + pixels.tobytes())
    return folder / "image.ppm", f"{name} PPM, NumPy"
