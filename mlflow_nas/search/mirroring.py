"""A study's trials in MLflow: each event of a worker goes to the mirror."""

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mlflow_nas.data import resize_image, resize_to_bytes
from mlflow_nas.report import draw_boxes, front_of
from mlflow_nas.runtime import GOLDEN_FILE, OnnxDetector, host_file, write_golden
from mlflow_nas.search.store import Claim, StudyStore
from mlflow_nas.tracking import Mirror, ModelFiles, TrialRun
from mlflow_nas.trial import AS_GIVEN, StudyContext
from mlflow_nas.types import Architecture, Role, TrialResult

__all__ = ["MirrorCallback", "publish_model", "trial_run"]

_log = logging.getLogger(__name__)

_EXAMPLES, _GOLDEN_IMAGES = 3, 3


def trial_run(
    context: StudyContext,
    architecture: Architecture,
    *,
    role: Role,
    number: int | None = None,
    origin: Mapping[str, object] | None = None,
) -> TrialRun:
    """The MLflow run of a trial.

    Args:
        context: of the study.
        architecture: of the trial.
        role: why it is evaluated.
        number: in the study; None for what is no trial of it.
        origin: what chose it: {"chosen_by": a strategy or None, "random": drawn at random or not}.
    """
    key = AS_GIVEN if role == "reference" else context.space.key(architecture)
    origin = origin or {}
    chosen_by, random = origin.get("chosen_by"), origin.get("random")
    chosen = {"nas.estimator": str(chosen_by)} if chosen_by else {}
    drawn = {"nas.drawn": "random"} if random and not chosen_by else {}
    named = f"{number:03d}-{key}" if number is not None else key
    return TrialRun(
        uid=str(number) if role in ("trial", "baseline") and number is not None else f"{role}-{key}",
        name=named if role in ("trial", "baseline", "reference") else f"{role}-{named}",
        role=role,
        number=number,
        key=key,
        architecture=architecture,
        tags={**context.tags, **chosen, **drawn},
    )


@dataclass(kw_only=True)
class MirrorCallback:
    """A worker's callback: runs of trials, their curves and results, models of those on the front.

    Attributes:
        context: of the study.
        store: the study.
        mirror: into MLflow.
    """

    context: StudyContext
    store: StudyStore
    mirror: Mirror
    _seen: set[int | None] = field(default_factory=set, init=False)
    _front: list[TrialResult] = field(default_factory=list, init=False)

    def run_of(self, claim: Claim) -> TrialRun:
        """The trial's run."""
        is_baseline = claim.architecture == self.context.space.baseline
        return trial_run(
            self.context,
            claim.architecture,
            role="baseline" if is_baseline else "trial",
            number=claim.number,
            origin=claim.origin,
        )

    def trial_started(self, claim: Claim) -> None:
        """Open the run."""
        self.mirror.start_trial(self.run_of(claim), is_new=claim.is_new)

    def step(self, claim: Claim, name: str) -> None:
        """Nothing."""

    def epoch(self, claim: Claim, number: int, metrics: Mapping[str, float]) -> None:
        """A point of the learning curve."""
        self.mirror.log_epoch(self.run_of(claim), number, metrics)

    def trial_finished(self, claim: Claim, result: TrialResult) -> None:
        """End the run; log the model of a trial that is on the front now, while its files are cached."""
        run = self.run_of(claim)
        self.mirror.finish_trial(run, result)
        if self._is_on_front(result):
            publish_model(self.context, self.mirror, run, result)

    def _is_on_front(self, result: TrialResult) -> bool:
        """Whether no finished trial dominates it; those that were dominated before are not compared again."""
        fresh = [one for one in self.store.results() if one.number not in self._seen]
        self._seen.update(one.number for one in fresh)
        self._front = front_of([*self._front, *fresh], self.context.objectives)
        return any(one.number == result.number for one in self._front)

    def trial_interrupted(self, claim: Claim) -> None:
        """End the run as killed; it is opened again when the trial is."""
        self.mirror.interrupt_trial(self.run_of(claim))


def publish_model(context: StudyContext, mirror: Mirror, run: TrialRun, result: TrialResult) -> None:
    """Log a trial's int8 file as an MLflow model, with golden samples and drawn detections; once per file.

    A reference is logged as the file that was measured, which may be in float.
    """
    shipped = result.artefacts.get("int8")
    if shipped is None and result.role == "reference" and context.precision == "int8":
        shipped = result.artefacts.get("fp32")
    if shipped is None or not shipped.is_file():
        return
    fp32 = result.artefacts.get("fp32", shipped)
    as_given = context.given if result.role == "reference" else None
    classes = as_given.classes if as_given else context.val.classes
    opened, host = OnnxDetector(shipped), host_file(shipped)
    with tempfile.TemporaryDirectory() as folder:
        mirror.log_model(
            run,
            ModelFiles(
                onnx=shipped,
                companions=[] if host == shipped else [host],
                key=result.key,
                model_type=context.tags["nas.task"],
                img_size=opened.img_size,
                input=opened.input,
                names=opened.names,
                dims=opened.dims,
                classes=tuple(classes),
                metrics={
                    name: value for name, value in result.metrics.items() if not name.startswith("test_")
                },
                golden=_golden(context, shipped, fp32, Path(folder) / GOLDEN_FILE),
            ),
        )
        mirror.log_artifact(run, _examples(context, shipped, classes, Path(folder) / "detections.png"))


def _golden(context: StudyContext, shipped: Path, fp32: Path, path: Path) -> Path:
    """Golden samples: the first validation images at the file's input size, and its outputs on the host."""
    img_size, val = OnnxDetector(shipped).img_size, context.val
    count = min(_GOLDEN_IMAGES, len(val))
    images = [resize_to_bytes(val[index].image, img_size).numpy() for index in range(count)]
    return write_golden(path, shipped, np.stack(images), fp32=fp32)


def _examples(context: StudyContext, shipped: Path, classes: Sequence[str], path: Path) -> Path:
    model, val = OnnxDetector(shipped), context.val
    drawn: list[tuple[np.ndarray, np.ndarray, Sequence[str]]] = []
    for index in range(min(_EXAMPLES, len(val))):
        image = val[index].image
        output = model(resize_image(image, model.img_size)[np.newaxis])[0]
        boxes, labels = context.task.drawn(output, (image.shape[0], image.shape[1]), classes)
        drawn.append((image, boxes, labels))
    return draw_boxes(drawn, path)
