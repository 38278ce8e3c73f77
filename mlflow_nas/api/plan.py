"""`mlflow_nas plan`: what a search within a budget takes, and which one to make."""

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mlflow_nas.api.auto_space import AUTO, with_space
from mlflow_nas.api.plan_results import PlanResult
from mlflow_nas.api.planning import forecast_of
from mlflow_nas.api.settings import read_settings
from mlflow_nas.config import SearchConfig, given_values, take_project_run_id, text_of
from mlflow_nas.errors import ConfigError

if TYPE_CHECKING:
    from mlflow_nas.search.forecast import Forecast

__all__ = ["plan"]

_SPELLED = {
    *("study", "search.budget_s", "search.sampler", "search.trials", "search.storage", "data.uri"),
    *("space.name", "space.choices"),
}
"""Settings that the printed command has as options, or that the plan decides."""


def plan(
    settings: SearchConfig | None = None, /, *, config: Path | str | None = None, **options: object
) -> PlanResult:
    """Forecast a search from a few steps of its trainings, one latency and a query of each strategy.

    Without a space that is named, it is the one that `focus` suggests. Nothing is searched; the forecast is
    logged as one run.

    Args:
        settings: the configuration of the search; None for keywords.
        config: a YAML file with further settings.
        options: settings by option or dotted name.

    Raises:
        ConfigError: an option, data or weights, or there is no budget.
        CandidateError: the baseline can't be trained or measured; BoardError: the board failed;
        MachineError: this machine failed; RegistryError: MLflow does not answer.
    """
    chosen = read_settings(SearchConfig, settings, options, config)
    budget_s = chosen.search.budget_s
    if budget_s is None:
        raise ConfigError("A plan needs the time of the search: give --budget, such as --budget 8h.")
    if "name" not in chosen.space.model_fields_set:
        chosen = chosen.model_copy(update={"space": chosen.space.model_copy(update={"name": AUTO})})
    chosen = with_space(chosen)
    from mlflow_nas.search import open_cache, open_context, seeded

    context = seeded(open_context(chosen, cache=open_cache()))
    try:
        forecast = forecast_of(chosen, context, budget_s=budget_s)
    finally:
        context.board.close()
    run_id, uri = _log(chosen, forecast)
    return PlanResult(
        space=chosen.space.name,
        choices=chosen.space.choices,
        size=context.space.size,
        budget_s=budget_s,
        timings={**forecast.timings.as_json(), "trial": asdict(forecast.timings.trial)},
        routes=tuple(asdict(one) for one in forecast.routes),
        recommended=forecast.route.name,
        because=forecast.because,
        command=_command(chosen, forecast),
        run_id=run_id,
        tracking_uri=uri,
    )


def _command(config: SearchConfig, forecast: "Forecast") -> str:
    """The search that follows the plan, with everything that was set."""
    words = ["mlflow_nas", "search", "--study", config.study, "--budget", f"{config.search.budget_s:g}"]
    words += ["--data", config.data.uri, "--space", config.space.name]
    if forecast.route.name == "full":
        words += ["--sampler", forecast.route.sampler]
    settings = [f"space.{choice}" for choice in config.space.choices]
    settings += [f"{name}={text_of(value)}" for name, value in given_values(config) if name not in _SPELLED]
    return shlex.join([*words, *(["--set", " ".join(settings)] if settings else [])])


def _log(config: SearchConfig, forecast: "Forecast") -> tuple[str, str]:
    """The plan's run, and MLflow's address."""
    from mlflow_nas.api.project_run import experiment_for
    from mlflow_nas.tracking import connect, default_uri, log_command

    client, project_run = connect(default_uri()), take_project_run_id()
    run_id = log_command(
        client,
        experiment_id=experiment_for(client, project_run, config.tracking),
        run_id=project_run,
        name=f"plan-{config.study}",
        role="plan",
        metrics={**forecast.metrics, "plan.budget_s": forecast.budget_s, "plan.size": float(forecast.size)},
        tags={
            "nas.plan": forecast.route.name,
            "nas.plan_because": forecast.because,
            "nas.space": config.space.name,
            "nas.board": config.board.name,
        },
    )
    return run_id, client.tracking_uri
