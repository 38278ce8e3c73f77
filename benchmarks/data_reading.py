"""Reading and checking a data set of drawn images in COCO's format, against decoding its images alone.

Both use all cores. python benchmarks/data_reading.py --images 10000
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from common import Goal, end, table
from PIL import Image

from mlflow_nas.data import load_dataset

SIDES_PX = (640, 480)
MOST = 1.3
BOXES = 4


def write(folder: Path, count: int) -> None:
    """A folder of different smooth images with boxes."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir()
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(count):
        small = Image.fromarray(rng.integers(0, 255, (48, 64, 3), dtype=np.uint8))
        name = f"{number:06d}.jpg"
        small.resize(SIDES_PX, Image.Resampling.BICUBIC).save(folder / "images" / name, quality=90)
        images.append({"id": number, "file_name": name, "width": SIDES_PX[0], "height": SIDES_PX[1]})
        for place in range(BOXES):
            box = [100 * place + 20, 50 * place + 20, 80, 120]
            annotation = {"image_id": number, "category_id": 1, "bbox": box}
            annotations.append({**annotation, "id": len(annotations), "iscrowd": 0})
    document = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}
    (folder / "train.json").write_text(json.dumps(document), encoding="utf-8")


class Cost(NamedTuple):
    """Seconds of wall clock, and of processor time of all threads."""

    wall_s: float
    cpu_s: float


def _timed(work: Callable[[], object]) -> Cost:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


def decode(folder: Path) -> None:
    """Decode all images on all cores."""

    def one(path: Path) -> None:
        with Image.open(path) as image:
            np.asarray(image.convert("RGB"))

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for _ in pool.map(one, sorted((folder / "images").iterdir())):
            pass


def main() -> None:
    """Measure in turn, then print seconds and their ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, options.images)
        rounds = [
            (_timed(lambda: decode(folder)), _timed(lambda: load_dataset(f"coco:{folder}")))
            for _ in range(options.rounds)
        ]
    rows, ratios = [], []
    for name, measure in (("wall clock", itemgetter(0)), ("processor", itemgetter(1))):
        pairs = [(measure(decoding), measure(reading)) for decoding, reading in rounds]
        decoding_s, reading_s = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratios.append(statistics.median(reading / decoding for decoding, reading in pairs))
        rows.append((str(options.images), name, f"{decoding_s:.1f}", f"{reading_s:.1f}", f"{ratios[-1]:.2f}"))
    head = ("images", "clock", "decoding, s", "reading and checking, s", "reading / decoding")
    end(table(head, rows), Goal(f"{head[-1]}, wall clock", ratios[0], MOST, at_most=True))


if __name__ == "__main__":
    main()
