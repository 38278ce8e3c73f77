"""Lightning's settings of a training, as one value."""

import importlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pytorch_lightning import Callback

from mlflow_nas.errors import ConfigError
from mlflow_nas.user_code import describe_error, run_file

__all__ = ["TrainerSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerSettings:
    """Arguments of Lightning's Trainer.

    Attributes:
        precision: Lightning's, or "bf16-auto" for bf16-mixed where the hardware multiplies in bfloat16.
        accelerator: auto, cpu, gpu, mps, tpu.
        devices: number of accelerators.
        strategy: Lightning's.
        accumulate_grad_batches: batches of one step of the optimizer.
        limit_train_batches: of an epoch, a number (int) or a share (float).
        limit_val_batches: likewise.
        callbacks: names of callback classes, MODULE:CLASS or FILE.py:CLASS.
    """

    precision: Literal["32-true", "bf16-mixed", "16-mixed", "bf16-auto"] = "32-true"
    accelerator: str = "auto"
    devices: int | str = 1
    strategy: str = "auto"
    accumulate_grad_batches: int = 1
    limit_train_batches: int | float = 1.0
    limit_val_batches: int | float = 1.0
    callbacks: tuple[str, ...] = ()

    def steps(self, batches: int) -> int:
        """Steps of the optimizer in an epoch of that many batches, at least 1."""
        limit = self.limit_train_batches
        used = min(limit, batches) if isinstance(limit, int) else int(limit * batches)
        return max(math.ceil(used / self.accumulate_grad_batches), 1)

    def arguments(self) -> dict[str, Any]:
        """Those of the Trainer, without callbacks."""
        return {
            "precision": _fastest(self.accelerator) if self.precision == "bf16-auto" else self.precision,
            "accelerator": self.accelerator,
            "devices": self.devices,
            "strategy": self.strategy,
            "accumulate_grad_batches": self.accumulate_grad_batches,
            "limit_train_batches": self.limit_train_batches,
            "limit_val_batches": self.limit_val_batches,
        }

    def load_callbacks(self) -> list[Callback]:
        """Fresh callbacks.

        Raises:
            ConfigError: there is no such class, or it is no callback.
        """
        return [_callback(name) for name in self.callbacks]


def _fastest(accelerator: str) -> str:
    """bf16-mixed on a GPU with bfloat16 and on an x86 processor with AMX, else single precision."""
    on_gpu = accelerator in ("auto", "gpu") and torch.cuda.is_available()
    gains = torch.cuda.is_bf16_supported() if on_gpu else torch.cpu._is_amx_tile_supported()
    return "bf16-mixed" if gains else "32-true"


def _callback(name: str) -> Callback:
    place, _, attribute = name.rpartition(":")
    try:
        module = run_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
        found = getattr(module, attribute)()
    except (Exception, SystemExit) as error:
        raise ConfigError(
            f"training.trainer.callbacks={name} can't be made: {describe_error(error)}. Give MODULE:CLASS or "
            "FILE.py:CLASS of a Lightning callback without arguments."
        ) from error
    if not isinstance(found, Callback):
        raise ConfigError(
            f"training.trainer.callbacks={name} is {type(found).__name__}, no pytorch_lightning.Callback: "
            "derive it from that class."
        )
    return found
