"""Narrow a search space to the choices that save time on a board, measured on untrained weights."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mlflow_nas.errors import CandidateError
from mlflow_nas.space import Parameter, SearchSpace, Value, narrow
from mlflow_nas.types import Architecture

__all__ = ["Coverage", "Focus", "ParameterSaving", "coverage", "focus", "most_covering"]

Measure = Callable[[Architecture], float]
"""An architecture's latency, relative to the baseline's."""
Cost = Callable[[Architecture], float]
"""MACs of an architecture: which of several words are the ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """The time in modules that a space's parameters act on.

    Attributes:
        space: its name.
        share: of the time; parameters of the whole network are left out.
        size: architectures of the space.
    """

    space: str
    share: float
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterSaving:
    """What one parameter saves on a board, everything else as in the baseline.

    Attributes:
        name: of the parameter.
        acts_on: the modules that it changes.
        share: of the time in these modules.
        saving: share of the baseline's latency that its faster end saves; at most 0 where none does.
        at: the value of that end.
        free: whether the focused space has it as a choice.
        choices: its values as text.
    """

    name: str
    acts_on: tuple[str, ...]
    share: float
    saving: float
    at: Value
    free: bool
    choices: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Focus:
    """A space, narrowed to the choices that save time.

    Attributes:
        space: its name.
        share: of the time, in modules that its parameters act on.
        size: architectures of the whole space.
        focused_size: architectures of the narrowed one.
        settings: the parameters that are fixed at the baseline's value, as NAME=VALUE.
        parameters: the largest saving first.
    """

    space: str
    share: float
    size: int
    focused_size: int
    settings: tuple[str, ...]
    parameters: tuple[ParameterSaving, ...]


def coverage(space: SearchSpace, times_ms: Mapping[str, float]) -> Coverage:
    """The share of a profile's time that a space's parameters act on.

    Args:
        space: any space.
        times_ms: path of a module to the time of its own nodes; "" for nodes without a module.
    """
    prefixes = [prefix for one in space.parameters.values() for prefix in one.acts_on if prefix]
    return Coverage(space=space.name, share=_share(prefixes, times_ms), size=space.size)


def most_covering(found: Sequence[Coverage]) -> Coverage:
    """The space whose parameters act on most of the time; the smallest of equal ones."""
    return max(found, key=lambda one: (round(one.share, 6), -one.size))


def focus(
    space: SearchSpace,
    times_ms: Mapping[str, float],
    *,
    measure: Measure,
    cost: Cost,
    min_saving: float,
) -> Focus:
    """Fix the parameters that save less than a share of the latency at the baseline's value.

    Each parameter is measured alone, at both ends: the first and the last number, or the words with the
    fewest and the most MACs. An end that can't be built saves nothing.

    Args:
        space: any space.
        times_ms: as of `coverage`.
        measure: an architecture's latency, relative to the baseline's.
        cost: its MACs.
        min_saving: share of the baseline's latency.
    """
    parameters = [
        _saving_of(space, name, times_ms, measure=measure, cost=cost, min_saving=min_saving)
        for name in space.parameters
    ]
    settings = tuple(f"{one.name}={space.baseline[one.name]}" for one in parameters if not one.free)
    return Focus(
        space=space.name,
        share=coverage(space, times_ms).share,
        size=space.size,
        focused_size=narrow(space, settings).size,
        settings=settings,
        parameters=tuple(sorted(parameters, key=lambda one: -one.saving)),
    )


def _saving_of(
    space: SearchSpace,
    name: str,
    times_ms: Mapping[str, float],
    *,
    measure: Measure,
    cost: Cost,
    min_saving: float,
) -> ParameterSaving:
    parameter, own = space.parameters[name], space.baseline[name]
    saved: dict[Value, float] = {}
    for value in _ends(space, name, parameter, cost):
        if value == own:
            continue
        try:
            saved[value] = 1 - measure({**space.baseline, name: value})
        except CandidateError:
            continue
    at = max(saved, key=lambda value: saved[value]) if saved else parameter.read(str(own))
    saving = max(saved.values(), default=0.0)
    return ParameterSaving(
        name=name,
        acts_on=parameter.acts_on,
        share=_share(parameter.acts_on, times_ms),
        saving=saving,
        at=parameter.values[0] if at is None else at,
        free=saving >= min_saving,
        choices=parameter.describe(),
    )


def _ends(space: SearchSpace, name: str, parameter: Parameter, cost: Cost) -> tuple[Value, Value]:
    """Both ends of a parameter."""
    if not parameter.is_categorical:
        return parameter.values[0], parameter.values[-1]
    costs: dict[Value, float] = {}
    for value in parameter.values:
        try:
            costs[value] = cost({**space.baseline, name: value})
        except CandidateError:
            continue
    known = costs or dict.fromkeys(parameter.values, 0.0)
    return min(known, key=lambda value: known[value]), max(known, key=lambda value: known[value])


def _share(prefixes: Sequence[str], times_ms: Mapping[str, float]) -> float:
    """Share of the time in the modules below the prefixes."""
    below = sum(ms for module, ms in times_ms.items() if any(_is_below(module, one) for one in prefixes))
    return below / (sum(times_ms.values()) or 1.0)


def _is_below(module: str, prefix: str) -> bool:
    return prefix in ("", module) or module.startswith(f"{prefix}.")
