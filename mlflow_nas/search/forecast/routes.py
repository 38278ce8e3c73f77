"""Ways through a search within a budget: their durations, and which one to take, with the reason."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from mlflow_nas.search.forecast.spans import Span
from mlflow_nas.search.forecast.timings import Timings
from mlflow_nas.search.sampler_choice import choose_sampler

__all__ = ["RULES", "Route", "Workload", "make_routes", "recommend"]

RouteName = Literal["full", "two-stage", "supernet"]

CANDIDATES = 2_000
"""Candidates that a two-stage search scores."""
SAMPLES = 40
"""Trained samples that a strategy is selected on."""
LEAST_CHOSEN = 8
"""Trainings after the first stage."""
LEAST_CANDIDATES = 100
"""Fewer candidates are no reason to train a supernet."""
UNTRAINED = "params"
"""The best strategy without samples: Kendall's tau .70 (docs/results/estimators.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What a search has to do.

    Attributes:
        size: architectures of the space.
        budget_s: seconds of the whole search.
        finalists: trainings to the end, the baseline's included.
        has_seed: the candidates start from a whole trained network.
        latency_samples: measured latencies that the predicted ones are fitted on.
        references: latencies that are measured before the trials: none of a study that is prepared.
    """

    size: int
    budget_s: float
    finalists: int
    has_seed: bool
    latency_samples: int
    references: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One way through a search.

    Attributes:
        name: full training of each trial, two stages, or a supernet.
        estimator: of the search: full, auto, a strategy, or supernet.
        sampler: of the trials; grid where every architecture is trained.
        trials: trainings, the baseline's included, without finalists.
        candidates: that are scored; 0 without an estimate.
        seconds: of the whole search, finalists included.
        finalists: of these alone.
        fits: whether the expected duration is within the budget.
        because: the reason for its sampler or estimator.
    """

    name: RouteName
    estimator: str
    sampler: str
    trials: int
    candidates: int
    seconds: Span
    finalists: Span
    fits: bool
    because: str

    @property
    def chosen(self) -> int:
        """Trainings of candidates that the estimate chooses, after the baseline and samples."""
        before = SAMPLES if self.estimator == "auto" else 1
        return max(self.trials - before, 1)


def make_routes(timings: Timings, work: Workload) -> list[Route]:
    """The ways through a search, each with as many trainings as fit into the budget, at least one."""
    makers = [_full, _two_stage, *([_supernet] if work.has_seed else [])]
    return [make(timings, work) for make in makers]


def _full(timings: Timings, work: Workload) -> Route:
    trials = _fitting(timings, work, Span.exactly(0.0))
    sampler, decision = choose_sampler(work.size, trials)
    return _route(
        timings,
        work,
        name="full",
        estimator="full",
        sampler="grid" if trials == work.size else sampler,
        trials=trials,
        because=decision.because,
    )


def _two_stage(timings: Timings, work: Workload) -> Route:
    count = min(CANDIDATES, work.size)
    query = Span.exactly(count * timings.queries[UNTRAINED] + work.latency_samples * timings.latency_s)
    trials = _fitting(timings, work, query)
    selects = trials >= SAMPLES + LEAST_CHOSEN
    because = (
        f"{SAMPLES} random trials select the strategy that ranks best, which chooses {trials - SAMPLES} more"
        if selects
        else f"{trials} trials are too few to select a strategy on: the number of parameters needs no samples"
    )
    return _route(
        timings,
        work,
        name="two-stage",
        estimator="auto" if selects else UNTRAINED,
        sampler="random",
        trials=trials,
        candidates=count,
        before=query,
        because=because,
    )


def _supernet(timings: Timings, work: Workload) -> Route:
    trained = timings.supernet_train + Span.exactly(work.latency_samples * timings.latency_s)
    least = _overhead(timings, work) + trained + timings.trial.times(LEAST_CHOSEN + 1)
    left = max(work.budget_s - least.mean, 0.0)
    count = min(max(int(left / timings.supernet_query.mean), 1), CANDIDATES, work.size)
    before = trained + timings.supernet_query.times(count)
    return _route(
        timings,
        work,
        name="supernet",
        estimator="supernet",
        sampler="random",
        trials=max(_fitting(timings, work, before), min(LEAST_CHOSEN + 1, work.size)),
        candidates=count,
        before=before,
        because=f"one set of weights ranks {count} candidates, the best of which are trained",
    )


def _overhead(timings: Timings, work: Workload) -> Span:
    """The seed network, the latencies of the references, the finalists."""
    return (
        timings.seed
        + Span.exactly(work.references * timings.latency_s)
        + timings.finalist.times(work.finalists)
    )


def _fitting(timings: Timings, work: Workload, before: Span) -> int:
    """Number of trainings that fit beside everything else, at least 1."""
    left = work.budget_s - (_overhead(timings, work) + before).mean
    return max(min(int(left / timings.trial.mean), work.size), 1)


def _route(
    timings: Timings,
    work: Workload,
    *,
    name: RouteName,
    estimator: str,
    sampler: str,
    trials: int,
    because: str,
    candidates: int = 0,
    before: Span | None = None,
) -> Route:
    seconds = _overhead(timings, work) + timings.trial.times(trials) + (before or Span.exactly(0.0))
    return Route(
        name=name,
        estimator=estimator,
        sampler=sampler,
        trials=trials,
        candidates=candidates,
        seconds=seconds,
        finalists=timings.finalist.times(work.finalists),
        fits=seconds.mean <= work.budget_s,
        because=because,
    )


class Rule(NamedTuple):
    """A route, the condition on the routes by name and the size of the space, and the reason."""

    route: RouteName
    applies: Callable[[dict[str, Route], int], bool]
    because: str


# The first that applies. On penn-fudan a model of forty trained samples ranked at a Kendall's tau of .76, the
# number of parameters at .70 (docs/results/estimators.md), an unfinished supernet at .89 over eleven
# architectures (docs/results/supernet.md).
RULES = (
    Rule(
        "full",
        lambda routes, size: routes["full"].fits and routes["full"].trials == size,
        "every architecture can be trained",
    ),
    Rule(
        "full",
        lambda routes, _size: routes["full"].fits and routes["full"].trials >= 100,
        "a hundred trainings are enough for a sampler, and rank more surely than an estimate",
    ),
    Rule(
        "two-stage",
        lambda routes, _size: routes["two-stage"].fits and routes["two-stage"].estimator == "auto",
        "the trainings are too few for a sampler, and enough to fit an estimate of the whole space",
    ),
    Rule(
        "supernet",
        lambda routes, _size: (
            "supernet" in routes
            and routes["supernet"].fits
            and routes["supernet"].candidates >= max(LEAST_CANDIDATES, 3 * routes["full"].trials)
        ),
        "the trainings are too few for a model, and a supernet ranks several times as many candidates",
    ),
    Rule(
        "two-stage",
        lambda routes, _size: routes["two-stage"].fits,
        "there is time for a few trainings only: they go to the candidates that an estimate chooses",
    ),
    Rule(
        "full",
        lambda routes, _size: routes["full"].fits,
        "there is time for a few trainings only, and an estimate would take it",
    ),
    Rule("full", lambda _routes, _size: True, "the budget is shorter than one training with its finalists"),
)


def recommend(routes: Sequence[Route], size: int) -> tuple[Route, str]:
    """The route to take, and why."""
    by_name: dict[str, Route] = {one.name: one for one in routes}
    rule = next(rule for rule in RULES if rule.applies(by_name, size))
    return by_name[rule.route], rule.because
