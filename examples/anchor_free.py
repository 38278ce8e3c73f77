"""An anchor-free detector of three scales with one head for all of them (as FCOS, arXiv:1904.01355).

    mlflow_nas search --space examples/anchor_free.py:SPACE --data yolo:DATA --classes person,car

Shapes: b images, n points of all scales together, N classes, m targets.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import box_convert, generalized_box_iou_loss, sigmoid_focal_loss

from mlflow_nas.space import Parameter, SearchSpace
from mlflow_nas.types import Architecture

POSITIVES = 6
"""Points that learn one box."""
PRIOR = -4.0
"""First logit of every class: few points see an object."""


def block(inputs: int, outputs: int, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """3x3 convolution, BatchNorm, activation."""
    conv = nn.Conv2d(inputs, outputs, 3, stride, 1, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.Hardswish(inplace=True))


class Residual(nn.Module):
    """Two blocks with a sum around them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(block(channels, channels, groups=channels), block(channels, channels))

    def forward(self, features: Tensor) -> Tensor:
        """[b, c, h, w] to the same."""
        out: Tensor = self.layers(features)
        out += features
        return out


class AnchorFree(nn.Module):
    """Stages at strides 8, 16 and 32, projected to one width, then the shared head."""

    def __init__(self, num_classes: int, *, width: int, depth: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(block(3, width, stride=2), block(width, width, stride=2))
        widths = [width, 2 * width, 3 * width, 4 * width]
        self.stages = nn.ModuleList(
            nn.Sequential(block(before, after, stride=2), *(Residual(after) for _ in range(depth)))
            for before, after in pairwise(widths)
        )
        self.project = nn.ModuleList(nn.Conv2d(one, 2 * width, 1) for one in widths[1:])
        self.head = nn.Sequential(block(2 * width, 2 * width), nn.Conv2d(2 * width, 4 + num_classes, 1))
        nn.init.constant_(self.head[1].bias[4:], PRIOR)

    def outputs(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Class logits [b, n, N], corners [b, n, 4], points [n, 2] and the size of their cells [n, 2]."""
        features, rows, points, cells = self.stem(images), [], [], []
        for stage, project in zip(self.stages, self.project, strict=True):
            features = stage(features)
            out = self.head(project(features))  # [b, 4 + N, h, w]
            height, width = out.shape[2:]
            y = (torch.arange(height, device=out.device) + 0.5) / height
            x = (torch.arange(width, device=out.device) + 0.5) / width
            points.append(torch.cartesian_prod(y, x).flip(1))  # [h w, 2] as x, y
            cells.append(torch.tensor([[1 / width, 1 / height]], device=out.device).expand(height * width, 2))
            rows.append(out.flatten(2).transpose(1, 2))
        row, point, cell = torch.cat(rows, 1), torch.cat(points), torch.cat(cells)
        reach = 2 * F.softplus(row[..., :4]) * cell.repeat(1, 2)  # left, top, right, bottom
        corners = torch.cat([point - reach[..., :2], point + reach[..., 2:]], dim=2)
        return row[..., 4:], corners, point, cell

    def forward(self, images: Tensor) -> Tensor:
        """[b, 3, H, W] in 0..1 to [b, n, 4 + N]: what ships."""
        logits, corners, _, _ = self.outputs(images)
        return torch.cat([corners, logits.sigmoid()], dim=2)

    def loss(self, images: Tensor, targets: Tensor) -> Tensor:
        """Focal loss of all points, and 1 - GIoU of those that are nearest to a box in place and scale.

        Targets are rows (image, class, cx, cy, w, h, ignore), boxes relative to the image.
        """
        logits, corners, points, cells = self.outputs(images)
        boxes, ignored = box_convert(targets[:, 2:6], "cxcywh", "xyxy"), targets[:, 6] > 0
        distance = ((points - targets[:, None, 2:4]) / cells).norm(dim=2)  # [m, n]
        scale = (targets[:, None, 4:6] / (4 * cells)).amax(dim=2).clamp(min=1e-6).log2().abs()
        near = (distance + 2 * scale)[~ignored].topk(POSITIVES, largest=False).indices  # [m, k]
        image = targets[~ignored, 0].long()[:, None].expand_as(near)
        label = targets[~ignored, 1].long()[:, None].expand_as(near)
        wanted, weight = torch.zeros_like(logits), torch.ones_like(logits[..., :1])
        inside = ((points >= boxes[:, None, :2]) & (points <= boxes[:, None, 2:])).all(dim=2)
        row, place = (inside & ignored[:, None]).nonzero(as_tuple=True)
        weight[targets[row, 0].long(), place] = 0  # a crowd is neither object nor background
        wanted[image, near, label] = 1
        scores = (sigmoid_focal_loss(logits, wanted) * weight).sum() / max(near.numel(), 1)
        truth = boxes[~ignored][:, None].expand(*near.shape, 4)
        overlap = generalized_box_iou_loss(corners[image, near].flatten(0, 1), truth.flatten(0, 1))
        return 4 * scores + overlap.sum() / max(near.numel(), 1)


def build(architecture: Architecture, num_classes: int) -> AnchorFree:
    """The network of an architecture."""
    return AnchorFree(num_classes, width=int(architecture["width"]), depth=int(architecture["depth"]))


SPACE = SearchSpace(
    name="anchor-free",
    parameters={
        "width": Parameter(short="c", values=(8, 16, 24, 32)),
        "depth": Parameter(short="d", values=(1, 2, 3)),
        "img_width": Parameter(short="w", values=(96, 128, 192, 256, 320)),
    },
    baseline={"width": 32, "depth": 2, "img_width": 320},
    build=build,
)
