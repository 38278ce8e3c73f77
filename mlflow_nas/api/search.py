"""`mlflow_nas search`: the main job; `mlflow_nas finish`: its end alone."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow_nas.api.auto_space import with_space
from mlflow_nas.api.planning import describe_outcome, follow, forecast_finalists, outcome_of
from mlflow_nas.api.results import SearchResult
from mlflow_nas.api.settings import read_settings
from mlflow_nas.api.studies import tracked
from mlflow_nas.api.study_pages import study_page
from mlflow_nas.config import ReportConfig, SearchConfig, StorageSection
from mlflow_nas.errors import ConfigError, NasError

if TYPE_CHECKING:
    from mlflow_nas.registry import Goal, Reconciliation
    from mlflow_nas.search import Conclusion, EstimatedResult, Progress, Search
    from mlflow_nas.types import TrialResult

__all__ = ["finish", "search"]


def search(
    settings: SearchConfig | None = None,
    /,
    *,
    config: Path | str | None = None,
    progress: "Progress | None" = None,
    **options: object,
) -> SearchResult:
    """Search architectures: train, quantize, time, log, promote, deploy.

    Calling it again with the same `study` continues the study and stops at `trials`, or, with an estimator,
    when `top_k` of the candidates that it chose are trained.

    Args:
        settings: the configuration; None for keywords.
        config: a YAML file with further settings.
        progress: a display; None for none.
        options: settings by option or dotted name.

    Raises:
        ConfigError: an option, data or weights; BoardError: two hardware failures in a row;
        MachineError: this machine can't evaluate; RegistryError: the registry refuses.
    """
    chosen = with_space(read_settings(SearchConfig, settings, options, config))
    from mlflow_nas.search import log_training_batch

    _check_estimator(chosen.search.estimator)
    device, began = _receiver(chosen), time.monotonic()
    with tracked(chosen, progress) as search:
        log_training_batch(search.session)
        planned = follow(chosen, search, began=began)
        planned_at, before = time.monotonic(), len(search.results())
        estimated = _evaluate(planned, search)
        conclusion, plan = _conclude(planned, search, began=planned_at, before=before)
    return _result(planned, conclusion, estimated, device, plan)


def finish(
    settings: SearchConfig | None = None,
    /,
    *,
    config: Path | str | None = None,
    progress: "Progress | None" = None,
    **options: object,
) -> SearchResult:
    """Train the best of an existing study to the end, log, promote, deploy; no trial is added.

    Args:
        settings: the configuration of the search; None for keywords.
        config: a YAML file with further settings.
        progress: a display; None for none.
        options: settings by option or dotted name.

    Raises:
        ConfigError: an option, or there is no such study; BoardError: the board failed;
        MachineError: this machine can't evaluate; RegistryError: the registry refuses.
    """
    chosen = with_space(read_settings(SearchConfig, settings, options, config))
    from mlflow_nas.search import load_store

    load_store(chosen.study, chosen.search.storage)
    device = _receiver(chosen)
    with tracked(chosen, progress) as search:
        conclusion, _ = _conclude(chosen, search)
    return _result(chosen, conclusion, None, device, None)


def _conclude(
    config: SearchConfig, search: "Search", *, began: float = 0.0, before: int = 0
) -> "tuple[Conclusion, Mapping[str, Any] | None]":
    """The end of the study, and forecast beside actual of a search with a budget.

    Args:
        config: of the search.
        search: its trials are evaluated.
        began: when its forecast was made, by the monotonic clock.
        before: number of trials that it had then.
    """
    from mlflow_nas.search import conclude

    session = search.session
    evaluated = len(search.results()) - before
    finalists, notes = _finish(config, search)
    plan = outcome_of(search, began=began, trials=evaluated, finalists_s=_seconds_of(finalists))
    search.display.stage("report")
    described = {
        "space": session.context.space.name,
        "sampler": f"{session.sampler.choice} ({session.sampler.because})",
        "estimator": config.search.estimator,
        "board": config.board.name,
        "data": session.context.dataset_tag,
        **({"plan": describe_outcome(plan)} if plan else {}),
    }
    found = conclude(
        session, finalists=finalists, goal=_goal(config), model=config.registry.model, settings=described
    )
    return replace(found, notes=(*notes, *found.notes)), plan


def _finish(config: SearchConfig, search: "Search") -> "tuple[Sequence[TrialResult], list[str]]":
    """The best of the search, trained to the end; and what that took, as a sentence."""
    from mlflow_nas.search import choose_finalists
    from mlflow_nas.search.forecast import format_duration
    from mlflow_nas.trial import finishing_epochs

    context = search.context
    chosen = choose_finalists(
        search.results(), context.objectives, count=config.finalists.count, given=search.session.given()
    )
    epochs = config.finalists.epochs or finishing_epochs(len(context.train), context.batch_size)
    forecast, began = forecast_finalists(search, chosen, epochs=epochs), time.monotonic()
    finalists = search.finish(chosen, epochs=epochs)
    costs = {"cost.finalists_s": _seconds_of(finalists)} if finalists else {}
    notes = []
    if forecast is not None:
        took_s = time.monotonic() - began
        costs |= {"plan.finalists_forecast_s": forecast.mean, "plan.finalists_actual_s": took_s}
        notes = [f"Training the finalists took {format_duration(took_s)}, the forecast was {forecast}."]
    search.session.mirror.log_metrics(None, costs)
    return finalists, notes


def _seconds_of(results: "Sequence[TrialResult]") -> float:
    return sum(one.metrics["trial_s"] for one in results)


def _goal(config: SearchConfig) -> "Goal":
    from mlflow_nas.registry import Goal

    return Goal(
        max_drop=config.registry.max_drop,
        speedup=config.finalists.speedup,
        max_latency_ms=config.finalists.max_latency_ms,
    )


def _evaluate(config: SearchConfig, search: "Search") -> "EstimatedResult | None":
    """Train trial after trial, or what an estimate chose."""
    from mlflow_nas.search import full_cost, search_estimated

    name: str | None = config.search.estimator
    if name == "auto":
        from mlflow_nas.api.select import select_for_search

        name = select_for_search(config, search)
    if name is None or name == "full":
        search.run(config.search.trials)
        _log_costs(search, "full", full_cost(search))
        return None
    from mlflow_nas.estimate import strategy_named
    from mlflow_nas.search import EstimateOptions

    options = EstimateOptions(
        strategy=strategy_named(name),
        candidates=config.search.candidates,
        top_k=config.search.top_k,
        max_per_combination=config.search.max_per_combination,
        latency=config.search.latency,
        latency_samples=config.search.latency_samples,
    )
    found = search_estimated(search, options)
    _log_costs(search, name, found.costs)
    return found


def _log_costs(search: "Search", name: str, costs: Mapping[str, float]) -> None:
    from mlflow_nas.train import training_processor

    mirror = search.session.mirror
    mirror.set_tags(None, {"nas.trained_on": training_processor()})
    mirror.log_metrics(None, {f"cost.{name}/{term}": value for term, value in costs.items()})
    search.set("nas.trained_on", training_processor())


def _check_estimator(name: str) -> None:
    """Refuse an unknown strategy before anything is opened.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in ("full", "auto"):
        from mlflow_nas.estimate import strategy_named

        strategy_named(name)


