"""Top-1 accuracy.

Shapes: b batch, m targets, N classes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["TopOne", "hits_of", "image_classes"]


def image_classes(targets: Tensor, images: int) -> Tensor:
    """The class of each image, int64 [b]; -100, which torch's losses ignore, for one without a target.

    Args:
        targets: float32 [m, 7], rows of (image, class, cx, cy, w, h, ignore).
        images: b.
    """
    classes = torch.full((images,), -100, dtype=torch.int64, device=targets.device)
    classes[targets[:, 0].long()] = targets[:, 1].long()
    return classes


class TopOne:
    """Collects the rank of each image's class."""

    def __init__(self) -> None:
        self._ranks: list[int] = []
        self._labels: list[int] = []

    def add(self, output: Tensor, batch: Any, *, classes: Sequence[int] | None = None) -> None:
        """Add one batch, as `networks.Meter` says; output is [b, N]."""
        scores = output if classes is None else output[:, list(classes)]
        labels = image_classes(batch.targets.cpu(), len(scores))
        own = scores.cpu().gather(1, labels.clamp(min=0)[:, None])
        # A score that equals the class's own counts as better: a constant output is never right. NaN too.
        better = (~(scores.cpu() < own)).sum(dim=1) - 1
        ranks = torch.where(own[:, 0].isnan(), scores.shape[1], better)
        self._ranks += ranks[labels >= 0].tolist()
        self._labels += labels[labels >= 0].tolist()

    def compute(self, names: Sequence[str] = ()) -> dict[str, float]:
        """{"top1": ...}; 0 without images.

        Args:
            names: of the classes; each that the split has gets `top1/<name>` too.
        """
        ranks, labels = np.array(self._ranks, int), np.array(self._labels, int)
        if not len(ranks):
            return {"top1": 0.0}
        found = {"top1": float((ranks == 0).mean())}
        own = {name: ranks[labels == index] == 0 for index, name in enumerate(names)}
        return found | {f"top1/{name}": float(hits.mean()) for name, hits in own.items() if len(hits)}

    def save(self, path: Path) -> None:
        """Write whether each image's class was first, to be read by `hits_of`."""
        np.savez_compressed(path, hits=np.array(self._ranks, int) == 0)


def hits_of(record: Path) -> NDArray[np.bool_]:
    """What `save` wrote: [images]."""
    with np.load(record) as file:
        hits: NDArray[np.bool_] = file["hits"]
    return hits
