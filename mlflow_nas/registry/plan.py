"""What the registry should say, from what its versions were measured to be: values in, values out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mlflow_nas.pareto import dominators, knee, non_dominated

__all__ = ["Change", "Plan", "Version", "make_plan"]

MAXIMISE = (True, False)
"""Objectives: map up, latency_ms down."""


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


def make_plan(versions: Sequence[Version], *, max_map_drop: float, dataset: str | None = None) -> Plan:
    """Decide front, tags and aliases; versions of different boards or data sets are never compared.

    Args:
        versions: the measured ones.
        max_map_drop: the champion is the fastest version whose map is not below its baseline's by more.
        dataset: the data set whose fronts hold the aliases; None for that of each board's newest version.
    """
    tags: dict[int, dict[str, str | None]] = {}
    aliases: dict[str, int] = {}
    fronts: list[Version] = []
    boards = sorted({version.board for version in versions})
    for board in boards:
        on_board = [version for version in versions if version.board == board]
        shown = dataset or max(on_board, key=lambda version: version.number).dataset
        for data in sorted({version.dataset for version in on_board}):
            group = sorted((v for v in on_board if v.dataset == data), key=lambda v: v.number)
            front = _judge(group, tags)
            if data == shown:
                fronts += front
                suffix = f"-{board}" if len(boards) > 1 else ""
                aliases |= {f"{name}{suffix}": v for name, v in _aliases(front, max_map_drop).items()}
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


def _aliases(front: Sequence[Version], max_map_drop: float) -> dict[str, int]:
    """Aliases of one front, given fastest first; of equal versions the smallest number."""
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
    return float("inf") if baseline is None else float(baseline) - max_map_drop
