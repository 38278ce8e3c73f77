"""What a search optimizes, and what it limits: metrics by name."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Direction", "Limit", "Objective"]

Direction: TypeAlias = Literal["maximize", "minimize"]


@dataclass(frozen=True, slots=True)
class Objective:
    """What a search optimizes: the name of a metric and whether more of it is better."""

    name: str
    direction: Direction

    @property
    def maximize(self) -> bool:
        """Whether more is better."""
        return self.direction == "maximize"


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound on a metric, such as `params<=2e5`."""

    metric: str
    operator: Literal["<=", ">="]
    bound: float

    def __str__(self) -> str:
        return f"{self.metric}{self.operator}{self.bound:g}"

    def violation(self, value: float) -> float:
        """How far a value is beyond the bound; feasible when <= 0, as Optuna's constraints are."""
        return value - self.bound if self.operator == "<=" else self.bound - value
