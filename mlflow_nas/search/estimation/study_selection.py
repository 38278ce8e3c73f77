"""The selection of an estimation strategy on the samples of a study."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from mlflow_nas.estimate import ArchitectureFeatures, SelectionData, StrategySelector, compute_features
from mlflow_nas.estimate.selection import SelectionResult
from mlflow_nas.search.estimation.inputs import IMAGES, SEEDS, learning_curve, scoring_inputs
from mlflow_nas.search.estimation.samples import measure_noise, train_samples
from mlflow_nas.search.estimation.study import Study, quality, total_seconds
from mlflow_nas.types import TrialResult

__all__ = ["SELECTION_SECONDS", "SELECTION_SUPERNET", "StudySelection"]

SELECTION_SECONDS = "estimation/selection_s"
"""Key in the study's storage: seconds of its last selection, second trainings and supernet included."""
SELECTION_SUPERNET = "estimation/selection_supernet_s"
"""Key likewise: the seconds of these that trained the supernet."""


@dataclass(kw_only=True)
class StudySelection:
    """Trains missing samples, scores them and selects a strategy; computed features are reused.

    Attributes:
        search: the study, with the random sampler.
        selector: its strategies, limits and bootstrap.
        repeats: number of samples that are trained twice, for the noise ceiling.
        early_epochs: number of epochs for learning-curve strategies.
        images: number of images for zero-cost scores.
        seeds: of the weights that scores are averaged over.
        on_sample: called with the key of each sample that is scored.
    """

    search: Study
    selector: StrategySelector
    repeats: int
    early_epochs: int
    images: int = IMAGES
    seeds: tuple[int, ...] = SEEDS
    on_sample: Callable[[str], None] = lambda _key: None
    _features: ArchitectureFeatures | None = field(default=None, init=False)
    _repeats_s: float = field(default=0.0, init=False)

    def run(self, samples: int, *, sequential: bool = False) -> SelectionResult:
        """Select a strategy, or none; its seconds are kept in the study's storage.

        Raises:
            ConfigError: the space is too small, or all samples have one quality.
            BoardError: two hardware failures in a row.
        """
        result = self.selector.select(self._measure, samples=samples, sequential=sequential)
        scoring_s = sum(row.sample_s or 0.0 for row in result.strategies)
        self.search.set(SELECTION_SECONDS, scoring_s + self._repeats_s)
        self.search.set(SELECTION_SUPERNET, self._features.supernet_s if self._features else 0.0)
        return result

    def _measure(self, size: int) -> SelectionData:
        samples = train_samples(self.search, size)
        noise, self._repeats_s = measure_noise(self.search, samples, self.repeats)
        features = self._score(samples)
        objective = self.search.context.objectives[0]
        target = np.array([quality(sample, objective) for sample in samples], dtype=np.float64)
        return SelectionData(features, target, features, noise, budget_s=sum(map(total_seconds, samples)))

    def _score(self, samples: Sequence[TrialResult]) -> ArchitectureFeatures:
        """Features of the samples; those of an earlier, smaller size are not computed again."""
        new = samples[len(self._features) if self._features is not None else 0 :]
        if new:
            context, strategies = self.search.context, self.selector.strategies
            uses = any("supernet" in strategy.needs for strategy in strategies)
            supernet = self.search.supernet() if uses else None
            inputs = scoring_inputs(
                context,
                [sample.architecture for sample in new],
                strategies,
                histories=[
                    learning_curve(sample, context.objectives[0], epochs=self.early_epochs) for sample in new
                ],
                images=self.images,
                seeds=self.seeds,
                supernet=supernet,
            )
            keys = iter(new)
            features = compute_features(
                inputs,
                strategies,
                curve_s=self._curve_s(samples),
                supernet_s=supernet.train_s if supernet else 0.0,
                on_scored=lambda: self.on_sample(next(keys).key),
            )
            self._features = features if self._features is None else self._features.joined(features)
        if self._features is None:
            raise AssertionError(samples)  # a sample has eight architectures at least
        return self._features

    def _curve_s(self, samples: Sequence[TrialResult]) -> float:
        """Seconds of the first epochs of one training."""
        train_s = float(np.mean([sample.metrics["train_s"] for sample in samples]))
        return train_s * min(self.early_epochs / self.search.context.epochs, 1.0)
