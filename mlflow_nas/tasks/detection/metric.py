"""COCO mean average precision, by faster-coco-eval."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import box_convert

from mlflow_nas.tasks.detection.answer import Detections, decode

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

    def add(self, output: Tensor, batch: Any, *, classes: Sequence[int] | None = None) -> None:
        """Add one batch, as `networks.Meter` says."""
        self.update(decode(output, classes=classes), batch.targets, batch.sizes)

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

    def compute(self, names: Sequence[str] = ()) -> dict[str, float]:
        """{"map": ..., "map_50": ...}; 0 without boxes.

        Args:
            names: of the classes; of several each has `map/<name>` too, where the split has boxes of it.
        """
        matching = self._matching()
        if matching is None:
            return {"map": 0.0, "map_50": 0.0}
        matching.evaluate()
        matching.accumulate()
        precision = _precision(matching)
        known = precision > -1
        if not known.any():
            return {"map": 0.0, "map_50": 0.0}
        whole = {"map": float(precision[known].mean()), "map_50": float(precision[0][known[0]].mean())}
        return whole | _per_class(matching, precision, names)

    def resample(self, images: NDArray[np.int64]) -> NDArray[np.float64]:
        """MAP at IoU .5:.95 of samples of the images, with repetition.

        Args:
            images: indexes [draws, n], as many a draw as there are images.

        Returns:
            [draws]; 0 for a draw without boxes.
        """
        matching = self._matching(separate=True)
        if matching is None:
            return np.zeros(len(images))
        matching.evaluate()
        by_class = np.array(matching._evalImgs_cpp, dtype=object).reshape(-1, self._images)
        values = []
        for draw in images:
            matching._evalImgs_cpp = list(by_class[:, draw].flatten())
            matching.accumulate()
            precision = _precision(matching)
            known = precision > -1
            values.append(float(precision[known].mean()) if known.any() else 0.0)
        return np.array(values)

    def _matching(self, *, separate: bool = False) -> Any:
        """An evaluation by faster-coco-eval; None without boxes."""
        common = {
            "images": [{"id": index} for index in range(self._images)],
            "categories": [{"id": label} for label in {box["category_id"] for box in self._truth}],
        }
        if not common["categories"]:
            return None
        truth, found = ({**common, "annotations": boxes} for boxes in (self._truth, self._found))
        matching = COCOeval_faster(COCO(truth), COCO(found), iouType="bbox", separate_eval=separate)
        # COCO's results for small, medium and large boxes, one and ten detections are not used.
        matching.params.areaRng, matching.params.areaRngLbl = [matching.params.areaRng[0]], ["all"]
        matching.params.maxDets = [_MAX_DETECTIONS]
        return matching

    def save(self, path: Path) -> None:
        """Write detections and truth, to be read by `load`."""
        found, truth = (
            np.array(
                [[one["image_id"], one["category_id"], *one["bbox"], one[value]] for one in annotations],
                np.float32,
            ).reshape(-1, 7)
            for annotations, value in ((self._found, "score"), (self._truth, "iscrowd"))
        )
        np.savez_compressed(path, found=found, truth=truth, images=self._images)

    @classmethod
    def load(cls, path: Path) -> "CocoMap":
        """Read what `save` wrote."""
        metric = cls()
        with np.load(path) as file:
            metric._images = int(file["images"])
            metric._found = _annotations(file["found"], "score")
            metric._truth = _annotations(file["truth"], "iscrowd")
        return metric

    @property
    def images(self) -> int:
        """Their number."""
        return self._images


def _annotations(rows: NDArray[np.float32], value: str) -> list[_Annotation]:
    """Annotations of rows [n, 7]: image, class, x, y, width, height, value."""
    return [
        {
            "id": index,
            "image_id": int(row[0]),
            "category_id": int(row[1]),
            "bbox": row[2:6],
            "area": row[4] * row[5],
            value: int(row[6]) if value == "iscrowd" else row[6],
        }
        for index, row in enumerate(rows.tolist(), start=1)
    ]


def _precision(matching: Any) -> NDArray[np.float64]:
    """[10 IoUs, 101 recalls, classes]; -1 where a class has no box."""
    precision: NDArray[np.float64] = matching.eval["precision"][..., 0, 0]
    return precision


def _per_class(matching: Any, precision: NDArray[np.float64], names: Sequence[str]) -> dict[str, float]:
    """Name of a class, of several, to its mAP."""
    if len(names) < 2:
        return {}
    columns = zip(matching.params.catIds, np.moveaxis(precision, -1, 0), strict=True)
    return {f"map/{names[label]}": float(one[one > -1].mean()) for label, one in columns if (one > -1).any()}
