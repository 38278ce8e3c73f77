"""Detections of the layout "boxes": [b, n, 4 + N]."""

import pytest
import torch
from torch import Tensor, nn

from mlflow_nas.data import Batch
from mlflow_nas.errors import CandidateError
from mlflow_nas.networks import Layout, read_layout
from mlflow_nas.tasks import DETECTION, CocoMap, decode
from mlflow_nas.tasks.detection.answer import MAX_CANDIDATES

TWO = torch.tensor(
    [[[0.1, 0.2, 0.5, 0.6, 0.9, 0.1], [0.1, 0.2, 0.5, 0.61, 0.8, 0.7], [0.6, 0.6, 0.9, 0.9, 0.0, 0.4]]]
)
"""Three boxes with scores of two classes; the first two overlap."""


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ([1, 2034, 6], Layout("boxes", 2)),
        ([1, 7, 10, 10], Layout("cells", 2)),
        ([1, 5, 10, 10], Layout("cells", 1)),
        ([1, 10], Layout("scores", 10)),
        ([1, 300, 4], None),
        ([1, 4, 10, 10], None),
        ([1, 300, "classes"], None),
        ([1], None),
        ([1, 2, 3, 4, 5], None),
    ],
)
def test_a_layout_is_told_from_the_shape(shape: list[object], layout: Layout | None) -> None:
    """By the number of dimensions; the class count by the size of the last or the second."""
    assert read_layout(shape) == layout


def test_scores_are_taken_as_they_are_and_suppressed_per_class() -> None:
    """The better of two overlapping boxes of a class is kept, the best first."""
    found = decode(TWO, score_threshold=0.3)[0]
    assert found.labels.tolist() == [0, 1, 1]
    torch.testing.assert_close(found.scores, torch.tensor([0.9, 0.7, 0.4]))
    torch.testing.assert_close(found.boxes[0], TWO[0, 0, :4])


def test_chosen_classes_are_counted_anew() -> None:
    """As of the other layout."""
    found = decode(TWO, classes=(1,), score_threshold=0.3)[0]
    assert found.labels.tolist() == [0, 0]


def test_only_the_best_boxes_enter_the_suppression() -> None:
    """Their number is limited: thousands of boxes of many classes would take seconds."""
    output = torch.rand(1, MAX_CANDIDATES, 4 + 2, generator=torch.Generator().manual_seed(0))
    output[..., 2:4] += 1
    output[0, 17, 4] = 2.0
    assert decode(output)[0].scores[0] == 2.0


def _batch() -> Batch:
    targets = torch.tensor([[0, 0, 0.3, 0.4, 0.4, 0.4, 0], [0, 1, 0.75, 0.75, 0.3, 0.3, 0]])
    return Batch(torch.zeros(1, 3, 8, 8), targets, torch.tensor([[100, 100]]))


def test_each_of_several_classes_has_its_own_map() -> None:
    """Beside the mean; a class without a box in the split has none."""
    metric = CocoMap()
    metric.add(TWO, _batch())
    found = metric.compute(("cat", "dog", "bird"))
    assert found.keys() == {"map", "map_50", "map/cat", "map/dog"}
    assert found["map/cat"] == pytest.approx(1.0)
    assert found["map"] == pytest.approx((found["map/cat"] + found["map/dog"]) / 2)
    assert metric.compute(("person",)).keys() == {"map", "map_50"}


def test_a_network_without_a_loss_is_told_to_have_one() -> None:
    """A task with no loss of its own needs the network's."""
    with pytest.raises(CandidateError, match=r"^Conv2d has no method loss\(images, targets\), and this task"):
        DETECTION.loss(nn.Conv2d(3, 3, 1), torch.zeros(1, 3, 8, 8), torch.zeros(0, 7))


def test_a_loss_that_is_no_tensor_is_refused() -> None:
    """A mapping of terms, as torchvision's detectors give it, is not summed by guess."""

    class Terms(nn.Module):
        def loss(self, _images: Tensor, _targets: Tensor) -> object:
            return {"boxes": torch.zeros(1)}

    with pytest.raises(CandidateError, match=r"^The loss of Terms is dict: return a scalar tensor"):
        DETECTION.loss(Terms(), torch.zeros(1, 3, 8, 8), torch.zeros(0, 7))


def test_the_answer_has_pixels_and_names() -> None:
    """Plain values, clipped to the image."""
    found = DETECTION.answer(TWO[0].numpy(), (200, 100), ("cat", "dog"), threshold=0.5)
    assert found["classes"] == ["cat", "dog"]
    assert found["boxes"][0] == pytest.approx([10, 40, 50, 120])
    boxes, labels = DETECTION.drawn(TWO[0].numpy(), (200, 100), ("cat", "dog"))
    assert boxes.shape == (3, 4)
    assert labels == ["cat 0.90", "dog 0.70", "dog 0.40"]
