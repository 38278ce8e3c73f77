"""From what is known of measured architectures to a choice: of all samples, or of as few as suffice."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.estimate.contract import Floats, Strategy
from mlflow_nas.estimate.evidence import evidence_of, evidence_of_score
from mlflow_nas.estimate.facts import Facts
from mlflow_nas.estimate.features import lacks
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

__all__ = ["Chooser", "Measured", "choose_from_table", "stages"]

FIRST, STEP = 20, 5
"""A sequential selection looks at 20 samples, then at five more each time."""
PEEK_DRAWS = 2_000
CERTAIN = 0.9
"""One strategy wins this share of the draws: more samples would not change the choice."""


class Measured(NamedTuple):
    """What a choice is made by.

    Attributes:
        sample: what is known of n architectures.
        target: their measured quality [n].
        pool: unlabelled architectures that ranks refer to.
        noise: of training, from architectures that were trained twice; None without.
        scores: scores of the facts that are judged as they are, beside the strategies.
        budget_s: seconds that scoring candidates may take where the limits name none; None for any.
    """

    sample: Facts
    target: Floats
    pool: Facts
    noise: Noise | None = None
    scores: tuple[str, ...] = ()
    budget_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Chooser:
    """How a choice is made.

    Attributes:
        strategies: the rows that are judged.
        limits: what they must keep to be chosen.
        draws: of the bootstrap.
        seed: of the bootstrap.
        on_strategy: told the name of each strategy before it is judged.
    """

    strategies: Sequence[Strategy] = STRATEGIES
    limits: Limits = field(default_factory=Limits)
    draws: int = 10_000
    seed: int = 0
    on_strategy: Callable[[str], None] = lambda _name: None

    def choose(
        self, measure: Callable[[int], Measured], *, samples: int, sequential: bool = False
    ) -> SelectionResult:
        """Judge the strategies and choose one, or refuse to.

        A sequential choice stops at the first size at which something is selected, or one strategy wins 90 %
        of the draws. Stopping where it looks good flatters the winner a little; what is reported is the
        correction of the last sample alone.

        Args:
            measure: number of samples to what is known and measured of them; it may train.
            samples: how many, at most.
            sequential: begin with 20.

        Raises:
            ConfigError: too few samples, or a target that ranks nothing.
        """
        for size in stages(samples, sequential=sequential):
            measured = measure(size)
            evidence = self._judge(measured)
            if size < samples and not self._is_enough(evidence, measured):
                continue
            return self._decide(evidence, measured, self.draws)
        raise AssertionError(samples)  # the last stage returns

    def _judge(self, measured: Measured) -> list[Evidence]:
        sample, target = measured.sample, measured.target
        evidence = [
            evidence_of_score(name, family_of(name), sample.scores[name], query_s=sample.seconds.get(name))
            for name in measured.scores
        ]
        for strategy in self.strategies:
            self.on_strategy(strategy.name)
            evidence.append(evidence_of(strategy, sample, target, pool=measured.pool))
        return evidence

    def _decide(self, evidence: Sequence[Evidence], measured: Measured, draws: int) -> SelectionResult:
        return select_strategy(
            evidence,
            measured.target,
            noise=measured.noise,
            limits=replace(self.limits, budget_s=self.limits.budget_s or measured.budget_s),
            draws=draws,
            seed=self.seed,
        )

    def _is_enough(self, evidence: Sequence[Evidence], measured: Measured) -> bool:
        found = self._decide(evidence, measured, min(self.draws, PEEK_DRAWS))
        return found.selected is not None or max(r.probability_best for r in found.strategies) >= CERTAIN


def stages(samples: int, *, sequential: bool) -> list[int]:
    """The sizes at which a selection looks: the last one alone, or 20, 25 and so on up to it."""
    return [*(range(FIRST, samples, STEP) if sequential else ()), samples]


def choose_from_table(
    table: MeasuredTable, chooser: Chooser, *, samples: int, seed: int, sequential: bool = False
) -> SelectionResult:
    """Choose on rows of a table; all its rows are the unlabelled pool.

    A strategy of ours takes part when the table holds what it needs and no score of its name.

    Args:
        table: what was measured already.
        chooser: its strategies, limits and bootstrap.
        samples: rows to judge by.
        seed: of their draw.
        sequential: begin with 20 rows.

    Raises:
        ConfigError: the table has fewer measured rows, no strategy can be judged, or all rows are of one
            quality.
    """
    drawn = table.sample(samples, seed=seed)
    facts = table.facts
    scores = tuple(facts.scores)
    able = [
        row
        for row in chooser.strategies
        if (row.fit or row.aggregate) and row.name not in scores and lacks(row, facts) is None
    ]

    def measure(size: int) -> Measured:
        rows = drawn[:size]
        return Measured(facts.take(rows), table.target[rows], facts, _noise(table, rows), scores)

    return replace(chooser, strategies=able).choose(measure, samples=samples, sequential=sequential)


def _noise(table: MeasuredTable, rows: NDArray[np.intp]) -> Noise | None:
    """The noise of training, from the rows that were trained twice."""
    if table.again is None:
        return None
    first, second = table.target[rows], table.again[rows]
    twice = ~np.isnan(second)
    return noise_of(first[twice], second[twice])
