"""The LightningModule: one step, one schedule, one metric."""

from collections.abc import Callable, Collection
from typing import Any, Literal

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn

from mlflow_nas.data import Batch
from mlflow_nas.errors import CandidateError, ConfigError
from mlflow_nas.space.fastestdet.loss import detection_loss
from mlflow_nas.tasks.detection.answer import decode
from mlflow_nas.tasks.detection.metric import CocoMap
from mlflow_nas.train.distillation import TeacherTargets, distillation_loss
from mlflow_nas.train.optimizer import make_optimizer, make_schedule
from mlflow_nas.train.recipe import Recipe

__all__ = ["DetectorModule"]

_PARTS = {"stem": ("backbone.conv1", "first convolution"), "backbone": ("backbone", "part")}
"""Path and name of the frozen part."""


class DetectorModule(LightningModule):
    """Trains a detector whose `raw` gives logits and whose `forward` gives the decodable map.

    Logs `train_loss`, `map_fp32` and `map_50_fp32` once per epoch. `unchanged` names the parameters
    that equal the seed network's.

    Attributes:
        teacher: soft targets of a batch's images; None for none.
    """

    teacher: Callable[[Tensor], TeacherTargets] | None = None

    def __init__(self, network: nn.Module, *, recipe: Recipe, unchanged: Collection[str] = ()) -> None:
        super().__init__()
        # Convolutions on CPU and GPU are fastest with channels last: 46 against 31 images/s on two x86 cores.
        self.network = network.to(memory_format=torch.channels_last)
        self.recipe, self._unchanged = recipe, frozenset(unchanged)
        self._metric = CocoMap()
        # In a list, so that it is not counted among the module's own parts once more.
        self._frozen = (
            [_part_of(network, recipe.freeze).requires_grad_(False)] if recipe.freeze != "none" else []
        )

    def on_train_epoch_start(self) -> None:
        """A frozen part keeps its BatchNorm statistics as well."""
        for part in self._frozen:
            part.eval()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002 - Lightning's signature
        """Loss of one batch.

        Raises:
            CandidateError: the loss is not finite; the architecture can't be trained with this recipe.
        """
        images = batch.images.contiguous(memory_format=torch.channels_last)
        raw = self.network.raw(images)  # type: ignore[operator]  # any module with raw
        loss = detection_loss(raw, batch.targets).total
        if self.teacher is not None:
            loss = loss + self.recipe.distillation * distillation_loss(raw, self.teacher(images))
        if not torch.isfinite(loss):
            raise CandidateError(
                f"The training loss became {float(loss)} in epoch {self.current_epoch}: "
                f"lower the learning rate {self.recipe.learning_rate}."
            )
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(images))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002 - Lightning's signature
        """Collect the detections of one batch."""
        images = batch.images.contiguous(memory_format=torch.channels_last)
        self._metric.update(decode(self.network(images).float()), batch.targets, batch.sizes)

    def on_validation_epoch_end(self) -> None:
        """Log mAP over the images of the validation split."""
        self.log_dict({f"{name}_fp32": value for name, value in self._metric.compute().items()})
        self._metric = CocoMap()

    def configure_optimizers(self) -> Any:
        """Optimizer and schedule of the recipe, the latter over all steps.

        With `estimated_stepping_batches` Lightning would start workers with the first epoch also where a
        training continues with a later one.
        """
        optimizer = make_optimizer(self.network, self.recipe, unchanged=self._unchanged)
        steps = len(self.trainer.datamodule.train_dataloader()) * int(self.trainer.max_epochs or 1)  # type: ignore[attr-defined]  # set by `fit`
        schedule = make_schedule(optimizer, self.recipe, steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _part_of(network: nn.Module, freeze: Literal["stem", "backbone"]) -> nn.Module:
    path, name = _PARTS[freeze]
    try:
        return network.get_submodule(path)
    except AttributeError as error:
        raise ConfigError(
            f"{type(network).__name__} has no {name} {path} to freeze: set training.freeze=none."
        ) from error
