"""A trial, step by step: read this file first.

Each step is cached under a fingerprint of its inputs: running a trial again continues it.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlflow_nas.errors import CandidateError, ConfigError
from mlflow_nas.estimate import complexity
from mlflow_nas.tasks import check_output
from mlflow_nas.trial.cache import StepCache, fingerprint
from mlflow_nas.trial.candidate import (
    DETECTIONS_FILE,
    FP32_FILE,
    INT8_FILE,
    WEIGHTS_FILE,
    Candidate,
    Step,
)
from mlflow_nas.trial.context import StudyContext
from mlflow_nas.trial.files import export, export_inputs, quantization_inputs, quantize
from mlflow_nas.trial.limits import check_limits, screening_limits
from mlflow_nas.trial.listener import Listener, Silent
from mlflow_nas.trial.measurement import evaluate, evaluation_inputs, measure, measurement_inputs
from mlflow_nas.trial.repair import needs_repair, repair, repair_inputs
from mlflow_nas.trial.training import train, training_inputs
from mlflow_nas.types import Architecture, Role, TrialResult, TrialState

__all__ = [
    "MEASURE",
    "STEPS",
    "TRAIN",
    "float_latency_ratio",
    "make_result",
    "reference_latency_ms",
    "reference_model",
    "run_steps",
    "run_trial",
    "screen",
    "time_steps",
]


def _count(candidate: Candidate, _folder: Path) -> Mapping[str, Any]:
    """Check what the network gives, and count its operations.

    Raises:
        CandidateError: it is not in the task's layout, or has other classes.
    """
    context = candidate.context
    check_output(candidate.network, context.task, img_size=candidate.img_size, classes=candidate.classes)
    return {"metrics": complexity(candidate.network, candidate.img_size)}


def _screen(candidate: Candidate, _folder: Path) -> Mapping[str, Any]:
    """The board's metrics of the file of untrained weights, for limits that are checked before a training."""
    untrained = candidate.untrained()
    for step in (EXPORT, QUANTIZE, MEASURE):
        if step.applies(untrained):
            untrained.run(step)
    return {"metrics": untrained.metrics}


COUNT = Step(name="count", run=_count)
SCREEN = Step(name="screen", run=_screen, applies=lambda one: screening_limits(one.context.limits))
TRAIN = Step(name="train", run=train, inputs=training_inputs, outputs={"weights": WEIGHTS_FILE})
EXPORT = Step(name="export", run=export, inputs=export_inputs, outputs={"fp32": FP32_FILE}, version=2)
QUANTIZE = Step(
    name="quantize",
    run=quantize,
    inputs=quantization_inputs,
    outputs={"int8": INT8_FILE},
    applies=lambda one: one.context.precision == "int8",
    version=2,
)
EVALUATE = Step(
    name="evaluate",
    run=evaluate,
    inputs=evaluation_inputs,
    outputs={"detections": DETECTIONS_FILE},
    version=3,
)
REPAIR = Step(
    name="repair",
    run=repair,
    inputs=repair_inputs,
    outputs={"int8": INT8_FILE, "detections": DETECTIONS_FILE},
    applies=needs_repair,
)
MEASURE = Step(
    name="measure",
    run=lambda one, _folder: measure(one, reference_model(one.context)),
    inputs=lambda one: measurement_inputs(one, reference_model(one.context)),
    version=2,
)
STEPS = (COUNT, SCREEN, TRAIN, EXPORT, QUANTIZE, EVALUATE, REPAIR, MEASURE)
_SEED_STEPS = ("count", "train")


def run_trial(
    context: StudyContext,
    architecture: Architecture,
    *,
    role: Role = "trial",
    number: int | None = None,
    listener: Listener | None = None,
) -> TrialResult:
    """Evaluate one architecture: the steps of `STEPS` in their order, until a limit is violated.

    Args:
        context: of the study.
        architecture: a member of the context's space.
        role: why it is evaluated; a seed network's trial ends with its training.
        number: of the trial in its study.
        listener: receives the events; None for no listener.

    Returns:
        The result; of a failed architecture with the reason.

    Raises:
        BoardError: the board failed; MachineError: this machine failed. Neither is the architecture's fault.
        ConfigError: a limit or objective is a metric that this board does not measure.
    """
    candidate = Candidate(context=context, architecture=architecture, listener=listener or Silent())
    steps = [step for step in STEPS if role != "seed" or step.name in _SEED_STEPS]
    state, error = run_steps(candidate, steps)
    if state == "complete" and role != "seed":
        _require_metrics(candidate)
    return make_result(candidate, state, role=role, number=number, error=error)


