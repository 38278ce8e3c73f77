"""The images that every architecture is scored on."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mlflow_nas.data import DetectionDataset, resize_image
from mlflow_nas.data.loading import stack_targets, to_targets
from mlflow_nas.errors import ConfigError

__all__ = ["ScoringImages", "no_images", "scoring_images"]


class ScoringImages(NamedTuple):
    """Images float32 [b, 3, H, W] in 0..1 and targets float32 [m, 7]."""

    images: Tensor
    targets: Tensor


def no_images(img_size: tuple[int, int]) -> ScoringImages:
    """The inputs of strategies that use no images: [0, 3, H, W]."""
    return ScoringImages(torch.empty(0, 3, *img_size), torch.empty(0, 7))


def scoring_images(
    dataset: DetectionDataset, *, img_size: tuple[int, int], count: int = 32, seed: int = 0
) -> ScoringImages:
    """The same images for every architecture, at the architecture's own size, without augmentation.

    Args:
        dataset: only its images with a box that counts are taken.
        img_size: height and width in pixels.
        count: number of images; fewer when the data set has fewer.
        seed: of the draw.

    Raises:
        ConfigError: no image has a box, or an image can't be read.
    """
    usable = [index for index, record in enumerate(dataset.records) if (~record.ignore).any()]
    if not usable:
        raise ConfigError(
            f"0 images of {dataset.name} have a box, zero-cost scores need at least one: annotate some."
        )
    drawn = np.random.default_rng(seed).permutation(usable)[:count]
    samples = [dataset[int(index)] for index in drawn]
    images = torch.from_numpy(np.stack([resize_image(sample.image, img_size) for sample in samples]))
    return ScoringImages(
        images, stack_targets([to_targets(sample, sample.image.shape[:2]) for sample in samples])
    )
