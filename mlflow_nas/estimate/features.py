"""Features of several architectures: the inputs of strategies, without the measured quality.

Shapes: n architectures, d numbers of the encoding, q numbers of a learning curve.
"""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray

from mlflow_nas.estimate.contract import Floats, Score, ScoringInputs, Strategy
from mlflow_nas.estimate.curves.early import curve_features
from mlflow_nas.estimate.network import complexity
from mlflow_nas.estimate.run import run_strategy
from mlflow_nas.estimate.strategies import STRATEGIES

__all__ = ["ZERO_COST", "ArchitectureFeatures", "compute_features", "empty", "single_strategies"]

ZERO_COST = tuple(row for row in STRATEGIES if row.family == "zero-cost" and row.score)
"""The scores of the feature set zero-cost."""


def empty(n: int) -> Floats:
    """Features [n, 0]."""
    return np.empty((n, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchitectureFeatures:
    """Features of n architectures, one row each.

    Attributes:
        encoding: the choices as numbers [n, d].
        complexity: log MACs and log parameters [n, 2], or [n, 0].
        scores: name to scores [n], higher is better, NaN is missing.
        zero_cost: names of the scores that belong to the feature set zero-cost.
        curve: the first epochs in numbers [n, q]; [n, 0] without.
        spreads: name to standard deviations over the weight seeds [n]; NaN where there is a single seed.
        seeds: number of weight seeds that a score averages.
        seconds: name to seconds per architecture; a name is missing when unknown.
        curve_s: seconds that the first epochs of one architecture take; None when unknown.
        supernet_s: seconds of the supernet's training; 0 without one.
    """

    encoding: Floats
    complexity: Floats
    scores: Mapping[str, Floats]
    zero_cost: tuple[str, ...]
    curve: Floats
    spreads: Mapping[str, Floats] = field(default_factory=dict)
    seeds: int = 1
    seconds: Mapping[str, float] = field(default_factory=dict)
    curve_s: float | None = None
    supernet_s: float = 0.0

    def __len__(self) -> int:
        return len(self.encoding)

    def take(self, rows: NDArray[np.intp]) -> "ArchitectureFeatures":
        """The architectures of these rows, in this order."""
        return replace(
            self,
            encoding=self.encoding[rows],
            complexity=self.complexity[rows],
            scores={name: values[rows] for name, values in self.scores.items()},
            curve=self.curve[rows],
            spreads={name: values[rows] for name, values in self.spreads.items()},
        )

    def joined(self, more: "ArchitectureFeatures") -> "ArchitectureFeatures":
        """These architectures, then more of them, with the same features."""
        share = len(more) / (len(self) + len(more))
        return replace(
            self,
            encoding=np.concatenate([self.encoding, more.encoding]),
            complexity=np.concatenate([self.complexity, more.complexity]),
            scores={name: np.concatenate([own, more.scores[name]]) for name, own in self.scores.items()},
            curve=np.concatenate([self.curve, more.curve]),
            spreads={name: np.concatenate([own, more.spreads[name]]) for name, own in self.spreads.items()},
            seconds={
                name: (1 - share) * own + share * more.seconds[name] for name, own in self.seconds.items()
            },
        )

    def columns(self, names: tuple[str, ...]) -> Floats:
        """Several scores side by side: [n, names]."""
        return np.stack([self.scores[name] for name in names], axis=1) if names else empty(len(self))


def single_strategies(strategies: Iterable[Strategy]) -> tuple[Strategy, ...]:
    """The strategies of a single architecture that these strategies are computed from, each once."""
    needed: dict[str, Strategy] = {}
    for strategy in strategies:
        ranked = ZERO_COST if "zero-cost" in strategy.features else ()
        own = (strategy,) if strategy.score or strategy.curve or strategy.one_shot else ()
        needed |= {row.name: row for row in chain(own, strategy.parts, ranked)}
    return tuple(needed.values())


def compute_features(
    inputs: Sequence[ScoringInputs],
    strategies: Sequence[Strategy],
    *,
    curve_s: float | None = None,
    supernet_s: float = 0.0,
    on_scored: Callable[[], None] = lambda: None,
) -> ArchitectureFeatures:
    """Compute the features that some strategies need.

    Args:
        inputs: one per architecture, all with the same weight seeds.
        strategies: rows of the table; features that none of them needs are not computed.
        curve_s: seconds that the first epochs of one architecture took, part of the strategies' cost.
        supernet_s: seconds of the supernet's training, likewise.
        on_scored: called after each architecture.
    """
    rows = single_strategies(strategies)
    kinds = {kind for strategy in strategies for kind in strategy.features}
    scored: list[list[Score]] = []
    sizes: list[Floats] = []
    for one in inputs:
        scored.append([run_strategy(row, one) for row in rows])
        sizes.append(_log_sizes(one) if "complexity" in kinds else np.empty(0))
        on_scored()
    by_row = dict(zip((row.name for row in rows), zip(*scored, strict=True), strict=True))
    return ArchitectureFeatures(
        encoding=np.array([one.encoding for one in inputs], dtype=np.float64),
        complexity=np.stack(sizes),
        scores={name: _with_nan([score.value for score in column]) for name, column in by_row.items()},
        zero_cost=tuple(row.name for row in ZERO_COST if row.name in by_row),
        curve=_curves(inputs) if "curve" in kinds else empty(len(inputs)),
        spreads={name: _with_nan([score.spread for score in column]) for name, column in by_row.items()},
        seeds=len(inputs[0].seeds),
        seconds={
            name: statistics.fmean(score.seconds for score in column) for name, column in by_row.items()
        },
        curve_s=curve_s,
        supernet_s=supernet_s,
    )


def _log_sizes(inputs: ScoringInputs) -> Floats:
    """Log of MACs and parameters."""
    with torch.random.fork_rng(devices=[]):
        counts = complexity(inputs.build(inputs.seeds[0]), inputs.img_size)
    return np.log([counts["macs"], counts["params"]])


def _curves(inputs: Sequence[ScoringInputs]) -> Floats:
    """Features of the learning curves [n, q], all cut to the shortest; q is 0 when one has no epoch."""
    epochs = min(len(one.history) for one in inputs)
    return np.stack([curve_features(one.history[:epochs]) for one in inputs])


def _with_nan(values: Sequence[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values])
