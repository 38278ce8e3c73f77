"""Sections of a search that many trials need: early stopping, and the engine that evaluates them."""

from typing import Literal

from pydantic import Field

from mlflow_nas.config.fields import Section, option

__all__ = ["EarlyStoppingSection"]


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
        3,
        ge=2,
        le=100,
        description="Reduction factor: 1 / reduction of the trials continues beyond a rung; the next rung is "
        "at reduction times its epochs",
    )
