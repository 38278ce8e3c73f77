"""COCO mean average precision, by faster-coco-eval."""

from collections.abc import Sequence
from typing import Any

from faster_coco_eval import COCO, COCOeval_faster
from torch import Tensor
from torchvision.ops import box_convert

from mlflow_nas.tasks.detection.answer import Detections

__all__ = ["CocoMap"]

_MAX_DETECTIONS = 100

_Annotation = dict[str, Any]


class CocoMap:
    """Collects detections and truth image by image, then gives mAP at IoU .5 and .5:.95, each 0..1.

    Difficult and crowd boxes are ignored as COCO ignores crowds: a detection on them counts neither as a
    true nor as a false positive. Images without boxes count: each detection on them is a false
    positive. At most 100 detections an image.
    """

    def __init__(self) -> None:
        self._images = 0
        self._found: list[_Annotation] = []
        self._truth: list[_Annotation] = []

    def update(self, detections: Sequence[Detections], targets: Tensor, sizes: Tensor) -> None:
        """Add one batch.

        Args:
            detections: one per image.
            targets: [m, 7] as (image, class, cx, cy, w, h, ignore), boxes relative to the image.
            sizes: [b, 2], height and width of each image in pixels.
        """
        scales = sizes.cpu().flip(1).repeat(1, 2).float()  # [b, 4]: width, height, width, height
        targets = targets.cpu()
        corners = box_convert(targets[:, 2:6], "cxcywh", "xyxy")
        for index, (one, scale) in enumerate(zip(detections, scales, strict=True)):
            own = targets[:, 0] == index
            truth, ignored = corners[own] * scale, targets[own, 6]
            self._add(self._truth, truth, targets[own, 1], "iscrowd", ignored.int())
            self._add(self._found, one.boxes.cpu() * scale, one.labels, "score", one.scores)
            self._images += 1

    def _add(
        self, annotations: list[_Annotation], boxes: Tensor, labels: Tensor, name: str, values: Tensor
    ) -> None:
        """Append the next image's, each with a value under a name.

        Args:
            annotations: what is appended to.
            boxes: [n, 4], xyxy, pixels.
            labels: [n].
            name: of the value.
            values: [n].
        """
        sides = box_convert(boxes, "xyxy", "xywh").tolist()
        for box, label, value in zip(sides, labels.int().tolist(), values.tolist(), strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": self._images,
                    "category_id": label,
                    "bbox": box,
                    "area": box[2] * box[3],
                    name: value,
                }
            )

    def compute(self) -> dict[str, float]:
        """{"map": ..., "map_50": ...}; 0 without boxes."""
        common = {
            "images": [{"id": index} for index in range(self._images)],
            "categories": [{"id": label} for label in {box["category_id"] for box in self._truth}],
        }
        if not common["categories"]:
            return {"map": 0.0, "map_50": 0.0}
        truth, found = ({**common, "annotations": boxes} for boxes in (self._truth, self._found))
        matching = COCOeval_faster(COCO(truth), COCO(found), iouType="bbox")
        # COCO's results for small, medium and large boxes, one and ten detections are not used.
        matching.params.areaRng, matching.params.areaRngLbl = [matching.params.areaRng[0]], ["all"]
        matching.params.maxDets = [_MAX_DETECTIONS]
        matching.evaluate()
        matching.accumulate()
        precision = matching.eval["precision"][..., 0, 0]  # [10 IoUs, 101 recalls, classes], -1: no such box
        known = precision > -1
        if not known.any():
            return {"map": 0.0, "map_50": 0.0}
        return {"map": float(precision[known].mean()), "map_50": float(precision[0][known[0]].mean())}
