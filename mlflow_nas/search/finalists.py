"""Finalists: which members of the front are trained to the end, and which network of each is kept."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mlflow_nas.registry import FLOOR, first_objective
from mlflow_nas.report import front_of
from mlflow_nas.trial import KEPT_TRIAL
from mlflow_nas.types import Objective, TrialResult

__all__ = ["choose_finalists", "keep_better"]

_log = logging.getLogger(__name__)


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


def keep_better(trial: TrialResult, finished: TrialResult, objectives: Sequence[Objective]) -> TrialResult:
    """The network that was trained to the end, or the trial's where that is more accurate on val.

    A long training of few images may overfit. A warning says so.

    Args:
        trial: with its short training.
        finished: the same architecture, trained to the end.
        objectives: of the study; the first maximized one is the accuracy.

    Returns:
        A finalist; its metric `kept_trial` is 1 where it has the trial's network.
    """
    objective = first_objective(objectives, maximize=True)
    if objective is None or finished.state != "complete" or objective.name not in trial.metrics:
        return finished
    own, before = finished.metrics[objective.name], trial.metrics[objective.name]
    if own >= before:
        return replace(finished, metrics={**finished.metrics, KEPT_TRIAL: 0.0})
    _log.warning(
        "Trained to the end %s has %s %.3f, after its trial it had %.3f: the trial's network is kept. More "
        "training images, or fewer epochs (finalists.epochs), may help.",
        trial.key,
        objective.name,
        own,
        before,
    )
    spent = {"trial_s": finished.metrics["trial_s"]}
    metrics = {**trial.metrics, **spent, KEPT_TRIAL: 1.0}
    return replace(trial, role=finished.role, metrics=metrics, seconds=finished.seconds)
