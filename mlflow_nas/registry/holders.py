"""Which version of a board, data set and protocol holds which alias."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from mlflow_nas.pareto import knee, non_dominated
from mlflow_nas.registry.checks import REFERENCE, disqualification, finite_number, first_objective
from mlflow_nas.types import Objective

__all__ = ["Goal", "Holders", "Version", "choose_holders", "format_figures"]

ROUNDING = 1e-9
"""Tolerance of the champion's bound: the last bits of a subtraction do not count."""


@dataclass(frozen=True, slots=True)
class Version:
    """A version of the registered model with its tags."""

    number: int
    tags: Mapping[str, str]
    run_id: str | None = None

    def value(self, objective: Objective) -> float:
        """The measured value of an objective; KeyError or ValueError without one."""
        return float(self.tags[objective.name])

    def figure(self, name: str) -> float | None:
        """A number among the tags; None without one."""
        return finite_number(self.tags, name)

    @property
    def board(self) -> str:
        """The board of its latency."""
        return self.tags["nas.board"]

    @property
    def dataset(self) -> str:
        """The data set of its accuracy."""
        return self.tags["nas.dataset"]

    @property
    def protocol(self) -> str:
        """Digest of the measurement's protocol; "" for a version without one."""
        return self.tags.get("nas.protocol", "")

    @property
    def role(self) -> str:
        """Why it was evaluated; "reference" is the detector that the user had."""
        return self.tags.get("nas.role", "trial")


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What a champion must reach.

    Attributes:
        max_drop: without a speed goal: the largest drop of the accuracy below the reference's.
        speedup: the reference's latency over the champion's, at least; None for no such goal.
        max_latency_ms: the champion's `latency_ms`, at most; None for no such goal.
    """

    max_drop: float = 0.01
    speedup: float | None = None
    max_latency_ms: float | None = None

    @property
    def is_about_speed(self) -> bool:
        """Whether the champion is the most accurate one that is fast enough."""
        return self.speedup is not None or self.max_latency_ms is not None

    def is_met(self, version: Version) -> bool:
        """Whether a version is fast enough; False without the figure."""
        speedup, latency_ms = version.figure("speedup"), version.figure("latency_ms")
        fast = self.speedup is None or (speedup is not None and speedup >= self.speedup - ROUNDING)
        short = self.max_latency_ms is None or (
            latency_ms is not None and latency_ms <= self.max_latency_ms + ROUNDING
        )
        return fast and short

    def __str__(self) -> str:
        bounds = {"speedup >=": self.speedup, "latency_ms <=": self.max_latency_ms}
        return " and ".join(f"{name} {bound:g}" for name, bound in bounds.items() if bound is not None)

    def as_text(self) -> str:
        """JSON, for a tag of the registered model."""
        return json.dumps({name: value for name, value in asdict(self).items() if value is not None})


@dataclass(frozen=True, slots=True)
class Holders:
    """Role to version; why there is no champion, "" where there is one."""

    by_role: Mapping[str, Version]
    without_champion: str


def choose_holders(
    group: Sequence[Version], front: Sequence[Version], objectives: Sequence[Objective], goal: Goal
) -> Holders:
    """The holders of a comparable group; of equal versions the smallest number.

    A reference holds no alias, nor does a version that `disqualification` names.

    Args:
        group: versions of one board, data set and protocol, by number.
        front: its Pareto front, the fastest first.
        objectives: of the front.
        goal: of the champion.
    """
    choice = _Choice(group, objectives, goal)
    fit = [version for version in front if choice.may_hold(version)]
    found: dict[str, Version] = {}
    if fit:
        points = [[version.value(objective) for objective in objectives] for version in fit]
        found["knee"] = fit[knee(points, choice.directions)]
        if choice.cost is not None:
            found["fastest"] = fit[0]
        if best := _best(fit, choice.accuracy):
            found["most-accurate"] = best
    candidates = choice.candidates()
    champion = choice.champion(candidates)
    if champion is not None:
        return Holders({**found, "champion": champion}, "")
    return Holders(found, choice.why_none(candidates))


def format_figures(version: Version, objectives: Sequence[Objective]) -> str:
    """Its objectives and its speed-up: "map 0.512, latency_ms 3.2, speedup 1.7"."""
    names = dict.fromkeys([*(objective.name for objective in objectives), "speedup"])
    figures = {name: version.figure(name) for name in names}
    return ", ".join(f"{name} {value:.3g}" for name, value in figures.items() if value is not None)


class _Choice:
    """A comparable group with the rules for its champion."""

    def __init__(self, group: Sequence[Version], objectives: Sequence[Objective], goal: Goal) -> None:
        self.group, self.objectives, self.goal = group, objectives, goal
        self.directions = tuple(objective.maximize for objective in objectives)
        self.accuracy = first_objective(objectives, maximize=True)
        self.cost = first_objective(objectives, maximize=False)
        self.references = [version for version in group if version.role == "reference"]

    def reference_of(self, version: Version) -> float | None:
        """The reference's accuracy: of the version's tag, else of the group's reference."""
        if self.accuracy is None:
            return None
        tagged = version.figure(f"{REFERENCE}{self.accuracy.name}")
        if tagged is None and self.references:
            return self.references[0].value(self.accuracy)
        return tagged

    def may_hold(self, version: Version) -> bool:
        """Whether a version may hold an alias."""
        refused = disqualification(version.tags, self.objectives, reference=self.reference_of(version))
        return version.role != "reference" and refused is None

    def candidates(self) -> list[Version]:
        """Finalists where there are any; faster than the reference, and not dominated by it or each other."""
        finalists = [version for version in self.group if version.role == "finalist"]
        able = [version for version in finalists or self.group if self.may_hold(version)]
        pool = [version for version in able if (version.figure("speedup") or math.inf) > 1]
        if not pool:
            return []
        rivals = [*pool, *self.references]
        points = [[version.value(objective) for objective in self.objectives] for version in rivals]
        on_front = non_dominated(points, self.directions)[: len(pool)]
        return [version for version, member in zip(pool, on_front, strict=True) if member]

    def champion(self, candidates: Sequence[Version]) -> Version | None:
        """The most accurate candidate that is fast enough, or the fastest that is accurate enough."""
        if self.goal.is_about_speed:
            return _best([one for one in candidates if self.goal.is_met(one)], self.accuracy or self.cost)
        if self.accuracy is None or self.cost is None:
            return _best(candidates, self.accuracy or self.cost)
        return _best([one for one in candidates if self._keeps_accuracy(one)], self.cost)

    def _keeps_accuracy(self, version: Version) -> bool:
        """Whether it is accurate enough, and not slower than the reference where that is known."""
        reference, speedup = self.reference_of(version), version.figure("speedup")
        if reference is None or self.accuracy is None or (speedup is not None and speedup < 1):
            return False
        return version.value(self.accuracy) >= reference - self.goal.max_drop - ROUNDING

    def why_none(self, candidates: Sequence[Version]) -> str:
        """A sentence with the nearest candidate and its figures."""
        wanted = str(self.goal)
        if not wanted and self.accuracy is not None:
            wanted = f"the reference's {self.accuracy.name} less max_drop {self.goal.max_drop:g}"
        nearest = _best(candidates, self.cost if self.goal.is_about_speed else self.accuracy)
        if nearest is None:
            return f"No version reaches {wanted}: each is refused, or not faster than the reference."
        reference = self.reference_of(nearest)
        beside = "" if reference is None else f"; the reference has {reference:.3g}"
        return (
            f"No version reaches {wanted}: the nearest is version {nearest.number} "
            f"({format_figures(nearest, self.objectives)}{beside})."
        )


def _best(versions: Sequence[Version], objective: Objective | None) -> Version | None:
    """The best by one objective; of equal ones the smallest number."""
    if not versions or objective is None:
        return None
    sign = -1 if objective.maximize else 1
    return min(versions, key=lambda version: (sign * version.value(objective), version.number))
