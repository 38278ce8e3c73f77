"""A plan as text."""

from collections.abc import Mapping
from typing import Any

from mlflow_nas.api import PlanResult
from mlflow_nas.cli.formats.table import format_table

__all__ = ["format_plan"]


def format_plan(result: PlanResult) -> str:
    """What was measured, the ways through the search, the recommended one and its command."""
    timings = result.timings
    parts = {
        "a trial": _span(timings["trial"]),
        "of it the training": _span(timings["train"]),
        "one latency": _duration(timings["steps"]["measure"]),
        "a training to the end": _span(timings["finish"]),
        "the supernet's training": _span(timings["supernet_train"]),
        "one candidate by the supernet": _span(timings["supernet_query"]),
    }
    queries = sorted(timings["queries"].items(), key=lambda one: one[1])
    narrowed = f", narrowed by {' '.join(result.choices)}" if result.choices else ""
    recommended = next(one for one in result.routes if one["name"] == result.recommended)
    return "\n".join(
        [
            f"Space {result.space}: {result.size:,} architectures{narrowed}.",
            "\nMeasured on this machine and board, extrapolated from a few steps:",
            format_table([{"part": name, "time": time} for name, time in parts.items()]),
            "\nSeconds a candidate: " + ", ".join(f"{name} {seconds:.3g}" for name, seconds in queries),
            f"\nWithin {_duration(result.budget_s)}:",
            format_table([_route(one, result.recommended) for one in result.routes]),
            f"\nRecommended: {result.recommended}, since {result.because}; {recommended['because']}.",
            f"Search it: {result.command}",
            f"Run {result.run_id}",
        ]
    )


def _span(plain: Mapping[str, float]) -> str:
    from mlflow_nas.search.forecast import Span

    return str(Span.from_json(plain))


def _duration(seconds: float) -> str:
    from mlflow_nas.search.forecast import format_duration

    return format_duration(seconds)


def _route(one: Mapping[str, Any], recommended: str) -> dict[str, Any]:
    return {
        "": "*" if one["name"] == recommended else "",
        "way": one["name"],
        "estimator": one["estimator"],
        "sampler": one["sampler"],
        "candidates": one["candidates"] or None,
        "trials": one["trials"],
        "time": _span(one["seconds"]),
        "fits": "yes" if one["fits"] else "no",
    }
