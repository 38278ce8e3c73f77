"""Narrow a search space to the parameters that act on the bottleneck of a profile."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlflow_nas.space import Parameter, SearchSpace, narrow

__all__ = ["Focus", "ParameterShare", "focus", "most_covering"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterShare:
    """The modules that a parameter acts on, their share of the time, and whether the focused space has it."""

    name: str
    acts_on: tuple[str, ...]
    share: float
    free: bool
    choices: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Focus:
    """A space, narrowed to the parameters that act on the bottleneck.

    Attributes:
        space: its name.
        share: of the time, in modules that its parameters act on; parameters of the whole network are left
            out.
        size: architectures of the whole space.
        focused_size: architectures of the narrowed one.
        settings: the parameters that are fixed at the baseline's value, as NAME=VALUE.
        parameters: in the space's order.
    """

    space: str
    share: float
    size: int
    focused_size: int
    settings: tuple[str, ...]
    parameters: tuple[ParameterShare, ...]


def focus(space: SearchSpace, times_ms: Mapping[str, float], *, min_share: float) -> Focus:
    """Fix parameters that act on less than a share of the time at the baseline's value.

    Args:
        space: any space.
        times_ms: path of a module to the time of its own nodes; "" for nodes without a module.
        min_share: 0..1, of the time.
    """
    parameters = [
        _share_of(name, parameter, times_ms, min_share) for name, parameter in space.parameters.items()
    ]
    settings = tuple(f"{one.name}={space.baseline[one.name]}" for one in parameters if not one.free)
    prefixes = tuple(prefix for one in parameters for prefix in one.acts_on if prefix)
    return Focus(
        space=space.name,
        share=_share(prefixes, times_ms),
        size=space.size,
        focused_size=narrow(space, settings).size,
        settings=settings,
        parameters=tuple(parameters),
    )


def most_covering(found: Sequence[Focus]) -> Focus:
    """The space whose parameters act on most of the time; the smallest of equal ones."""
    return max(found, key=lambda one: (round(one.share, 6), -one.focused_size))


def _share_of(
    name: str, parameter: Parameter, times_ms: Mapping[str, float], min_share: float
) -> ParameterShare:
    share = _share(parameter.acts_on, times_ms)
    return ParameterShare(
        name=name,
        acts_on=parameter.acts_on,
        share=share,
        free=share >= min_share,
        choices=parameter.describe(),
    )


def _share(prefixes: Sequence[str], times_ms: Mapping[str, float]) -> float:
    """Share of the time in the modules below the prefixes."""
    below = sum(ms for module, ms in times_ms.items() if any(_is_below(module, one) for one in prefixes))
    return below / (sum(times_ms.values()) or 1.0)


def _is_below(module: str, prefix: str) -> bool:
    return prefix in ("", module) or module.startswith(f"{prefix}.")
