"""Train one network for a budget in epochs."""

import logging
import signal
import warnings
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
from mlflow_nas.errors import MachineError
from mlflow_nas.networks import Task
from mlflow_nas.space import part_at
from mlflow_nas.tasks import DETECTION
from mlflow_nas.train.failures import classify
from mlflow_nas.train.features import CachedFeatures, cached_features, fit_in_memory
from mlflow_nas.train.kept_norms import kept_norms
from mlflow_nas.train.module import NetworkModule
from mlflow_nas.train.processor import default_threads, torch_threads
from mlflow_nas.train.recipe import Parts, Recipe
from mlflow_nas.train.resume import (
    Checkpoint,
    EpochHook,
    Progress,
    UnusableCheckpointError,
    epoch_checkpoint,
    read_checkpoints,
    warn_unusable,
)
from mlflow_nas.train.slow_norms import stale_norms, take_statistics
from mlflow_nas.train.teacher import Teacher
from mlflow_nas.train.trainer import TrainerSettings

__all__ = ["TrainResult", "fit"]


@dataclass(frozen=True, slots=True)
class TrainResult:
    """The result of a training, beside the network that it changed.

    Attributes:
        history: one mapping per epoch: train_loss, and the task's metrics as <name>_fp32 on the images of
            the validation split as they are.
        train_s: wall-clock seconds, validation included, interruptions not.
        trained_params: number of parameters that were trained, not frozen.
    """

    history: tuple[Mapping[str, float], ...]
    train_s: float
    trained_params: int

    @property
    def metrics(self) -> dict[str, float]:
        """The last epoch's metrics, the seconds, and the number of trained parameters."""
        return {
            **self.history[-1],
            "train_s": self.train_s,
            "epochs": float(len(self.history)),
            "trained_params": float(self.trained_params),
        }


