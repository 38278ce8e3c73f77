"""The selection of an estimation strategy on a study of ours."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from mlflow_nas.estimate import Chooser, Facts, Measured, gather
from mlflow_nas.estimate.selection import SelectionResult
from mlflow_nas.search.probes import PICTURES, SEEDS, make_probes
from mlflow_nas.search.samples import measure_noise, train_samples
from mlflow_nas.search.study import Search
from mlflow_nas.types import Evaluation

__all__ = ["StudySelection"]


@dataclass(kw_only=True)
class StudySelection:
    """Trains what is missing, scores it, and asks the chooser; what was scored once is remembered.

    Attributes:
        search: the study, with the random sampler.
        chooser: its strategies, limits and bootstrap.
        repeats: samples that are trained twice, for the noise ceiling.
        early_epochs: that learning-curve strategies may see.
        pictures: that zero-cost scores see.
        seeds: of the weights that they are averaged over.
        on_sample: told the key of each sample that is scored.
    """

    search: Search
    chooser: Chooser
    repeats: int
    early_epochs: int
    pictures: int = PICTURES
    seeds: tuple[int, ...] = SEEDS
    on_sample: Callable[[str], None] = lambda _key: None
    _facts: Facts | None = field(default=None, init=False)

    def run(self, samples: int, *, sequential: bool = False) -> SelectionResult:
        """Choose a strategy, or refuse to.

        Raises:
            ConfigError: the space is too small, or all samples have one mAP.
            BoardError: two hardware failures in a row; RegistryError: MLflow does not answer.
        """
        return self.chooser.choose(self._measure, samples=samples, sequential=sequential)

    def _measure(self, size: int) -> Measured:
        samples = train_samples(self.search, size)
        noise = measure_noise(self.search, samples, self.repeats)
        facts = self._score(samples)
        target = np.array([sample.metrics["map"] for sample in samples])
        return Measured(facts, target, facts, noise, budget_s=sum(map(_seconds, samples)))

    def _score(self, samples: Sequence[Evaluation]) -> Facts:
        """What is known of the samples; those of the smaller sizes before are not scored again."""
        new = samples[len(self._facts) if self._facts is not None else 0 :]
        if new:
            histories = [self.search.book.curve(sample)[: self.early_epochs] for sample in new]
            probes = make_probes(
                self.search.bench,
                [sample.architecture for sample in new],
                self.chooser.strategies,
                histories=histories,
                pictures=self.pictures,
                seeds=self.seeds,
            )
            waiting = iter(new)
            facts = gather(
                probes,
                self.chooser.strategies,
                curve_s=self._curve_s(samples),
                on_probe=lambda: self.on_sample(next(waiting).key),
            )
            self._facts = facts if self._facts is None else self._facts.joined(facts)
        if self._facts is None:
            raise AssertionError(samples)  # a sample has eight architectures at least
        return self._facts

    def _curve_s(self, samples: Sequence[Evaluation]) -> float:
        """Seconds that the first epochs of one training take."""
        train_s = float(np.mean([sample.metrics["train_s"] for sample in samples]))
        return train_s * min(self.early_epochs / self.search.bench.epochs, 1.0)


def _seconds(sample: Evaluation) -> float:
    """Of the whole trial; of one from before that was written down, of its training."""
    return sample.metrics.get("trial_s", sample.metrics["train_s"])
