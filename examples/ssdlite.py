"""torchvision's SSDLite320-MobileNetV3 as a search space: width and input size; its own anchors and loss.

    mlflow_nas search --space examples/ssdlite.py:SPACE --data coco:DATA --classes person

Shapes: b images, n anchors of six scales, N classes, m targets.
"""

from functools import partial

import torch
from torch import Tensor, nn
from torchvision.models import mobilenet_v3_large
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.ssd import SSD
from torchvision.models.detection.ssdlite import SSDLiteFeatureExtractorMobileNet, SSDLiteHead
from torchvision.ops import box_convert, box_iou

from mlflow_nas.space import Parameter, SearchSpace
from mlflow_nas.types import Architecture

BATCH_NORM = partial(nn.BatchNorm2d, eps=0.001, momentum=0.03)


def extractor(width: float) -> SSDLiteFeatureExtractorMobileNet:
    """MobileNetV3-Large and four extra blocks, as `ssdlite320_mobilenet_v3_large` builds them."""
    features = mobilenet_v3_large(norm_layer=BATCH_NORM, reduced_tail=True, width_mult=width).features
    strided = [place for place, block in enumerate(features) if getattr(block, "_is_cn", False)]
    return SSDLiteFeatureExtractorMobileNet(features, strided[-1], BATCH_NORM, width_mult=width)


class SsdLite(nn.Module):
    """SSDLite without its transform and suppression, which are the product's."""

    def __init__(self, num_classes: int, *, width: float) -> None:
        super().__init__()
        backbone, anchors = extractor(width), DefaultBoxGenerator([[2, 3]] * 6, min_ratio=0.2, max_ratio=0.95)
        with torch.no_grad():
            channels = [maps.shape[1] for maps in backbone.eval()(torch.zeros(1, 3, 64, 64)).values()]
        per_place, classes = (
            anchors.num_anchors_per_location(),
            num_classes + 1,
        )  # the first one is background
        head = SSDLiteHead(channels, per_place, classes, BATCH_NORM)
        self.ssd = SSD(backbone, anchors, (320, 320), classes, head=head).train()

    def outputs(self, images: Tensor) -> tuple[dict[str, Tensor], list[Tensor]]:
        """Offsets [b, n, 4] and logits [b, n, 1 + N], and of each image the anchors [n, 4] in pixels."""
        features = list(self.ssd.backbone(2 * images - 1).values())
        sizes = [(images.shape[2], images.shape[3])] * len(images)
        return self.ssd.head(features), self.ssd.anchor_generator(ImageList(images, sizes), features)

    def forward(self, images: Tensor) -> Tensor:
        """[b, 3, H, W] in 0..1 to [b, n, 4 + N]: what ships."""
        found, anchors = self.outputs(images)
        height, width = images.shape[2:]
        centre, size = box_convert(anchors[0], "xyxy", "cxcywh").split(2, dim=1)  # [n, 2] each
        shift, growth = found["bbox_regression"].split(2, dim=2)  # SSD's weights are 10 and 5
        middle, half = centre + shift / 10 * size, size * (growth / 5).clamp(max=4).exp() / 2
        corners = torch.cat([middle - half, middle + half], dim=2)
        corners = corners / torch.tensor([width, height] * 2, device=images.device)
        return torch.cat([corners, found["cls_logits"].softmax(dim=2)[..., 1:]], dim=2)

    def loss(self, images: Tensor, targets: Tensor) -> Tensor:
        """SSD's own; boxes to ignore are left out."""
        found, anchors = self.outputs(images)
        height, width = images.shape[2:]
        scale = torch.tensor([width, height] * 2, device=images.device)
        truth, matched = [], []
        for index in range(len(images)):
            own = targets[(targets[:, 0] == index) & (targets[:, 6] == 0)]
            boxes = box_convert(own[:, 2:6], "cxcywh", "xyxy") * scale
            truth.append({"boxes": boxes, "labels": own[:, 1].long() + 1})
            none = torch.full((len(anchors[0]),), -1, dtype=torch.int64, device=images.device)
            overlap = box_iou(boxes, anchors[index])
            matched.append(self.ssd.proposal_matcher(overlap) if len(boxes) else none)
        terms = self.ssd.compute_loss(truth, found, anchors, matched)
        return terms["bbox_regression"] + terms["classification"]


def build(architecture: Architecture, num_classes: int) -> SsdLite:
    """The network of an architecture."""
    return SsdLite(num_classes, width=int(architecture["width"]) / 100)


SPACE = SearchSpace(
    name="ssdlite",
    parameters={
        "width": Parameter(short="p", values=(35, 50, 75, 100)),  # percent
        "img_width": Parameter(short="w", values=(160, 192, 224, 256, 320)),
    },
    baseline={"width": 100, "img_width": 320},
    build=build,
)
