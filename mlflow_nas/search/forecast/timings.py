"""Measured durations of a study's parts: a training, the steps after it, a query of each strategy."""

import math
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mlflow_nas.errors import CandidateError
from mlflow_nas.estimate import STRATEGIES, Strategy, run_strategy, single_strategies
from mlflow_nas.search.estimation.inputs import SEEDS, scoring_inputs
from mlflow_nas.search.forecast.spans import Span, extrapolate
from mlflow_nas.train import fit_in_memory
from mlflow_nas.trial import StepCache, StudyContext, run_trial, supernet_steps, time_steps
from mlflow_nas.types import Architecture

__all__ = ["Timings", "measure_timings", "smallest", "time_training"]

STEPS = 4
"""Training steps of a measured epoch."""
LATER = 2
"""Measured epochs after the first ones."""


@dataclass(frozen=True, kw_only=True)
class Timings:
    """Durations on this machine and board, seconds.

    Attributes:
        train: of a trial's training, between the smallest network's and the baseline's.
        finish: of a training to the end.
        seed: of the seed network's training; 0 where the weights are given.
        steps: of the steps after a training, by name; `measure` is one latency.
        supernet_train: of the supernet's training, computed from the steps of a trial's.
        supernet_query: of one candidate's score by the supernet, computed likewise.
        queries: strategy to seconds per candidate, of those that need no trained samples.
    """

    train: Span
    finish: Span
    seed: Span
    steps: Mapping[str, float]
    supernet_train: Span
    supernet_query: Span
    queries: Mapping[str, float]

    @property
    def trial(self) -> Span:
        """A whole trial."""
        return self.train + Span.exactly(math.fsum(self.steps.values()))

    @property
    def finalist(self) -> Span:
        """A finalist: its training, and the steps after it."""
        return self.finish + Span.exactly(math.fsum(self.steps.values()))

    @property
    def latency_s(self) -> float:
        """One latency of a candidate that is not trained."""
        return math.fsum(self.steps[name] for name in ("export", "quantize", "measure") if name in self.steps)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Timings":
        """The timings read back from `as_json`."""
        spans = ("train", "finish", "seed", "supernet_train", "supernet_query")
        return cls(**{**plain, **{name: Span.from_json(plain[name]) for name in spans}})


@dataclass(slots=True)
class _Clock:
    """A listener: the seconds of each epoch."""

    epoch_s: list[float] = field(default_factory=list)
    _last: float = 0.0

    def step(self, name: str) -> None:  # noqa: ARG002 - of the protocol
        """A step begins."""
        self._last = time.perf_counter()

    def epoch(self, number: int, metrics: Mapping[str, float]) -> None:  # noqa: ARG002 - of the protocol
        """An epoch has ended."""
        now = time.perf_counter()
        self.epoch_s.append(now - self._last)
        self._last = now


def smallest(context: StudyContext) -> dict[str, Any]:
    """The architecture of the first number of every parameter; words are the baseline's."""
    space = context.space
    first = {name: one.values[0] for name, one in space.parameters.items() if not one.is_categorical}
    return {**space.baseline, **first}


def time_training(context: StudyContext, architecture: Architecture) -> tuple[Span, list[float]]:
    """Time the first epochs of a training on a part of the images, and extrapolate.

    Args:
        context: of the training.
        architecture: that is trained.

    Returns:
        The whole training, and the seconds of the measured epochs, of all images.

    Raises:
        CandidateError: it can't be trained; MachineError: this machine failed.
    """
    batches = math.ceil(len(context.train) / context.batch_size)
    share = min(STEPS / batches, 1.0)
    first = _first_epochs(context, architecture)
    clock = _Clock()
    with tempfile.TemporaryDirectory() as folder:
        part = replace(
            context,
            cache=StepCache(Path(folder)),
            train=context.train.part(context.train.records[: STEPS * context.batch_size]),
            val=context.val.part(_share_of(context.val.originals.records, share)),
            epochs=min(context.epochs, first + LATER),
        )
        result = run_trial(part, architecture, role="seed", listener=clock)
    if not clock.epoch_s:
        raise CandidateError(f"{result.key} can't be trained, so its time is unknown: {result.error}")
    whole = extrapolate(clock.epoch_s, epochs=context.epochs, first=first, share=share)
    return whole, [seconds / share for seconds in clock.epoch_s]


