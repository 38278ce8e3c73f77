#!/usr/bin/env python3
"""Detect objects with a deployed model; numpy and onnxruntime alone (Python 3.9 or later).

detect.py MODEL IMAGE...      MODEL: an .onnx file, or mlflow_nas/deployed/NAME on the device
detect.py MODEL FOLDER        all images of a folder, by name
detect.py MODEL --camera 0    a camera (V4L2 on Linux) or a video, through OpenCV, until it ends

Every image gives a line of JSON: boxes (x1, y1, x2, y2 in its pixels), scores, classes; a classifier has no
boxes. After a deployment or a rollback the next image is detected with the new version. Files but .ppm need
Pillow or OpenCV; with Pillow images are also resized faster.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Detector", "Image", "answer", "decode", "prepare", "read_image", "resize"]

try:
    Image: Any = import_module("PIL.Image")
except ImportError:  # it is faster, no more
    Image = None

SUFFIXES = (".ppm", ".png", ".jpg", ".jpeg", ".bmp")
UNSATURATED = {"session.x64quantprecision": "1"}  # as on the host, for manifests without options


class Detector:
    """The active version of a deployment, or a file."""

    def __init__(self, model: Path, threshold: float | None) -> None:
        self.model, self.given, self.opened = model, threshold, (0, 0)

    def __call__(self, image: np.ndarray) -> dict[str, Any]:
        """Detections in an image, RGB uint8 [h, w, 3]."""
        self.follow()
        output = self.session.run(None, {self.input: prepare(image, self.size, as_bytes=self.bytes)})[0][0]
        boxes, scores, labels = answer(output, image.shape, self.threshold)
        found = {} if boxes is None else {"boxes": boxes.tolist()}
        return {**found, "scores": scores.tolist(), "classes": [self.classes[label] for label in labels]}

    def follow(self) -> None:
        """Open the file, again after each switch of the deployment: a switch renames its manifest."""
        found = (path := self.model / "manifest.json" if self.model.is_dir() else self.model).stat()
        if (found.st_ino, found.st_mtime_ns) == self.opened:
            return
        ort: Any = import_module("onnxruntime")
        manifest = json.loads(path.read_text("utf-8")) if path != self.model else {}
        file = self.model / f"models/{manifest['sha256']}.onnx" if manifest else path
        known = manifest.get("output", {}).get("score_threshold", 0.3)
        self.threshold = known if self.given is None else self.given
        saved, options = manifest.get("session", {}), ort.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = saved.get("threads", 1), 3
        for name, value in saved.get("config_entries", UNSATURATED).items():
            options.add_session_config_entry(name, value)
        self.session = ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        node, metadata = self.session.get_inputs()[0], self.session.get_modelmeta().custom_metadata_map
        self.bytes = metadata.get("mlflow_nas.input") == "uint8-nhwc-rgbx"
        self.classes = manifest.get("classes") or json.loads(metadata["mlflow_nas.classes"])
        self.input, self.size = node.name, node.shape[1:3] if self.bytes else node.shape[2:]
        self.opened = (found.st_ino, found.st_mtime_ns)


def prepare(image: np.ndarray, size: Sequence[int], *, as_bytes: bool) -> np.ndarray:
    """The input of a file for an image, uint8 [h, w, 3]: bytes [1, H, W, 4], or floats [1, 3, H, W]."""
    pixels = resize(image, size)
    if as_bytes:
        return np.pad(pixels, ((0, 0), (0, 0), (0, 1)))[None]
    return (pixels.transpose(2, 0, 1).astype(np.float32) / np.float32(255))[None]


def resize(image: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Stretch to (height, width) by the bilinear filter of Pillow, which averages; to the bit without it."""
    if Image:
        return np.asarray(Image.fromarray(image).resize((size[1], size[0]), Image.BILINEAR))
    less_high, less_wide = image.shape[0] - size[0], image.shape[1] - size[1]
    for axis in (0, 1) if less_high > max(2 * less_wide, 0) else (1, 0):
        image = resample(image, size[axis], axis)
    return image


