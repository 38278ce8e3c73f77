"""Sections of the configuration that several commands share."""

from typing import Literal

from pydantic import Field

from mlflow_nas.config.engine import EarlyStoppingSection, ExecutorSection
from mlflow_nas.config.fields import (
    BoardName,
    File,
    LimitTexts,
    Names,
    Seconds,
    Section,
    Text,
    option,
)
from mlflow_nas.config.trainer import TrainerSection
from mlflow_nas.networks import FileOutput

__all__ = [
    "BoardSection",
    "CheckedDataSection",
    "DataSection",
    "QuantizationSection",
    "SearchSection",
    "StorageSection",
    "TrackingSection",
    "TrainingSection",
]

MAX_SEED = 2**31 - 1
INVENTORY = "Device inventory; unset: MLFLOW_NAS_DEVICES, else ./devices.yaml"


class DataSection(Section):
    """Data: the images to train and evaluate on."""

    uri: Text = Field(
        "synthetic",
        description="Data set: synthetic, coco:DIR, voc:DIR, yolo:DIR, folder:DIR or voc-download:2012",
        json_schema_extra=option("data"),
    )
    classes: Names = Field(
        ("person",), description="Class names, comma-separated", json_schema_extra=option("classes")
    )
    on_bad_image: Literal["refuse", "skip"] = Field(
        "refuse", description="Images that can't be used end the command, or are left out and counted"
    )
    test_fraction: float = Field(
        0.0, ge=0, lt=1, description="Share of val, by a hash of each image, that becomes the test split"
    )
    eval_augmentations: int | None = Field(
        None,
        ge=1,
        le=6,
        description="Augmented copies of each val image that mAP is measured on; 1: the image itself; unset: "
        "2 to 6, so that there are 300 (evaluate: as the model file says)",
    )


class CheckedDataSection(DataSection):
    """Data: the images to check."""

    uri: Text = Field(
        "synthetic",
        description="Data set, as of --data of other commands",
        json_schema_extra=option("data", argument=True),
    )


class TrainingSection(Section):
    """Training: how each network is trained."""

    weights: File | None = Field(
        None,
        description="Trained detector (state dict) whose weights are transferred to every candidate",
        json_schema_extra=option("weights"),
    )
    weights_img_width: int | None = Field(
        None,
        ge=32,
        le=4096,
        description="Input width of the given weights, measured as they are, or of a reference file that "
        "leaves it open; unset: 352 for the published detector, else the baseline's",
    )
    weights_img_height: int | None = Field(
        None,
        ge=32,
        le=4096,
        description="Input height of the given weights; unset: their width in the baseline's aspect ratio "
        "(the published detector's input is square)",
    )
    backbone_weights: File | None = Field(
        None, description="ImageNet weights of shufflenet_v2_x0_5; unset: torchvision downloads them"
    )
    epochs: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Epochs of one training; unset: as many as 200 steps take, at least 3",
        json_schema_extra=option("epochs"),
    )
    batch_size: int = Field(8, ge=2, le=4096, description="Images per training step")
    recipe: Literal["default", "fastestdet"] = Field(
        "default", description="Training recipe; fastestdet: the published SGD schedule, for comparison"
    )
    distillation: float | None = Field(
        None,
        ge=0,
        le=100,
        description="Weight of the loss on the seed network's soft targets; 0: boxes alone; unset: 0.3 "
        "(fastestdet: 0)",
    )
    freeze: Literal["auto", "none", "stem", "backbone"] = Field(
        "auto", description="Frozen weights; auto: a transferred backbone, in trainings of up to 400 steps"
    )
    seed_epochs: int = Field(
        10,
        ge=0,
        le=10_000,
        description="Without weights: epochs of the seed network, trained once before the trials",
    )
    threads: int | None = Field(
        None, ge=1, le=1024, description="CPU threads of a training; unset: the cores that are free"
    )
    trainer: TrainerSection = TrainerSection()


class QuantizationSection(Section):
    """Quantization: the precision of the model file that is evaluated and timed."""

    precision: Literal["int8", "fp32"] = Field(
        "int8", description="Precision; fp32 is for comparison: nothing is registered or deployed"
    )
    max_drop: float = Field(
        0.02, ge=0, le=1, description="Largest drop of accuracy by int8; a candidate above it fails"
    )
    input: Literal["float-nchw", "uint8-nhwc-rgbx"] = Field(
        "uint8-nhwc-rgbx",
        description="Input of the int8 file: a camera's bytes [1, H, W, 4] (RGB and an ignored byte), or "
        "floats [1, 3, H, W] in 0..1",
    )
    output: FileOutput = Field(
        "network",
        description="Output of both files: the network's own, or boxes and a score per class, which the file "
        "decodes itself; only suppression is left to the application",
    )


