"""The batches that members of a supernet are trained and measured on: images, or a frozen backbone's outputs.

Shapes: b batch, H x W input, c x h x w an output of the backbone.
"""

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from mlflow_nas.data import Batch, DetectionDataModule
from mlflow_nas.train.fusion import fuse_batch_norms
from mlflow_nas.train.teacher import Soft, Teacher

__all__ = ["Given", "MemberBatch", "MemberBatches"]

Given: TypeAlias = Tensor | tuple[Tensor, ...]
"""Images [b, 3, H, W] in 0..1, or the backbone's outputs [b, c, h, w] each."""


class MemberBatch(NamedTuple):
    """A batch as every member of one input size takes it.

    Attributes:
        given: the network's input; outputs of a frozen backbone are in half precision.
        targets: boxes [m, 7].
        sizes: of the original images [b, 2], pixels.
        soft: the teacher's targets; None without a teacher.
    """

    given: Given
    targets: Tensor
    sizes: Tensor
    soft: Soft | None = None

    @property
    def features(self) -> Given:
        """The network's input in single precision."""
        return self.given if isinstance(self.given, Tensor) else tuple(one.float() for one in self.given)


class MemberBatches:
    """Batches of both splits at one input size; those of a frozen backbone are computed once.

    Args:
        data: both splits.
        backbone: that all members share and none trains, in eval mode on `device`; None for images.
        trunk: its path in a network.
        teacher: of soft targets of the training images; None for none.
        copies: number of differently augmented passes over the training images, which are then repeated;
            without a backbone every pass differs.
        device: where batches are.
    """

    def __init__(
        self,
        data: DetectionDataModule,
        *,
        backbone: nn.Module | None,
        trunk: str | None = None,
        teacher: Teacher | None = None,
        copies: int = 2,
        device: torch.device,
    ) -> None:
        self._data, self._teacher = data, teacher
        self._backbone = None if backbone is None else fuse_batch_norms(backbone)
        self._copies, self._device = copies, device
        shares = backbone is not None and teacher is not None and trunk and teacher.shares(trunk, backbone)
        self._shared = trunk if shares else None
        self._computed: dict[str, list[MemberBatch]] = {}
        self._open: tuple[int, Iterator[MemberBatch]] = (-1, iter(()))
        self._count = len(data.train_dataloader())

    def trained(self, visit: int) -> MemberBatch:
        """The training batch of the visit of this number; the same number gives the same batch."""
        epoch, number = divmod(visit, self._count)
        if self._backbone is not None:
            return self.train_pass(epoch % self._copies)[number]
        if self._open[0] != visit:
            self._open = (visit, itertools.islice(self._passed(epoch), number, None))
        batch = next(self._open[1])
        self._open = (visit + 1 if number + 1 < self._count else -1, self._open[1])
        return batch

    def train_pass(self, epoch: int) -> list[MemberBatch]:
        """The augmented training images of one epoch."""
        return self._kept(f"train {epoch}", self._passed(epoch))

    def val(self) -> list[MemberBatch]:
        """The validation images with their augmentations."""
        return self._kept("val", map(self._prepared, self._data.batches("val", device=self._device)))

    def _passed(self, epoch: int) -> Iterator[MemberBatch]:
        return (
            self._with_soft_targets(batch)
            for batch in self._data.batches("train", epoch=epoch, device=self._device)
        )

    def _kept(self, name: str, batches: Iterable[MemberBatch]) -> list[MemberBatch]:
        if self._backbone is None:
            return list(batches)
        if name not in self._computed:
            self._computed[name] = list(batches)
        return self._computed[name]

    def _with_soft_targets(self, batch: Batch) -> MemberBatch:
        own, teacher = self._prepared(batch), self._teacher
        if teacher is None:
            return own
        if self._shared is not None and isinstance(own.given, tuple):
            features = tuple(one.float() for one in own.given)
            return own._replace(soft=teacher.on_features(self._shared, features))
        return own._replace(soft=teacher(batch.images.contiguous(memory_format=torch.channels_last)))

    def _prepared(self, batch: Batch) -> MemberBatch:
        images = batch.images.contiguous(memory_format=torch.channels_last)
        given: Given = images
        if self._backbone is not None:
            with torch.no_grad():
                given = tuple(output.half() for output in self._backbone(images))
        return MemberBatch(given, batch.targets.to(self._device), batch.sizes)
