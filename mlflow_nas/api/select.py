"""`mlflow_nas select`: the estimation strategy for a search, or none."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow_nas.api.results import SelectResult
from mlflow_nas.api.settings import read_settings
from mlflow_nas.api.studies import tracked
from mlflow_nas.config import SearchConfig, SelectConfig, as_params, take_project_run_id

if TYPE_CHECKING:
    from mlflow_nas.estimate import StrategySelector
    from mlflow_nas.search import Progress, Search, StudySelection

__all__ = ["select", "select_for_search"]

_log = logging.getLogger(__name__)


def select(
    settings: SelectConfig | None = None,
    /,
    *,
    config: Path | str | None = None,
    progress: "Progress | None" = None,
    on_step: Callable[[str], None] = lambda _step: None,
    **options: object,
) -> SelectResult:
    """Evaluate estimation strategies on architectures of measured quality and select one.

    Args:
        settings: the configuration; None for keywords.
        config: a YAML file with further settings.
        progress: a display of a study's trainings; None for none.
        on_step: called with the name of each strategy, and of each sample that is scored.
        options: settings by option or dotted name.

    Raises:
        ConfigError: a setting, a column of the table, too few samples, or a constant target;
        BoardError: two hardware failures in a row; MachineError: this machine can't evaluate.
    """
    chosen = read_settings(SelectConfig, settings, options, config)
    if chosen.table.file is not None:
        return _on_table(chosen, on_step)
    selector = _selector(chosen, on_step)
    with tracked(chosen, progress) as search:
        own = chosen.selection
        early = own.early_epochs or max(round(search.context.epochs / 4), 1)
        selection = _selection(chosen, search, selector, early_epochs=early, on_sample=on_step)
        result = _in_study(search, selection, chosen, as_params(chosen))
        experiment_id = search.session.mirror.experiment_id
    from mlflow_nas.tracking import default_uri

    return SelectResult(
        selection=result,
        study=str(chosen.study),
        run_id=result["run_id"],
        experiment_id=experiment_id,
        tracking_uri=default_uri(),
    )


def _on_table(config: SelectConfig, on_step: Callable[[str], None]) -> SelectResult:
    from mlflow_nas.api.selection_run import logged_selection
    from mlflow_nas.estimate import read_table, select_from_table
    from mlflow_nas.tracking import default_uri

    own, file = config.table, Path(str(config.table.file))
    table = read_table(
        file,
        target=str(own.target),
        scores=own.scores,
        features=own.features,
        categorical=own.features_categorical,
        where=own.where,
        target_again=own.target_again,
    )
    samples = config.selection.samples
    table.sample(samples, seed=config.seed)  # too large a request is refused before a run is opened
    selector = _selector(config, on_step)
    with logged_selection(
        config.tracking,
        name=f"select-{file.name.partition('.')[0]}",
        params=as_params(config),
        run_id=take_project_run_id(),
    ) as run:
        run.result = select_from_table(
            table, selector, samples=samples, seed=config.seed, sequential=config.selection.sequential
        ).as_json()
    return SelectResult(
        selection=run.result,
        study=None,
        run_id=run.run_id,
        experiment_id=run.experiment_id,
        tracking_uri=default_uri(),
    )


def _selector(config: SelectConfig, on_step: Callable[[str], None]) -> "StrategySelector":
    """How strategies are compared.

    Raises:
        ConfigError: there is no such strategy.
    """
    from mlflow_nas.estimate import STRATEGIES, StrategySelector, strategy_named
    from mlflow_nas.estimate.selection import Limits

    own = config.selection
    return StrategySelector(
        strategies=[strategy_named(name) for name in own.strategies] or STRATEGIES,
        limits=Limits(candidates=own.candidates, budget_s=own.score_budget_s),
        draws=own.draws,
        seed=config.seed,
        on_strategy=on_step,
    )


def _selection(
    config: SelectConfig,
    search: "Search",
    selector: "StrategySelector",
    *,
    early_epochs: int,
    on_sample: Callable[[str], None],
) -> "StudySelection":
    from mlflow_nas.search import StudySelection

    own = config.selection
    return StudySelection(
        search=search,
        selector=selector,
        repeats=own.repeats,
        early_epochs=early_epochs,
        images=own.score_images,
        seeds=tuple(range(own.score_seeds)),
        on_sample=on_sample,
    )


def _in_study(
    search: "Search", selection: "StudySelection", config: SelectConfig, params: Mapping[str, object]
) -> dict[str, Any]:
    """Select a strategy in an open study, in a run of its own below the study's."""
    from mlflow_nas.api.selection_run import logged_selection

    study = str(config.study)
    search.session.mirror.flush(_FLUSH_S)
    with logged_selection(
        config.tracking,
        name=f"select-{study}",
        params=params,
        tags={**search.context.tags, "nas.study": study},
        parent_id=search.session.mirror.run_id(None),
    ) as run:
        own = config.selection
        run.result = selection.run(own.samples, sequential=own.sequential).as_json()
    search.set("nas.selection", {**run.result, "run_id": run.run_id})
    search.session.mirror.set_tags(
        None, {"nas.selected": str(run.result["selected"] or ""), "nas.selection": run.run_id}
    )
    return {**run.result, "run_id": run.run_id}


_FLUSH_S = 60.0


def select_for_search(config: SearchConfig, search: "Search") -> str | None:
    """`search --estimator auto`: select a strategy on samples of the search's own study, trained as trials.

    Settings that `search` lacks have the defaults of `select`. The samples have the search's limits:
    strategies are evaluated on the architectures that they will be used for.

    Returns:
        The strategy's name, or None when there is not enough evidence: train instead. The study's run has
        the reason as `nas.estimator_because`.

    Raises:
        ConfigError: the space is too small, or all samples have one quality.
        BoardError: two hardware failures in a row.
    """
    from mlflow_nas.estimate import STRATEGIES

    # A search can't train thousands of candidates for some epochs: such strategies are left out.
    judged = [row.name for row in STRATEGIES if "epochs" not in row.needs]
    options = {
        "study": config.study,
        "seed": config.seed,
        "selection": {
            "samples": config.search.samples,
            "candidates": config.search.candidates,
            "strategies": ",".join(judged),
        },
        "tracking": {"experiment": config.tracking.experiment},
    }
    own = read_settings(SelectConfig, None, options, None)
    selector = _selector(own, search.progress.step)
    selection = _selection(own, search, selector, early_epochs=1, on_sample=lambda _key: None)
    params = {"samples": own.selection.samples, "candidates": own.selection.candidates}
    result = _in_study(search, selection, own, params)
    search.session.mirror.set_tags(None, {"nas.estimator_because": str(result["reason"])})
    _log.warning("%s.", result["reason"])
    return result["selected"] or None
