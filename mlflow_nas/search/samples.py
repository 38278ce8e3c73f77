"""A fair sample of the space, trained: what estimates are judged by."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from mlflow_nas.errors import CandidateError, ConfigError
from mlflow_nas.estimate.selection import Noise, noise_of
from mlflow_nas.search.candidates import draw_distinct
from mlflow_nas.search.seed import with_seed_network
from mlflow_nas.search.study import Search
from mlflow_nas.search.trial import Candidate, evaluate_candidate, failed_evaluation
from mlflow_nas.types import Architecture, Evaluation

__all__ = ["measure_noise", "train_samples"]


def train_samples(search: Search, count: int) -> list[Evaluation]:
    """Train architectures drawn at random until so many have a mAP.

    Trials of the study that chance chose count, and so does what happens to be drawn and is trained
    already. The draw follows from the seed: the same call later goes on where it was.

    Args:
        search: the study, with the random sampler.
        count: how many are wanted.

    Returns:
        So many evaluations, those that chance had chosen before first.

    Raises:
        ConfigError: the space has fewer architectures that can be trained.
        BoardError: two hardware failures in a row; RegistryError: MLflow does not answer.
    """
    before = [evaluation for evaluation in search.book.drawn() if _is_measured(evaluation)]
    keys = {evaluation.key for evaluation in before}
    drawn = draw_distinct(search.bench.space, without=keys, seed=search.bench.seed)
    wanted: list[Architecture] = [evaluation.architecture for evaluation in before][:count]
    found = before[:count]
    evaluations = search.resume()
    while len(found) < count:
        more = list(islice(drawn, count - len(found)))
        if not more:
            raise ConfigError(
                f"The space {search.bench.space.name} has {len(found)} architectures that could be trained, "
                f"--samples {count} are more: ask for fewer."
            )
        wanted += more
        evaluations = search.train(wanted, count=len(wanted))
        found = _measured_of(search, wanted, evaluations)
    return found[:count]


def _measured_of(
    search: Search, wanted: Sequence[Architecture], evaluations: Sequence[Evaluation]
) -> list[Evaluation]:
    """The evaluations of these architectures that have a mAP, in their order."""
    by_key = {evaluation.key: evaluation for evaluation in evaluations if _is_measured(evaluation)}
    keys = [search.bench.space.key(architecture) for architecture in wanted]
    return [by_key[key] for key in keys if key in by_key]


def _is_measured(evaluation: Evaluation) -> bool:
    return "map" in evaluation.metrics


def measure_noise(search: Search, samples: Sequence[Evaluation], count: int) -> Noise | None:
    """Train the first samples again with another seed, each once per study, and compare.

    Args:
        search: the study.
        samples: trained already.
        count: of them are trained twice; one whose second training fails is left out.

    Returns:
        The noise of training; None when fewer than two were trained twice.

    Raises:
        BoardError: the board failed; RegistryError: MLflow does not answer.
    """
    known = {evaluation.key: evaluation for evaluation in search.book.repeats()}
    pairs = []
    for sample in samples[:count]:
        again = known.get(sample.key)
        if again is None:
            again = _repeat(search, sample)
        if _is_measured(again):
            pairs.append((sample.metrics["map"], again.metrics["map"]))
    if not pairs:
        return None
    first, second = np.array(pairs).T
    return noise_of(first, second)


def _repeat(search: Search, sample: Evaluation) -> Evaluation:
    """The second training of a sample, in a run of its own."""
    bench = with_seed_network(
        search.bench, search.book, epochs=search.seed_epochs, on_step=search.progress.step
    )
    bench = replace(bench, seed=bench.seed + 1, folder=bench.folder / "again")
    run_id = search.book.start_repeat(sample.number, sample.key)
    search.progress.step(f"again {sample.key}")
    candidate = Candidate(architecture=sample.architecture, bench=bench, number=sample.number, run_id=run_id)
    try:
        evaluation = evaluate_candidate(candidate, on_step=search.progress.step)
    except CandidateError as error:
        evaluation = failed_evaluation(candidate, error)
    except BaseException:  # the board's fault, or a key: the same command does it again
        search.book.interrupt(run_id)
        raise
    search.book.finish(evaluation)
    return evaluation
