"""Finalists: which members of the front are trained to the end."""

from collections.abc import Sequence

import numpy as np

from mlflow_nas.registry import FLOOR, first_objective
from mlflow_nas.report import front_of
from mlflow_nas.types import Objective, TrialResult

__all__ = ["choose_finalists"]


def choose_finalists(
    results: Sequence[TrialResult],
    objectives: Sequence[Objective],
    *,
    count: int,
    given: TrialResult | None = None,
) -> list[TrialResult]:
    """The baseline, and members of the Pareto front spread by their speed-up.

    Members with an unstable latency, or with less than half of the reference's accuracy, are left out.

    Args:
        results: of the study.
        objectives: of the front; the first maximized one is the accuracy.
        count: of members of the front, the baseline not counted.
        given: the detector as it was given, the reference; None: the baseline is.

    Returns:
        The baseline first, then by speed-up, the slowest first; nothing without a complete trial.
    """
    baseline = [one for one in results if one.role == "baseline" and one.state == "complete"]
    objective = first_objective(objectives, maximize=True)
    accuracy = objective.name if objective else None
    reference = given or (baseline[0] if baseline else None)
    floor = reference.metrics.get(accuracy, 0.0) * FLOOR if reference and accuracy else 0.0
    members = [
        one
        for one in front_of(results, objectives)
        if one not in baseline
        and not one.latency_unstable
        and (accuracy is None or one.metrics[accuracy] >= floor)
    ]
    members.sort(key=lambda one: one.metrics.get("speedup", 0.0))
    if not count:
        return []
    places = np.unique(np.linspace(0, len(members) - 1, min(count, len(members))).round().astype(int))
    return [*baseline, *(members[place] for place in places)]
