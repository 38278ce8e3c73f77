"""A random sample of the space, trained: the data that strategies are evaluated on."""

from collections.abc import Sequence
from itertools import islice

import numpy as np

from mlflow_nas.errors import ConfigError
from mlflow_nas.estimate.selection import Noise, noise_of
from mlflow_nas.search.estimation.candidates import draw_distinct
from mlflow_nas.search.estimation.study import Study, quality, total_seconds
from mlflow_nas.types import Architecture, TrialResult

__all__ = ["measure_noise", "train_samples"]


def train_samples(search: Study, count: int) -> list[TrialResult]:
    """Train architectures drawn at random until `count` of them have a quality.

    Trials of the study that were drawn at random count, and so do drawn architectures that are trained
    already. The draw follows from the seed: the same call continues it later.

    Args:
        search: the study, with the random sampler.
        count: number of samples.

    Returns:
        `count` results, those that were drawn before first.

    Raises:
        ConfigError: the space has fewer architectures that can be trained.
        BoardError: two hardware failures in a row.
    """
    space = search.context.space
    before = [result for result in search.drawn() if _is_measured(result, search)]
    drawn = draw_distinct(space, without={one.key for one in before}, seed=search.context.seed)
    wanted: list[Architecture] = [result.architecture for result in before][:count]
    found = before[:count]
    while len(found) < count:
        more = list(islice(drawn, count - len(found)))
        if not more:
            raise ConfigError(
                f"The space {space.name} has {len(found)} architectures that could be trained, fewer than "
                f"the {count} samples: lower --samples (select) or search.samples (search)."
            )
        wanted += more
        results = search.train(wanted, count=len(wanted))
        by_key = {result.key: result for result in results if _is_measured(result, search)}
        keys = [space.key(architecture) for architecture in wanted]
        found = [by_key[key] for key in keys if key in by_key]
    return found[:count]


def _is_measured(result: TrialResult, search: Study) -> bool:
    return search.context.objectives[0].name in result.metrics


def measure_noise(search: Study, samples: Sequence[TrialResult], count: int) -> tuple[Noise | None, float]:
    """Train the first samples again with another seed, each once per study, and compare.

    Args:
        search: the study.
        samples: trained already.
        count: of them are trained twice; one whose second training fails is left out.

    Returns:
        The noise of training, None when fewer than two were trained twice; seconds of the second trainings.

    Raises:
        BoardError: the board failed.
    """
    objective = search.context.objectives[0]
    twice = [(sample, search.repeat(sample)) for sample in samples[:count]]
    seconds = sum(total_seconds(again) for _, again in twice)
    values = [(quality(first, objective), quality(again, objective)) for first, again in twice]
    pairs = np.array([pair for pair in values if None not in pair], dtype=np.float64).reshape(-1, 2)
    return noise_of(pairs[:, 0], pairs[:, 1]), seconds
