"""A search space as data: what can be chosen, how large it is, and the names of its members."""

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mlflow_nas.errors import ConfigError
from mlflow_nas.types import Architecture, Choice

__all__ = ["Parameter", "SearchSpace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One choice of a space.

    Attributes:
        short: the letter that stands for it in an architecture's key.
        values: every legal value, in ascending order.
        encode: value to the number that models see.
    """

    short: str
    values: tuple[int, ...]
    encode: Callable[[int], float]

    @property
    def step(self) -> int | None:
        """Distance of neighbours when more than two values are evenly spaced, else None."""
        steps = {after - before for before, after in zip(self.values, self.values[1:], strict=False)}
        return steps.pop() if len(steps) == 1 and len(self.values) > 2 else None

    def describe(self) -> str:
        """The legal values in words, such as "24..96 step 8"."""
        if self.step is None:
            return ", ".join(map(str, self.values))
        return f"{self.values[0]}..{self.values[-1]} step {self.step}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpace:
    """Named parameters and the baseline that every candidate is compared with.

    Attributes:
        name: the space's name, in the tag `nas.space`.
        parameters: name to parameter; the names are the keys of an architecture.
        baseline: the seed network's architecture.
    """

    name: str
    parameters: Mapping[str, Parameter]
    baseline: Architecture

    @property
    def size(self) -> int:
        """How many architectures the space holds."""
        return math.prod(len(parameter.values) for parameter in self.parameters.values())

    def validate(self, architecture: Mapping[str, object]) -> dict[str, Choice]:
        """Return the architecture with its keys in the space's order.

        Raises:
            ConfigError: a key is missing or unknown, or a value is not one of the space's.
        """
        self._check_names(architecture)
        for name, parameter in self.parameters.items():
            value = architecture[name]
            if isinstance(value, bool) or not isinstance(value, int) or value not in parameter.values:
                raise ConfigError(
                    f"{name}={value!r} is not in the space {self.name}: choose one of {parameter.describe()}."
                )
        return {name: int(str(architecture[name])) for name in self.parameters}

    def _check_names(self, architecture: Mapping[str, object]) -> None:
        for name in architecture:
            if name not in self.parameters:
                near = difflib.get_close_matches(name, self.parameters, n=1)
                hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(self.parameters)}."
                raise ConfigError(f"The space {self.name} has no parameter {name!r}: {hint}")
        if missing := [name for name in self.parameters if name not in architecture]:
            raise ConfigError(f"The architecture lacks {', '.join(missing)} of the space {self.name}.")

    def key(self, architecture: Architecture) -> str:
        """The architecture's stable name, such as "k3-g2-c48-w256"; weights play no part in it."""
        valid = self.validate(architecture)
        return "-".join(f"{self.parameters[name].short}{value}" for name, value in valid.items())

    def encode(self, architecture: Architecture) -> tuple[float, ...]:
        """The architecture as one number per parameter, for models that predict from it."""
        valid = self.validate(architecture)
        return tuple(self.parameters[name].encode(int(value)) for name, value in valid.items())
