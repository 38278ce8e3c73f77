"""The trials that workers evaluate: proposals of the sampler, or a list of architectures."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from mlflow_nas.search.claims import Choose
from mlflow_nas.search.store import StudyStore
from mlflow_nas.space import SearchSpace
from mlflow_nas.types import Architecture

__all__ = ["Plan"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The trials to evaluate, as plain values that can be sent to workers in other processes.

    Attributes:
        limit: trials of the study, the baseline and failed ones included.
        wanted: architectures in the order in which they are evaluated; None for the sampler's proposals.
        count: number of `wanted` that are trained: an architecture that violates a limit before its training
            does not count, and the next one follows.
        chosen_by: the strategy that made the list; None for the sampler and for a random draw.
        random: whether the architectures are a random sample of the space.
    """

    limit: int
    wanted: tuple[Architecture, ...] | None = None
    count: int = 0
    chosen_by: str | None = None
    random: bool = False

    @property
    def origin(self) -> dict[str, Any]:
        """What chooses new trials, as their attribute stores it."""
        return {"chosen_by": self.chosen_by, "random": self.random}

    def choose(self, store: StudyStore, space: SearchSpace) -> Choose | None:
        """How new trials are chosen; None for the sampler."""
        if self.wanted is None:
            return None
        wanted = {space.key(one): one for one in self.wanted}
        return lambda known: self._following(store, wanted, known)

    def _following(
        self, store: StudyStore, wanted: Mapping[str, Architecture], known: Collection[str]
    ) -> Architecture | None:
        untrained = {one.key for one in store.results() if one.state == "infeasible" and not one.history}
        trained = 0
        for key, architecture in wanted.items():
            if trained == self.count:
                return None
            if key not in known:
                return architecture
            trained += key not in untrained
        return None
