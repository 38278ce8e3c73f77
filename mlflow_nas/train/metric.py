"""COCO mean average precision, by torchmetrics with the faster-coco-eval backend."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics.detection import MeanAveragePrecision

from mlflow_nas.train.decode import Detections

__all__ = ["CocoMap"]


class CocoMap:
    """Collects detections and truth image by image, then gives mAP at IoU .5 and .5:.95, each 0..1.

    Difficult and crowd boxes are ignored as COCO ignores crowds: a detection on them is neither right nor
    wrong. Images without boxes count: what is detected on them is wrong. At most 100 detections an image.
    """

    def __init__(self) -> None:
        self._metric = MeanAveragePrecision(backend="faster_coco_eval")

    def update(self, detections: Sequence[Detections], targets: Tensor, sizes: Tensor) -> None:
        """Add one batch.

        Args:
            detections: one per image.
            targets: [m, 7] as (image, class, cx, cy, w, h, ignore), boxes relative to the image.
            sizes: [b, 2], height and width of each image in pixels.
        """
        scales = sizes.cpu().flip(1).repeat(1, 2).float()  # [b, 4]: width, height, width, height
        targets = targets.cpu()
        half = targets[:, 4:6] / 2
        corners = torch.cat([targets[:, 2:4] - half, targets[:, 2:4] + half], dim=1)
        found = [
            {
                "boxes": one.boxes.cpu() * scale,
                "scores": one.scores.cpu(),
                "labels": one.labels.cpu(),
            }
            for one, scale in zip(detections, scales, strict=True)
        ]
        truth = []
        for index, scale in enumerate(scales):
            own = targets[:, 0] == index
            truth.append(
                {
                    "boxes": corners[own] * scale,
                    "labels": targets[own, 1].long(),
                    "iscrowd": targets[own, 6].long(),
                }
            )
        self._metric.update(found, truth)

    def compute(self) -> dict[str, float]:
        """{"map": ..., "map_50": ...}; 0 where there is nothing to find."""
        computed = self._metric.compute()
        return {name: max(float(computed[name]), 0.0) for name in ("map", "map_50")}
