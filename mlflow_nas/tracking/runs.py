"""Values that the mirror writes: a study, its trials, the data sets and the model file of a trial."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from mlflow.entities import Dataset, DatasetInput, InputTag

from mlflow_nas.redact import redact
from mlflow_nas.types import FLOAT_NCHW, Architecture, InputContract, Role

__all__ = ["DIGEST_LENGTH", "DatasetLink", "ModelFiles", "StudyRun", "TrialRun"]

DIGEST_LENGTH: Final = 36
"""Of a data set in MLflow, characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetLink:
    """A data set of a run.

    Attributes:
        name: short, such as penn-fudan.
        digest: hash of the content, hexadecimal; MLflow keeps its first 36 characters.
        uri: its source.
        context: its use, such as training.
        images: number of images.
        boxes: number of boxes in them.
    """

    name: str
    digest: str
    uri: str
    context: Literal["training", "validation", "test"]
    images: int
    boxes: int

    def as_input(self) -> DatasetInput:
        """The data set as MLflow stores it; its UI shows `num_rows`."""
        dataset = Dataset(
            name=self.name,
            digest=self.digest[:DIGEST_LENGTH],
            source_type="local",
            source=json.dumps({"uri": self.uri}),
            profile=json.dumps({"num_rows": self.images, "images": self.images, "boxes": self.boxes}),
        )
        return DatasetInput(dataset, [InputTag("mlflow.data.context", self.context)])


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRun:
    """The run of a study, and the values that the runs of all its trials share.

    Attributes:
        experiment: name of the experiment; a project run's own experiment wins.
        study: the study's name; None for one trial alone, which has no run above it, takes the project run
            and carries the params.
        uid: unique among studies, also of those with the same name; the same in every call and on every
            machine that works on the study.
        params: the options; those that MLflow has already logged are unchanged.
        tags: of the study's run and of each trial's.
        datasets: linked to the study's run and to each trial's.
        project_run_id: the run that `mlflow run` made; it becomes the study's run, or a continuation below it
            where the study has one.
    """

    experiment: str
    study: str | None
    uid: str
    params: Mapping[str, object] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    datasets: Sequence[DatasetLink] = ()
    project_run_id: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values; params become texts, without passwords."""
        return {**asdict(self), "params": {name: redact(str(value)) for name, value in self.params.items()}}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "StudyRun":
        """The study read back from `as_json`."""
        return cls(**{**plain, "datasets": tuple(DatasetLink(**link) for link in plain["datasets"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRun:
    """The run of one trial.

    Attributes:
        uid: unique in the study, such as "7", "seed" or "repeat-KEY".
        name: of the run.
        role: why the architecture is evaluated.
        number: the trial's number in the study; None for what is no trial of it.
        key: the architecture's key.
        architecture: the choices.
        tags: further tags.
    """

    uid: str
    name: str
    role: Role
    number: int | None = None
    key: str
    architecture: Architecture
    tags: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFiles:
    """A trial's model file as it was measured, with its description.

    Attributes:
        onnx: the measured file, ONNX or of another runtime, one image in.
        companions: files that it needs on this machine, stored beside it under their own names.
        golden: golden samples, stored beside it under their own name; None for none.
        key: the architecture's key, the logged model's name.
        model_type: the task, such as "detection".
        img_size: H and W of the file's input, pixels.
        input: the input contract that the file's metadata names.
        names: of the file's input and output.
        dims: number of its output's dimensions.
        classes: their names, in the order of the network's output.
        metrics: only those of the validation data: MLflow attributes them to it.
    """

    onnx: Path
    companions: Sequence[Path] = ()
    golden: Path | None = None
    key: str
    model_type: str
    img_size: tuple[int, int]
    input: InputContract = FLOAT_NCHW
    names: tuple[str, str] = ("images", "detections")
    dims: int = 4
    classes: Sequence[str]
    metrics: Mapping[str, float]
