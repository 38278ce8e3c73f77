"""Real images for the examples."""

from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

CLASSES = ("person", "vehicle")
VEHICLES = {2, 5, 7}
"""COCO's cars, buses and trucks."""
LEAST_SIDE_PX = 24
COUNTS = {"train": 24, "val": 10}


@pytest.fixture(scope="session")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Persons and vehicles of coco128, cut out of its images, in folders of their classes."""
    source = Path(__file__).parents[3] / "shared/data/coco128"
    if not source.is_dir():
        pytest.skip("real data is missing: ../shared/data/coco128")
    folder = tmp_path_factory.mktemp("crops")
    for split, most in COUNTS.items():
        counts: Counter[str] = Counter()
        for file in sorted((source / "labels" / split).glob("*.txt")):
            image = Image.open(source / "images" / split / f"{file.stem}.jpg").convert("RGB")
            for row in file.read_text().splitlines():
                label, x, y, width, height = map(float, row.split())
                name = "person" if label == 0 else "vehicle" if label in VEHICLES else None
                box = [(x - width / 2), (y - height / 2), (x + width / 2), (y + height / 2)]
                left, top, right, bottom = (int(v * s) for v, s in zip(box, image.size * 2, strict=True))
                if name is None or min(right - left, bottom - top) < LEAST_SIDE_PX or counts[name] == most:
                    continue
                place = folder / split / name
                place.mkdir(parents=True, exist_ok=True)
                image.crop((left, top, right, bottom)).save(place / f"{file.stem}-{counts[name]}.png")
                counts[name] += 1
    return folder
