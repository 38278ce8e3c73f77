from pathlib import Path

import pytest
import torch

from mlflow_nas.data import DetectionDataModule, load_dataset
from mlflow_nas.space import build_detector, fastestdet_head, load_seed_weights
from mlflow_nas.train import CocoMap, Detections, decode

SHARED = Path(__file__).parents[3] / "shared"
SIZES = torch.tensor([[100, 200]])
BOX = torch.tensor([[0.1, 0.1, 0.5, 0.5]])
TRUTH = torch.tensor([[0.0, 0.0, 0.3, 0.3, 0.4, 0.4, 0.0]])


def _found(boxes: torch.Tensor) -> Detections:
    return Detections(boxes, torch.linspace(0.9, 0.5, len(boxes)), torch.zeros(len(boxes), dtype=torch.int64))


def test_a_perfect_detection_scores_one() -> None:
    """The same box is right at every threshold."""
    metric = CocoMap()
    metric.update([_found(BOX)], TRUTH, SIZES)
    assert metric.compute() == {"map": pytest.approx(1.0), "map_50": pytest.approx(1.0)}


def test_a_detection_on_an_ignored_box_is_not_wrong() -> None:
    """A difficult box is taken as COCO takes a crowd."""
    ignored = torch.tensor([[0.0, 0.0, 0.8, 0.8, 0.2, 0.2, 1.0]])
    first = torch.tensor([[0.7, 0.7, 0.9, 0.9]])
    metric = CocoMap()
    metric.update([_found(torch.cat([first, BOX]))], torch.cat([TRUTH, ignored]), SIZES)
    assert metric.compute()["map_50"] == pytest.approx(1.0)


def test_a_detection_in_an_empty_image_is_wrong() -> None:
    """Images without boxes count."""
    metric = CocoMap()
    both = torch.cat([SIZES, SIZES])
    in_second = torch.tensor([[1.0, 0.0, 0.3, 0.3, 0.4, 0.4, 0.0]])
    metric.update([_found(BOX), Detections(BOX, torch.tensor([0.8]), torch.tensor([0]))], in_second, both)
    assert metric.compute()["map_50"] == pytest.approx(0.5)


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared is not on this machine")
def test_the_published_detector_reaches_its_published_figures() -> None:
    """penn-fudan val at 352 px: AP50 .911, AP .598, each within .005 (measured .911, .601)."""
    uri = f"coco:{SHARED / 'data' / 'penn-fudan'}"
    weights = load_seed_weights(SHARED / "weights" / "fastestdet_coco.pth")
    network = build_detector(fastestdet_head().baseline, num_classes=80, weights=weights).eval()
    data = DetectionDataModule(
        load_dataset(uri, "train", ("person",)),
        load_dataset(uri, "val", ("person",)),
        img_size=(352, 352),
        batch_size=16,
        seed=0,
    )
    metric = CocoMap()
    with torch.inference_mode():
        for batch in data.batches("val"):
            metric.update(decode(network(batch.images)[:, :6]), batch.targets, batch.sizes)
    assert metric.compute() == {
        "map": pytest.approx(0.598, abs=0.005),
        "map_50": pytest.approx(0.911, abs=0.005),
    }
