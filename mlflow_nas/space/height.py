"""The input's height as a further choice of a space, and the space that a command's settings describe."""

import math
import re
from collections.abc import Sequence
from dataclasses import replace

from mlflow_nas.space.catalogue import load_space
from mlflow_nas.space.narrow import narrow
from mlflow_nas.space.parameter import Parameter
from mlflow_nas.space.search_space import SearchSpace

__all__ = ["open_space", "with_height"]

_HEIGHT = "img_height"
_SHORT = "ht"
_NAMES_HEIGHT = re.compile(rf"{_HEIGHT}\s*=|-{_SHORT}\d+$")
_SMALLEST, _LARGEST, _STEP = 32, 1024, 4


def open_space(
    name: str, choices: Sequence[str] = (), *, aspect: float = 1.0, arch: str | None = None
) -> SearchSpace:
    """The space of that name with the choices that were given.

    A choice of `img_height`, or an architecture with a height, adds that parameter.

    Args:
        name: of a built-in space, or FILE.py:NAME.
        choices: such as ("channels=24..64:8", "img_height=192..320:32").
        aspect: width / height of the baseline's input.
        arch: an architecture as text, or its key; None for none.

    Raises:
        ConfigError: there is no such space, or a choice is not legal.
    """
    space = load_space(name)
    wanted = any(choice.partition("=")[0].strip() == _HEIGHT for choice in choices if "=" in choice)
    if arch is not None:
        wanted = wanted or bool(_NAMES_HEIGHT.search(arch))
    return narrow(with_height(space, aspect=aspect) if wanted else space, choices)


def with_height(space: SearchSpace, *, aspect: float = 1.0) -> SearchSpace:
    """The space with the parameter `img_height`, multiples of 4 pixels; one that has it is unchanged.

    Keys of the space without it stay as they are: theirs have no height.

    Args:
        space: any.
        aspect: width / height of the baseline's input.
    """
    if _HEIGHT in space.parameters:
        return space
    height = Parameter(
        short=_SHORT, values=tuple(range(_SMALLEST, _LARGEST + 1, _STEP)), encode=math.log, acts_on=("",)
    )
    return replace(
        space,
        parameters={**space.parameters, _HEIGHT: height},
        baseline={**space.baseline, _HEIGHT: space.input_size(space.baseline, aspect)[0]},
    )
