"""Classification: truth from whole-image boxes, top-1, answers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mlflow_nas.data import Batch
from mlflow_nas.errors import CandidateError, ConfigError
from mlflow_nas.networks import Layout
from mlflow_nas.tasks import CLASSIFICATION, check_output, get_task, image_classes, task_of

NAMES = ("cat", "dog", "bird")
LOGITS = torch.tensor([[2.0, 1.0, 0.0], [0.0, 1.0, 2.0], [0.0, 3.0, 1.0], [0.0, 0.0, 0.0]])


def _batch(labels: list[int]) -> Batch:
    """One row an image, as the whole image."""
    rows = [[index, label, 0.5, 0.5, 1, 1, 0] for index, label in enumerate(labels)]
    return Batch(torch.zeros(len(labels), 3, 4, 4), torch.tensor(rows, dtype=torch.float32), torch.zeros(1))


def test_the_class_of_an_image_is_that_of_its_row() -> None:
    """An image without a row has the number that torch's losses ignore."""
    targets = _batch([2, 0, 1]).targets[[0, 2]]
    assert image_classes(targets, 3).tolist() == [2, -100, 1]


def test_top1_is_the_share_of_first_places() -> None:
    """A constant output is never right; each class that occurs has its own."""
    meter = CLASSIFICATION.meter()
    meter.add(LOGITS, _batch([0, 1, 1, 0]))
    assert meter.compute(NAMES) == {"top1": 0.5, "top1/cat": 0.5, "top1/dog": 0.5}
    assert CLASSIFICATION.meter().compute() == {"top1": 0.0}


def test_classes_of_the_data_are_found_in_a_network_of_more() -> None:
    """Others don't take part."""
    meter = CLASSIFICATION.meter()
    meter.add(LOGITS[1:2], _batch([1]), classes=(0, 1))
    assert meter.compute() == {"top1": 1.0}


def test_numbers_that_are_not_finite_are_wrong() -> None:
    """A network that gives NaN has no accuracy."""
    meter = CLASSIFICATION.meter()
    meter.add(torch.full((2, 3), float("nan")), _batch([0, 1]))
    assert meter.compute() == {"top1": 0.0}


def test_an_interval_draws_images(tmp_path: Path) -> None:
    """The mean over draws is the accuracy."""
    meter = CLASSIFICATION.meter()
    meter.add(LOGITS, _batch([0, 1, 1, 0]))
    meter.save(tmp_path / "record.npz")
    draws = CLASSIFICATION.bootstrap(tmp_path / "record.npz", copies=1)
    assert len(draws) == 200
    assert draws.mean() == pytest.approx(0.5, abs=0.05)


def test_the_answer_is_classes_by_probability() -> None:
    """The best whatever its probability, others from the threshold on."""
    logits = np.log(np.array([0.2, 0.7, 0.1], dtype=np.float32))
    assert CLASSIFICATION.answer(logits, (8, 8), NAMES, threshold=0.15)["classes"] == ["dog", "cat"]
    best = CLASSIFICATION.answer(logits, (8, 8), NAMES, threshold=0.9)
    assert best == {"classes": ["dog"], "scores": [pytest.approx(0.7)]}
    boxes, labels = CLASSIFICATION.drawn(logits, (8, 6), NAMES)
    assert (boxes.tolist(), labels) == ([[0, 0, 6, 8]], ["dog 0.70"])


class _Own(nn.Module):
    """A classifier with a loss of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(48, 3)

    def forward(self, images: Tensor) -> Tensor:
        """[b, 3, 4, 4] -> [b, 3]."""
        logits: Tensor = self.last(images.flatten(1))
        return logits

    def loss(self, images: Tensor, classes: Tensor) -> Tensor:
        """The number of images."""
        assert classes.dtype == torch.int64
        return self(images).sum() * 0 + len(classes)


def test_a_networks_own_loss_comes_first() -> None:
    """Without one it is cross entropy."""
    batch = _batch([0, 1])
    assert CLASSIFICATION.loss(_Own(), batch.images, batch.targets).item() == 2
    plain = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))
    assert CLASSIFICATION.loss(plain, batch.images, batch.targets).item() == pytest.approx(1.1, abs=0.3)


def test_an_output_is_checked_by_its_task() -> None:
    """Its layout, and the number of classes."""
    check_output(_Own(), CLASSIFICATION, img_size=(4, 4), classes=NAMES)
    with pytest.raises(CandidateError, match=r"gives \[1, 3\], which is 3 classes, expected is \[b, N\]"):
        check_output(_Own(), CLASSIFICATION, img_size=(4, 4), classes=("cat", "dog"))
    with pytest.raises(CandidateError, match=r"gives \[1, 3\] for one image, expected is \[b, n, 4 \+ N\]"):
        check_output(_Own(), get_task("detection"), img_size=(4, 4), classes=NAMES)
    with pytest.raises(ConfigError, match="no task 'segmentation': choose one of detection, classification"):
        get_task("segmentation")
    assert task_of(Layout("scores", 3)) is CLASSIFICATION
