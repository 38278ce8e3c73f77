"""Train one network for a budget in epochs."""

import logging
import signal
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from pytorch_lightning import Callback, Trainer, seed_everything
from pytorch_lightning.callbacks import WeightAveraging
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from mlflow_nas.data import DetectionDataModule
from mlflow_nas.train.distillation import Teacher
from mlflow_nas.train.features import CachedFeatures, cached_features, fit_in_memory
from mlflow_nas.train.module import DetectorModule
from mlflow_nas.train.recipe import Recipe
from mlflow_nas.train.resume import EpochHook, Progress, training_identity

__all__ = ["Fitted", "fit"]


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a training left behind, beside the network that it changed.

    Attributes:
        history: one mapping per epoch: train_loss, and map_fp32 and map_50_fp32 on the photographs of the
            validation split as they are.
        train_s: wall-clock seconds, validation included, interruptions not.
        trained_params: how many parameters were trained, not frozen.
    """

    history: tuple[Mapping[str, float], ...]
    train_s: float
    trained_params: int

    @property
    def metrics(self) -> dict[str, float]:
        """The last epoch's metrics, the seconds, and how much was trained."""
        return {
            **self.history[-1],
            "train_s": self.train_s,
            "epochs": float(len(self.history)),
            "trained_params": float(self.trained_params),
        }


def fit(
    network: nn.Module,
    data: DetectionDataModule,
    *,
    epochs: int,
    seed: int,
    recipe: Recipe | None = None,
    kept: Collection[str] = (),
    teacher: Teacher | None = None,
    accelerator: str = "auto",
    on_epoch: EpochHook | None = None,
    checkpoint: Path | None = None,
) -> Fitted:
    """Train the network in place; it ends with the averaged weights, on the CPU, in eval mode.

    Args:
        network: a detector with `raw` and `forward`; to be frozen it needs a `backbone`.
        data: training and validation split at the network's input size.
        epochs: how many passes over the training split.
        seed: of augmentation, order and everything else that is random.
        recipe: the numbers of the training; None for the default.
        kept: names of the parameters that were inherited as they were: the recipe has a rate for them.
        teacher: the seed network, to learn from beside the boxes by the recipe's `distillation`, if that is
            not 0; None for boxes alone.
        accelerator: Lightning's: auto, cpu, gpu, mps.
        on_epoch: called after each epoch with its number and metrics.
        checkpoint: where the training's state is kept after each epoch. Finding the state of the same
            training there, it goes on from it, on a CPU to the same bits as one that was never interrupted.
            Who calls removes the file.

    Raises:
        CandidateError: the loss stopped being finite.
        ConfigError: the checkpoint can't be written, or there is no backbone to freeze.
    """
    chosen = recipe or Recipe()
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)  # importing it sets INFO
    seed_everything(seed, workers=True, verbose=False)
    start = time.perf_counter()
    taught = teacher if chosen.distillation else None
    facts = (chosen, sorted(kept), data.identity, epochs, seed, taught and taught.identity)
    identity = training_identity(network, *facts) if checkpoint else ""
    progress = Progress(identity=identity, path=checkpoint, on_epoch=on_epoch)
    module = DetectorModule(network, recipe=chosen, kept=kept)
    trained_params = sum(part.numel() for part in network.parameters() if part.requires_grad)
    trainer = _make_trainer(chosen, data, progress, epochs=epochs, accelerator=accelerator)
    device = trainer.strategy.root_device
    data.keep_on(device)
    # No more views than epochs: each epoch takes as many features as there are images.
    views = min(chosen.views, epochs - 1)
    if chosen.freeze == "backbone" and fit_in_memory(network, data, views=views):
        with cached_features(
            network, data, views=views, seed=seed, teacher=taught, device=device
        ) as features:
            module.teacher = features.teacher
            _train(trainer, module, features, progress)
    else:
        module.teacher = taught
        _train(trainer, module, data, progress)
    network.to("cpu").to(memory_format=torch.contiguous_format).requires_grad_(True).eval()
    train_s = progress.earlier_s + time.perf_counter() - start
    return Fitted(history=tuple(progress.epochs), train_s=train_s, trained_params=trained_params)


def _make_trainer(
    recipe: Recipe, data: DetectionDataModule, progress: Progress, *, epochs: int, accelerator: str
) -> Trainer:
    return Trainer(
        max_epochs=epochs,
        accelerator=accelerator,
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        gradient_clip_val=recipe.gradient_clip or None,
        callbacks=[*_averaging(recipe, data, epochs), progress],
    )


def _train(
    trainer: Trainer, module: DetectorModule, data: DetectionDataModule | CachedFeatures, progress: Progress
) -> None:
    kept = progress.read()
    if kept and kept.epochs == trainer.max_epochs:  # Lightning would not even copy the averaged weights
        progress.load_state_dict(kept.progress)
        module.load_state_dict(kept.weights)
        return
    with _ctrl_c_passes():
        trainer.fit(module, datamodule=data, ckpt_path=kept.path if kept else None, weights_only=True)


@contextmanager
def _ctrl_c_passes() -> Iterator[None]:
    """Lightning makes a SystemExit of Ctrl-C, and ignores the next one: who called is told what happened."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as stopped:
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from stopped


def _averaging(recipe: Recipe, data: DetectionDataModule, epochs: int) -> list[Callback]:
    """The recipe's decay, or less where it would average over more than a tenth of a short training."""
    if not recipe.ema_decay:
        return []
    steps = len(data.train_dataloader()) * epochs
    decay = min(recipe.ema_decay, 1 - 10 / max(steps, 20))
    return [WeightAveraging(multi_avg_fn=get_ema_multi_avg_fn(decay))]  # type: ignore[no-untyped-call]  # torch's
