"""One choice of a search space: its legal values and their encoding."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

__all__ = ["Parameter", "Value"]

Value: TypeAlias = int | str

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One choice of a space.

    Attributes:
        short: its letters in an architecture's key.
        values: what a search may choose: whole numbers in ascending order, or words.
        encode: number to the feature of predictors; words become one column each (one-hot).
        acts_on: the modules that it changes, as prefixes of module paths; "" is the whole network.
        legal: every value that the network can be built with, where a space is narrowed to fewer.
    """

    short: str
    values: tuple[Value, ...]
    encode: Callable[[int], float] = float
    acts_on: tuple[str, ...] = ("",)
    legal: tuple[Value, ...] = ()

    def __post_init__(self) -> None:
        if not self.legal:
            object.__setattr__(self, "legal", self.values)

    @property
    def is_categorical(self) -> bool:
        """Whether the values are words."""
        return isinstance(self.legal[0], str)

    @property
    def step(self) -> int | None:
        """Distance of neighbours when more than two values are evenly spaced numbers, else None."""
        numbers = [value for value in self.values if isinstance(value, int)]
        steps = {after - before for before, after in pairwise(numbers)}
        return steps.pop() if len(steps) == 1 and len(numbers) > 2 else None

    def describe(self) -> str:
        """The values as text, such as "24..96 step 8"."""
        if self.step is None:
            return ", ".join(map(str, self.values))
        return f"{self.values[0]}..{self.values[-1]} step {self.step}"

    def widened(self) -> "Parameter":
        """The parameter with every legal value."""
        return replace(self, values=self.legal)

    def columns(self, value: Value) -> tuple[float, ...]:
        """Features of a legal value: a number, or one column per legal word."""
        if isinstance(value, str):
            return tuple(float(value == word) for word in self.legal)
        return (self.encode(value),)

    def read(self, text: str) -> Value | None:
        """The legal value of a text; None when there is none."""
        return next((value for value in self.legal if str(value) == text), None)

    def fault(self) -> str | None:
        """Why the parameter can't be used; None when it can."""
        if not _WORD.fullmatch(self.short):
            return f"its short name {self.short!r} is not a word of letters and digits"
        if not self.values or len(set(self.values)) != len(self.values):
            return f"its values {self.values} are none, or hold one twice"
        if all(isinstance(value, str) for value in self.values):
            wrong = [value for value in self.values if not _WORD.fullmatch(str(value))]
            return (
                f"{wrong[0]!r} is not a word of letters, digits and _ that begins with a letter"
                if wrong
                else None
            )
        if any(isinstance(value, bool) or not isinstance(value, int) for value in self.values):
            return f"its values {self.values} are not all whole numbers or all words"
        if self.short[-1].isdigit():
            return f"its short name {self.short!r} ends in a digit, before the value: end it in a letter"
        ascends = all(int(before) < int(after) for before, after in pairwise(self.values))
        return None if ascends else f"its values {self.values} don't ascend"