def _first_epochs(context: StudyContext, architecture: Architecture) -> int:
    """Epochs that compute a frozen backbone's features; 1 where none do."""
    copies = min(context.recipe.augmented_copies, context.epochs - 1)
    cached = context.recipe.freeze == "backbone" and fit_in_memory(
        context.build(architecture), context.data(architecture), augmented_copies=copies
    )
    return copies + 1 if cached else 1


def _share_of(records: tuple[Any, ...], share: float) -> tuple[Any, ...]:
    return records[: max(round(share * len(records)), 1)]


def measure_timings(context: StudyContext, *, finishing_epochs: int, seed_epochs: int) -> Timings:
    """Time the parts of a study, seconds to a minute.

    Args:
        context: of the study, with its seed network where that is given.
        finishing_epochs: of a training to the end.
        seed_epochs: of the seed network's training; 0 where there is none.

    Raises:
        CandidateError: the baseline or the smallest network can't be trained or measured.
        BoardError: the board failed; MachineError: this machine failed.
    """
    baseline, small = dict(context.space.baseline), smallest(context)
    large_train, large_s = time_training(context, baseline)
    small_train, small_s = time_training(context, small)
    finish, _ = time_training(context.finishing(finishing_epochs), baseline)
    seed = Span.exactly(0.0)
    if seed_epochs:
        seed, _ = time_training(replace(context.finishing(seed_epochs), weights=None), baseline)
    steps = time_steps(context, baseline)
    train, query = _supernet(context, [large_s, small_s], steps)
    return Timings(
        train=Span.between(large_train, small_train),
        finish=finish,
        seed=seed,
        steps=steps,
        supernet_train=train,
        supernet_query=query,
        queries=_queries(context),
    )


def _supernet(
    context: StudyContext, epochs_s: list[list[float]], steps: Mapping[str, float]
) -> tuple[Span, Span]:
    """The supernet's training and one of its scores.

    A step trains four networks: the largest, the smallest, two between. A score is two passes over the
    training images and one over the validation images in float, less where other candidates of its input size
    have computed the features.
    """
    batches = math.ceil(len(context.train) / context.batch_size)
    step = [Span(one[-1], min(one[1:] or one), max(one)).times(1 / batches) for one in epochs_s]
    train = (step[0] + step[1]).times(2 * supernet_steps(context))
    passes = Span.between(*(Span(one[0], one[-1], one[0]) for one in epochs_s)).times(2)
    views = steps["evaluate"] / 2
    return train, passes + Span(views, views / 2, 2 * views)


def _queries(context: StudyContext) -> dict[str, float]:
    """Seconds per candidate of the strategies that need neither samples, nor epochs, nor a supernet."""
    found: dict[str, float] = {}
    known: dict[str, float] = {}
    for strategy in STRATEGIES:
        if not {"samples", "epochs", "supernet"} & set(strategy.needs):
            parts = single_strategies([strategy])
            known |= {part.name: _query_s(context, part) for part in parts if part.name not in known}
            found[strategy.name] = math.fsum(known[part.name] for part in parts)
    return found


def _query_s(context: StudyContext, strategy: Strategy) -> float:
    """Of all weight seeds, from one; a strategy of shapes has one."""
    (inputs,) = scoring_inputs(context, [context.space.baseline], [strategy], seeds=SEEDS[:1])
    seeds = 1 if strategy.needs == ("model",) else len(SEEDS)
    return seeds * run_strategy(strategy, inputs).seconds
