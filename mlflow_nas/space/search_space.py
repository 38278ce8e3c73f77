"""A search space: its parameters, the keys of its architectures, and their networks."""

import difflib
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor, nn

from mlflow_nas.errors import ConfigError
from mlflow_nas.space.parameter import Parameter, Value
from mlflow_nas.types import Architecture

__all__ = ["INPUT_SIZES", "Build", "SearchSpace", "Transfer", "input_size", "transfer_same"]

INPUT_SIZES = ("img_width", "img_height")
"""Parameters of the input's size, pixels; a space may have none of them, the width, or both."""

Build: TypeAlias = Callable[[Architecture, int], nn.Module]
"""Architecture and number of classes to a `networks.Network` with its first weights: random or pretrained."""

Transfer: TypeAlias = Callable[[Mapping[str, Tensor], Mapping[str, Tensor]], dict[str, Tensor]]
"""State of the seed network and of a fresh candidate to the candidate's first state."""


def transfer_same(seed: Mapping[str, Tensor], candidate: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The seed's tensors where name and shape are equal, the candidate's own elsewhere."""
    return {
        name: (seed[name] if name in seed and seed[name].shape == own.shape else own).clone()
        for name, own in candidate.items()
    }


def input_size(width: int, aspect: float) -> tuple[int, int]:
    """Height and width in pixels of an input with that aspect ratio; the height in steps of 4."""
    return max(4 * round(width / aspect / 4), 32), width


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpace:
    """Named parameters, the baseline that every candidate is compared with, and how networks are made.

    Attributes:
        name: the space's name, in the tag `nas.space`.
        parameters: name to parameter; the names are the keys of an architecture.
        baseline: the seed network's architecture; legal, also where a space is narrowed to other values.
        build: makes the network of a validated architecture.
        task: name of the task that the networks are trained for.
        transfer: initializes a candidate's weights from those of the trained baseline; None: every network
            is trained from its own first weights.
        trunk: path of the module that takes the images and may be frozen where all networks have the same;
            None for none.
        stem: path of the first layers, which may be frozen; None for none.
        caches_trunk: a frozen trunk gives maps [b, c, h, w], and nothing else of a network takes the images:
            its outputs are computed once.
        shufflenet_trunk: the trunk is torchvision's shufflenet_v2_x0_5 and starts from its ImageNet weights.
        float_modules: paths of modules that stay in float in the int8 file, beside all that follows the last
            weighted layers.
        img_width: the input's width in pixels where it is no parameter.

    Raises:
        ConfigError: a parameter or the baseline can't be used.
    """

    name: str
    parameters: Mapping[str, Parameter]
    baseline: Architecture
    build: Build
    task: str = "detection"
    transfer: Transfer | None = None
    trunk: str | None = None
    stem: str | None = None
    caches_trunk: bool = False
    shufflenet_trunk: bool = False
    float_modules: tuple[str, ...] = ()
    img_width: int = 320

    def __post_init__(self) -> None:
        shorts = [parameter.short for parameter in self.parameters.values()]
        for name, parameter in self.parameters.items():
            fault = parameter.fault()
            if fault is None and shorts.count(parameter.short) > 1:
                fault = f"its short name {parameter.short!r} is that of another one, too"
            if fault:
                raise ConfigError(f"The parameter {name} of the space {self.name} can't be used: {fault}.")
        self.validate(self.baseline)

    @property
    def size(self) -> int:
        """Number of architectures that a search may choose."""
        return math.prod(len(parameter.values) for parameter in self.parameters.values())

    def validate(self, architecture: Mapping[str, object]) -> dict[str, Value]:
        """Return the architecture with its keys in the space's order.

        Raises:
            ConfigError: a key is missing or unknown, or the network can't be built with a value.
        """
        self._check_names(architecture)
        valid: dict[str, Value] = {}
        for name, parameter in self.parameters.items():
            value = architecture[name]
            if isinstance(value, bool) or not isinstance(value, int | str) or value not in parameter.legal:
                raise ConfigError(
                    f"{name}={value!r} is not in the space {self.name}: choose one of "
                    f"{parameter.widened().describe()}."
                )
            valid[name] = value
        return valid

    def offers(self, architecture: Architecture) -> bool:
        """Whether a search may choose the architecture; a baseline may lie outside of a narrowed space."""
        return all(architecture[name] in parameter.values for name, parameter in self.parameters.items())

    def _check_names(self, architecture: Mapping[str, object]) -> None:
        for name in architecture:
            self.parameter(name)
        if missing := [name for name in self.parameters if name not in architecture]:
            raise ConfigError(
                f"The architecture lacks {', '.join(missing)} of the space {self.name}: give their values."
            )

    def parameter(self, name: str) -> Parameter:
        """The parameter of that name.

        Raises:
            ConfigError: there is none.
        """
        if name not in self.parameters:
            near = difflib.get_close_matches(name, self.parameters, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(self.parameters)}."
            raise ConfigError(f"The space {self.name} has no parameter {name!r}: {hint}")
        return self.parameters[name]

    def key(self, architecture: Architecture) -> str:
        """The architecture's stable name, such as "k3-g2-c48-w256"; independent of weights."""
        valid = self.validate(architecture)
        return "-".join(f"{self.parameters[name].short}{value}" for name, value in valid.items())

    def encode(self, architecture: Architecture) -> tuple[float, ...]:
        """The architecture as numbers, for models that predict from it: the same columns for every member."""
        valid = self.validate(architecture)
        return tuple(
            column for name, value in valid.items() for column in self.parameters[name].columns(value)
        )

    def draw(self, rng: random.Random) -> dict[str, Value]:
        """An architecture that a search may choose, each equally likely."""
        return {name: rng.choice(parameter.values) for name, parameter in self.parameters.items()}

    def mutate(self, architecture: Architecture, rng: random.Random) -> dict[str, Value]:
        """The architecture with one parameter changed to another value that a search may choose.

        It stays as it is where no parameter has two values.
        """
        mutated = self.validate(architecture)
        free = [
            name for name, parameter in self.parameters.items() if set(parameter.values) - {mutated[name]}
        ]
        if free:
            name = rng.choice(free)
            mutated[name] = rng.choice([one for one in self.parameters[name].values if one != mutated[name]])
        return mutated

    def width_of(self, architecture: Architecture) -> int:
        """The input's width in pixels."""
        return int(architecture.get("img_width", self.img_width))

    def input_size(self, architecture: Architecture, aspect: float = 1.0) -> tuple[int, int]:
        """Height and width of the input in pixels; without an `img_height` it follows the aspect ratio."""
        height, width = input_size(self.width_of(architecture), aspect)
        return int(architecture.get("img_height", height)), width

    def describe(self) -> str:
        """The choices as text, one parameter after the other."""
        return "; ".join(f"{name}: {parameter.describe()}" for name, parameter in self.parameters.items())
