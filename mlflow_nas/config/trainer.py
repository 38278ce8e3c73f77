"""Settings that are passed to Lightning's Trainer."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from mlflow_nas.config.fields import Section, Text, Words

__all__ = ["TrainerSection"]


def _batches(text: str) -> int | float:
    """A share where it has a point, else a number."""
    found = float(text) if "." in text else int(text)
    if found < 0 or (isinstance(found, float) and found > 1):
        raise ValueError("write a number of batches, such as 20, or a share with a point, such as 0.5")
    return found


def _devices(text: str) -> int | str:
    count = 1 if text == "auto" else int(text)
    if count < 1:
        raise ValueError("write auto, or a number of accelerators from 1 on")
    return text if text == "auto" else count


def _read_by(read: Callable[[str], object]) -> AfterValidator:
    def check(text: str) -> str:
        read(text)
        return text

    return AfterValidator(check)


class TrainerSection(Section):
    """Trainer: Lightning's settings of each training."""

    precision: Literal["32-true", "bf16-mixed", "16-mixed", "bf16-auto"] = Field(
        "32-true",
        description="Precision of a training; bf16-auto: bf16-mixed on GPUs and processors that multiply in "
        "bfloat16, else 32-true",
    )
    accelerator: Literal["auto", "cpu", "gpu", "mps", "tpu"] = Field(
        "auto", description="Where a network is trained"
    )
    devices: Annotated[Text, _read_by(_devices)] = Field(
        "1", description="Number of accelerators of one training, or auto"
    )
    strategy: Text = Field("auto", description="Lightning's strategy, such as ddp")
    accumulate_grad_batches: int = Field(1, ge=1, le=4096, description="Batches of one step of the optimizer")
    limit_train_batches: Annotated[Text, _read_by(_batches)] = Field(
        "1.0", description="Training batches of an epoch: a number, or with a point a share, such as 0.5"
    )
    limit_val_batches: Annotated[Text, _read_by(_batches)] = Field(
        "1.0", description="Validation batches of an epoch, written likewise; what ships is measured on all"
    )
    callbacks: Words = Field(
        (),
        description="Own callbacks, MODULE:CLASS or FILE.py:CLASS, comma-separated; called without arguments",
    )

    def settings(self) -> dict[str, Any]:
        """As Lightning takes them: numbers where the text is one."""
        return {
            **self.model_dump(),
            "devices": _devices(self.devices),
            "limit_train_batches": _batches(self.limit_train_batches),
            "limit_val_batches": _batches(self.limit_val_batches),
        }