def fit(  # noqa: PLR0913 - the whole training is one call
    network: nn.Module,
    data: DetectionDataModule,
    *,
    epochs: int,
    seed: int,
    recipe: Recipe | None = None,
    task: Task = DETECTION,
    parts: Parts | None = None,
    unchanged: Collection[str] = (),
    teacher: Teacher | None = None,
    trainer: TrainerSettings | None = None,
    threads: int | None = None,
    on_epoch: EpochHook | None = None,
    checkpoint_dir: Path | None = None,
) -> TrainResult:
    """Train the network in place; it ends with the averaged weights, on the CPU, in eval mode.

    Args:
        network: a `networks.Network`.
        data: training and validation split at the network's input size.
        epochs: number of passes over the training split.
        seed: of augmentation, order and everything else that is random.
        recipe: the numbers of the training; None for the default.
        task: that it is trained for.
        parts: what the recipe may freeze; None for nothing.
        unchanged: names of the parameters that equal the seed network's: the recipe has a rate for them.
        teacher: the seed network, whose soft targets are learned beside the truth by the recipe's
            `distillation`, if that is not 0; None for the truth alone.
        trainer: Lightning's settings; None for one device and single precision.
        threads: of one operation on the CPU; None for the cores that other processes leave free, or for those
            of the training that is continued.
        on_epoch: called after each epoch with its number, from 1, and its metrics; its errors pass, a
            `TrainingInterrupt` once the epoch's checkpoint is saved. A training that continues calls it for
            its earlier epochs first.
        checkpoint_dir: where Lightning saves the training after each epoch; None for nowhere. A training of
            which it holds a checkpoint is continued, on a CPU to the same bits as one that was never
            interrupted; a checkpoint that can't be used is a warning. The caller names the folder by the
            training's inputs, and removes it.

    Raises:
        CandidateError: the loss is not finite, or the network can't be trained.
        ConfigError: there is no such part to freeze, or an image can't be decoded.
        MachineError: a full disk, too little memory, a lost accelerator.
    """
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)  # importing it sets INFO
    training = _Training(
        network=network,
        data=data,
        epochs=epochs,
        seed=seed,
        recipe=recipe or Recipe(),
        task=task,
        parts=parts or Parts(),
        unchanged=unchanged,
        teacher=teacher,
        settings=trainer or TrainerSettings(),
        threads=threads,
        on_epoch=on_epoch,
        checkpoint_dir=checkpoint_dir,
    )
    first = {name: value.clone() for name, value in network.state_dict().items()} if checkpoint_dir else {}
    for checkpoint in read_checkpoints(checkpoint_dir) if checkpoint_dir else ():
        try:
            return training.run(checkpoint)
        except UnusableCheckpointError as error:
            warn_unusable(checkpoint.path, error)
            network.to("cpu").requires_grad_(True).load_state_dict(first)
    return training.run(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Training:
    """The arguments of `fit`."""

    network: nn.Module
    data: DetectionDataModule
    epochs: int
    seed: int
    recipe: Recipe
    task: Task
    parts: Parts
    unchanged: Collection[str]
    teacher: Teacher | None
    settings: TrainerSettings
    threads: int | None
    on_epoch: EpochHook | None
    checkpoint_dir: Path | None

    def run(self, checkpoint: Checkpoint | None) -> TrainResult:
        """Train from a checkpoint, or from the start.

        Raises:
            UnusableCheckpointError: no training of this network continues from the checkpoint.
        """
        seed_everything(self.seed, workers=True, verbose=False)
        threads = self.threads or (checkpoint.threads if checkpoint else default_threads())
        progress = Progress(threads=threads, on_epoch=self.on_epoch)
        module = NetworkModule(
            self.network,
            recipe=self.recipe,
            task=self.task,
            frozen=self.parts.frozen(self.recipe.freeze),
            steps_per_epoch=self.settings.steps,
            unchanged=self.unchanged,
            kept=self._kept_norms(),
        )
        trained_params = sum(part.numel() for part in self.network.parameters() if part.requires_grad)
        with torch_threads(threads):
            if checkpoint is not None and checkpoint.epochs == self.epochs:
                _restore_end(module, progress, checkpoint)
            else:
                self._train(module, progress, checkpoint)
            self._refresh_statistics()
        network = self.network.to("cpu").to(memory_format=torch.contiguous_format)
        network.requires_grad_(True).eval()
        return TrainResult(tuple(progress.epochs), progress.seconds, trained_params)

    def _kept_norms(self) -> Collection[nn.Module]:
        if not self.recipe.keeps_statistics:
            return ()
        return kept_norms(self.network, unchanged=self.unchanged, trunk=self.parts.trunk).values()

    def _train(self, module: NetworkModule, progress: Progress, checkpoint: Checkpoint | None) -> None:
        trainer = self._trainer(progress)
        device = trainer.strategy.root_device
        self.data.cache_on(device)
        teacher = self.teacher if self.recipe.distillation else None
        # No more copies than epochs: each epoch takes as many features as there are images.
        copies = min(self.recipe.augmented_copies, self.epochs - 1)
        trunk = self.parts.trunk if self.parts.caches_trunk and self.recipe.freeze == "backbone" else None
        if trunk and fit_in_memory(self.network, self.data, augmented_copies=copies, trunk=trunk):
            with cached_features(
                self.network,
                self.data,
                trunk=trunk,
                augmented_copies=copies,
                seed=self.seed,
                teacher=teacher,
                device=device,
            ) as features:
                module.teacher = features.teacher
                _fit(trainer, module, features, progress, checkpoint)
        else:
            module.teacher = teacher
            _fit(trainer, module, self.data, progress, checkpoint)

    def _refresh_statistics(self) -> None:
        """Take the BatchNorm statistics anew that still depend on their first values."""
        frozen = part_at(self.network, self.parts.frozen(self.recipe.freeze))
        steps = self.settings.steps(len(self.data.train_dataloader())) * self.epochs
        kept = set(self._kept_norms())
        layers = [one for one in stale_norms(self.network, steps=steps, frozen=frozen) if one not in kept]
        if layers:
            device = next(self.network.parameters()).device
            take_statistics(
                self.network, layers, (one.images for one in self.data.batches("train", device=device))
            )

    def _trainer(self, progress: Progress) -> Trainer:
        saving = [epoch_checkpoint(self.checkpoint_dir)] if self.checkpoint_dir else []
        return Trainer(
            max_epochs=self.epochs,
            **self.settings.arguments(),
            logger=False,
            enable_checkpointing=bool(saving),
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            gradient_clip_val=self.recipe.gradient_clip or None,
            callbacks=[*self._averaging(), *self.settings.load_callbacks(), progress, *saving],
        )

    def _averaging(self) -> list[Callback]:
        """The recipe's decay, or less where it would average over more than a tenth of a short training."""
        if not self.recipe.ema_decay:
            return []
        steps = self.settings.steps(len(self.data.train_dataloader())) * self.epochs
        decay = min(self.recipe.ema_decay, 1 - 10 / max(steps, 20))
        return [WeightAveraging(multi_avg_fn=get_ema_multi_avg_fn(decay))]  # type: ignore[no-untyped-call]  # torch's


def _restore_end(module: NetworkModule, progress: Progress, checkpoint: Checkpoint) -> None:
    """Restore a training whose last epoch is done: Lightning would not even copy the averaged weights."""
    try:
        module.load_state_dict(checkpoint.weights)
        progress.load_state_dict(checkpoint.progress)
    except Exception as error:  # another network's weights, or metrics that are none
        raise UnusableCheckpointError(str(error)) from error
    progress.report_earlier_epochs()


def _fit(
    trainer: Trainer,
    module: NetworkModule,
    data: DetectionDataModule | CachedFeatures,
    progress: Progress,
    checkpoint: Checkpoint | None,
) -> None:
    path = checkpoint.path if checkpoint else None
    try:
        with _ctrl_c_passes(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Checkpoint directory .* is not empty")
            trainer.fit(module, datamodule=data, ckpt_path=path, weights_only=True)
    except (Exception, SystemExit) as error:
        if error is progress.raised:
            raise
        failure = classify(error)
        if path and not progress.has_stepped and not isinstance(failure, MachineError):
            raise UnusableCheckpointError(str(failure)) from error
        if failure is error:
            raise
        raise failure from error


@contextmanager
def _ctrl_c_passes() -> Iterator[None]:
    """Lightning makes a SystemExit of Ctrl-C, and ignores the next one: raise KeyboardInterrupt instead."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as stopped:
        if not isinstance(stopped.__context__, KeyboardInterrupt):
            raise
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from stopped
