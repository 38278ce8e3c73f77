"""A small detector with what the real one has: shuffled halves, BatchNorm, a sigmoid over one channel."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mlflow_nas.export import export_onnx, quantize_int8


class Shuffle(nn.Module):
    """Splits, convolves one half and joins: the exporter's optimiser makes the split's node itself."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.branch = nn.Sequential(nn.Conv2d(half, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU())

    def forward(self, features: Tensor) -> Tensor:
        """[b, c, h, w] -> [b, c, h, w]."""
        passed, entered = features.chunk(2, dim=1)
        return torch.cat([self.branch(entered), passed], dim=1)


class StandIn(nn.Module):
    """[b, 3, H, W] -> [b, 5, H / 2, W / 2]: objectness and four box terms."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.blocks = nn.Sequential(Shuffle(8), Shuffle(8))
        self.late = nn.Conv2d(8, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Conv2d(8, 5, 1)

    def forward(self, images: Tensor) -> Tensor:
        """[b, 3, H, W] -> [b, 5, H / 2, W / 2]."""
        terms = self.head(torch.relu(self.norm(self.late(self.blocks(self.stem(images))))))
        return torch.cat([torch.sigmoid(terms[:, :1]) * 0.5 + 0.5, terms[:, 1:]], dim=1)


def stand_in() -> StandIn:
    """The stand-in with the same weights each time, and BatchNorm statistics that are not neutral."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = StandIn()
        network(torch.rand(8, 3, 32, 32))
    return network.eval()


def stand_in_images() -> NDArray[np.float32]:
    """Four images of noise, [4, 3, 32, 48] in 0..1."""
    return np.random.default_rng(0).random((4, 3, 32, 48), dtype=np.float32)


def write_stand_in(folder: Path) -> tuple[Path, Path]:
    """Its float file and its int8 file."""
    fp32 = export_onnx(
        stand_in(), folder / "fp32.onnx", img_size=(32, 48), metadata={"mlflow_nas.key": "tiny"}
    )
    return fp32, quantize_int8(fp32, folder / "int8.onnx", calibration=stand_in_images())
