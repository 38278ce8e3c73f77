from pathlib import Path

import numpy as np
import pytest
import torch

from mlflow_nas.tasks import CocoMap, Detections, bootstrap_map, interval

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


def _two_images() -> CocoMap:
    """A found box in the first image; a missed one and a shifted one, of another class, in the second."""
    metric = CocoMap()
    truth = torch.tensor(
        [
            [0.0, 0.0, 0.3, 0.3, 0.4, 0.4, 0.0],
            [1.0, 0.0, 0.3, 0.3, 0.4, 0.4, 0.0],
            [1.0, 1.0, 0.7, 0.7, 0.2, 0.2, 0.0],
        ]
    )
    second = Detections(torch.tensor([[0.62, 0.6, 0.8, 0.8]]), torch.tensor([0.8]), torch.tensor([1]))
    metric.update([_found(BOX), second], truth, torch.cat([SIZES, SIZES]))
    return metric


def test_a_sample_of_images_is_measured_as_those_images_are(tmp_path: Path) -> None:
    """All images once give the metric itself; an image twice gives what two of it give; a file holds it."""
    metric = _two_images()
    metric.save(tmp_path / "record.npz")
    once, first, second = CocoMap.load(tmp_path / "record.npz").resample(np.array([[0, 1], [0, 0], [1, 1]]))
    assert once == pytest.approx(metric.compute()["map"], abs=1e-6)
    assert first == pytest.approx(1.0)
    assert 0 < second < once
    assert CocoMap().resample(np.zeros((3, 0), np.int64)).tolist() == [0.0] * 3


def test_equal_seeds_draw_the_same_images_with_their_copies(tmp_path: Path) -> None:
    """So a detector's difference to itself is none; copies are never drawn without their image."""
    _two_images().save(tmp_path / "record.npz")
    draws = [bootstrap_map(tmp_path / "record.npz", draws=20, seed=3) for _ in range(2)]
    assert (draws[0] == draws[1]).all()
    assert len({round(value, 6) for value in draws[0]}) == 3
    together = bootstrap_map(tmp_path / "record.npz", copies=2, draws=5)
    assert len({round(value, 6) for value in together}) == 1


def test_an_interval_leaves_out_the_tails() -> None:
    """Two and a half per cent on either side."""
    assert interval(np.arange(1001) / 1000) == pytest.approx((0.025, 0.975))
