"""Options of `select`: a study of ours, or a table that someone has."""

from pathlib import Path

from pydantic import Field, model_validator

from mlflow_nas.config.commands import Name, Settings, StudyOptions

__all__ = ["SelectConfig"]


class SelectConfig(StudyOptions):
    """Options of `select`."""

    study: Name | None = Field(
        None, description="Study whose space is sampled, trained and scored; its random trials count"
    )
    table: Path | None = Field(
        None, description="CSV or CSV.gz file to choose on instead; nothing is trained"
    )
    target: str | None = Field(
        None, description="Of --table: column of the measured quality, higher is better"
    )
    target_again: str | None = Field(
        None, description="Of --table: column of a second training's quality, for the noise ceiling"
    )
    scores: Settings = Field((), description="Of --table: columns of scores, higher is better, A,B,...")
    features: Settings = Field((), description="Of --table: columns of numbers that models see, X,Y,...")
    features_categorical: Settings = Field(
        (), description="Of --table: columns of words or (a, b, c) lists that models see"
    )
    where: Settings = Field((), description="Of --table: only the rows in which COLUMN=VALUE")
    samples: int = Field(40, ge=8, le=10_000, description="Architectures that strategies are judged by")
    repeats: int = Field(
        8, ge=0, le=10_000, description="Of --study: so many are trained twice, for the noise ceiling"
    )
    sequential: bool = Field(
        False, description="Begin with 20 samples and stop at the first size that is evidence enough"
    )
    strategies: Settings = Field((), description="Only these strategies; empty: all that can be judged")
    early_epochs: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Epochs that learning-curve strategies may see; unset: a quarter of --epochs",
    )
    score_images: int = Field(32, ge=1, le=4096, description="Images that zero-cost scores see")
    score_seeds: int = Field(5, ge=1, le=100, description="Weight seeds that a zero-cost score averages")
    candidates: int = Field(
        2_000, ge=1, le=10_000_000, description="Architectures that the search will score, for the cost"
    )
    score_budget_s: float | None = Field(
        None,
        gt=0,
        description="Seconds for scoring the candidates; unset: of a study the time of training the samples",
    )
    draws: int = Field(10_000, ge=200, le=1_000_000, description="Draws of the bootstrap")

    @model_validator(mode="after")
    def _one_source(self) -> "SelectConfig":
        if (self.study is None) == (self.table is None):
            raise ValueError("give either --study NAME, whose samples are trained, or --table FILE.csv")
        if self.table is not None and self.target is None:
            raise ValueError(f"give --target COLUMN: which column of {self.table} is the measured quality?")
        if self.table is not None and not (self.scores or self.features or self.features_categorical):
            raise ValueError(
                "give --scores A,B,... to judge, or --features X,Y,... for models to see, or both"
            )
        return self
