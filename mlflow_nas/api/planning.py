"""The forecast of a search: made for `plan`, followed by `search --budget`, compared with what it took."""

import logging
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlflow_nas.config import SearchConfig

if TYPE_CHECKING:
    from mlflow_nas.search import Search
    from mlflow_nas.search.forecast import Forecast, Route, Span
    from mlflow_nas.trial import StudyContext
    from mlflow_nas.types import TrialResult

__all__ = [
    "PLAN",
    "describe_outcome",
    "follow",
    "forecast_finalists",
    "forecast_of",
    "outcome_of",
    "with_route",
]

_log = logging.getLogger(__name__)

PLAN = "nas.plan"
"""Attribute of the study: the route that it follows, forecast and actual duration of the last call."""


def forecast_of(
    config: SearchConfig, context: "StudyContext", *, budget_s: float, prepared: bool = False
) -> "Forecast":
    """The forecast of a search in this context; of a prepared study without the latencies of references.

    Raises:
        CandidateError: the baseline can't be trained or measured.
        BoardError: the board failed; MachineError: this machine failed.
    """
    from mlflow_nas.search import has_seed_network
    from mlflow_nas.search.forecast import Workload, make_forecast
    from mlflow_nas.trial import finishing_epochs

    given = has_seed_network(context)
    count = config.finalists.count
    work = Workload(
        size=context.space.size,
        budget_s=budget_s,
        finalists=count + 1 if count else 0,
        has_seed=given or bool(config.training.seed_epochs),
        latency_samples=min(config.search.latency_samples, context.space.size),
        **({"references": 0} if prepared else {}),
    )
    return make_forecast(
        context,
        work,
        finishing_epochs=config.finalists.epochs or finishing_epochs(len(context.train), context.batch_size),
        seed_epochs=0 if given else config.training.seed_epochs,
    )


def follow(config: SearchConfig, search: "Search", *, began: float) -> SearchConfig:
    """The configuration of the recommended route, where there is a budget; the search ends in time.

    A continued study keeps its route. What the user sets himself stays as it is.

    Args:
        config: of the search.
        search: the study, prepared.
        began: when the call began, by the monotonic clock.

    Raises:
        CandidateError, BoardError, MachineError: as `forecast_of`.
    """
    if config.search.budget_s is None:
        return config
    search.display.stage("forecast")
    left_s = config.search.budget_s - (time.monotonic() - began)
    forecast = forecast_of(config, search.context, budget_s=left_s, prepared=True)
    known = (search.get(PLAN) or {}).get("route")
    route = next((one for one in forecast.routes if one.name == known), forecast.route)
    search.deadline = began + config.search.budget_s - route.finalists.mean
    search.session.mirror.set_tags(None, {"nas.plan": route.name, "nas.plan_because": forecast.because})
    search.session.mirror.log_metrics(None, forecast.metrics)
    search.set(PLAN, {"route": route.name, "because": forecast.because, **_forecast(route)})
    return with_route(config, route, finished=len(search.results()))


def _forecast(route: "Route") -> dict[str, Any]:
    return {
        "forecast_s": route.seconds.as_json(),
        "forecast_trials": route.trials,
        "forecast_finalists_s": route.finalists.as_json(),
    }


def with_route(config: SearchConfig, route: "Route", *, finished: int = 0) -> SearchConfig:
    """The configuration of a route; what was set stays as it is.

    Args:
        config: of the search.
        route: to follow.
        finished: trials that the study has already.
    """
    wanted: dict[str, object] = {"estimator": route.estimator}
    if route.name == "full":
        wanted["trials"] = finished + route.trials
    else:
        wanted |= {"candidates": route.candidates, "top_k": route.chosen}
    update = {name: value for name, value in wanted.items() if name not in config.search.model_fields_set}
    return config.model_copy(update={"search": config.search.model_copy(update=update)})


def forecast_finalists(search: "Search", chosen: "Sequence[TrialResult]", *, epochs: int) -> "Span | None":
    """Duration of the finalists that are not trained yet, from a few steps; None without any.

    Args:
        search: the study.
        chosen: results of the finalists' trials.
        epochs: of their trainings.

    Raises:
        CandidateError: the baseline can't be trained; MachineError: this machine failed.
    """
    from mlflow_nas.search.forecast import Span, time_training

    waiting = [one for one in chosen if search.finished(one) is None]
    if not waiting:
        return None
    search.display.stage("forecast")
    training, _ = time_training(search.context.finishing(epochs), search.context.space.baseline)
    after_s = max(sum(one.seconds.values()) - one.seconds.get("train", 0.0) for one in waiting)
    found = (training + Span.exactly(after_s)).times(len(waiting))
    _log.warning("Training to the end (finalists: %d, epochs: %d) will take %s.", len(waiting), epochs, found)
    return found


def outcome_of(
    search: "Search", *, began: float, trials: int, finalists_s: float
) -> Mapping[str, Any] | None:
    """Forecast beside actual, kept in the study; None without a budget.

    Args:
        search: the study.
        began: when the forecast was made, by the monotonic clock.
        trials: that the call evaluated.
        finalists_s: seconds of the finalists' trainings; those of earlier calls included.
    """
    known = search.get(PLAN)
    if search.deadline is None or known is None:
        return None
    actual_s = time.monotonic() - began
    outcome = {**known, "actual_s": actual_s, "actual_trials": trials, "actual_finalists_s": finalists_s}
    search.set(PLAN, outcome)
    search.session.mirror.log_metrics(
        None,
        {
            "plan.forecast_s": known["forecast_s"]["mean"],
            "plan.actual_s": actual_s,
            "plan.forecast_trials": float(known["forecast_trials"]),
            "plan.actual_trials": float(trials),
        },
    )
    return outcome


def describe_outcome(plan: Mapping[str, Any]) -> str:
    """Forecast beside actual, as a phrase."""
    from mlflow_nas.search.forecast import Span, format_duration

    forecast = Span.from_json(plan["forecast_s"])
    took = format_duration(plan["actual_s"])
    return (
        f"{plan['route']}, forecast {forecast} and {plan['forecast_trials']} trials, took {took} and "
        f"{plan['actual_trials']} trials"
    )
