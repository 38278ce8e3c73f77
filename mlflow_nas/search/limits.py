"""Candidates within the limits: counts first, then the latency."""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal, NamedTuple

import numpy as np

from mlflow_nas.errors import CandidateError, ConfigError
from mlflow_nas.estimate import Floats, Strategy, complexity
from mlflow_nas.estimate.latency import LatencyModel, fit_latency
from mlflow_nas.search.candidates import draw_distinct
from mlflow_nas.search.latencies import LatencyBook
from mlflow_nas.search.probes import by_network, make_probes
from mlflow_nas.search.workbench import Workbench
from mlflow_nas.space import read_architecture
from mlflow_nas.types import Architecture

__all__ = ["EstimateOptions", "Pool", "candidates_within"]

_log = logging.getLogger(__name__)

MOST_DRAWN = 5
"""So many times the wanted candidates are drawn where limits refuse many of them."""


@dataclass(frozen=True, kw_only=True)
class EstimateOptions:
    """How a search uses an estimate.

    Attributes:
        strategy: a row of the table.
        candidates: that are scored.
        top_k: that are trained.
        per_combination: of these, so many may differ in their sizes only.
        latency: predicted by a model, or measured for every candidate within the cheap limits.
        latency_samples: latencies that the model is fitted on; those of trials are among them.
        max_macs: a cheap limit: multiply-accumulates of one image; None for none.
        max_params: another: trainable parameters.
    """

    strategy: Strategy
    candidates: int = 2_000
    top_k: int = 8
    per_combination: int = 2
    latency: Literal["predict", "measure"] = "predict"
    latency_samples: int = 24
    max_macs: float | None = None
    max_params: float | None = None

    def digest(self, bench: Workbench) -> str:
        """Names the list that these options make on the bench."""
        said = {name: getattr(self, name) for name in self.__dataclass_fields__}
        said |= {"strategy": self.strategy.name, "seed": bench.seed}
        said |= {"max_latency_ms": bench.max_latency_ms}
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


class Pool(NamedTuple):
    """Candidates within the limits, in the order of their networks: latencies [m] in ms."""

    architectures: list[Architecture]
    latency_ms: Floats


def candidates_within(
    bench: Workbench, options: EstimateOptions, latencies: LatencyBook, *, without: set[str]
) -> tuple[Pool, LatencyModel | None]:
    """Candidates within all limits; drawn until there are enough, or the space is used up."""
    stream = draw_distinct(bench.space, without=without, seed=bench.seed)
    found: dict[str, tuple[Architecture, float]] = {}
    model = None
    for _ in range(MOST_DRAWN):
        drawn = list(islice(stream, options.candidates - len(found)))
        counts = _counts(bench, drawn)
        within = [one for one in drawn if _is_within(counts.get(bench.space.key(one)), options)]
        if options.latency == "measure":
            latencies.measure(within, enough=len(latencies.known) + len(within))
            known = np.array([latencies.known.get(bench.space.key(one), np.nan) for one in within])
        elif within:
            model = model or _latency_model(
                bench, latencies, [*within, *drawn], samples=options.latency_samples
            )
            known = model.predict(_features(bench, within, counts))
        else:
            known = np.empty(0)
        limit = bench.max_latency_ms or np.inf
        for architecture, latency in zip(within, known.tolist(), strict=True):
            if latency <= limit:
                found[bench.space.key(architecture)] = (architecture, latency)
        if len(found) >= options.candidates or not drawn:
            break
    if not found:
        raise ConfigError(
            "No candidate is within the limits max_macs, max_params and max_latency_ms: raise the one that "
            "is too low, or search another space."
        )
    ordered = by_network(bench.space, [architecture for architecture, _ in found.values()])
    return Pool(ordered, np.array([found[bench.space.key(one)][1] for one in ordered])), model


def _is_within(count: Mapping[str, float] | None, options: EstimateOptions) -> bool:
    """Whether an architecture can be built, within the limits of MACs and parameters."""
    return (
        count is not None
        and count["macs"] <= (options.max_macs or np.inf)
        and count["params"] <= (options.max_params or np.inf)
    )


def _counts(bench: Workbench, architectures: Sequence[Architecture]) -> dict[str, dict[str, float]]:
    """Counts by key; one network after the other is built, and what can't be built is left out."""
    counted = {}
    for probe in make_probes(bench, by_network(bench.space, architectures), ()):
        try:
            counted[bench.space.key(probe.architecture)] = complexity(probe.build(0), probe.img_size)
        except CandidateError as error:
            _log.warning("%s It is no candidate.", error)
    return counted


def _features(
    bench: Workbench, architectures: Sequence[Architecture], counts: Mapping[str, Mapping[str, float]]
) -> Floats:
    """What a latency model sees: the encoding, log MACs and log parameters; [n, d]."""
    rows = []
    for architecture in architectures:
        count = counts[bench.space.key(architecture)]
        rows.append((*bench.space.encode(architecture), np.log(count["macs"]), np.log(count["params"])))
    return np.asarray(rows, dtype=np.float64)


def _latency_model(
    bench: Workbench, latencies: LatencyBook, candidates: Sequence[Architecture], *, samples: int
) -> LatencyModel:
    """Fitted on so many measured candidates, those that trials measured included."""
    latencies.measure(candidates, enough=samples)
    measured = [read_architecture(bench.space, key) for key in latencies.known]
    features = _features(bench, measured, _counts(bench, measured))
    return fit_latency(features, np.array(list(latencies.known.values())), seed=bench.seed)
