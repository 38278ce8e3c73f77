import pytest
import torch

from mlflow_nas.tasks import CocoMap, Detections

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
