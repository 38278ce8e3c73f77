"""How far an accuracy moves by the training's seed, from trainings that were made twice."""

import math
from collections.abc import Iterable

from mlflow_nas.search.store import StudyStore
from mlflow_nas.types import TrialResult

__all__ = ["seed_noise", "seed_noise_of"]

_REPEAT = "nas.repeat."


def seed_noise_of(store: StudyStore, metric: str) -> float | None:
    """Standard deviation of a metric over seeds, by the second trainings of a study; None without any.

    Second trainings are those of `select`. They are as long as a trial's; a finalist's noise is taken to be
    the same.

    Args:
        store: the study.
        metric: its name.
    """
    first = {one.key: one for one in store.results()}
    repeats = [
        TrialResult.from_json(store.value(name))
        for name in store.study.user_attrs
        if name.startswith(_REPEAT)
    ]
    pairs = [
        (first[one.key].metrics[metric], one.metrics[metric])
        for one in repeats
        if one.key in first and metric in one.metrics and metric in first[one.key].metrics
    ]
    return seed_noise(pairs)


def seed_noise(pairs: Iterable[tuple[float, float]]) -> float | None:
    """Standard deviation of one training from pairs of trainings: the root of the mean of half their squares.

    Args:
        pairs: the metric of two trainings of one architecture.
    """
    squares = [(one - other) ** 2 / 2 for one, other in pairs]
    return math.sqrt(math.fsum(squares) / len(squares)) if squares else None
