"""The measurement of the detector as it was given: weights, or an ONNX file."""

from dataclasses import replace

from mlflow_nas.trial.candidate import Step
from mlflow_nas.trial.context import StudyContext
from mlflow_nas.trial.given_candidate import GivenCandidate
from mlflow_nas.trial.given_file import GivenFile
from mlflow_nas.trial.given_steps import FILE_STEPS, GivenFileCandidate, time_float, time_float_inputs
from mlflow_nas.trial.listener import Listener, Silent
from mlflow_nas.trial.steps import MEASURE, STEPS, make_result, reference_model, run_steps
from mlflow_nas.types import TrialResult

__all__ = ["measure_given"]

_UNTRAINED_STEPS = ("screen", "train")

_MEASURE_FLOAT = Step(
    name="measure-float",
    run=lambda one, _folder: time_float(one, reference_model(one.context)),
    inputs=lambda one: time_float_inputs(one, reference_model(one.context)),
    applies=lambda one: {"export", "quantize"} <= one.entries.keys(),
)


def measure_given(context: StudyContext, listener: Listener | None = None) -> TrialResult:
    """The detector as it was given, untrained: evaluated and timed as a trial is.

    Weights are exported and quantized as a trial's. A file is measured as it is; of a file in float the plain
    int8 file as well, which is the reference where it keeps the accuracy.

    Args:
        context: of a study with a given detector.
        listener: receives the events; None for no listener.

    Raises:
        BoardError: the board failed; MachineError: this machine failed.
    """
    heard = listener or Silent()
    if isinstance(context.given, GivenFile):
        candidate: GivenCandidate = GivenFileCandidate(context=context, architecture={}, listener=heard)
        steps = [*FILE_STEPS, MEASURE, _MEASURE_FLOAT]
    else:
        candidate = GivenCandidate(context=context, architecture=context.space.baseline, listener=heard)
        steps = [step for step in STEPS if step.name not in _UNTRAINED_STEPS]
    state, error = run_steps(candidate, steps)
    result = make_result(candidate, state, role="reference", error=error)
    own = {"speedup": 1.0} if "speedup" in result.metrics else {}  # others are relative to it
    ratio, reference_ms = result.metrics.get("latency_ratio_fp32"), context.reference_ms
    if ratio is not None and reference_ms is not None:
        own["latency_ms_fp32"] = ratio * reference_ms
    return replace(result, metrics={**result.metrics, **own})
