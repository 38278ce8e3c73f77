"""Configuration of `select`: strategies are evaluated on a study, or on a table of measured architectures."""

from pydantic import Field, model_validator

from mlflow_nas.config.fields import CommandConfig, File, Name, Section, Text, Words, option
from mlflow_nas.config.network import SpaceSection
from mlflow_nas.config.sections import (
    MAX_SEED,
    BoardSection,
    DataSection,
    QuantizationSection,
    StorageSection,
    TrackingSection,
    TrainingSection,
)

__all__ = ["SelectConfig", "SelectionSection", "TableSection"]


class SelectionSection(Section):
    """Selection: how estimation strategies are evaluated."""

    samples: int = Field(
        40,
        ge=8,
        le=10_000,
        description="Architectures that strategies are evaluated on",
        json_schema_extra=option("samples"),
    )
    repeats: int = Field(
        8, ge=0, le=10_000, description="Samples of a study that are trained twice, for the noise ceiling"
    )
    sequential: bool = Field(
        False, description="Start with 20 samples and stop at the first number that is enough evidence"
    )
    strategies: Words = Field(
        (),
        description="Strategies to evaluate, comma-separated; empty: all that can be",
        json_schema_extra=option("strategies"),
    )
    early_epochs: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Epochs that learning-curve strategies see; unset: a quarter of training.epochs",
    )
    score_images: int = Field(32, ge=1, le=4096, description="Images per zero-cost score")
    score_seeds: int = Field(5, ge=1, le=100, description="Weight seeds that a zero-cost score averages")
    candidates: int = Field(
        2_000, ge=1, le=10_000_000, description="Candidates of the later search, for the cost of a strategy"
    )
    score_budget_s: float | None = Field(
        None,
        gt=0,
        description="Seconds for scoring the candidates; unset: the time that training the samples took",
    )
    draws: int = Field(10_000, ge=200, le=1_000_000, description="Bootstrap draws")


class TableSection(Section):
    """Table: measured architectures to evaluate strategies on instead of a study."""

    file: File | None = Field(
        None,
        description="CSV or CSV.gz file; nothing is trained",
        json_schema_extra=option("table"),
    )
    target: Text | None = Field(
        None,
        description="Column of the measured quality, higher is better",
        json_schema_extra=option("target"),
    )
    target_again: Text | None = Field(
        None, description="Column of a second training's quality, for the noise ceiling"
    )
    scores: Words = Field(
        (),
        description="Columns of scores, higher is better, comma-separated",
        json_schema_extra=option("scores"),
    )
    features: Words = Field(
        (),
        description="Columns of numbers that predictors are fitted on, comma-separated",
        json_schema_extra=option("features"),
    )
    features_categorical: Words = Field(
        (),
        description="Columns of words or (a, b, c) lists that predictors are fitted on, comma-separated",
        json_schema_extra=option("features_categorical"),
    )
    where: Words = Field(
        (),
        description="Only rows in which a column has a value",
        json_schema_extra=option("where", repeatable=True, form="COLUMN=VALUE"),
    )


class SelectConfig(CommandConfig):
    """Configuration of `select`."""

    study: Name | None = Field(
        None,
        description="Study whose space is sampled; its random trials count",
        json_schema_extra=option("study"),
    )
    seed: int = Field(0, ge=0, le=MAX_SEED, description="Seed of sampling, training and calibration")
    selection: SelectionSection = SelectionSection()
    table: TableSection = TableSection()
    data: DataSection = DataSection()
    space: SpaceSection = SpaceSection()
    training: TrainingSection = TrainingSection()
    quantization: QuantizationSection = QuantizationSection()
    board: BoardSection = BoardSection()
    search: StorageSection = StorageSection()
    tracking: TrackingSection = TrackingSection()

    @model_validator(mode="after")
    def _one_source(self) -> "SelectConfig":
        table = self.table
        if (self.study is None) == (table.file is None):
            raise ValueError("give either --study NAME, whose samples are trained, or --table FILE.csv")
        if table.file is not None and table.target is None:
            raise ValueError(f"give --target COLUMN: the column of {table.file} with the measured quality")
        if table.file is not None and not (table.scores or table.features or table.features_categorical):
            raise ValueError(
                "give --scores A,B,... to evaluate, or --features X,Y,... to fit predictors on, or both"
            )
        return self
