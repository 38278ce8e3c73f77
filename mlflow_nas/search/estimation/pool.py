"""The candidates of a search: architectures within the limits, with their counts and latencies."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from mlflow_nas.errors import CandidateError, ConfigError
from mlflow_nas.estimate import Floats, LatencyModel, complexity
from mlflow_nas.search.estimation.candidates import draw_distinct
from mlflow_nas.search.estimation.inputs import by_network, scoring_inputs
from mlflow_nas.search.estimation.options import EstimateOptions
from mlflow_nas.search.estimation.screening import Candidate, Metrics, Screening
from mlflow_nas.search.estimation.study import Context, Study
from mlflow_nas.types import Architecture, Limit

__all__ = ["Pool", "candidate_pool", "satisfies"]

_log = logging.getLogger(__name__)

MOST_ROUNDS = 5
"""At most this multiple of the wanted candidates is drawn when limits exclude many of them."""
COUNTS = ("flops", "macs", "params")


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Candidates within the limits, in the order of their networks.

    Attributes:
        architectures: m of them.
        metrics: of each its counts, and its latency as predicted or measured.
        latency_model: None when no latency was predicted.
    """

    architectures: list[Architecture]
    metrics: list[Metrics]
    latency_model: LatencyModel | None

    def column(self, name: str) -> Floats:
        """A metric of all candidates [m]; NaN where it is unknown."""
        return np.array([one.get(name, np.nan) for one in self.metrics])


def candidate_pool(
    study: Study, options: EstimateOptions, screening: Screening, *, without: set[str]
) -> Pool:
    """Candidates within all limits that are known before a training.

    They are drawn until there are `options.candidates`, or the space is used up.

    Args:
        study: its context has space, limits and objectives.
        options: of the estimate.
        screening: of the study.
        without: keys of architectures to leave out.

    Raises:
        ConfigError: no candidate is within the limits, or too few architectures have a latency.
        BoardError: the board failed.
    """
    context = study.context
    stream = draw_distinct(context.space, without=without, seed=context.seed)
    found: list[Candidate] = []
    for _ in range(MOST_ROUNDS):
        drawn = list(islice(stream, options.candidates - len(found)))
        found += _within_limits(context, options, screening, drawn)
        if len(found) >= options.candidates or not drawn:
            break
    if not found:
        limits = ", ".join(map(str, context.limits)) or "none"
        raise ConfigError(
            f"No candidate of the space {context.space.name} is within the limits ({limits}): relax the one "
            "that is too tight, or search another space."
        )
    metrics_of = {context.space.key(one): metrics for one, metrics in found}
    ordered = by_network(context.space, [one for one, _ in found])
    return Pool(
        architectures=ordered,
        metrics=[metrics_of[context.space.key(one)] for one in ordered],
        latency_model=screening.model,
    )


def _within_limits(
    context: Context, options: EstimateOptions, screening: Screening, drawn: Sequence[Architecture]
) -> list[Candidate]:
    """Drawn architectures within the limits; latencies only of those within the limits of counts."""
    counted = [one for one in _counted(context, drawn) if satisfies(one[1], context.limits)]
    if not counted or not _needs_board(context):
        return counted
    if options.latency == "measure":
        known = screening.measured(one for one, _ in counted)
    else:
        known = screening.predicted(counted, drawn, samples=options.latency_samples)
    return [one for one in known if satisfies(one[1], context.limits)]


def satisfies(metrics: Metrics, limits: Sequence[Limit]) -> bool:
    """Whether the known metrics are within the limits."""
    return all(limit.violation(metrics[limit.metric]) <= 0 for limit in limits if limit.metric in metrics)


def _needs_board(context: Context) -> bool:
    """Whether an objective or a limit is neither the estimated quality nor a count."""
    quality, *others = (objective.name for objective in context.objectives)
    return bool({*others, *(limit.metric for limit in context.limits)} - {quality, *COUNTS})


def _counted(context: Context, architectures: Sequence[Architecture]) -> list[Candidate]:
    """Architectures with their counts, in the order given, without those that can't be built."""
    counted: dict[str, Metrics] = {}
    for inputs in scoring_inputs(context, by_network(context.space, architectures), ()):
        key = context.space.key(inputs.architecture)
        try:
            counted[key] = complexity(inputs.build(0), inputs.img_size)
        except CandidateError as error:
            _log.warning("The candidate %s can't be built and is left out: %s", key, error)
    keys = [(one, context.space.key(one)) for one in architectures]
    return [(one, counted[key]) for one, key in keys if key in counted]
