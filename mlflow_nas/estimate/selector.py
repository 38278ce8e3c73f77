"""Selection of a strategy: on all samples, or sequentially on as few as suffice."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.estimate.contract import Floats, Strategy
from mlflow_nas.estimate.evidence import evidence_of, evidence_of_score
from mlflow_nas.estimate.features import ArchitectureFeatures
from mlflow_nas.estimate.predict import missing_input
from mlflow_nas.estimate.selection import (
    Evidence,
    Limits,
    Noise,
    SelectionResult,
    noise_of,
    select_strategy,
)
from mlflow_nas.estimate.strategies import STRATEGIES
from mlflow_nas.estimate.table import MeasuredTable, family_of

__all__ = ["SelectionData", "StrategySelector", "select_from_table", "stages"]

FIRST, STEP = 20, 5
"""A sequential selection begins with 20 samples and adds five at a time."""
INTERIM_DRAWS = 2_000
CERTAIN = 0.9
"""When one strategy wins this share of the draws, more samples would not change the selection."""


class SelectionData(NamedTuple):
    """The data of a selection.

    Attributes:
        sample: features of n architectures.
        target: their measured quality [n].
        pool: unlabelled architectures that ranks refer to.
        noise: of training, from architectures that were trained twice; None without.
        scores: names of scores that are evaluated as they are, beside the strategies.
        budget_s: seconds for scoring candidates when the limits name none; None for no bound.
    """

    sample: ArchitectureFeatures
    target: Floats
    pool: ArchitectureFeatures
    noise: Noise | None = None
    scores: tuple[str, ...] = ()
    budget_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class StrategySelector:
    """Settings of a selection.

    Attributes:
        strategies: the rows to evaluate.
        limits: that the selected strategy satisfies.
        draws: of the bootstrap.
        seed: of the bootstrap.
        on_strategy: called with the name of each strategy before it is evaluated.
    """

    strategies: Sequence[Strategy] = STRATEGIES
    limits: Limits = field(default_factory=Limits)
    draws: int = 10_000
    seed: int = 0
    on_strategy: Callable[[str], None] = lambda _name: None

    def select(
        self, measure: Callable[[int], SelectionData], *, samples: int, sequential: bool = False
    ) -> SelectionResult:
        """Evaluate the strategies and select one, or none.

        A sequential selection stops at the first size at which a strategy is selected or wins 90 % of the
        draws. Stopping early biases the winner's tau a little; the result is corrected for the choice among
        the strategies of the last sample only.

        Args:
            measure: number of samples to the data of that size; it may train.
            samples: the largest number.
            sequential: begin with 20.

        Raises:
            ConfigError: too few samples, or a constant target.
        """
        for size in stages(samples, sequential=sequential):
            data = measure(size)
            evidence = self._evaluate(data)
            if size == samples or self._is_enough(evidence, data):
                return self._decide(evidence, data, self.draws)
        raise AssertionError(samples)  # the last stage returns

    def _evaluate(self, data: SelectionData) -> list[Evidence]:
        sample, target = data.sample, data.target
        evidence = [
            evidence_of_score(name, family_of(name), sample.scores[name], query_s=sample.seconds.get(name))
            for name in data.scores
        ]
        for strategy in self.strategies:
            self.on_strategy(strategy.name)
            evidence.append(evidence_of(strategy, sample, target, pool=data.pool))
        return evidence

    def _decide(self, evidence: Sequence[Evidence], data: SelectionData, draws: int) -> SelectionResult:
        return select_strategy(
            evidence,
            data.target,
            noise=data.noise,
            limits=replace(self.limits, budget_s=self.limits.budget_s or data.budget_s),
            draws=draws,
            seed=self.seed,
        )

    def _is_enough(self, evidence: Sequence[Evidence], data: SelectionData) -> bool:
        found = self._decide(evidence, data, min(self.draws, INTERIM_DRAWS))
        return found.selected is not None or max(r.probability_best for r in found.strategies) >= CERTAIN


def stages(samples: int, *, sequential: bool) -> list[int]:
    """Sample sizes of a selection: the last one alone, or 20, 25 and so on up to it."""
    return [*(range(FIRST, samples, STEP) if sequential else ()), samples]


def select_from_table(
    table: MeasuredTable, selector: StrategySelector, *, samples: int, seed: int, sequential: bool = False
) -> SelectionResult:
    """Select a strategy on rows of a table; all its rows are the unlabelled pool.

    A strategy of ours is evaluated when the table has its features and no score of its name.

    Args:
        table: of measured architectures.
        selector: its strategies, limits and bootstrap.
        samples: number of rows that are used.
        seed: of their draw.
        sequential: begin with 20 rows.

    Raises:
        ConfigError: the table has fewer measured rows, no strategy is computable, or the target is constant.
    """
    drawn = table.sample(samples, seed=seed)
    features = table.features
    scores = tuple(features.scores)
    computable = [
        row
        for row in selector.strategies
        if (row.fit or row.aggregate) and row.name not in scores and missing_input(row, features) is None
    ]

    def measure(size: int) -> SelectionData:
        rows = drawn[:size]
        return SelectionData(features.take(rows), table.target[rows], features, _noise(table, rows), scores)

    return replace(selector, strategies=computable).select(measure, samples=samples, sequential=sequential)


def _noise(table: MeasuredTable, rows: NDArray[np.intp]) -> Noise | None:
    """The noise of training, from the rows that were trained twice."""
    if table.again is None:
        return None
    first, second = table.target[rows], table.again[rows]
    twice = ~np.isnan(second)
    return noise_of(first[twice], second[twice])
