"""From where the time goes to the choices that act there: a search space focused on the bottleneck."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlflow_nas.space import Parameter, SearchSpace, narrow

__all__ = ["Acting", "Focus", "focus", "most_covering"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Acting:
    """What one parameter acts on: its share of the time, and whether the focused space leaves it free."""

    name: str
    acts_on: tuple[str, ...]
    share: float
    free: bool
    choices: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Focus:
    """A space and its part that acts on the bottleneck.

    Attributes:
        space: its name.
        share: of the time, in modules that any of its parameters names; one that acts on the whole network
            names none.
        size: architectures of the whole space.
        focused_size: architectures of the narrowed one.
        settings: `--set` of what is held at the baseline's value.
        parameters: in the space's order.
    """

    space: str
    share: float
    size: int
    focused_size: int
    settings: tuple[str, ...]
    parameters: tuple[Acting, ...]


def focus(space: SearchSpace, times_ms: Mapping[str, float], *, min_share: float) -> Focus:
    """Hold at the baseline's value what acts on less than a share of the time.

    Args:
        space: any space whose parameters say what they act on.
        times_ms: path of a module to the time of its own nodes; "" for nodes of no module.
        min_share: 0..1, of the time.
    """
    parameters = [
        _acting(name, parameter, times_ms, min_share) for name, parameter in space.parameters.items()
    ]
    settings = tuple(f"{one.name}={space.baseline[one.name]}" for one in parameters if not one.free)
    named = tuple(prefix for one in parameters for prefix in one.acts_on if prefix)
    return Focus(
        space=space.name,
        share=_share(named, times_ms),
        size=space.size,
        focused_size=narrow(space, settings).size,
        settings=settings,
        parameters=tuple(parameters),
    )


def most_covering(found: Sequence[Focus]) -> Focus:
    """The space that names most of the time; of equal ones the smallest."""
    return max(found, key=lambda one: (round(one.share, 6), -one.focused_size))


def _acting(name: str, parameter: Parameter, times_ms: Mapping[str, float], min_share: float) -> Acting:
    share = _share(parameter.acts_on, times_ms)
    return Acting(
        name=name,
        acts_on=parameter.acts_on,
        share=share,
        free=share >= min_share,
        choices=parameter.describe(),
    )


def _share(prefixes: Sequence[str], times_ms: Mapping[str, float]) -> float:
    """Of all the time that of the modules below the prefixes."""
    acted = sum(ms for module, ms in times_ms.items() if any(_is_below(module, one) for one in prefixes))
    return acted / (sum(times_ms.values()) or 1.0)


def _is_below(module: str, prefix: str) -> bool:
    return prefix in ("", module) or module.startswith(f"{prefix}.")
