"""An interrupted training continues from Lightning's checkpoint of its last epoch, to the same bits."""

import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor
from torch.optim import Optimizer

__all__ = [
    "Checkpoint",
    "EpochHook",
    "Progress",
    "TrainingInterrupt",
    "UnusableCheckpointError",
    "epoch_checkpoint",
    "read_checkpoints",
    "warn_unusable",
]

EpochHook = Callable[[int, Mapping[str, float]], None]

_log = logging.getLogger(__name__)
_RANDOM = "mlflow_nas.random"
_SUFFIX = ".ckpt"


class TrainingInterrupt(BaseException):
    """`on_epoch` raises it to end a training, once the checkpoint of that epoch is saved."""


class UnusableCheckpointError(Exception):
    """A checkpoint can be read, but no training of this network continues from it."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Lightning's checkpoint of an interrupted training.

    Attributes:
        path: the file.
        progress: the state of the training's `Progress`.
        weights: the averaged weights, or the plain ones of a recipe without an average.
    """

    path: Path
    progress: Mapping[str, Any]
    weights: Mapping[str, Tensor]

    @property
    def epochs(self) -> int:
        """Number of finished epochs."""
        return len(self.progress["epochs"])

    @property
    def threads(self) -> int:
        """Threads of the training: sums, and so its bits, depend on them."""
        return int(self.progress["threads"])


def epoch_checkpoint(folder: Path) -> ModelCheckpoint:
    """Lightning's callback that saves after each epoch and then deletes the file of the epoch before."""
    return ModelCheckpoint(
        dirpath=folder, filename="{epoch}", save_on_train_epoch_end=True, enable_version_counter=False
    )


def read_checkpoints(folder: Path) -> Iterator[Checkpoint]:
    """The usable checkpoints of a folder, the latest first; others are reported in the log."""
    paths = sorted(folder.glob(f"*{_SUFFIX}"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in paths:
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
            found = Checkpoint(path, content["callbacks"][Progress.__qualname__], content["state_dict"])
            random_states = content[_RANDOM]
            usable = found.epochs > 0 and found.threads > 0 and bool(random_states)
        except Exception as error:  # noqa: BLE001 - damaged bytes make torch and pickle raise nearly anything
            warn_unusable(path, error)
        else:
            if usable:
                yield found


def warn_unusable(path: Path, error: BaseException) -> None:
    """Report a checkpoint that is not used."""
    reason = str(error).strip().partition("\n")[0] or "no reason given"
    _log.warning(
        "The checkpoint %s can't be used (%s: %s): the training starts again without it.",
        path,
        type(error).__name__,
        reason,
    )


class Progress(Callback):
    """Collects the metrics of a training's epochs, and restores what Lightning's checkpoint leaves out.

    It must come after the callback that averages the weights.

    Args:
        threads: of the training.
        on_epoch: called after each epoch with its number and metrics; first, for a training that continues,
            with those of its earlier epochs.

    Attributes:
        epochs: one mapping of metrics per epoch.
        earlier_s: seconds before the interruption.
        has_stepped: whether a step of this process succeeded.
        raised: the error of `on_epoch`.
    """

    def __init__(self, *, threads: int, on_epoch: EpochHook | None) -> None:
        self.epochs: list[dict[str, float]] = []
        self.earlier_s = 0.0
        self.has_stepped = False
        self.raised: BaseException | None = None
        self._threads, self._on_epoch = threads, on_epoch
        self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of the training, without interruptions."""
        return self.earlier_s + time.perf_counter() - self._start

    def state_dict(self) -> dict[str, Any]:
        """The epochs' metrics, their seconds, and the threads."""
        return {"epochs": self.epochs, "seconds": self.seconds, "threads": self._threads}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over the epochs of the interrupted training."""
        self.earlier_s = float(state_dict["seconds"])
        self.epochs = [dict(metrics) for metrics in state_dict["epochs"]]

    def report_earlier_epochs(self) -> None:
        """Call `on_epoch` for the epochs of the interrupted training."""
        for number, metrics in enumerate(self.epochs, start=1):
            self._report(number, metrics)

    def _report(self, number: int, metrics: Mapping[str, float]) -> None:
        if self._on_epoch:
            try:
                self._on_epoch(number, metrics)
            except BaseException as error:
                self.raised = error
                raise

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002 - Lightning's
        """Report the earlier epochs of a training that continues.

        Raises:
            UnusableCheckpointError: the restored parts don't fit together.
        """
        if trainer.current_epoch != len(self.epochs):
            raise UnusableCheckpointError(
                f"it holds {len(self.epochs)} epochs and continues at {trainer.current_epoch}"
            )
        for optimizer in trainer.optimizers:
            _check_moments(optimizer)
        self.report_earlier_epochs()

    def on_train_epoch_start(self, *_: object) -> None:
        """End a training that was interrupted after its latest epoch.

        Raises:
            TrainingInterrupt: that of `on_epoch`.
        """
        if self.raised is not None:
            raise self.raised

    def on_train_end(self, *_: object) -> None:
        """End a training that was interrupted after its last epoch."""
        self.on_train_epoch_start()

    def on_train_batch_end(self, *_: object) -> None:
        """Note that the restored state can be trained."""
        self.has_stepped = True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002 - Lightning's
        """Collect the epoch's metrics and report them; Lightning saves its checkpoint after that."""
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.epochs.append(metrics)
        with suppress(TrainingInterrupt):  # it is raised when the checkpoint is there
            self._report(len(self.epochs), metrics)

    def on_save_checkpoint(
        self,
        trainer: Trainer,  # noqa: ARG002 - Lightning's
        pl_module: LightningModule,  # noqa: ARG002 - Lightning's
        checkpoint: dict[str, Any],
    ) -> None:
        """Add the state of the random generators."""
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        checkpoint[_RANDOM] = {"torch": torch.get_rng_state(), "cuda": cuda, "python": random.getstate()}

    def on_load_checkpoint(
        self,
        trainer: Trainer,  # noqa: ARG002 - Lightning's
        pl_module: LightningModule,  # noqa: ARG002 - Lightning's
        checkpoint: dict[str, Any],
    ) -> None:
        """Restore the state of the random generators."""
        states = checkpoint[_RANDOM]
        torch.set_rng_state(states["torch"])
        if states["cuda"]:
            torch.cuda.set_rng_state_all(states["cuda"])
        random.setstate(states["python"])


def _check_moments(optimizer: Optimizer) -> None:
    """Compare shapes: a fused optimizer would read beyond a moment that is smaller than its parameter."""
    for parameter, moments in optimizer.state.items():
        for name, moment in moments.items():
            if isinstance(moment, Tensor) and moment.dim() > 0 and moment.shape != parameter.shape:
                raise UnusableCheckpointError(
                    f"its {name} has the shape {tuple(moment.shape)}, not {tuple(parameter.shape)}"
                )
