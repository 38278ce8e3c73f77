"""Flip, zoom and colour of whole batches as tensor operations; the seed decides everything."""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

__all__ = ["augment_batch", "move_boxes"]

_SCALE = (0.75, 1.25)
_CONTRAST = (0.8, 1.2)
_TINT = (0.95, 1.05)
_BRIGHTNESS = (-0.1, 0.1)
_MIN_VISIBLE = 0.25
_GREY = 0.5


def augment_batch(images: Tensor, targets: Tensor, *, seed: int) -> tuple[Tensor, Tensor]:
    """Flip half of the images, zoom each by .75..1.25 at a random place, change its colours mildly.

    A shrunk image lies on grey, as in the published recipe; one resampling does flip and zoom.

    Args:
        images: float32 [b, 3, H, W] in 0..1.
        targets: float32 [m, 7], see ``Batch``.
        seed: the same seed gives the same result.

    Returns:
        Images and targets of the same kind; m may be smaller.
    """
    rng = torch.Generator().manual_seed(seed)
    count = images.shape[0]
    scale, shift = (part.to(images.device) for part in _draw_placement(rng, count))
    gain, offset = (part.to(images.device) for part in _draw_colours(rng, count))
    # What lies outside reads as 0: the image is sampled as its difference from grey.
    moved = F.grid_sample(
        images - _GREY, _sampling_grid(scale, shift, images), padding_mode="zeros", align_corners=False
    )
    coloured = moved.mul_(gain).add_(offset + _GREY).clamp_(0, 1)
    return coloured, move_boxes(targets, scale, shift)


def _uniform(rng: Generator, shape: tuple[int, ...], bounds: tuple[float, float]) -> Tensor:
    low, high = bounds
    return torch.rand(shape, generator=rng) * (high - low) + low


def _draw_placement(rng: Generator, count: int) -> tuple[Tensor, Tensor]:
    """Scale and shift [b, 2] of the map new = scale * old + shift, in 0..1; a flip scales x by < 0.

    A shrunk image stays whole, an enlarged one leaves no grey: both follow from a corner
    between 0 and 1 - zoom.
    """
    zoom = _uniform(rng, (count, 1), _SCALE)
    corner = torch.rand((count, 2), generator=rng) * (1 - zoom)
    flipped = torch.rand(count, generator=rng) < 0.5
    scale, shift = zoom.repeat(1, 2), corner
    scale[flipped, 0] *= -1
    shift[flipped, 0] += zoom[flipped, 0]
    return scale, shift


def _draw_colours(rng: Generator, count: int) -> tuple[Tensor, Tensor]:
    """Gain and offset [b, 3, 1, 1] around grey: contrast and tint, brightness."""
    gain = _uniform(rng, (count, 1, 1, 1), _CONTRAST) * _uniform(rng, (count, 3, 1, 1), _TINT)
    return gain, _uniform(rng, (count, 1, 1, 1), _BRIGHTNESS)


def _sampling_grid(scale: Tensor, shift: Tensor, images: Tensor) -> Tensor:
    """Where each output pixel reads, [b, H, W, 2] in grid_sample's -1..1."""
    # old = (new - shift) / scale in 0..1, with 2 * old - 1 for the grid's range.
    theta = torch.zeros(images.shape[0], 2, 3, device=images.device)
    theta[:, 0, 0], theta[:, 1, 1] = 1 / scale[:, 0], 1 / scale[:, 1]
    theta[:, :, 2] = (1 - 2 * shift) / scale - 1
    return F.affine_grid(theta, list(images.shape), align_corners=False)


def move_boxes(targets: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Boxes after new = scale * old + shift of their image, clipped to it.

    A box of which less than a quarter stays visible is ignored, not dropped: what is seen of the
    object is not background either. One that left the image is dropped.

    Args:
        targets: float32 [m, 7], see ``Batch``.
        scale: float32 [b, 2] for x and y; a negative one mirrors.
        shift: float32 [b, 2].
    """
    image = targets[:, 0].long()
    centre = targets[:, 2:4] * scale[image] + shift[image]
    half = targets[:, 4:6] * scale[image].abs() / 2
    low, high = (centre - half).clamp(0, 1), (centre + half).clamp(0, 1)
    size = high - low
    visible = size.prod(dim=1) / (4 * half.prod(dim=1))
    ignore = torch.where(visible < _MIN_VISIBLE, 1.0, targets[:, 6])
    moved = torch.cat([targets[:, :2], (low + high) / 2, size, ignore[:, None]], dim=1)
    return moved[visible > 0]
