"""Pareto front of a list of results."""

from collections.abc import Sequence

from mlflow_nas.pareto import non_dominated
from mlflow_nas.types import Objective, TrialResult

__all__ = ["front_of", "is_measured"]


def is_measured(result: TrialResult, objectives: Sequence[Objective]) -> bool:
    """Whether the result has a value of every objective."""
    return all(objective.name in result.metrics for objective in objectives)


def front_of(results: Sequence[TrialResult], objectives: Sequence[Objective]) -> list[TrialResult]:
    """The complete results that no other dominates, best of the last objective first.

    Args:
        results: any; those that are not complete, or lack an objective, are left out.
        objectives: one at least.
    """
    complete = [one for one in results if one.state == "complete" and is_measured(one, objectives)]
    if not complete:
        return []
    points = [[one.metrics[objective.name] for objective in objectives] for one in complete]
    on_front = non_dominated(points, tuple(objective.maximize for objective in objectives))
    front = [one for one, member in zip(complete, on_front, strict=True) if member]
    signs = [(objective.name, -1 if objective.maximize else 1) for objective in reversed(objectives)]
    return sorted(front, key=lambda one: [sign * one.metrics[name] for name, sign in signs])
