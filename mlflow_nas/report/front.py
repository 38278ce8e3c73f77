"""Which evaluations nobody beats."""

from collections.abc import Sequence

from mlflow_nas.pareto import non_dominated
from mlflow_nas.types import Evaluation

__all__ = ["front_of", "point"]


def point(evaluation: Evaluation) -> tuple[float, float]:
    """Map (0..1) and latency_ms of a complete evaluation."""
    return evaluation.metrics["map"], evaluation.metrics["latency_ms"]


def front_of(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """The complete evaluations that no other dominates (map up, latency_ms down), fastest first."""
    complete = [evaluation for evaluation in evaluations if evaluation.state == "complete"]
    if not complete:
        return []
    on_front = non_dominated([point(evaluation) for evaluation in complete], (True, False))
    front = [evaluation for evaluation, member in zip(complete, on_front, strict=True) if member]
    return sorted(front, key=lambda evaluation: point(evaluation)[::-1])