def run_steps(candidate: Candidate, steps: Sequence[Step]) -> tuple[TrialState, str | None]:
    """The steps in their order, until a limit is violated; the state, and why it failed."""
    try:
        for step in steps:
            if step.applies(candidate):
                candidate.run(step)
                if any(violation > 0 for violation in _constraints(candidate).values()):
                    return "infeasible", None
    except CandidateError as failure:
        return "failed", f"{type(failure).__name__}: {failure}"
    return "complete", None


def make_result(
    candidate: Candidate,
    state: TrialState,
    *,
    role: Role,
    number: int | None = None,
    error: str | None = None,
) -> TrialResult:
    """The result of a candidate's finished steps.

    Args:
        candidate: after its steps.
        state: in which they ended.
        role: why it was evaluated.
        number: of the trial in its study.
        error: why it failed.
    """
    latency = candidate.latency
    seconds = {name: entry.seconds for name, entry in candidate.entries.items()}
    return TrialResult(
        key=candidate.key,
        architecture=dict(candidate.architecture),
        state=state,
        role=role,
        number=number,
        metrics={**candidate.metrics, "trial_s": sum(seconds.values())},
        constraints=_constraints(candidate),
        history=tuple(candidate.history),
        seconds=seconds,
        facts={**latency.facts, "unstable_cause": latency.unstable_cause} if latency else {},
        artefacts={
            role: entry.file(candidate.named(name))
            for step in STEPS
            if (entry := candidate.entries.get(step.name))
            for role, name in step.outputs.items()
        },
        latency_unstable=bool(latency and latency.unstable),
        error=error,
    )


def _constraints(candidate: Candidate) -> dict[str, float]:
    return check_limits(candidate.limits, candidate.metrics)


def _require_metrics(candidate: Candidate) -> None:
    wanted = [one.name for one in candidate.context.objectives]
    wanted += [limit.metric for limit in candidate.context.limits]
    for name in wanted:
        if name not in candidate.metrics:
            raise ConfigError(
                f"The board {candidate.context.board.name} does not measure {name}: choose another objective "
                f"or limit; it measures {', '.join(sorted(candidate.metrics))}."
            )


def reference_model(context: StudyContext) -> Candidate:
    """The reference model: the baseline with its first weights, exported and quantized once."""
    reference = Candidate(context=context, architecture=context.space.baseline, is_trained=False)
    for step in (EXPORT, QUANTIZE):
        if step.applies(reference):
            reference.run(step)
    return reference


def reference_latency_ms(context: StudyContext) -> float:
    """Median latency of the reference model on the board, milliseconds.

    Raises:
        BoardError: the board failed; CandidateError: the baseline can't be exported.
    """
    reference = reference_model(context)
    key = fingerprint(shipped=reference.shipped_digest, board=context.board.identity())
    entry = context.cache.make(
        "measure-reference",
        key,
        lambda _folder: {"p50_ms": context.runtime.time(reference.shipped_file, context.board).p50_ms},
    )
    return float(entry.values["p50_ms"])


def float_latency_ratio(context: StudyContext) -> float:
    """Latency of the reference model's float file on the board, relative to its int8 file's.

    Raises:
        BoardError: the board failed; CandidateError: the baseline can't be exported or quantized.
    """
    reference = reference_model(context)
    key = fingerprint(
        float=reference.entries["export"].digests[FP32_FILE],
        shipped=reference.shipped_digest,
        board=context.board.identity(),
    )

    def measure_float(_folder: Path) -> Mapping[str, Any]:
        return {"ratio": context.board.measure(reference.fp32_file, reference=reference.shipped_file).ratio}

    return float(context.cache.make("measure-float", key, measure_float).values["ratio"])


def screen(context: StudyContext, architecture: Architecture) -> dict[str, float]:
    """Counts, and the board's metrics of the int8 file of untrained weights.

    Raises:
        CandidateError: it can't be built, exported or quantized, or the board refuses it.
        BoardError: the board failed.
    """
    candidate = Candidate(context=context, architecture=architecture)
    for step in (COUNT, SCREEN):
        candidate.run(step)
    return dict(candidate.metrics)


def time_steps(context: StudyContext, architecture: Architecture) -> dict[str, float]:
    """Seconds of the steps that follow a training, by name, on first weights and in an empty cache.

    Raises:
        CandidateError: it can't be built, exported or quantized, or the board refuses it.
        BoardError: the board failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        timed = replace(context, cache=StepCache(Path(folder)), max_int8_drop=1.0)
        reference_model(timed)
        candidate = Candidate(context=timed, architecture=architecture, is_trained=False)
        for step in (EXPORT, QUANTIZE, EVALUATE, REPAIR, MEASURE):
            if step.applies(candidate):
                candidate.run(step)
    return {name: entry.seconds for name, entry in candidate.entries.items()}