def resample(image: np.ndarray, length: int, axis: int) -> np.ndarray:
    """One axis, with weights of 22 bits (Pillow's src/libImaging/Resample.c)."""
    source = image.shape[axis]
    scale = source / length
    support, centre = max(scale, 1.0), (np.arange(length) + 0.5) * scale
    first, last = ((centre + side + 0.5).astype(int).clip(0, source) for side in (-support, support))
    place = first[:, None] + np.arange((last - first).max())  # [length, taps]
    weights = (1 - np.abs((place - centre[:, None] + 0.5) / support)).clip(0) * (place < last[:, None])
    weights = (weights / weights.cumsum(1)[:, -1:] * (1 << 22) + 0.5).astype(np.int32)
    total: Any = np.int32(1 << 21)
    for at, weight in zip(place.clip(max=source - 1).T, weights.T):  # noqa: B905 - Python 3.9 has no strict
        shape = [-1 if this == axis else 1 for this in range(3)]
        total = total + image.take(at, axis).astype(np.int32) * weight.reshape(shape)
    resized: np.ndarray = (total >> 22).clip(0, 255).astype(np.uint8)
    return resized


def answer(output: np.ndarray, shape: Sequence[int], threshold: float) -> tuple[Any, Any, Any]:
    """Boxes [n, 4] in pixels (None of a classifier), scores and labels [n] of an output without its batch."""
    if output.ndim > 1:
        boxes, scores, labels = decode(output, threshold)
        return boxes.clip(0, 1) * np.array([shape[1], shape[0]] * 2, np.float32), scores, labels
    powers = np.exp(output - output.max())
    shares = powers / powers.sum()
    order = np.argsort(-shares, kind="stable")
    kept = [order[0], *(one for one in order[1:] if shares[one] >= threshold)]  # the best one in any case
    return None, shares[kept], kept


def decode(output: np.ndarray, threshold: float, overlap: float = 0.45, most: int = 100) -> tuple[Any, ...]:
    """Cells [5 + N, h, w] or boxes [k, 4 + N] -> boxes [n, 4] relative to the image, scores, labels [n]."""
    corners, scores = (output[:, :4], output[:, 4:].T) if output.ndim == 2 else decode_cells(output)
    label, cell = np.nonzero(scores > threshold)
    boxes, found = corners[cell], scores[label, cell]
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    left, kept = np.argsort(-found, kind="stable"), list[Any]()
    while len(left) and len(kept) < most:
        best, left = left[0], left[1:]
        kept.append(best)
        ends = np.minimum(boxes[left, 2:], boxes[best, 2:])
        shared = (ends - np.maximum(boxes[left, :2], boxes[best, :2])).clip(0).prod(1)
        apart = shared <= overlap * (areas[left] + areas[best] - shared)
        left = left[apart | (label[left] != label[best])]
    return boxes[kept], found[kept], label[kept]


def decode_cells(output: np.ndarray) -> tuple[Any, Any]:
    """FastestDet's map [5 + N, h, w] -> corners [h w, 4], scores [N, h w]."""
    height, width = output.shape[1:]
    shares = output[5:] if len(output) > 5 else np.ones(1, np.float32)  # one class has no channel
    scores = (output[:1].clip(0) ** np.float32(0.6) * shares ** np.float32(0.4)).reshape(-1, height * width)
    x = (np.tanh(output[1]) + np.arange(width)) / width
    y = (np.tanh(output[2]) + np.arange(height)[:, None]) / height
    half_w, half_h = 0.5 / (1 + np.exp(-output[3:5]))
    corners = np.stack([x - half_w, y - half_h, x + half_w, y + half_h], axis=-1).astype(np.float32)
    return corners.reshape(-1, 4), scores


def read_image(path: Path) -> Any:
    """RGB uint8 [h, w, 3] of a file."""
    if path.suffix.lower() == ".ppm":
        width, height = map(int, path.read_bytes()[:99].split(maxsplit=3)[1:3])
        return np.fromfile(path, np.uint8)[-3 * height * width :].reshape(height, width, 3)
    if Image:
        return np.asarray(Image.open(path).convert("RGB"))
    return import_module("cv2").imread(str(path))[..., ::-1]


def images(names: Sequence[str], camera: str | None) -> Iterator[tuple[str, Any]]:
    """Name and pixels of each image."""
    for name in names:
        files = sorted(Path(name).iterdir()) if Path(name).is_dir() else [Path(name)]
        yield from ((str(file), read_image(file)) for file in files if file.suffix.lower() in SUFFIXES)
    if camera is not None:
        video = import_module("cv2").VideoCapture(int(camera) if camera.isdecimal() else camera)
        while video.grab():
            yield camera, video.retrieve()[1][..., ::-1]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("images", nargs="*", help="files and folders")
    parser.add_argument("--camera", help="number or path")
    parser.add_argument("--threshold", type=float, help="lower scores are dropped; unset: the manifest's")
    args = parser.parse_args()
    detect = Detector(args.model, args.threshold)
    for name, image in images(args.images, args.camera):
        sys.stdout.write(json.dumps({"image": name, **detect(image)}) + "\n")
        sys.stdout.flush()
