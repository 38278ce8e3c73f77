"""Fronts, tags and aliases of a registered model, from the measurements of its versions."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mlflow_nas.pareto import dominators, non_dominated
from mlflow_nas.registry.checks import disqualification, first_objective, invalid_figure, is_measured
from mlflow_nas.registry.holders import Goal, Version, choose_holders
from mlflow_nas.types import Objective

__all__ = [
    "DEFAULT_OBJECTIVES",
    "ROLES",
    "UNCOMPARED",
    "Change",
    "Plan",
    "Primary",
    "alias_names",
    "compared",
    "first_primary",
    "make_plan",
]

DEFAULT_OBJECTIVES = (Objective("map", "maximize"), Objective("latency_ms", "minimize"))

ROLES = ("champion", "fastest", "most-accurate", "knee")

UNCOMPARED: Mapping[str, str | None] = {"nas.pareto": None, "nas.front": None, "nas.dominated_by": None}
"""The tags of a version without a usable measurement: all removed."""


class Change(NamedTuple):
    """One write: a tag of a version, an alias, or a tag of the registered model; None is "absent".

    Attributes:
        kind: "tag", "alias" or "setting".
        name: of the tag or alias.
        version: that is written; 0 for a setting.
        before, after: its values.
        why: a phrase.
    """

    kind: str
    name: str
    version: int
    before: str | None
    after: str | None
    why: str = ""


class Primary(NamedTuple):
    """The board and data set whose front has the aliases without a suffix."""

    board: str
    dataset: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The wanted state.

    Attributes:
        tags: of each compared version.
        aliases: version of each alias that has a holder.
        front: members of the fronts that have aliases, the fastest first.
        unfit: version to why it may hold no alias.
        notes: why a board has no champion.
    """

    tags: Mapping[int, Mapping[str, str | None]]
    aliases: Mapping[str, int]
    front: tuple[int, ...]
    unfit: Mapping[int, str]
    notes: tuple[str, ...]


def alias_names(board: str | None) -> dict[str, str]:
    """Role to alias; with a board the alias ends in its name, in the characters that MLflow allows."""
    suffix = "" if board is None else "-" + re.sub(r"[^\w-]", "-", board)
    return {role: role + suffix for role in ROLES}


def compared(versions: Sequence[Version], objectives: Sequence[Objective]) -> list[Version]:
    """The versions that take part in a front: measured, with possible figures and a stable latency."""
    return [
        version
        for version in versions
        if is_measured(version.tags, objectives) and invalid_figure(version.tags, objectives) is None
    ]


def first_primary(versions: Sequence[Version]) -> Primary | None:
    """Board and data set of the first version; None without versions."""
    if not versions:
        return None
    first = min(versions, key=lambda version: version.number)
    return Primary(first.board, first.dataset)


def make_plan(
    versions: Sequence[Version],
    *,
    objectives: Sequence[Objective] = DEFAULT_OBJECTIVES,
    max_drop: float,
    speedup: float | None = None,
    max_latency_ms: float | None = None,
    board: str | None = None,
    dataset: str | None = None,
    primary: Primary | None = None,
) -> Plan:
    """Decide fronts, tags and aliases.

    Only versions of one board, data set and measurement protocol are compared. The aliases of a board belong
    to the primary data set where the board has versions of it, else to that of the board's first version; of
    several protocols to that of the newest version.

    Args:
        versions: of the model.
        objectives: of the fronts. The first maximized one is the accuracy, the first minimized one the cost
            by which "fastest" is meant.
        max_drop: without a speed goal the champion is the fastest version whose accuracy is at most this much
            below its reference's (tag `nas.reference_<objective>`).
        speedup: the champion is the most accurate version that is this many times as fast as the reference.
        max_latency_ms: the champion is the most accurate version that is not slower.
        board: the only board to decide about; None for all.
        dataset: the only data set to decide about; None for all.
        primary: whose front has the aliases without a suffix; None for the first version's.
    """
    usable = compared(versions, objectives)
    of_model = primary or first_primary(usable)
    goal = Goal(max_drop=max_drop, speedup=speedup, max_latency_ms=max_latency_ms)
    draft = _Draft(objectives, goal)
    draft.unfit |= _unfit(versions, objectives)
    for name in sorted({version.board for version in usable if board in (None, version.board)}):
        on_board = [version for version in usable if version.board == name]
        named = _named_group(on_board, of_model)
        for group in _comparable(on_board):
            if dataset in (None, group[0].dataset):
                draft.add(group, has_aliases=named in group, is_primary=_belongs(named, of_model))
    return draft.plan()


class _Draft:
    """A plan that grows group by group."""

    def __init__(self, objectives: Sequence[Objective], goal: Goal) -> None:
        self.objectives, self.goal = objectives, goal
        self.tags: dict[int, dict[str, str | None]] = {}
        self.aliases: dict[str, int] = {}
        self.front: list[int] = []
        self.unfit: dict[int, str] = {}
        self.notes: list[str] = []

    def add(self, group: Sequence[Version], *, has_aliases: bool, is_primary: bool) -> None:
        """Tag a comparable group and, where it has the aliases, name its holders."""
        front = _judge(group, self.objectives, self.tags)
        if not has_aliases:
            return
        self.front += [version.number for version in front]
        board = group[0].board
        holders = choose_holders(group, front, self.objectives, self.goal)
        if holders.without_champion:
            self.notes.append(f"{board}: {holders.without_champion}")
        for names in [alias_names(board), *([alias_names(None)] if is_primary else [])]:
            self.aliases |= {names[role]: holder.number for role, holder in holders.by_role.items()}

    def plan(self) -> Plan:
        """All of it."""
        return Plan(self.tags, self.aliases, tuple(self.front), self.unfit, tuple(self.notes))


def _unfit(versions: Sequence[Version], objectives: Sequence[Objective]) -> dict[int, str]:
    """Version to why it may hold no alias."""
    found = {
        version.number: "it is the reference"
        if version.role == "reference"
        else disqualification(version.tags, objectives)
        for version in versions
        if is_measured(version.tags, objectives)
    }
    return {number: why for number, why in found.items() if why is not None}


def _named_group(on_board: Sequence[Version], primary: Primary | None) -> Version:
    """The newest version of the group whose front has the board's aliases."""
    first = min(on_board, key=lambda version: version.number)
    datasets = {version.dataset for version in on_board}
    dataset = primary.dataset if primary and primary.dataset in datasets else first.dataset
    return max((one for one in on_board if one.dataset == dataset), key=lambda version: version.number)


def _belongs(version: Version, primary: Primary | None) -> bool:
    return primary == (version.board, version.dataset)


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
            "nas.pareto": "true" if member else None,
            "nas.front": front_name if member else None,
            "nas.dominated_by": None if member else str(group[int(winner)].number),
        }
    front = [version for version, member in zip(group, on_front, strict=True) if member]
    cost = first_objective(objectives, maximize=False)
    return sorted(front, key=lambda version: version.value(cost)) if cost else front
