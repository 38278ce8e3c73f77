"""From networks to facts: every score that some strategies need, of several architectures."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from itertools import chain

import numpy as np
import torch

from mlflow_nas.estimate.complexity import complexity
from mlflow_nas.estimate.contract import Floats, Probe, Score, Strategy
from mlflow_nas.estimate.curves.numbers import curve_numbers
from mlflow_nas.estimate.facts import Facts, nothing
from mlflow_nas.estimate.run import run_strategy
from mlflow_nas.estimate.strategies import STRATEGIES

__all__ = ["gather", "single_strategies"]


ZERO_COST = tuple(row for row in STRATEGIES if row.family == "zero-cost" and row.score)
"""What the feature set zero-cost holds."""


def single_strategies(strategies: Iterable[Strategy]) -> tuple[Strategy, ...]:
    """The strategies that score one architecture and that these ones are made of, each once."""
    needed: dict[str, Strategy] = {}
    for strategy in strategies:
        ranked = ZERO_COST if "zero-cost" in strategy.features else ()
        own = (strategy,) if strategy.score or strategy.curve else ()
        needed |= {row.name: row for row in chain(own, strategy.parts, ranked)}
    return tuple(needed.values())


def gather(
    probes: Sequence[Probe],
    strategies: Sequence[Strategy],
    *,
    curve_s: float | None = None,
    on_probe: Callable[[], None] = lambda: None,
) -> Facts:
    """Run what the strategies need on each architecture.

    Args:
        probes: one per architecture, all with the same weight seeds.
        strategies: rows of the table; nothing is computed that none of them needs.
        curve_s: seconds that the first epochs of one architecture took, for the strategies' cost.
        on_probe: called after each architecture.
    """
    rows = single_strategies(strategies)
    kinds = {kind for strategy in strategies for kind in strategy.features}
    answers: list[list[Score]] = []
    sizes: list[Floats] = []
    for probe in probes:
        answers.append([run_strategy(row, probe) for row in rows])
        sizes.append(_sizes(probe) if "complexity" in kinds else np.empty(0))
        on_probe()
    by_row = dict(zip((row.name for row in rows), zip(*answers, strict=True), strict=True))
    return Facts(
        encoding=np.array([probe.encoding for probe in probes], dtype=np.float64),
        complexity=np.stack(sizes),
        scores={name: _numbers([score.value for score in column]) for name, column in by_row.items()},
        zero_cost=tuple(row.name for row in ZERO_COST if row.name in by_row),
        curve=_curves(probes) if "curve" in kinds else nothing(len(probes)),
        spreads={name: _numbers([score.spread for score in column]) for name, column in by_row.items()},
        seeds=len(probes[0].seeds),
        seconds={
            name: statistics.fmean(score.seconds for score in column) for name, column in by_row.items()
        },
        curve_s=curve_s,
    )


def _sizes(probe: Probe) -> Floats:
    """Log of MACs and parameters."""
    with torch.random.fork_rng(devices=[]):
        counts = complexity(probe.build(probe.seeds[0]), probe.img_size)
    return np.log([counts["macs"], counts["params"]])


def _curves(probes: Sequence[Probe]) -> Floats:
    """The learning curves in numbers, all cut to the shortest; without columns when there is none."""
    epochs = min(len(probe.history) for probe in probes)
    return np.stack([curve_numbers(probe.history[:epochs]) for probe in probes])


def _numbers(values: Sequence[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values])
