"""One small data set, written in each layout that the readers know."""

import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import yaml
from PIL import Image

Box = tuple[float, float, float, float]


@dataclass
class DrawnImage:
    """An image, its objects as (class, xyxy in pixels, to be ignored), and how it is stored."""

    name: str
    objects: Sequence[tuple[str, Box, bool]] = ()
    size: tuple[int, int] = (64, 48)
    image: Image.Image | None = None
    save: dict[str, object] = field(default_factory=dict)

    def write(self, folder: Path) -> Path:
        """Save the image; without one of its own it is noise from its name."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / self.name
        rng = np.random.default_rng(zlib.crc32(self.name.encode()))
        noise = rng.integers(0, 256, (self.size[1], self.size[0], 3), dtype=np.uint8)
        (self.image or Image.fromarray(noise)).save(path, **self.save)  # type: ignore[arg-type]  # Pillow's options
        return path


CLASSES = ("dog", "person")
PERSON = DrawnImage("person.png", [("person", (10, 8, 30, 40), False)])
EMPTY = DrawnImage("empty.png")
OTHER = DrawnImage("other.png", PERSON.objects)


def write_coco(root: Path, splits: dict[str, Sequence[DrawnImage]]) -> str:
    """images/ and a JSON file for each split; what is to be ignored is a crowd."""
    for split, drawn in splits.items():
        images, annotations = [], []
        for number, drawn_image in enumerate(drawn, start=1):
            drawn_image.write(root / "images")
            width, height = drawn_image.size
            images.append({"id": number, "file_name": drawn_image.name, "width": width, "height": height})
            for name, (left, top, right, bottom), ignore in drawn_image.objects:
                box = [left, top, right - left, bottom - top]
                entry = {"image_id": number, "category_id": CLASSES.index(name) + 7, "bbox": box}
                annotations.append({**entry, "id": len(annotations), "iscrowd": int(ignore)})
        categories = [{"id": number + 7, "name": name} for number, name in enumerate(CLASSES)]
        document = {"images": images, "annotations": annotations, "categories": categories}
        (root / f"{split}.json").write_text(json.dumps(document), encoding="utf-8")
    return f"coco:{root}"


def write_voc(root: Path, splits: dict[str, Sequence[DrawnImage]]) -> str:
    """VOC2012/, whose pixels are counted from 1; what is to be ignored is difficult."""
    folder = root / "VOC2012"
    for name in ("Annotations", "ImageSets/Main"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for split, drawn in splits.items():
        for drawn_image in drawn:
            path = drawn_image.write(folder / "JPEGImages")
            tree = ET.Element("annotation")
            size = ET.SubElement(tree, "size")
            for side, pixels in zip(("width", "height"), drawn_image.size, strict=True):
                ET.SubElement(size, side).text = str(pixels)
            for name, (left, top, right, bottom), ignore in drawn_image.objects:
                entry = ET.SubElement(tree, "object")
                ET.SubElement(entry, "name").text = name
                ET.SubElement(entry, "difficult").text = str(int(ignore))
                frame = ET.SubElement(entry, "bndbox")
                corners = {"xmin": left + 1, "ymin": top + 1, "xmax": right, "ymax": bottom}
                for corner, value in corners.items():
                    ET.SubElement(frame, corner).text = str(value)
            ET.ElementTree(tree).write(folder / "Annotations" / f"{path.stem}.xml")
        listed = "".join(f"{Path(drawn_image.name).stem}\n" for drawn_image in drawn)
        (folder / "ImageSets/Main" / f"{split}.txt").write_text(listed, encoding="utf-8")
    return f"voc:{root}"


def write_yolo(root: Path, splits: dict[str, Sequence[DrawnImage]]) -> str:
    """data.yaml, images/ and labels/; it knows nothing to be ignored."""
    for split, drawn in splits.items():
        for part in ("images", "labels"):
            (root / part / split).mkdir(parents=True, exist_ok=True)
        for drawn_image in drawn:
            path = drawn_image.write(root / "images" / split)
            width, height = drawn_image.size
            lines = [
                f"{CLASSES.index(name)} {(left + right) / 2 / width} {(top + bottom) / 2 / height} "
                f"{(right - left) / width} {(bottom - top) / height}\n"
                for name, (left, top, right, bottom), _ in drawn_image.objects
            ]
            if lines:
                (root / "labels" / split / f"{path.stem}.txt").write_text("".join(lines), encoding="utf-8")
    document = {"names": dict(enumerate(CLASSES)), **{split: f"images/{split}" for split in splits}}
    (root / "data.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    return f"yolo:{root}"


Write = Callable[[Path, dict[str, Sequence[DrawnImage]]], str]
LAYOUTS: dict[str, Write] = {"coco": write_coco, "voc": write_voc, "yolo": write_yolo}
