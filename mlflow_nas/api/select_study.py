"""A selection on a study: its samples are trained as trials, its result is a run below the study's."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from mlflow_nas.api.selection import log_selection
from mlflow_nas.config import SelectConfig, work_root
from mlflow_nas.search import Search, StudySelection, open_storage, open_study, study_lock
from mlflow_nas.tracking import close_study, start_selection

if TYPE_CHECKING:
    from mlflow_nas.estimate import Chooser
    from mlflow_nas.search import Progress

__all__ = ["select_in_study", "select_on_study"]


def select_on_study(
    config: SelectConfig,
    chooser: "Chooser",
    *,
    project_run: str | None,
    progress: "Progress",
    on_step: Callable[[str], None],
) -> dict[str, object]:
    """Open the study, train what its sample lacks, choose.

    Raises:
        ConfigError: an option, data or weights; BoardError: two hardware failures in a row;
        RegistryError: MLflow does not answer.
    """
    from mlflow_nas.api.bench import make_bench
    from mlflow_nas.api.book import open_book
    from mlflow_nas.api.runs import as_params

    study = str(config.study)
    folder = work_root() / study
    with study_lock(folder):
        bench = make_bench(config, folder=folder, max_latency_ms=None)
        book = open_book(config, study, bench, project_run)
        try:
            storage = open_storage(config.storage, folder)
            # Chance draws: the sampler marks the trials as a fair sample.
            optuna_study = open_study(
                study, storage=storage, sampler="random", seed=config.seed, trials=config.samples
            )
            selection = StudySelection(
                search=Search(
                    study=optuna_study,
                    bench=bench,
                    book=book,
                    progress=progress,
                    seed_epochs=config.seed_epochs,
                ),
                chooser=chooser,
                repeats=config.repeats,
                early_epochs=config.early_epochs or max(round(bench.epochs / 4), 1),
                pictures=config.score_images,
                seeds=tuple(range(config.score_seeds)),
                on_sample=on_step,
            )
            result = select_in_study(
                selection, config.samples, sequential=config.sequential, params=as_params(config)
            )
        except BaseException:
            close_study(book.client, book.parent_id, "FAILED")
            raise
        close_study(book.client, book.parent_id)
    return {
        **result,
        "study": study,
        "experiment_id": book.experiment_id,
        "tracking_uri": book.client.tracking_uri,
    }


def select_in_study(
    selection: StudySelection, samples: int, *, sequential: bool, params: Mapping[str, object]
) -> dict[str, Any]:
    """Choose a strategy in an open study, in a run of its own below the study's.

    Args:
        selection: the study, and how to choose.
        samples: how many, at most.
        sequential: begin with 20.
        params: of the run, written before anything is known.

    Returns:
        The selection as plain values, with run_id.

    Raises:
        ConfigError: the space is too small, or all samples have one mAP.
        BoardError: two hardware failures in a row; RegistryError: MLflow does not answer.
    """
    book = selection.search.book
    run_id = start_selection(
        book.client,
        experiment_id=book.experiment_id,
        name=f"select-{book.study}",
        params=params,
        tags={**book.tags, "nas.study": book.study},
        parent_id=book.parent_id,
    )
    try:
        result = selection.run(samples, sequential=sequential).as_json()
        log_selection(book.client, run_id, result)
    except BaseException:
        book.client.set_terminated(run_id, "FAILED")
        raise
    book.note({"nas.selected": str(result["selected"] or ""), "nas.selection": run_id})
    return {**result, "run_id": run_id}
