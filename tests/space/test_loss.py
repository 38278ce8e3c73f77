import torch

from mlflow_nas.space import detection_loss
from mlflow_nas.space.fastestdet.siou import siou

NO_TARGETS = torch.zeros(0, 7)


def _raw(batch: int = 1, cells: int = 4) -> tuple[torch.Tensor, torch.Tensor, None]:
    torch.manual_seed(0)
    return (
        torch.randn(batch, 1, cells, cells, requires_grad=True),
        torch.randn(batch, 4, cells, cells, requires_grad=True),
        None,
    )


def _target(ignore: float = 0.0, x: float = 0.6) -> torch.Tensor:
    return torch.tensor([[0.0, 0.0, x, 0.6, 0.3, 0.5, ignore]])


def test_a_batch_without_boxes_has_a_finite_loss() -> None:
    """Only the objectness of empty cells is left."""
    raw = _raw()
    terms = detection_loss(raw, NO_TARGETS)
    terms.total.backward()
    assert terms.box == 0
    assert torch.isfinite(terms.total)
    assert raw[0].grad is not None


def test_a_single_proposal_is_not_lost() -> None:
    """A box in the last cell has one proposal, which is at the mean and counts."""
    target = _target(x=0.99)
    target[0, 3] = 0.99
    terms = detection_loss(_raw(), target)
    assert terms.box > 0
    assert torch.isfinite(terms.total)


def test_an_ignored_box_is_neither_positive_nor_negative() -> None:
    """Its four cells carry no gradient of objectness, all others do; there is no box loss."""
    raw = _raw()
    terms = detection_loss(raw, _target(ignore=1.0))
    terms.total.backward()
    assert terms.box == 0
    assert raw[0].grad is not None
    at_box = raw[0].grad[0, 0, 2:4, 2:4]
    assert torch.count_nonzero(at_box) == 0
    assert torch.count_nonzero(raw[0].grad) == 12


def test_nothing_inside_a_crowd_is_background_but_what_is_labelled_there_counts() -> None:
    """A crowd over the left half of the cells, and one person inside of it."""
    crowd, person = _target(x=0.2, ignore=1.0), _target(x=0.2)
    crowd[0, 3:6] = torch.tensor([0.5, 0.5, 1.0])
    raw = _raw()
    detection_loss(raw, torch.cat([crowd, person])).total.backward()
    assert raw[0].grad is not None
    left, right = raw[0].grad[0, 0].tensor_split(2, dim=1)
    assert 1 <= torch.count_nonzero(left) <= 4
    assert torch.count_nonzero(right) == right.numel()


def test_the_objectness_target_carries_no_gradient() -> None:
    """Box terms learn from the box loss alone: without it their gradient is zero."""
    raw = _raw()
    terms = detection_loss(raw, _target())
    total_gradient = torch.autograd.grad(terms.total, raw[1])[0]
    again = _raw()
    boxes = detection_loss(again, _target())
    objectness_only = boxes.total - 8 * boxes.box
    assert torch.equal(total_gradient, torch.autograd.grad(objectness_only, again[1])[0])
    assert not terms.objectness.requires_grad


def test_siou_is_one_at_a_perfect_match_with_a_finite_gradient() -> None:
    """Where the published formula divides 0 by 0."""
    box = torch.tensor([[0.5, 0.5, 0.2, 0.4]], requires_grad=True)
    value = siou(box, box.detach().clone())
    value.sum().backward()
    torch.testing.assert_close(value, torch.ones(1), atol=1e-4, rtol=0)
    assert box.grad is not None
    assert torch.isfinite(box.grad).all()


def test_siou_falls_with_distance() -> None:
    """Disjoint boxes are told apart, unlike by the plain IoU."""
    box = torch.tensor([[0.2, 0.2, 0.1, 0.1]])
    near, far = torch.tensor([[0.35, 0.2, 0.1, 0.1]]), torch.tensor([[0.8, 0.8, 0.1, 0.1]])
    assert siou(box, box) > siou(box, near) > siou(box, far)
