"""What the registry should say, from what its versions were measured to be: values in, values out."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mlflow_nas.pareto import dominators, knee, non_dominated

__all__ = ["ROLES", "UNMEASURED", "Change", "Plan", "Version", "alias_names", "make_plan"]

MAXIMISE = (True, False)
"""Objectives: map up, latency_ms down."""

ROLES = ("champion", "fastest", "most-accurate", "knee")

UNMEASURED: Mapping[str, str | None] = {"nas.pareto": None, "nas.front": None, "nas.dominated_by": None}
"""The tags of a version that can't be compared: none of ours."""

ROUNDING = 1e-9
"""A map that misses the champion's bound by less has the last bits of a subtraction against it only."""


@dataclass(frozen=True, slots=True)
class Version:
    """A version of the registered model that was quantized and measured."""

    number: int
    tags: Mapping[str, str]

    @property
    def objectives(self) -> tuple[float, float]:
        """Map (0..1) and latency_ms."""
        return float(self.tags["map"]), float(self.tags["latency_ms"])

    @property
    def board(self) -> str:
        """Where its latency was measured."""
        return self.tags["nas.board"]

    @property
    def dataset(self) -> str:
        """What its mAP was measured on."""
        return self.tags["nas.dataset"]


class Change(NamedTuple):
    """One write: a tag of a version, or an alias; None is "absent"."""

    kind: str
    name: str
    version: int
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """The wanted state: the tags of each version, and the version of each alias; front members by latency."""

    tags: Mapping[int, Mapping[str, str | None]]
    aliases: Mapping[str, int]
    front: tuple[int, ...]


def alias_names(board: str | None) -> dict[str, str]:
    """Role to alias; with a board the alias ends in its name, in the letters that MLflow allows."""
    suffix = "" if board is None else "-" + re.sub(r"[^\w-]", "-", board)
    return {role: role + suffix for role in ROLES}


def make_plan(
    versions: Sequence[Version],
    *,
    max_map_drop: float,
    board: str | None = None,
    dataset: str | None = None,
) -> Plan:
    """Decide front, tags and aliases; versions of different boards or data sets are never compared.

    Args:
        versions: the measured ones.
        max_map_drop: the champion is the fastest version whose map is not below its baseline's by more.
        board: the only board to decide about; None for all.
        dataset: the data set whose fronts hold the aliases; None for that of each board's newest version,
            as on a board where the data set was not measured.
    """
    tags: dict[int, dict[str, str | None]] = {}
    aliases: dict[str, int] = {}
    fronts: list[Version] = []
    boards = sorted({version.board for version in versions})
    for each in [name for name in boards if board in (None, name)]:
        on_board = sorted((v for v in versions if v.board == each), key=lambda v: v.number)
        datasets = {version.dataset for version in on_board}
        shown = dataset if dataset in datasets else on_board[-1].dataset
        names = alias_names(each if len(boards) > 1 else None)
        for data in sorted(datasets):
            front = _judge([version for version in on_board if version.dataset == data], tags)
            if data == shown:
                fronts += front
                aliases |= {names[role]: v for role, v in _holders(front, max_map_drop).items()}
    return Plan(tags, aliases, tuple(version.number for version in fronts))


def _judge(group: Sequence[Version], tags: dict[int, dict[str, str | None]]) -> list[Version]:
    """Fill in the tags of one board's and data set's versions; returns the front, fastest first."""
    points = [version.objectives for version in group]
    on_front, winners = non_dominated(points, MAXIMISE), dominators(points, MAXIMISE)
    for version, member, winner in zip(group, on_front, winners, strict=True):
        tags[version.number] = {
            "nas.pareto": "true" if member else "false",
            "nas.front": f"{version.board}/{version.dataset}" if member else None,
            "nas.dominated_by": None if member else str(group[int(winner)].number),
        }
    front = [version for version, member in zip(group, on_front, strict=True) if member]
    return sorted(front, key=lambda version: (version.objectives[1], version.number))


def _holders(front: Sequence[Version], max_map_drop: float) -> dict[str, int]:
    """Role to version of one front, given fastest first; of equal versions the smallest number."""
    best = max(front, key=lambda version: (version.objectives[0], -version.number))
    good = [version for version in front if version.objectives[0] >= _least_map(version, max_map_drop)]
    bend = front[knee([version.objectives for version in front], MAXIMISE)]
    return {
        "champion": (good[0] if good else best).number,
        "fastest": front[0].number,
        "most-accurate": best.number,
        "knee": bend.number,
    }


def _least_map(version: Version, max_map_drop: float) -> float:
    """What a champion must reach; without a known baseline nothing can be promised."""
    baseline = version.tags.get("nas.baseline_map")
    return float("inf") if baseline is None else float(baseline) - max_map_drop - ROUNDING
