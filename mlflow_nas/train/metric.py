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
        for index, (found, size) in enumerate(zip(detections, sizes.cpu(), strict=True)):
            scale = size.flip(0).repeat(2).float()  # width, height, width, height
            own = targets[targets[:, 0] == index].cpu()
            half = own[:, 4:6] / 2
            truth = torch.cat([own[:, 2:4] - half, own[:, 2:4] + half], dim=1)
            self._metric.update(
                [
                    {
                        "boxes": found.boxes.cpu() * scale,
                        "scores": found.scores.cpu(),
                        "labels": found.labels.cpu(),
                    }
                ],
                [{"boxes": truth * scale, "labels": own[:, 1].long(), "iscrowd": own[:, 6].long()}],
            )

    def compute(self) -> dict[str, float]:
        """{"map": ..., "map_50": ...}; 0 where there is nothing to find."""
        computed = self._metric.compute()
        return {name: max(float(computed[name]), 0.0) for name in ("map", "map_50")}
