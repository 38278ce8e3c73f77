"""Says at once when a trial's short training leaves the baseline below the detector as given."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlflow_nas.registry import first_objective
from mlflow_nas.search.loop import Callback
from mlflow_nas.search.store import Claim
from mlflow_nas.types import Objective, TrialResult

__all__ = ["BaselineCheck", "baseline_checks", "short_training_note"]

_log = logging.getLogger(__name__)


def short_training_note(
    baseline: TrialResult, given: TrialResult, *, accuracy: str, max_drop: float
) -> str | None:
    """The sentence for a baseline whose accuracy is below the given detector's; None where it is not.

    Args:
        baseline: its trial.
        given: the detector as it was given.
        accuracy: name of the metric.
        max_drop: a smaller difference is none.
    """
    own, reference = baseline.metrics.get(accuracy), given.metrics.get(accuracy)
    if own is None or reference is None or reference - own <= max_drop:
        return None
    return (
        f"The short training of a trial leaves the baseline at {accuracy} {own:.3f}, the given detector has "
        f"{reference:.3f}: trials rank architectures, and what ships is trained longer. Where the finalists "
        "stay below it too, give more epochs (finalists.epochs), more training images, or a larger input."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineCheck:
    """A worker's callback.

    Attributes:
        given: the detector as it was given.
        accuracy: name of the metric.
        max_drop: a smaller difference is none.
    """

    given: TrialResult
    accuracy: str
    max_drop: float

    def trial_started(self, claim: Claim) -> None:
        """Nothing."""

    def step(self, claim: Claim, name: str) -> None:
        """Nothing."""

    def epoch(self, claim: Claim, number: int, metrics: Mapping[str, float]) -> None:
        """Nothing."""

    def trial_finished(self, claim: Claim, result: TrialResult) -> None:  # noqa: ARG002 - of the protocol
        """Compare the baseline with the given detector."""
        if result.role != "baseline":
            return
        note = short_training_note(result, self.given, accuracy=self.accuracy, max_drop=self.max_drop)
        if note is not None:
            _log.warning(note)

    def trial_interrupted(self, claim: Claim) -> None:
        """Nothing."""


def baseline_checks(
    given: TrialResult, objectives: Sequence[Objective], *, max_drop: float
) -> list[Callback]:
    """The callback of a study with a given detector; none where no objective is an accuracy."""
    accuracy = first_objective(objectives, maximize=True)
    if accuracy is None:
        return []
    return [BaselineCheck(given=given, accuracy=accuracy.name, max_drop=max_drop)]
