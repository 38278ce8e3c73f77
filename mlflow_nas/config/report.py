"""Options of `report`."""

from pydantic import Field

from mlflow_nas.config.commands import CommandConfig, Names

__all__ = ["ReportConfig"]


class ReportConfig(CommandConfig):
    """Options of `report`."""

    study: Names = Field(
        ("demo",), min_length=1, description="Studies to compare, comma-separated: of an estimate, and full"
    )
    experiment: str = Field("mlflow-nas", min_length=1, description="MLflow experiment of the studies")
    full_trials: int | None = Field(
        None, ge=1, description="Trainings of the full search; unset: those of the full studies given"
    )
