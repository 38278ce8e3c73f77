"""Counts and latencies of candidates, measured on the board or predicted."""

import logging
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from mlflow_nas.errors import CandidateError
from mlflow_nas.estimate import LatencyModel, fit_latency
from mlflow_nas.search.estimation.study import Study
from mlflow_nas.types import Architecture

__all__ = ["Candidate", "Metrics", "Screening"]

_log = logging.getLogger(__name__)

SECONDS = "estimation/screen_s"
"""Key in the study's storage: seconds of measuring untrained architectures."""
Metrics: TypeAlias = Mapping[str, float]
Candidate: TypeAlias = tuple[Architecture, Metrics]


class Screening:
    """Counts and latencies of architectures: measured in trials, measured untrained, or predicted.

    Args:
        study: metrics of untrained architectures stay in its step cache.

    Attributes:
        known: key to architecture and measured metrics.
        seconds: of measuring untrained architectures in this study, earlier calls included.
        model: of the latency; None before a prediction.
    """

    def __init__(self, study: Study) -> None:
        self._study, self._context = study, study.context
        needed = {"latency_ms", "macs", "params"}
        self.known: dict[str, tuple[Architecture, Metrics]] = {
            one.key: (one.architecture, one.metrics)
            for one in study.results()
            if needed <= one.metrics.keys()
        }
        self.seconds: float = study.get(SECONDS) or 0.0
        self.model: LatencyModel | None = None
        self._refused: set[str] = set()

    def measured(self, architectures: Iterable[Architecture], *, enough: float = math.inf) -> list[Candidate]:
        """Architectures with their metrics, measured until `enough` are known in all.

        Those that the board refuses are left out, with a warning.

        Raises:
            BoardError: the board failed.
        """
        found = []
        for architecture in architectures:
            if len(self.known) >= enough:
                break
            key = self._context.space.key(architecture)
            if key not in self.known and key not in self._refused:
                self._measure(key, architecture)
            if key in self.known:
                found.append(self.known[key])
        return found

    def _measure(self, key: str, architecture: Architecture) -> None:
        began = time.monotonic()
        try:
            self.known[key] = (architecture, self._study.screen(architecture))
        except CandidateError as error:
            _log.warning("The candidate %s has no latency and is left out: %s", key, error)
            self._refused.add(key)
        finally:
            self.seconds += time.monotonic() - began
            self._study.set(SECONDS, self.seconds)

    def predicted(
        self, counted: Sequence[Candidate], others: Sequence[Architecture], *, samples: int
    ) -> list[Candidate]:
        """Architectures with their counts and their latency by a model, which is fitted once.

        Args:
            counted: architectures with their counts.
            others: measured for the model, too, when the counted ones are too few.
            samples: latencies that the model is fitted on, those of trials included.

        Raises:
            BoardError: the board failed; ConfigError: too few architectures have a latency.
        """
        if self.model is None:
            self.measured([*(one for one, _ in counted), *others], enough=samples)
            features = np.array([self._features(one, metrics) for one, metrics in self.known.values()])
            latency_ms = np.array([metrics["latency_ms"] for _, metrics in self.known.values()])
            self.model = fit_latency(features, latency_ms, seed=self._context.seed)
        latencies = self.model.predict(np.array([self._features(*candidate) for candidate in counted]))
        return [
            (one, {**counts, **self._latency_metrics(latency_ms)})
            for (one, counts), latency_ms in zip(counted, latencies.tolist(), strict=True)
        ]

    def _latency_metrics(self, latency_ms: float) -> dict[str, float]:
        """A latency with the metrics that follow from it and the reference's."""
        with_ratio = (metrics for _, metrics in self.known.values() if "latency_ratio" in metrics)
        reference_ms = next((one["latency_ms"] / one["latency_ratio"] for one in with_ratio), None)
        if reference_ms is None:
            return {"latency_ms": latency_ms}
        ratio = latency_ms / reference_ms
        return {"latency_ms": latency_ms, "latency_ratio": ratio, "speedup": 1 / ratio}

    def _features(self, architecture: Architecture, metrics: Metrics) -> list[float]:
        """Features of the latency model: the encoding, log MACs and log parameters."""
        sizes = math.log(metrics["macs"]), math.log(metrics["params"])
        return [*self._context.space.encode(architecture), *sizes]
