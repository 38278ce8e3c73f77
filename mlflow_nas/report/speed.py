"""Whether the board was as fast in one trial as in the next."""

from collections.abc import Sequence

from mlflow_nas.types import Evaluation

__all__ = ["speed_warning"]

STEADY = 1.2
"""A larger factor between the baseline's times is the board's doing."""


def speed_warning(evaluations: Sequence[Evaluation]) -> str:
    """A sentence where the board's speed changed between trials, so that their milliseconds don't compare.

    Each measurement of a latency is steady in itself then; the baseline, timed in turn with every candidate,
    gives the change away, and the ratio to it leaves it out.

    Returns:
        Bounds and remedy; empty where the speed stayed the same.
    """
    name = "baseline_latency_ms"
    times = [evaluation.metrics[name] for evaluation in evaluations if name in evaluation.metrics]
    if not times or max(times) <= STEADY * min(times):
        return ""
    return (
        f"The board's speed changed between trials: the baseline, timed in turn with each candidate, took "
        f"{min(times):.2f} to {max(times):.2f} ms. Trials compare by latency_ratio, not by latency_ms, which "
        "the front is made of: fix the board's clock or quieten it, and search anew."
    )
