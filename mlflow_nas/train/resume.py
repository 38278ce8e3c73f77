"""A training that was interrupted goes on from its last epoch, as if nothing had happened."""

import hashlib
import logging
import pickle
import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn

from mlflow_nas.errors import ConfigError

__all__ = ["EpochHook", "Kept", "Progress", "training_identity", "weights_digest"]

EpochHook = Callable[[int, Mapping[str, float]], None]

_log = logging.getLogger(__name__)
_IDENTITY = "mlflow_nas.identity"
_RANDOM = "mlflow_nas.random"


def weights_digest(network: nn.Module, *facts: object) -> str:
    """SHA-256 of a network's weights and of what else is given."""
    state = hashlib.sha256(repr(facts).encode())
    for name, value in network.state_dict().items():
        state.update(name.encode() + str(tuple(value.shape)).encode())
        state.update(value.detach().cpu().contiguous().numpy().tobytes())
    return state.hexdigest()


def training_identity(network: nn.Module, *facts: object) -> str:
    """Of the first weights and all else that decides a training: equal ones go the same way."""
    return weights_digest(network, torch.__version__, *facts)


@dataclass(frozen=True, slots=True)
class Kept:
    """What an interrupted training left behind after its last full epoch.

    Attributes:
        path: the checkpoint.
        progress: the state of its `Progress`.
        weights: the averaged weights, or the plain ones of a recipe without an average.
    """

    path: Path
    progress: dict[str, Any]
    weights: Mapping[str, Tensor]

    @property
    def epochs(self) -> int:
        """How many are done."""
        return len(self.progress["epochs"])


class Progress(Callback):
    """Counts a training's epochs, and keeps its whole state in a file after each.

    It must come after the callback that averages the weights.

    Args:
        identity: of the training.
        path: the file; None for none.
        on_epoch: called after each epoch with its number and metrics; for those of an interrupted training
            too, when it goes on.

    Attributes:
        epochs: one mapping of metrics per epoch.
        earlier_s: seconds spent before the interruption.
    """

    def __init__(self, *, identity: str, path: Path | None, on_epoch: EpochHook | None) -> None:
        self.epochs: list[dict[str, float]] = []
        self.earlier_s = 0.0
        self._identity, self._path, self._on_epoch = identity, path, on_epoch
        self._start = time.perf_counter()

    def read(self) -> Kept | None:
        """What is kept of this training; None when there is nothing to go on from.

        A file of another training, or one that can't be read, is passed over: the training begins anew.
        """
        if self._path is None or not self._path.is_file():
            return None
        try:
            checkpoint = torch.load(self._path, map_location="cpu", weights_only=True)
            known = checkpoint[_IDENTITY]
        except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, KeyError, TypeError) as error:
            _log.warning("%s can't be read (%s): the training begins anew.", self._path, error)
            return None
        if known != self._identity:
            return None
        return Kept(self._path, checkpoint["callbacks"][self.state_key], checkpoint["state_dict"])

    def state_dict(self) -> dict[str, Any]:
        """The epochs' metrics, and the seconds that they took."""
        seconds = self.earlier_s + time.perf_counter() - self._start
        return {"epochs": self.epochs, "seconds": seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the epochs of the interrupted training."""
        self.earlier_s = state_dict["seconds"]
        for metrics in state_dict["epochs"]:
            self.epochs.append(metrics)
            self._tell(metrics)

    def _tell(self, metrics: Mapping[str, float]) -> None:
        if self._on_epoch:
            self._on_epoch(len(self.epochs), metrics)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002 - Lightning's
        """Write the state down, then tell of the epoch: who is told may end the process."""
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.epochs.append(metrics)
        if self._path:
            _save(trainer, self._path)
        self._tell(metrics)

    def on_save_checkpoint(
        self,
        trainer: Trainer,  # noqa: ARG002 - Lightning's
        pl_module: LightningModule,  # noqa: ARG002 - Lightning's
        checkpoint: dict[str, Any],
    ) -> None:
        """Add what Lightning leaves out: whose state it is, and that of the random generators."""
        checkpoint[_IDENTITY] = self._identity
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        checkpoint[_RANDOM] = {"torch": torch.get_rng_state(), "cuda": cuda, "python": random.getstate()}

    def on_load_checkpoint(
        self,
        trainer: Trainer,  # noqa: ARG002 - Lightning's
        pl_module: LightningModule,  # noqa: ARG002 - Lightning's
        checkpoint: dict[str, Any],
    ) -> None:
        """Set the random generators to where they were."""
        states = checkpoint[_RANDOM]
        torch.set_rng_state(states["torch"])
        if states["cuda"]:
            torch.cuda.set_rng_state_all(states["cuda"])
        random.setstate(states["python"])


def _save(trainer: Trainer, path: Path) -> None:
    """Write the checkpoint whole or not at all."""
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        trainer.save_checkpoint(part)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise ConfigError(
            f"The training's state can't be kept in {path}: {error.strerror}. Free some space, "
            "or set MLFLOW_NAS_WORK to another folder."
        ) from error
