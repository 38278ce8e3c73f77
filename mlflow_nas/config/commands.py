"""One frozen model per command; its fields are the command's options and the entry point's parameters."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

__all__ = [
    "BoardsConfig",
    "CommandConfig",
    "DoctorConfig",
    "EvaluateConfig",
    "FocusConfig",
    "ProfileConfig",
    "SearchConfig",
    "StudyOptions",
    "TrainConfig",
]


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


def _settings(value: object) -> object:
    """Text, a list of texts or, from YAML, a mapping, as parts between commas."""
    if isinstance(value, dict):
        value = [
            f"{name}={','.join(map(str, one)) if isinstance(one, list) else one}"
            for name, one in value.items()
        ]
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else value
    return tuple(part.strip() for part in text.split(",") if part.strip()) if isinstance(text, str) else text


Settings = Annotated[tuple[str, ...], BeforeValidator(_settings)]
Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_split)]
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
Name = Annotated[str, Field(pattern=rf"^{NAME}$", max_length=100)]


class CommandConfig(BaseModel):
    """Refuses what it does not know, and does not change."""

    model_config = ConfigDict(frozen=True, extra="forbid")


_DATA = "Data: synthetic, coco:DIR, voc:DIR, yolo:DIR or voc-download:2012; README: Your own data"
_CLASSES = "Names of the classes, comma-separated"
_SPACE = "Search space: fastestdet-head, chain, multi-branch, cell, or FILE.py:NAME"
_ARCH = "The architecture: NAME=VALUE,... (the rest is the baseline's) or a run's key"
_ASPECT = "Width / height of the network's input"
DEVICES = "Inventory of devices; unset: MLFLOW_NAS_DEVICES, else ./devices.yaml"


class _DataOptions(CommandConfig):
    data: str = Field("synthetic", description=_DATA)
    on_bad_image: Literal["refuse", "skip"] = Field(
        "refuse", description="What to do with data in which images can't be read"
    )
    test_fraction: float = Field(
        0.0, ge=0, lt=1, description="Share of val, by a hash of each image, that becomes the test split"
    )


class _BoardOptions(CommandConfig):
    board: Name = Field("local", description="Board on which latency is measured")
    threads: int | None = Field(
        None,
        ge=1,
        le=256,
        description="Threads of one inference on the board; unset: the inventory's, else 1",
    )
    devices: Path | None = Field(None, description=DEVICES)
    experiment: str = Field(
        "mlflow-nas",
        min_length=1,
        description="MLflow experiment; `mlflow run` decides it with --experiment-name",
    )


class _NetworkOptions(_BoardOptions):
    classes: Names = Field(("person",), min_length=1, description=_CLASSES)
    aspect: float = Field(1.0, gt=0.1, lt=10, description=_ASPECT)
    weights: Path | None = Field(None, description="A whole trained detector; candidates inherit from it")
    space: str = Field("fastestdet-head", description=_SPACE)
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of sampling, training and calibration")


class _TrainingOptions(_DataOptions, _NetworkOptions):
    val_views: int | None = Field(
        None,
        ge=1,
        le=6,
        description="Views of each val image to measure mAP on; 1: as it is; unset: 2 to 6, to make 300",
    )
    epochs: int | None = Field(
        None, ge=1, le=10_000, description="Epochs of one training; unset: 200 steps' worth, at least 3"
    )
    batch_size: int = Field(8, ge=2, le=4096, description="Images per training step")
    backbone_weights: Path | None = Field(
        None, description="ImageNet weights of shufflenet_v2_x0_5; unset: torchvision downloads them"
    )
    recipe: Literal["ours", "published"] = Field(
        "ours", description="How networks are trained: ours, or FastestDet's published SGD for comparison"
    )
    distillation: float | None = Field(
        None,
        ge=0,
        le=100,
        description="Weight of what the seed network teaches; 0: boxes alone; unset: 0.3, published 0",
    )
    freeze: Literal["auto", "none", "stem", "backbone"] = Field(
        "auto",
        description="What keeps its weights; auto: an inherited backbone, in trainings of up to 400 steps",
    )
    precision: Literal["int8", "fp32"] = Field(
        "int8", description="What is measured; fp32 is for comparison: nothing is registered or deployed"
    )
    max_int8_drop: float = Field(
        0.02, ge=0, le=1, description="Fail candidates whose int8 mAP is further below the float network's"
    )


class StudyOptions(_TrainingOptions):
    """What all commands that train a study's architectures share."""

    set: Settings = Field(
        (), description="Fewer choices: NAME=A,B or NAME=FIRST..LAST:STEP, such as channels=24..64:8"
    )
    seed_epochs: int = Field(
        10,
        ge=0,
        le=10_000,
        description="Without --weights: epochs that train the seed network, once, before the trials",
    )
    storage: str | None = Field(
        None, description="Optuna storage: a journal file or an RDB URL; unset: .nas/STUDY/optuna.journal"
    )


