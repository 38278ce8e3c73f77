"""What a search cost and what it found, term by term, so that a report adds them up and nobody types them."""

from collections.abc import Sequence

import numpy as np

from mlflow_nas.pareto import hypervolume
from mlflow_nas.types import Architecture, Evaluation

__all__ = ["WORST_RATIO", "found_terms", "spent_terms", "trained_of"]

WORST_RATIO = 1.5
"""The hypervolume counts networks up to so many times the baseline's latency, and mAP from 0."""


def trained_of(members: Sequence[str], evaluations: Sequence[Evaluation], *, count: int) -> list[Evaluation]:
    """The trials that a list has led to: in its order, until so many were trained or failed.

    Args:
        members: keys, best first.
        evaluations: of the study.
        count: that were to be trained. Trials that missed the latency limit untrained are among what is
            returned, as they took time, and not among these.
    """
    by_key = {evaluation.key: evaluation for evaluation in evaluations}
    found: list[Evaluation] = []
    for key in members:
        if sum(_is_paid(evaluation) for evaluation in found) == count:
            break
        if key in by_key:
            found.append(by_key[key])
    return found


def spent_terms(samples: Sequence[Evaluation], chosen: Sequence[Evaluation]) -> dict[str, float]:
    """Trainings and their seconds: of the samples, and of what an estimate chose among candidates.

    A failed training counts; one whose latency was asked for again, because the board failed, counts once.
    `trial_s` is the mean of one trial with its latency measurement.
    """
    paid = _trainings([*samples, *chosen])
    return {
        "samples": float(len(_trainings(samples))),
        "samples_s": sum(map(_seconds, _distinct(samples))),
        "chosen": float(len(_trainings(chosen))),
        "post_search_s": sum(map(_seconds, _distinct(chosen))),
        "trainings": float(len(paid)),
        "trial_s": float(np.mean([_seconds(evaluation) for evaluation in paid])) if paid else np.nan,
    }


def found_terms(decided: Sequence[Evaluation], baseline: Architecture) -> dict[str, float]:
    """The best mAP, its latency, the hypervolume, and the lowest latency at the baseline's mAP."""
    complete = [evaluation for evaluation in decided if evaluation.state == "complete"]
    if not complete:
        return {}
    best = max(complete, key=lambda one: (one.metrics["map"], -one.metrics["latency_ms"]))
    terms = {"best_map": best.metrics["map"], "best_latency_ms": best.metrics["latency_ms"]}
    points = [(one.metrics["map"], one.metrics["latency_ratio"]) for one in complete if _has_ratio(one)]
    if points:
        terms["hypervolume"] = hypervolume(points, (0.0, WORST_RATIO), (True, False))
    own = next((one for one in complete if one.architecture == baseline), None)
    if own is not None:
        floor = own.metrics["map"]
        as_good = [one.metrics["latency_ms"] for one in complete if one.metrics["map"] >= floor]
        terms |= {"baseline_map": floor, "latency_at_baseline_map_ms": min(as_good)}
    return terms


def _has_ratio(evaluation: Evaluation) -> bool:
    return "latency_ratio" in evaluation.metrics


def _distinct(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """The longest evaluation of each architecture."""
    return list({one.key: one for one in sorted(evaluations, key=_seconds)}.values())


def _trainings(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    return [evaluation for evaluation in _distinct(evaluations) if _is_paid(evaluation)]


def _is_paid(evaluation: Evaluation) -> bool:
    """Whether a training was spent on it; one that missed the latency limit untrained was not trained."""
    return "map" in evaluation.metrics or evaluation.state == "failed"


def _seconds(evaluation: Evaluation) -> float:
    """Of the whole trial; of one from before that was written down, of its training."""
    return evaluation.metrics.get("trial_s", evaluation.metrics.get("train_s", 0.0))
