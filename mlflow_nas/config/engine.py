"""Sections of a search that many trials need: early stopping, and the engine that evaluates them."""

from typing import Literal

from pydantic import Field

from mlflow_nas.config.fields import Section, Text, option

__all__ = ["EarlyStoppingSection", "ExecutorSection"]


class EarlyStoppingSection(Section):
    """Early stopping: trainings that end before their last epoch."""

    method: Literal["none", "mo-asha"] = Field(
        "none",
        description="mo-asha: a training continues beyond a rung while it is among the best there, by "
        "non-dominated rank in all objectives",
        json_schema_extra=option("early_stopping"),
    )
    first_rung: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Epochs of the first rung; unset: of two rungs, a training divided by reduction twice",
    )
    reduction: int = Field(
        2,
        ge=2,
        le=100,
        description="Reduction factor: 1 / reduction of the trials continues beyond a rung; the next rung is "
        "at reduction times its epochs",
    )


class ExecutorSection(Section):
    """Executor: where trials are evaluated, and what each of them takes."""

    engine: Text = Field(
        "local",
        description="local: processes of this machine; ray: tasks on its Ray cluster; your own engine: "
        "FILE.py:NAME, MODULE:NAME or an entry point",
        json_schema_extra=option("executor", form="local|ray|ray://HOST:PORT|FILE.py:NAME"),
    )
    cpus: float = Field(1.0, gt=0, le=1024, description="CPUs of a trial on an engine")
    gpus: float = Field(
        0.0, ge=0, le=64, description="GPUs of a trial on an engine; a fraction shares one with other trials"
    )
