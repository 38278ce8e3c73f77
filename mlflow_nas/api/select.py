"""`mlflow_nas select`: the estimation strategy that a search may trust, or none."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow_nas.config import SelectConfig, load_config, take_project_run_id

if TYPE_CHECKING:
    from mlflow_nas.estimate import Chooser
    from mlflow_nas.search import Progress

__all__ = ["make_chooser", "select"]


def select(
    *,
    config: Path | None = None,
    progress: "Progress | None" = None,
    on_step: Callable[[str], None] = lambda _step: None,
    **options: object,
) -> dict[str, object]:
    """Judge estimation strategies on architectures of measured quality and choose one.

    Args:
        config: a YAML file with options.
        progress: told of the trainings of a study; None for silence.
        on_step: told the name of each strategy, and of each sample that is scored.
        options: fields of `mlflow_nas.config.SelectConfig`.

    Returns:
        selected (None when the evidence does not suffice), winner, reason, fallback, tau, tau_ci, tau_bbc,
        tau_bbc_ci, indistinguishable, noise_ceiling, strategies (a row each, best first), run_id,
        experiment_id, tracking_uri.

    Raises:
        ConfigError: an option, a column of the table, too few samples, or a target that ranks nothing;
        BoardError: two hardware failures in a row; RegistryError: MLflow does not answer.
    """
    chosen = load_config(SelectConfig, options, file=config)
    if chosen.table is not None:
        return _of_table(chosen, on_step)
    from mlflow_nas.api.select_study import select_on_study
    from mlflow_nas.search import Silent

    chooser = make_chooser(chosen, on_step)
    project_run = take_project_run_id()
    return select_on_study(
        chosen, chooser, project_run=project_run, progress=progress or Silent(), on_step=on_step
    )


def _of_table(config: SelectConfig, on_step: Callable[[str], None]) -> dict[str, object]:
    from mlflow_nas.api.runs import as_params, experiment_for
    from mlflow_nas.api.selection import log_selection
    from mlflow_nas.estimate import choose_from_table, read_table
    from mlflow_nas.tracking import connect, default_uri, start_selection

    table = read_table(
        Path(str(config.table)),
        target=str(config.target),
        scores=config.scores,
        features=config.features,
        categorical=config.features_categorical,
        where=config.where,
        target_again=config.target_again,
    )
    table.sample(config.samples, seed=config.seed)  # what is asked too much is said before a run is opened
    project_run = take_project_run_id()
    client = connect(default_uri())
    experiment_id = experiment_for(client, project_run, config.experiment)
    run_id = start_selection(
        client,
        experiment_id=experiment_id,
        name=f"select-{Path(str(config.table)).name.partition('.')[0]}",
        params=as_params(config),
        tags={},
        run_id=project_run,
    )
    try:
        result: dict[str, Any] = choose_from_table(
            table,
            make_chooser(config, on_step),
            samples=config.samples,
            seed=config.seed,
            sequential=config.sequential,
        ).as_json()
        log_selection(client, run_id, result)
    except BaseException:
        client.set_terminated(run_id, "FAILED")
        raise
    return {
        **result,
        "run_id": run_id,
        "experiment_id": experiment_id,
        "tracking_uri": client.tracking_uri,
    }


def make_chooser(config: SelectConfig, on_step: Callable[[str], None]) -> "Chooser":
    """How the options say that a choice is made.

    Raises:
        ConfigError: there is no such strategy.
    """
    from mlflow_nas.estimate import STRATEGIES, Chooser, strategy_named
    from mlflow_nas.estimate.selection import Limits

    return Chooser(
        strategies=[strategy_named(name) for name in config.strategies] or STRATEGIES,
        limits=Limits(candidates=config.candidates, budget_s=config.score_budget_s),
        draws=config.draws,
        seed=config.seed,
        on_strategy=on_step,
    )
