"""Configuration of the commands that train, evaluate and measure."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from mlflow_nas.config.fields import CommandConfig, File, Name, Names, Text, Words, option
from mlflow_nas.config.network import NetworkSection, SpaceSection
from mlflow_nas.config.sections import (
    INVENTORY,
    MAX_SEED,
    BoardSection,
    CheckedDataSection,
    DataSection,
    QuantizationSection,
    SearchSection,
    StorageSection,
    TrackingSection,
    TrainingSection,
)
from mlflow_nas.config.shipping import FinalistsSection, RegistrySection
from mlflow_nas.config.timing import TimingSection

__all__ = [
    "BoardsConfig",
    "CachePruneConfig",
    "DataCheckConfig",
    "DoctorConfig",
    "EvaluateConfig",
    "FocusConfig",
    "ProfileConfig",
    "ReportConfig",
    "SearchConfig",
    "SensitivityConfig",
    "StatusConfig",
    "TrainConfig",
]

_ARCH = "Architecture: NAME=VALUE,... (what is left out is the baseline's) or a run's key"
_SEED = "Seed of sampling, training and calibration"
_WEIGHTS = "Trained detector (state dict)"


class SearchConfig(CommandConfig):
    """Configuration of `search` (entry point `main`)."""

    study: Name = Field(
        "demo",
        description="Name of the study; the same name continues it",
        json_schema_extra=option("study"),
    )
    seed: int = Field(0, ge=0, le=MAX_SEED, description=_SEED)
    data: DataSection = DataSection()
    space: SpaceSection = SpaceSection()
    training: TrainingSection = TrainingSection()
    quantization: QuantizationSection = QuantizationSection()
    board: BoardSection = BoardSection()
    search: SearchSection = SearchSection()
    finalists: FinalistsSection = FinalistsSection()
    registry: RegistrySection = RegistrySection()
    tracking: TrackingSection = TrackingSection()


class TrainConfig(CommandConfig):
    """Configuration of `train`."""

    arch: Text | None = Field(None, description=_ARCH, json_schema_extra=option("arch"))
    seed: int = Field(0, ge=0, le=MAX_SEED, description=_SEED)
    data: DataSection = DataSection()
    space: SpaceSection = SpaceSection()
    training: TrainingSection = TrainingSection()
    quantization: QuantizationSection = QuantizationSection()
    board: BoardSection = BoardSection()
    tracking: TrackingSection = TrackingSection()


class EvaluateConfig(CommandConfig):
    """Configuration of `evaluate`."""

    weights: File | None = Field(
        None, description=f"{_WEIGHTS} of the architecture `arch`", json_schema_extra=option("weights")
    )
    model: Text | None = Field(
        None,
        description="MLflow model: NAME (its champion), models:/NAME@ALIAS or another model URI",
        json_schema_extra=option("model"),
    )
    onnx: File | None = Field(
        None,
        description="ONNX file: RGB 0..1 [1, 3, H, W] to objectness, 4 box terms, classes [1, 5 + N, h, w]",
        json_schema_extra=option("onnx"),
    )
    arch: Text | None = Field(None, description=_ARCH, json_schema_extra=option("arch"))
    split: Literal["train", "val", "test"] = Field(
        "val", description="Split to evaluate on", json_schema_extra=option("split")
    )
    img_width: int | None = Field(
        None,
        ge=32,
        le=4096,
        description="Input width in pixels; unset: the architecture's, or the file's",
        json_schema_extra=option("img_width"),
    )
    img_height: int | None = Field(
        None,
        ge=32,
        le=4096,
        description="Input height in pixels, beside img_width; unset: img_width / space.aspect",
        json_schema_extra=option("img_height"),
    )
    data: DataSection = DataSection()
    space: NetworkSection = NetworkSection()

    @model_validator(mode="after")
    def _one_detector(self) -> "EvaluateConfig":
        named = {"--weights": self.weights, "--model": self.model, "--onnx": self.onnx}
        given = [option for option, value in named.items() if value is not None]
        if len(given) != 1:
            raise ValueError(
                f"{' and '.join(given) or 'No detector'} given: name exactly one with {', '.join(named)}"
            )
        if self.img_height and not self.img_width:
            raise ValueError("--img-height is given without --img-width: give both")
        return self


class SensitivityConfig(CommandConfig):
    """Configuration of `sensitivity`."""

    onnx: File = Field(
        Path("model.onnx"),
        description="ONNX file in float: of your own export, or model.onnx of a trial in the step cache",
        json_schema_extra=option("onnx"),
    )
    worst: int = Field(
        4,
        ge=0,
        le=100,
        description="Layers, the most sensitive first, whose cost in accuracy is measured on val",
        json_schema_extra=option("worst"),
    )
    images: int = Field(
        16,
        ge=1,
        le=1000,
        description="Training images that ranges are found on, and outputs compared on",
        json_schema_extra=option("images"),
    )
    float_modules: Names = Field(
        (),
        description="Module paths that stay in float, comma-separated",
        json_schema_extra=option("float_modules"),
    )
    seed: int = Field(0, ge=0, le=MAX_SEED, description=_SEED)
    data: DataSection = DataSection()


class ProfileConfig(CommandConfig):
    """Configuration of `profile`."""

    model: File | None = Field(
        None, description="ONNX file; unset: the architecture's detector", json_schema_extra=option("model")
    )
    int8: File | None = Field(
        None,
        description="Quantized file to compare with `model`; unset: made from it, for timing only",
        json_schema_extra=option("int8"),
    )
    shape: Words = Field(
        (),
        description="Input shape of `model`; open sizes are 1 otherwise",
        json_schema_extra=option("shape", repeatable=True, form="NAME=1x3x320x320"),
    )
    arch: Text | None = Field(None, description=_ARCH, json_schema_extra=option("arch"))
    weights: File | None = Field(None, description=_WEIGHTS, json_schema_extra=option("weights"))
    classes: Names = Field(
        ("person",), description="Class names, comma-separated", json_schema_extra=option("classes")
    )
    depth: int = Field(
        2,
        ge=1,
        le=20,
        description="Depth of the module path that times are summed by",
        json_schema_extra=option("depth"),
    )
    seed: int = Field(0, ge=0, le=MAX_SEED, description="Seed of fresh weights")
    space: NetworkSection = NetworkSection()
    board: BoardSection = BoardSection()
    timing: TimingSection = TimingSection()
    tracking: TrackingSection = TrackingSection()

    @model_validator(mode="after")
    def _one_network(self) -> "ProfileConfig":
        if self.model is None and (self.int8 or self.shape):
            raise ValueError("--int8 and --shape describe the file of --model: give it, or leave them out")
        if self.model is not None and (self.arch or self.weights):
            raise ValueError("--model is a network of its own: leave out --arch and --weights")
        return self


class FocusConfig(CommandConfig):
    """Configuration of `focus`."""

    profile: File | None = Field(
        None,
        description="profile.json of `profile`; unset: the architecture is profiled now",
        json_schema_extra=option("profile"),
    )
    arch: Text | None = Field(None, description=_ARCH, json_schema_extra=option("arch"))
    weights: File | None = Field(None, description=_WEIGHTS, json_schema_extra=option("weights"))
    classes: Names = Field(
        ("person",), description="Class names, comma-separated", json_schema_extra=option("classes")
    )
    data: Text | None = Field(
        None,
        description="Data set of the search that is printed; wide images make the input's height a choice",
        json_schema_extra=option("data"),
    )
    min_saving: float = Field(
        0.03,
        ge=0,
        le=1,
        description="A choice that saves a smaller share of the latency keeps the baseline's value",
        json_schema_extra=option("min_saving"),
    )
    seed: int = Field(0, ge=0, le=MAX_SEED, description="Seed of fresh weights")
    space: NetworkSection = NetworkSection()
    board: BoardSection = BoardSection()


class DataCheckConfig(CommandConfig):
    """Configuration of `data check`."""

    page: File | None = Field(
        None,
        description="HTML page to write, with the first examples of each finding drawn",
        json_schema_extra=option("page"),
    )
    data: CheckedDataSection = CheckedDataSection()


class BoardsConfig(CommandConfig):
    """Configuration of `boards`."""

    inventory: File | None = Field(None, description=INVENTORY, json_schema_extra=option("devices"))


class DoctorConfig(CommandConfig):
    """Configuration of `doctor`."""

    board: BoardSection = BoardSection()


class ReportConfig(CommandConfig):
    """Configuration of `report`."""

    study: Names = Field(
        ("demo",),
        description="Studies, comma-separated: a page of each, and the costs of their searches",
        json_schema_extra=option("study"),
    )
    compare: Names = Field(
        (),
        description="Two studies, or one study on two boards, that one page compares",
        json_schema_extra=option("compare"),
    )
    out: File | None = Field(
        None, description="HTML file to write; unset: in the study's folder", json_schema_extra=option("out")
    )
    full_trials: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="Trainings of the full search; unset: those of the full studies given",
        json_schema_extra=option("full_trials"),
    )
    search: StorageSection = StorageSection()
    tracking: TrackingSection = TrackingSection()


class StatusConfig(CommandConfig):
    """Configuration of `status`."""

    study: Name = Field("demo", description="Name of the study", json_schema_extra=option("study"))
    search: StorageSection = StorageSection()


class CachePruneConfig(CommandConfig):
    """Configuration of `cache prune`."""

    max_gb: float | None = Field(
        None,
        ge=0,
        le=1e6,
        description="Size to keep, gigabytes, the most recently used first; unset: MLFLOW_NAS_CACHE_GB",
        json_schema_extra=option("max_gb"),
    )