def _receiver(config: SearchConfig) -> str | None:
    """The device that receives the champion: the board, where it was measured, or none.

    Raises:
        ConfigError: another device is named. It would refuse the champion, hours later.
    """
    board, device = config.board.name, config.registry.device or config.board.name
    if device not in ("none", board):
        raise ConfigError(
            f"device={device} would refuse the champion, which is measured on board={board}: name one device "
            "for both, or give device=none and deploy with force=true."
        )
    return None if device == "none" else device


def _result(
    config: SearchConfig,
    conclusion: "Conclusion",
    estimated: "EstimatedResult | None",
    device: str | None,
    plan: Mapping[str, object] | None,
) -> SearchResult:
    from mlflow_nas.tracking import default_uri

    deployed, not_deployed = _deploy(config, device, conclusion.registry)
    page = study_page(config.study, _report_config(config), log=conclusion.run_id is not None)
    return SearchResult(
        study=config.study,
        run_id=conclusion.run_id,
        experiment_id=conclusion.experiment_id,
        tracking_uri=default_uri(),
        trials=conclusion.results,
        front=conclusion.front,
        given=conclusion.given,
        finalists=conclusion.finalists,
        answer=conclusion.answer,
        estimate=estimated.as_json() if estimated else None,
        registry=conclusion.registry.as_json() if conclusion.registry else None,
        deployed=deployed,
        not_deployed=not_deployed,
        plan=plan,
        report=page.path,
        charts=page.charts,
        notes=(*conclusion.notes, *page.notes),
    )


def _report_config(config: SearchConfig) -> ReportConfig:
    return ReportConfig(
        study=(config.study,), search=StorageSection(storage=config.search.storage), tracking=config.tracking
    )


def _deploy(
    config: SearchConfig, device: str | None, registry: "Reconciliation | None"
) -> tuple[dict[str, object] | None, str | None]:
    """What was deployed, or why it was not: neither changes the study."""
    if device is None or registry is None:
        return None, None
    from mlflow_nas.deployments import Options, deploy
    from mlflow_nas.registry import alias_names
    from mlflow_nas.tracking import connect, default_uri

    alias = alias_names(config.board.name)["champion"]
    if alias not in registry.aliases:
        return None, "no version is the champion."
    try:
        deployed = deploy(
            connect(default_uri()),
            f"models:/{config.registry.model}@{alias}",
            device=device,
            devices=config.board.inventory,
            options=Options(max_regression=None, max_drop=None),
        )
    except NasError as error:
        return None, str(error)
    return deployed, None
