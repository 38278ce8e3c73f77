"""Reading and checking a data set of drawn images in COCO's format, against decoding its images alone.

Both use all cores. python benchmarks/data_reading.py --images 10000
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

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


def decode_s(folder: Path) -> float:
    """Seconds to decode all images on all cores."""

    def decode(path: Path) -> None:
        with Image.open(path) as image:
            np.asarray(image.convert("RGB"))

    start = time.perf_counter()
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for _ in pool.map(decode, sorted((folder / "images").iterdir())):
            pass
    return time.perf_counter() - start


def read_s(folder: Path) -> float:
    """Seconds to read and check the data set."""
    start = time.perf_counter()
    load_dataset(f"coco:{folder}")
    return time.perf_counter() - start


def main() -> None:
    """Measure in turn, then print seconds and the ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, options.images)
        rounds = [(decode_s(folder), read_s(folder)) for _ in range(options.rounds)]
    decoding, reading = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratio = statistics.median(read / decode for decode, read in rounds)
    head = ("images", "decoding, s", "reading and checking, s", "reading / decoding")
    rows = [(str(options.images), f"{decoding:.1f}", f"{reading:.1f}", f"{ratio:.2f}")]
    end(table(head, rows), Goal(head[-1], ratio, MOST, at_most=True))


if __name__ == "__main__":
    main()
