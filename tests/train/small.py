"""The smallest training that still is one: 8 images of 64 pixels, 3 epochs of 2 steps, 3 layers."""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mlflow_nas.data import (
    Augmentation,
    DetectionDataModule,
    DetectionDataset,
    load_dataset,
    with_eval_augmentations,
)
from mlflow_nas.space import TeacherTargets, detection_loss, distillation_loss
from mlflow_nas.train import Parts, TrainerSettings, TrainResult, fit

CPU = TrainerSettings(accelerator="cpu")
EPOCHS, TRAIN, VAL, SIZE, BATCH = 3, 8, 2, 64, 4


class _Backbone(nn.Module):
    """Features at two scales, as a detector's backbone has them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(3, 4, 8, 8, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.stage2 = nn.Sequential(nn.Conv2d(4, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """[b, 3, H, W] -> [b, 4, H/8, W/8], [b, 8, H/16, W/16]."""
        stride8 = self.conv1(images)
        return stride8, self.stage2(stride8)


class Small(nn.Module):
    """A detector of one class.

    Args:
        dropout: share of channels that are dropped, drawn from the global random state in every step.
    """

    def __init__(self, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.backbone = _Backbone()
        self.head = nn.Sequential(nn.Dropout2d(dropout), nn.Conv2d(12, 5, 1, bias=False), nn.BatchNorm2d(5))

    def raw(self, images: Tensor) -> tuple[Tensor, Tensor, None]:
        """[b, 3, H, W] -> objectness logits [b, 1, H/16, W/16], box terms [b, 4, H/16, W/16]."""
        stride8, stride16 = self.backbone(images)
        terms = self.head(torch.cat([F.avg_pool2d(stride8, 2), stride16], dim=1))
        return terms[:, :1], terms[:, 1:], None

    def loss(self, images: Tensor, targets: Tensor) -> Tensor:
        """FastestDet's, of targets [m, 7]."""
        return detection_loss(self.raw(images), targets).total

    def distilled_loss(self, images: Tensor, targets: Tensor, soft: TeacherTargets, weight: float) -> Tensor:
        """FastestDet's."""
        raw = self.raw(images)
        return detection_loss(raw, targets).total + weight * distillation_loss(raw, soft)

    def forward(self, images: Tensor) -> Tensor:
        """[b, 3, H, W] -> [b, 5, H/16, W/16]."""
        objectness, box, _ = self.raw(images)
        return torch.cat([objectness.sigmoid(), box], dim=1)


def make_network(*, dropout: float = 0.0, seed: int = 0) -> Small:
    """The same weights for the same seed."""
    torch.manual_seed(seed)
    return Small(dropout=dropout)


@cache
def dataset(split: str) -> DetectionDataset:
    """Scenes, drawn once."""
    return load_dataset(f"synthetic:train={TRAIN},val={VAL},size={SIZE}", split)  # type: ignore[arg-type]


def make_data(
    augmentation: Augmentation = "flip-zoom",
    *,
    memory_limit_bytes: int = 2**30,
    eval_augmentations: int = 1,
) -> DetectionDataModule:
    """Both splits."""
    return DetectionDataModule(
        dataset("train"),
        with_eval_augmentations(dataset("val"), eval_augmentations),
        img_size=(SIZE, SIZE),
        batch_size=BATCH,
        seed=0,
        augmentation=augmentation,
        memory_limit_bytes=memory_limit_bytes,
    )


def train(network: nn.Module, data: DetectionDataModule | None = None, **options: Any) -> TrainResult:
    """`fit` on one thread of the CPU."""
    wanted = {
        "epochs": EPOCHS,
        "seed": 1,
        "trainer": CPU,
        "threads": 1,
        "parts": Parts(trunk="backbone", stem="backbone.conv1", caches_trunk=True),
        **options,
    }
    return fit(network, data or make_data(), **wanted)


def equal(first: nn.Module, second: nn.Module) -> bool:
    """Whether two networks have the same tensors, bit for bit."""
    pairs = zip(first.state_dict().items(), second.state_dict().items(), strict=True)
    return all(one[0] == other[0] and torch.equal(one[1], other[1]) for one, other in pairs)
