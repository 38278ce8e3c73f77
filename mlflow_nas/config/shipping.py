"""Sections of the configuration about what a search ships: finalists, goals, the registered model."""

from pydantic import Field

from mlflow_nas.config.fields import Name, Section, option

__all__ = ["FinalistsSection", "RegistrySection"]


class FinalistsSection(Section):
    """Finalists: the best of a search, trained to the end; they are registered."""

    count: int = Field(
        4,
        ge=0,
        le=100,
        description="Members of the Pareto front, beside the baseline, that are trained to the end and "
        "registered; 0: the front is registered as it was searched",
        json_schema_extra=option("finalists"),
    )
    epochs: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="Epochs of their training; unset: as many as 900 steps take, at least 3",
    )
    speedup: float | None = Field(
        None,
        gt=0,
        description="Goal: how many times faster than the detector as given; the champion is the most "
        "accurate that meets it",
        json_schema_extra=option("speedup"),
    )
    max_latency_ms: float | None = Field(
        None,
        gt=0,
        description="Goal: latency in milliseconds; the champion is the most accurate that meets it",
        json_schema_extra=option("max_latency_ms"),
    )


class RegistrySection(Section):
    """Registry: where the Pareto front is registered, and which device receives the champion."""

    model: Name = Field(
        "person-detector",
        description="Registered model that receives the Pareto front",
        json_schema_extra=option("model"),
    )
    max_drop: float = Field(
        0.01, ge=0, le=1, description="Largest drop of the champion's accuracy below the reference's"
    )
    device: Name | None = Field(
        None,
        description="Device that receives the champion; unset: the board; none: no device",
        json_schema_extra=option("device"),
    )
