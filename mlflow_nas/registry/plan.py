"""Fronts, tags and aliases of a registered model, from the measurements of its versions."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mlflow_nas.pareto import dominators, knee, non_dominated
from mlflow_nas.types import Objective

__all__ = [
    "DEFAULT_OBJECTIVES",
    "ROLES",
    "UNMEASURED",
    "Change",
    "Plan",
    "Version",
    "alias_names",
    "make_plan",
]

DEFAULT_OBJECTIVES = (Objective("map", "maximize"), Objective("latency_ms", "minimize"))

ROLES = ("champion", "fastest", "most-accurate", "knee")

UNMEASURED: Mapping[str, str | None] = {"nas.pareto": None, "nas.front": None, "nas.dominated_by": None}
"""The tags of a version without measurement: all removed."""

ROUNDING = 1e-9
"""Tolerance of the champion's bound: the last bits of a subtraction do not count."""


@dataclass(frozen=True, slots=True)
class Version:
    """A version of the registered model with its tags."""

    number: int
    tags: Mapping[str, str]

    def value(self, objective: Objective) -> float:
        """The measured value of an objective; KeyError or ValueError without one."""
        return float(self.tags[objective.name])

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


class Change(NamedTuple):
    """One write: a tag of a version, or an alias; None is "absent"."""

    kind: str
    name: str
    version: int
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """The wanted state: tags of each version, version of each alias, and the members of the named fronts."""

    tags: Mapping[int, Mapping[str, str | None]]
    aliases: Mapping[str, int]
    front: tuple[int, ...]


def alias_names(board: str | None) -> dict[str, str]:
    """Role to alias; with a board the alias ends in its name, in the characters that MLflow allows."""
    suffix = "" if board is None else "-" + re.sub(r"[^\w-]", "-", board)
    return {role: role + suffix for role in ROLES}


def make_plan(
    versions: Sequence[Version],
    *,
    objectives: Sequence[Objective] = DEFAULT_OBJECTIVES,
    max_drop: float,
    board: str | None = None,
    dataset: str | None = None,
) -> Plan:
    """Decide front, tags and aliases.

    Only versions of one board, data set and measurement protocol are compared.

    Args:
        versions: the measured ones.
        objectives: of the fronts. The first maximized one is the accuracy, the first minimized one the cost
            by which "fastest" is meant.
        max_drop: the champion is the fastest version whose accuracy is at most this much below its
            reference's (tag `nas.reference_<objective>`).
        board: the only board to decide about; None for all.
        dataset: the data set whose fronts have the aliases; None for that of each board's newest version,
            which is also used on boards without measurements on the data set.
    """
    tags: dict[int, dict[str, str | None]] = {}
    aliases: dict[str, int] = {}
    named: list[Version] = []
    boards = sorted({version.board for version in versions})
    for each in [name for name in boards if board in (None, name)]:
        on_board = [version for version in versions if version.board == each]
        chosen = [version for version in on_board if version.dataset == dataset] or on_board
        newest = max(chosen, key=lambda version: version.number)
        names = alias_names(each if len(boards) > 1 else None)
        for group in _comparable(on_board):
            front = _judge(group, objectives, tags)
            if newest in group:
                named += front
                holders = _holders(front, objectives, max_drop)
                aliases |= {names[role]: holder.number for role, holder in holders.items()}
    return Plan(tags, aliases, tuple(version.number for version in named))


def _comparable(versions: Sequence[Version]) -> list[list[Version]]:
    """One board's versions by data set and protocol, each group by number."""
    groups: dict[tuple[str, str], list[Version]] = {}
    for version in sorted(versions, key=lambda version: version.number):
        groups.setdefault((version.dataset, version.protocol), []).append(version)
    return [groups[key] for key in sorted(groups)]


def _judge(
    group: Sequence[Version], objectives: Sequence[Objective], tags: dict[int, dict[str, str | None]]
) -> list[Version]:
    """Fill in the tags of a comparable group; returns its front, fastest first."""
    points = [[version.value(objective) for objective in objectives] for version in group]
    maximize = tuple(objective.maximize for objective in objectives)
    on_front, winners = non_dominated(points, maximize), dominators(points, maximize)
    front_name = "/".join(filter(None, (group[0].board, group[0].dataset, group[0].protocol)))
    for version, member, winner in zip(group, on_front, winners, strict=True):
        tags[version.number] = {
            "nas.pareto": "true" if member else "false",
            "nas.front": front_name if member else None,
            "nas.dominated_by": None if member else str(group[int(winner)].number),
        }
    front = [version for version, member in zip(group, on_front, strict=True) if member]
    cost = _first(objectives, maximize=False)
    return sorted(front, key=lambda version: version.value(cost)) if cost else front


def _first(objectives: Sequence[Objective], *, maximize: bool) -> Objective | None:
    return next((objective for objective in objectives if objective.maximize is maximize), None)


def _holders(
    front: Sequence[Version], objectives: Sequence[Objective], max_drop: float
) -> dict[str, Version]:
    """Role to version of one front, given fastest first; of equal versions the smallest number."""
    accuracy, cost = _first(objectives, maximize=True), _first(objectives, maximize=False)
    points = [[version.value(objective) for objective in objectives] for version in front]
    holders = {"knee": front[knee(points, tuple(objective.maximize for objective in objectives))]}
    if cost is not None:
        holders["champion"] = holders["fastest"] = front[0]
    if accuracy is not None:
        best = max(front, key=lambda version: (version.value(accuracy), -version.number))
        good = [version for version in front if _reaches(version, accuracy, max_drop)] if cost else []
        holders |= {"most-accurate": best, "champion": good[0] if good else best}
    return holders


def _reaches(version: Version, accuracy: Objective, max_drop: float) -> bool:
    """Whether the accuracy is within the drop of its reference's; False without a known reference."""
    reference = version.tags.get(f"nas.reference_{accuracy.name}")
    return reference is not None and version.value(accuracy) >= float(reference) - max_drop - ROUNDING
