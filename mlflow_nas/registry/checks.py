"""What the figures of a version must be: to be compared, to hold an alias, to be deployed."""

import math
from collections.abc import Mapping, Sequence

from mlflow_nas.types import Objective

__all__ = [
    "FLOOR",
    "disqualification",
    "finite_number",
    "first_objective",
    "invalid_figure",
    "is_measured",
    "objectives_of",
]

REFERENCE = "nas.reference_"
ACCURACY = "nas.accuracy"
"""The name of the version's accuracy; versions of earlier releases are detectors, without it."""
FLOOR = 0.5
"""Share of the reference's accuracy that an alias takes at least."""

Tags = Mapping[str, str]


def is_measured(tags: Tags, objectives: Sequence[Objective]) -> bool:
    """Whether a version is int8 and has a board, a data set and a finite value of each objective."""
    named = tags.get("nas.precision") == "int8" and tags.get("nas.board") and tags.get("nas.dataset")
    return bool(named) and all(finite_number(tags, objective.name) is not None for objective in objectives)


def invalid_figure(tags: Tags, objectives: Sequence[Objective]) -> str | None:
    """Why the figures are no measurement: no number, an accuracy outside 0..1, a cost of 0 or less, unstable.

    The first maximized objective is the accuracy; minimized ones are costs.
    """
    accuracy = first_objective(objectives, maximize=True)
    for objective in objectives:
        value = finite_number(tags, objective.name)
        if value is None:
            continue
        if objective == accuracy and not 0 <= value <= 1:
            return f"{objective.name} is {value:g}, an accuracy lies in 0..1"
        if not objective.maximize and value <= 0:
            return f"{objective.name} is {value:g}, a measured one is above 0"
    for name in ("speedup", *(f"{REFERENCE}{objective.name}" for objective in objectives)):
        if name in tags and finite_number(tags, name) is None:
            return f"{name} is {tags[name][:40]!r}, no finite number"
    if tags.get("nas.latency_unstable") == "true":
        return "its latency is unstable"
    return None


def disqualification(
    tags: Tags, objectives: Sequence[Objective], *, reference: float | None = None
) -> str | None:
    """Why a version may hold no alias and is not deployed; None for one that may.

    Args:
        tags: of the version.
        objectives: of its model.
        reference: the reference's accuracy where the version has no tag `nas.reference_<objective>`.
    """
    found = invalid_figure(tags, objectives)
    accuracy = first_objective(objectives, maximize=True)
    if found is not None or accuracy is None:
        return found
    value, known = finite_number(tags, accuracy.name), finite_number(tags, f"{REFERENCE}{accuracy.name}")
    bound = known if known is not None else reference
    if value is not None and bound is not None and value < FLOOR * bound:
        return f"{accuracy.name} is {value:.3g}, less than half of the reference's {bound:.3g}"
    return None


def objectives_of(tags: Tags) -> tuple[Objective, ...]:
    """The accuracies that a version has a reference of, else its own, and its latency."""
    accuracies = [name.removeprefix(REFERENCE) for name in sorted(tags) if name.startswith(REFERENCE)]
    named = [Objective(name, "maximize") for name in accuracies or [tags.get(ACCURACY, "map")]]
    return (*named, Objective("latency_ms", "minimize"))


def first_objective(objectives: Sequence[Objective], *, maximize: bool) -> Objective | None:
    """The first one of a direction: the accuracy is the first maximized, the cost the first minimized."""
    return next((objective for objective in objectives if objective.maximize is maximize), None)


def finite_number(tags: Tags, name: str) -> float | None:
    """The number of a tag; None without one, or where it is none."""
    try:
        value = float(tags[name])
    except (KeyError, ValueError):
        return None
    return value if math.isfinite(value) else None