class SearchConfig(StudyOptions):
    """Options of `search` (entry point `main`)."""

    study: Name = Field("demo", description="Name of the study; the same name continues it")
    trials: int = Field(8, ge=1, le=100_000, description="Stop at so many trials, the baseline included")
    sampler: Literal["tpe", "nsga2", "random", "auto"] = Field(
        "tpe", description="How architectures are chosen; auto: by the space's size and the trials"
    )
    estimator: str = Field(
        "full",
        min_length=1,
        description="full: train every trial; a strategy: only what it ranks best; auto: select one first",
    )
    samples: int = Field(40, ge=8, le=10_000, description="With estimator auto: trained to select it by")
    candidates: int = Field(
        2000, ge=1, le=1_000_000, description="With an estimator: so many candidates are scored"
    )
    top_k: int = Field(8, ge=1, le=10_000, description="With an estimator: so many candidates are trained")
    per_combination: int = Field(
        2, ge=1, le=10_000, description="Of these: so many may differ in sizes (channels, width) only"
    )
    latency: Literal["predict", "measure"] = Field(
        "predict", description="Latency of candidates: from a model of measured ones, or all measured"
    )
    latency_samples: int = Field(
        24, ge=10, le=100_000, description="Measured latencies that the model is fitted on"
    )
    max_macs: float | None = Field(
        None, gt=0, description="With an estimator: candidates of more multiply-accumulates are left out"
    )
    max_params: float | None = Field(
        None, gt=0, description="With an estimator: candidates of more parameters are left out"
    )
    budget_s: float | None = Field(
        None, gt=0, description="Seconds for the trials of this call: none begins that would end later"
    )
    max_latency_ms: float | None = Field(
        None, gt=0, description="Slower candidates are infeasible; measured before any training"
    )
    model: Name = Field("person-detector", description="Registered model that receives the Pareto front")
    max_map_drop: float = Field(
        0.01, ge=0, le=1, description="The champion's mAP may be so much below the baseline's"
    )
    device: Name | None = Field(
        None, description="Device that receives the champion; empty: the board; none: no device"
    )


class TrainConfig(_TrainingOptions):
    """Options of `train`: one architecture, one run."""

    arch: str | None = Field(None, description=_ARCH)
    kernel_size: int = Field(5, description="Kernel of the depthwise convolutions: 3 or 5")
    groups: int = Field(1, description="Groups of the 1x1 convolutions: 1, 2, 4 or 8")
    channels: int = Field(96, description="Channels of neck and head: 24..96 step 8")
    img_width: int = Field(320, description="Input width in pixels: 220..320 step 4")


class EvaluateConfig(_DataOptions):
    """Options of `evaluate`: one detector, one split."""

    weights: Path | None = Field(None, description="State dict of a detector, in the architecture of --arch")
    model: str | None = Field(
        None, description="MLflow model: models:/NAME@ALIAS, models:/NAME/VERSION or another URI"
    )
    onnx: Path | None = Field(
        None,
        description="ONNX file: RGB 0..1 [1, 3, H, W] to objectness, 4 box terms, classes [1, 5 + N, h, w]",
    )
    split: Literal["train", "val", "test"] = Field("val", description="What to measure on")
    val_views: int | None = Field(
        None,
        ge=1,
        le=6,
        description="Views of each val image; unset: those that a search measured this ONNX file on, else 1",
    )
    classes: Names = Field(("person",), min_length=1, description=_CLASSES)
    img_width: int | None = Field(
        None, ge=32, le=4096, description="Input width in pixels; unset: the architecture's, or the file's"
    )
    aspect: float = Field(1.0, gt=0.1, lt=10, description=_ASPECT)
    space: str = Field("fastestdet-head", description=_SPACE)
    arch: str | None = Field(None, description=_ARCH)


class ProfileConfig(_NetworkOptions):
    """Options of `profile`: an ONNX file, or the detector of an architecture."""

    model: Path | None = Field(
        None, description="Any ONNX file; unset: the detector of --space, --arch and --weights"
    )
    int8: Path | None = Field(
        None, description="Quantized file to set beside --model; unset: made from it, for timing only"
    )
    shape: Settings = Field(
        (), description="Input shapes of --model, NAME=1x3x320x320; sizes that it leaves open are otherwise 1"
    )
    arch: str | None = Field(None, description=_ARCH)
    depth: int = Field(2, ge=1, le=20, description="Parts of a module's path by which time is summed")


class FocusConfig(_NetworkOptions):
    """Options of `focus`."""

    profile: Path | None = Field(
        None, description="profile.json of `profile`; unset: --arch of --space is profiled now"
    )
    arch: str | None = Field(None, description=_ARCH)
    min_share: float = Field(
        0.1, ge=0, le=1, description="A parameter that acts on less of the time keeps the baseline's value"
    )


class BoardsConfig(CommandConfig):
    """Options of `boards`."""

    devices: Path | None = Field(None, description=DEVICES)


class DoctorConfig(CommandConfig):
    """Options of `doctor`."""

    board: Name = Field("local", description="Device to look at")
    devices: Path | None = Field(None, description=DEVICES)
