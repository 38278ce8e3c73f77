"""Costs and results of a search as terms, from which reports compute speed-ups."""

import math
from collections.abc import Sequence

import numpy as np

from mlflow_nas.pareto import hypervolume
from mlflow_nas.search.estimation.study import quality, total_seconds
from mlflow_nas.types import Objective, TrialResult

__all__ = ["WORST_RATIO", "compute_cost", "found_terms", "trained_of"]

WORST_RATIO = 1.5
"""Reference point of the hypervolume: this multiple of the reference latency, and quality 0."""


def trained_of(
    members: Sequence[str], results: Sequence[TrialResult], objective: Objective, *, count: int
) -> list[TrialResult]:
    """The trials of a shortlist in its order, up to the `count`-th training.

    Args:
        members: keys, best first.
        results: of the study.
        objective: the quality.
        count: trainings. Trials that a limit ended before their training are returned, too: they took time.
    """
    by_key = {result.key: result for result in results}
    found: list[TrialResult] = []
    for key in members:
        if len(_trainings(found, objective)) == count:
            break
        if key in by_key:
            found.append(by_key[key])
    return found


def compute_cost(
    samples: Sequence[TrialResult], chosen: Sequence[TrialResult], objective: Objective
) -> dict[str, float]:
    """Trainings and their seconds, of the samples and of the candidates that an estimate chose.

    A failed trial counts as a training. `trial_s` is the mean of one trial with its latency measurement.
    """
    trained = _trainings([*samples, *chosen], objective)
    return {
        "samples": float(len(_trainings(samples, objective))),
        "samples_s": math.fsum(map(total_seconds, samples)),
        "chosen": float(len(_trainings(chosen, objective))),
        "post_search_s": math.fsum(map(total_seconds, chosen)),
        "trainings": float(len(trained)),
        "trial_s": float(np.mean([total_seconds(one) for one in trained])) if trained else math.nan,
    }


def found_terms(results: Sequence[TrialResult], objective: Objective) -> dict[str, float]:
    """Best quality, its latency, the hypervolume, and the lowest latency at the reference's quality.

    Args:
        results: of the search; those that are not complete are ignored.
        objective: the quality; the hypervolume is that of a quality of at least 0.
    """
    known = [(one, quality(one, objective)) for one in results if one.state == "complete"]
    complete = [(one, value) for one, value in known if value is not None]
    if not complete:
        return {}
    best, best_quality = max(complete, key=lambda pair: (pair[1], -_latency_ms(pair[0])))
    terms = {"best_quality": best_quality, "best_latency_ms": _latency_ms(best)}
    ratios = [
        (value, one.metrics["latency_ratio"]) for one, value in complete if "latency_ratio" in one.metrics
    ]
    if ratios:
        terms["hypervolume"] = hypervolume(ratios, (0.0, WORST_RATIO), (True, False))
    floor = next((value for one, value in complete if one.role == "baseline"), None)
    if floor is not None:
        as_good = [_latency_ms(one) for one, value in complete if value >= floor]
        terms |= {"reference_quality": floor, "latency_at_reference_quality_ms": min(as_good)}
    return terms


def _latency_ms(result: TrialResult) -> float:
    """Infinite when it was not measured."""
    return result.metrics.get("latency_ms", math.inf)


def _trainings(results: Sequence[TrialResult], objective: Objective) -> list[TrialResult]:
    """Those whose training was paid for; a limit may end a trial before its training."""
    return [one for one in results if objective.name in one.metrics or one.state == "failed"]