class BoardSection(Section):
    """Board: where latency is measured."""

    name: BoardName = Field(
        "local", description="Board of the inventory, or vela:ACCELERATOR", json_schema_extra=option("board")
    )
    threads: int | None = Field(
        None, ge=1, le=256, description="Threads of one inference; unset: the inventory's, else 1"
    )
    inventory: File | None = Field(None, description=INVENTORY, json_schema_extra=option("devices"))


class StorageSection(Section):
    """Search: the study's trials."""

    storage: Text | None = Field(
        None,
        description="Optuna storage, a journal file or a database URL; unset: a journal in the work folder. "
        "A URL with a password belongs in MLFLOW_NAS_STORAGE",
        json_schema_extra=option("storage"),
    )


class SearchSection(StorageSection):
    """Search: how architectures are chosen, and when the search ends."""

    trials: int = Field(
        8,
        ge=1,
        le=100_000,
        description="Total number of trials, the reference included",
        json_schema_extra=option("trials"),
    )
    workers: int = Field(
        1,
        ge=1,
        le=4096,
        description="Trials evaluated at once: processes on this machine, or tasks of --executor",
        json_schema_extra=option("workers"),
    )
    sampler: Text = Field(
        "tpe",
        description="Sampler; auto: by the size of the space and the number of trials; your own: "
        "FILE.py:NAME, MODULE:NAME or an entry point",
        json_schema_extra=option(
            "sampler", form="auto|grid|random|tpe|nsga2|nsga3|gp|cmaes|qmc|evolution|FILE.py:NAME"
        ),
    )
    objectives: Names | None = Field(
        None,
        description="Metrics that are optimized, comma-separated; unset: the accuracy of the space's task "
        "(map, top1) and latency_ms",
        json_schema_extra=option("objectives"),
    )
    limits: LimitTexts = Field(
        (),
        description="Bound on a metric, such as params<=2e5 or latency_ms<=12; a trial ends at the step "
        "after which it is violated",
        json_schema_extra=option("limit", repeatable=True, form="METRIC<=NUMBER"),
    )
    reference: File | None = Field(
        None,
        description="ONNX detector that results are compared with, measured as it is and, where it is in "
        "float, in plain int8; unset: the given weights as they are",
        json_schema_extra=option("reference"),
    )
    budget_s: Seconds | None = Field(
        None,
        gt=0,
        description="Time of this call, finalists included: the search follows the forecast of `plan`, and "
        "starts no trial that would end later",
        json_schema_extra=option("budget", form="8h|30m|SECONDS"),
    )
    estimator: Text = Field(
        "full",
        description="full: train every trial; a strategy: train its best candidates; auto: select one first",
        json_schema_extra=option(
            "estimator", form="full|auto|macs|params|zen|synflow|nwot|supernet|STRATEGY"
        ),
    )
    samples: int = Field(40, ge=8, le=10_000, description="With estimator auto: trials to select it on")
    candidates: int = Field(
        2000, ge=1, le=1_000_000, description="With an estimator: number of candidates that are scored"
    )
    top_k: int = Field(
        8, ge=1, le=10_000, description="With an estimator: number of candidates that are trained"
    )
    max_per_combination: int = Field(
        2,
        ge=1,
        le=10_000,
        description="With an estimator: trained candidates that may differ in channels and input size only",
    )
    latency: Literal["predict", "measure"] = Field(
        "predict", description="Latency of candidates: predicted from measured ones, or measured for each"
    )
    latency_samples: int = Field(24, ge=10, le=100_000, description="Measured latencies of the prediction")
    early_stopping: EarlyStoppingSection = EarlyStoppingSection()
    executor: ExecutorSection = ExecutorSection()


class TrackingSection(Section):
    """Tracking: where runs are logged."""

    experiment: Text = Field(
        "mlflow-nas",
        description="MLflow experiment; unset: MLFLOW_EXPERIMENT_NAME, else mlflow-nas. `mlflow run` sets it "
        "with --experiment-name",
        json_schema_extra=option("experiment"),
    )
