"""The published detector on real images, and mAP against pycocotools."""

import contextlib
import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mlflow_nas.data import DetectionDataset, in_order, load_dataset
from mlflow_nas.space import build_detector, fastestdet_head, load_seed_weights
from mlflow_nas.tasks import CocoMap, Detections, NetworkRunner, decode, evaluate_outputs

PERSON = (0,)


@pytest.fixture(scope="module")
def detector(fastestdet_weights: Path) -> NetworkRunner:
    """The published detector with its 80 classes in the baseline architecture."""
    weights = load_seed_weights(fastestdet_weights)
    return NetworkRunner(build_detector(fastestdet_head().baseline, num_classes=80, weights=weights))


@pytest.fixture(scope="module")
def outputs(detector: NetworkRunner, penn_fudan: Path, voc_persons: Path) -> "Outputs":
    """Its outputs, computed once per data set and input size."""
    return Outputs(detector, {"penn-fudan": f"coco:{penn_fudan}", "voc": f"voc:{voc_persons}"})


class Outputs:
    """Validation splits, and what the detector says of them."""

    def __init__(self, detector: NetworkRunner, uris: dict[str, str]) -> None:
        self._detector, self._uris = detector, uris
        self.dataset = cache(self._load)
        self.batches = cache(self._run)

    def _load(self, name: str) -> DetectionDataset:
        return load_dataset(self._uris[name], "val", ("person",))

    def _run(self, name: str, width: int) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Output, targets and sizes of each batch."""
        return [
            (torch.from_numpy(self._detector(batch.images.numpy())), batch.targets, batch.sizes)
            for batch in in_order(self.dataset(name), img_size=(width, width))
        ]


@pytest.mark.parametrize(
    ("name", "width", "map_50", "map_"),
    [("penn-fudan", 352, 0.911, 0.598), pytest.param("voc", 352, 0.684, 0.348, marks=pytest.mark.slow)],
)
def test_the_published_detector_reaches_its_figures(
    outputs: Outputs, name: str, width: int, map_50: float, map_: float
) -> None:
    """AP50 and AP of the person class, by the softmax over 80 classes, are those of data/README.md."""
    metric = CocoMap()
    for output, targets, sizes in outputs.batches(name, width):
        metric.update(decode(output, classes=PERSON), targets, sizes)
    found = metric.compute()
    assert found == {"map": pytest.approx(map_, abs=3e-3), "map_50": pytest.approx(map_50, abs=3e-3)}


@pytest.mark.parametrize("name", ["penn-fudan", "voc"])
def test_map_equals_pycocotools(outputs: Outputs, name: str) -> None:
    """Crowd and difficult boxes are ignored and images without objects count, as in COCO's own code."""
    dataset, metric, found = outputs.dataset(name), CocoMap(), []
    for output, targets, sizes in outputs.batches(name, 352):
        detections = decode(output, classes=PERSON)
        metric.update(detections, targets, sizes)
        found += detections
    if name == "voc":
        assert sum(record.ignore.sum() for record in dataset.records) == 47
        assert sum(not len(record.boxes) for record in dataset.records) == 100
    expected = _pycocotools(found, dataset)
    assert metric.compute() == {name: pytest.approx(value, abs=1e-4) for name, value in expected.items()}


def test_evaluation_is_decoding_and_map_of_all_batches(detector: NetworkRunner, outputs: Outputs) -> None:
    """`evaluate_outputs` runs the detector itself and takes the class by its index."""
    batches = in_order(outputs.dataset("penn-fudan"), img_size=(352, 352), batch_size=32)
    assert evaluate_outputs(detector, batches, classes=PERSON)["map"] == pytest.approx(0.598, abs=3e-3)


def _pycocotools(found: Sequence[Detections], dataset: DetectionDataset) -> dict[str, float]:
    truth = COCO()
    images, annotations, results = [], [], []
    for key, (record, one) in enumerate(zip(dataset.records, found, strict=True), start=1):
        height, width = record.source.size
        images.append({"id": key, "width": width, "height": height})
        for box, label, ignore in zip(record.boxes.tolist(), record.labels, record.ignore, strict=True):
            named = {"image_id": key, "category_id": int(label) + 1, "bbox": _xywh(box)}
            area = named["bbox"][2] * named["bbox"][3]
            annotations.append({**named, "id": len(annotations) + 1, "area": area, "iscrowd": int(ignore)})
        boxes = (one.boxes.double().numpy() * np.array([width, height, width, height])).tolist()
        for box, score, label in zip(boxes, one.scores.tolist(), one.labels.tolist(), strict=True):
            results.append({"image_id": key, "category_id": label + 1, "bbox": _xywh(box), "score": score})
    categories = [{"id": label + 1, "name": name} for label, name in enumerate(dataset.classes)]
    truth.dataset = {"images": images, "annotations": annotations, "categories": categories}
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {"map": evaluation.stats[0], "map_50": evaluation.stats[1]}


def _xywh(box: Sequence[float]) -> list[float]:
    left, top, right, bottom = box
    return [left, top, right - left, bottom - top]
