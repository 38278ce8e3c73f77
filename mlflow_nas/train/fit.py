"""Train one network for a budget in epochs."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from pytorch_lightning import Callback, LightningModule, Trainer, seed_everything
from pytorch_lightning.callbacks import EMAWeightAveraging
from torch import nn

from mlflow_nas.data import DetectionDataModule
from mlflow_nas.train.module import DetectorModule
from mlflow_nas.train.recipe import Recipe

__all__ = ["Fitted", "fit"]

Network = TypeVar("Network", bound=nn.Module)
EpochHook = Callable[[int, Mapping[str, float]], None]


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a training left behind, beside the network that it changed.

    Attributes:
        history: one mapping per epoch: train_loss, map_fp32, map_50_fp32.
        train_s: wall-clock seconds, validation included.
    """

    history: tuple[Mapping[str, float], ...]
    train_s: float

    @property
    def metrics(self) -> dict[str, float]:
        """The last epoch's metrics and the seconds."""
        return {**self.history[-1], "train_s": self.train_s, "epochs": float(len(self.history))}


class _History(Callback):
    """Keeps each epoch's metrics; they are logged to MLflow in one batch at the end of the trial."""

    def __init__(self, on_epoch: EpochHook | None) -> None:
        self.epochs: list[dict[str, float]] = []
        self._on_epoch = on_epoch

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002 - Lightning's
        self.epochs.append({name: float(value) for name, value in trainer.callback_metrics.items()})
        if self._on_epoch:
            self._on_epoch(len(self.epochs), self.epochs[-1])


def _decay(recipe: Recipe, data: DetectionDataModule, epochs: int) -> float:
    """The recipe's decay, or less where it would average over more than a tenth of a short training."""
    steps = len(data.train_dataloader()) * epochs
    return min(recipe.ema_decay, 1 - 10 / max(steps, 20))


def fit(
    network: nn.Module,
    data: DetectionDataModule,
    *,
    epochs: int,
    seed: int,
    recipe: Recipe | None = None,
    accelerator: str = "auto",
    on_epoch: EpochHook | None = None,
) -> Fitted:
    """Train the network in place; it ends with the averaged weights, on the CPU, in eval mode.

    Args:
        network: a detector with `raw` and `forward`.
        data: training and validation split at the network's input size.
        epochs: how many passes over the training split.
        seed: of augmentation, order and everything else that is random.
        recipe: the numbers of the training; None for the default.
        accelerator: Lightning's: auto, cpu, gpu, mps.
        on_epoch: called after each epoch with its number and metrics.

    Raises:
        CandidateError: the loss stopped being finite.
    """
    chosen = recipe or Recipe()
    logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)
    seed_everything(seed, workers=True, verbose=False)
    history = _History(on_epoch)
    trainer = Trainer(
        max_epochs=epochs,
        accelerator=accelerator,
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        gradient_clip_val=chosen.gradient_clip,
        callbacks=[EMAWeightAveraging(decay=_decay(chosen, data, epochs)), history],
    )
    start = time.perf_counter()
    trainer.fit(DetectorModule(network, recipe=chosen), datamodule=data)
    train_s = time.perf_counter() - start
    network.to("cpu").to(memory_format=torch.contiguous_format).eval()
    return Fitted(history=tuple(history.epochs), train_s=train_s)
