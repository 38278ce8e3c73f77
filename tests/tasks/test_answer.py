import math

import torch

from mlflow_nas.tasks import decode, image_boxes


def _cell(height: int, width: int, row: int, column: int, objectness: float) -> torch.Tensor:
    output = torch.zeros(1, 5, height, width)
    output[0, 0, row, column] = objectness
    return output


def test_a_cell_decodes_by_the_published_formula() -> None:
    """Centre = (tanh(t) + cell) / cells, size = sigmoid(t), score = objectness^.6."""
    output = _cell(4, 8, 1, 2, 0.5)
    output[0, 1:5, 1, 2] = torch.tensor([0.3, -0.2, -1.0, -2.0])
    found = decode(output)[0]
    centre_x, centre_y = (math.tanh(0.3) + 2) / 8, (math.tanh(-0.2) + 1) / 4
    width, height = 1 / (1 + math.exp(1)), 1 / (1 + math.exp(2))
    expected = [centre_x - width / 2, centre_y - height / 2, centre_x + width / 2, centre_y + height / 2]
    torch.testing.assert_close(found.boxes, torch.tensor([expected]))
    torch.testing.assert_close(found.scores, torch.tensor([0.5**0.6]))


def test_of_two_overlapping_boxes_the_worse_is_dropped() -> None:
    """Neighbouring cells that mean the same box give one detection, the better one."""
    output = _cell(4, 4, 1, 1, 0.9)
    output[0, 0, 1, 2] = 0.8
    output[0, 3:5] = 2.0
    found = decode(output)[0]
    assert len(found.scores) == 1
    torch.testing.assert_close(found.scores[0], torch.tensor(0.9**0.6))


def test_classes_are_suppressed_apart_and_weighted() -> None:
    """Score = objectness^.6 x class^.4; two classes at one cell both survive."""
    output = torch.cat([_cell(4, 4, 1, 1, 0.9), torch.zeros(1, 2, 4, 4)], dim=1)
    output[0, 5:, 1, 1] = torch.tensor([0.7, 0.3])
    found = decode(output)[0]
    assert found.labels.tolist() == [0, 1]
    torch.testing.assert_close(found.scores, torch.tensor([0.9**0.6 * 0.7**0.4, 0.9**0.6 * 0.3**0.4]))


def test_images_of_a_batch_do_not_mix_and_are_limited() -> None:
    """Each image has its own boxes, at most `max_detections`."""
    output = torch.cat([_cell(8, 8, 1, 1, 0.9), torch.zeros(1, 5, 8, 8)])
    output[1, 0] = 0.5
    output[1, 3:5] = -4.0
    first, second = decode(output, max_detections=10)
    assert len(first.scores) == 1
    assert len(second.scores) == 10


def test_chosen_classes_keep_their_probabilities_and_are_counted_anew() -> None:
    """A class that is not chosen neither appears nor changes the others' scores."""
    output = torch.cat([_cell(4, 4, 1, 1, 0.9), torch.zeros(1, 3, 4, 4)], dim=1)
    output[0, 5:, 1, 1] = torch.tensor([0.2, 0.5, 0.3])
    found = decode(output, classes=(2, 0))[0]
    assert found.labels.tolist() == [0, 1]
    torch.testing.assert_close(found.scores, torch.tensor([0.9**0.6 * 0.3**0.4, 0.9**0.6 * 0.2**0.4]))


def test_boxes_in_an_image_end_at_its_border() -> None:
    """Boxes in pixels are clipped to the image; decoded ones are not."""
    output = _cell(4, 4, 0, 0, 0.9)
    output[0, 3:5] = 2.0
    beyond = decode(output)[0].boxes
    assert beyond.min() < 0
    found = image_boxes(output[0].numpy(), (50, 100))
    scale = torch.tensor([100.0, 50.0, 100.0, 50.0])
    torch.testing.assert_close(found.boxes, beyond.clamp(0, 1) * scale)
