"""The LightningModule: one step, one schedule, one metric."""

from collections.abc import Callable, Collection
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn

from mlflow_nas.data import Batch
from mlflow_nas.errors import CandidateError, ConfigError
from mlflow_nas.networks import Task
from mlflow_nas.space import part_at
from mlflow_nas.tasks import DETECTION, checked_loss
from mlflow_nas.train.optimizer import make_optimizer, make_schedule
from mlflow_nas.train.recipe import Recipe
from mlflow_nas.train.teacher import Soft

__all__ = ["NetworkModule"]


class NetworkModule(LightningModule):
    """Trains a `networks.Network`; logs `train_loss` and the metrics, as `<name>_fp32`, once per epoch.

    Args:
        network: is changed in place.
        recipe: the numbers of the training.
        task: that it is trained for.
        frozen: path of the part that is not trained; None for none.
        steps_per_epoch: number of batches of an epoch to steps of the optimizer.
        unchanged: names of the parameters that equal the seed network's.
        kept: BatchNorm layers that keep their statistics.

    Attributes:
        teacher: soft targets of a batch's images, for the network's `distilled_loss`; None for none.

    Raises:
        ConfigError: the network has no such part.
    """

    teacher: Callable[[Tensor], Soft] | None = None

    def __init__(
        self,
        network: nn.Module,
        *,
        recipe: Recipe,
        task: Task = DETECTION,
        frozen: str | None = None,
        steps_per_epoch: Callable[[int], int] = int,
        unchanged: Collection[str] = (),
        kept: Collection[nn.Module] = (),
    ) -> None:
        super().__init__()
        # Convolutions on CPU and GPU are fastest with channels last: 46 against 31 images/s on two x86 cores.
        self.network = network.to(memory_format=torch.channels_last)
        self.recipe, self._task, self._unchanged = recipe, task, frozenset(unchanged)
        self._meter, self._steps_per_epoch = task.meter(), steps_per_epoch
        # In a list, so that it is not counted among the module's own parts once more.
        self._frozen = [] if frozen is None else [_part_of(network, frozen).requires_grad_(False)]
        self._kept = list(kept)

    def on_train_epoch_start(self) -> None:
        """A frozen part keeps its BatchNorm statistics as well."""
        for part in (*self._frozen, *self._kept):
            part.eval()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002 - Lightning's signature
        """Loss of one batch.

        Raises:
            CandidateError: the loss can't be minimized, or is not finite.
        """
        images = batch.images.contiguous(memory_format=torch.channels_last)
        loss = self._loss(images, batch.targets)
        if not torch.isfinite(loss):
            raise CandidateError(
                f"The training loss became {float(loss)} in epoch {self.current_epoch}: "
                f"lower the learning rate {self.recipe.learning_rate}."
            )
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(images))
        return loss

    def _loss(self, images: Tensor, targets: Tensor) -> Tensor:
        if self.teacher is None:
            return self._task.loss(self.network, images, targets)
        soft, weight = self.teacher(images), self.recipe.distillation
        loss = self.network.distilled_loss(images, targets, soft, weight)  # type: ignore[operator]  # has it
        return checked_loss(loss, self.network)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002 - Lightning's signature
        """Collect the outputs of one batch."""
        images = batch.images.contiguous(memory_format=torch.channels_last)
        self._meter.add(self.network(images).float(), batch)

    def on_validation_epoch_end(self) -> None:
        """Log the metrics over the images of the validation split."""
        self.log_dict({f"{name}_fp32": value for name, value in self._meter.compute().items()})
        self._meter = self._task.meter()

    def configure_optimizers(self) -> Any:
        """Optimizer and schedule of the recipe, the latter over all steps.

        With `estimated_stepping_batches` Lightning would start workers with the first epoch also where a
        training continues with a later one.
        """
        optimizer = make_optimizer(
            self.network,
            self.recipe,
            unchanged=self._unchanged,
            fused="mixed" not in str(self.trainer.precision),
        )
        batches = len(self.trainer.datamodule.train_dataloader())  # type: ignore[attr-defined]  # set by `fit`
        steps = self._steps_per_epoch(batches) * int(self.trainer.max_epochs or 1)
        schedule = make_schedule(optimizer, self.recipe, steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _part_of(network: nn.Module, path: str) -> nn.Module:
    part = part_at(network, path)
    if part is None:
        raise ConfigError(
            f"{type(network).__name__} has no part {path} to freeze: set training.freeze=none, or name one "
            "that it has in its SearchSpace."
        )
    return part
