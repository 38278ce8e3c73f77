"""`mlflow_nas search`: the main job."""

from pathlib import Path
from typing import TYPE_CHECKING

from mlflow_nas.config import SearchConfig, load_config, take_project_run_id, work_root
from mlflow_nas.errors import ConfigError, NasError

if TYPE_CHECKING:
    from mlflow_nas.search import (
        Conclusion,
        Estimated,
        EstimateOptions,
        Progress,
        SamplerName,
        Search,
        StudyBook,
        Workbench,
    )
    from mlflow_nas.types import Evaluation

__all__ = ["search"]


def search(
    *, config: Path | None = None, progress: "Progress | None" = None, **options: object
) -> dict[str, object]:
    """Search architectures: train, quantize, time, log, promote, deploy.

    Calling it again with the same `study` continues the study and stops at `trials`, or, with an estimator,
    when `top_k` of the candidates that it chose are trained.

    Args:
        config: a YAML file with options.
        progress: told what happens; None for silence.
        options: fields of `mlflow_nas.config.SearchConfig`.

    Returns:
        study, run_id, experiment_id, tracking_uri, trials (a row each), estimate (what became of
        it, or None), front, registry, deployed, and
        not_deployed (why) where that failed.

    Raises:
        ConfigError: an option, data or weights; BoardError: two hardware failures in a row;
        RegistryError: MLflow does not answer.
    """
    chosen = load_config(SearchConfig, options, file=config)
    from mlflow_nas.api.bench import make_bench
    from mlflow_nas.api.book import open_book
    from mlflow_nas.search import Silent, study_lock

    _check_estimator(chosen.estimator)
    project_run, device = take_project_run_id(), _receiver(chosen)
    folder = work_root() / chosen.study
    with study_lock(folder):
        bench = make_bench(chosen, folder=folder, max_latency_ms=chosen.max_latency_ms)
        book = open_book(chosen, chosen.study, bench, project_run)
        conclusion, estimated = _run(chosen, bench, book, folder, progress or Silent())
    return {
        "study": chosen.study,
        "run_id": book.parent_id,
        "experiment_id": book.experiment_id,
        "tracking_uri": book.client.tracking_uri,
        "trials": [evaluation.as_row() for evaluation in conclusion.evaluations],
        "estimate": estimated.as_json() if estimated else None,
        "front": [evaluation.as_row() for evaluation in conclusion.front],
        "registry": conclusion.registry.as_json() if conclusion.registry else None,
        **_deploy(chosen, device, conclusion, book),
    }


def _run(
    config: SearchConfig, bench: "Workbench", book: "StudyBook", folder: Path, progress: "Progress"
) -> "tuple[Conclusion, Estimated | None]":
    from mlflow_nas.search import Search, conclude, open_storage, open_study
    from mlflow_nas.tracking import close_study

    sampler, because = _sampler(config, bench, book)
    study = open_study(
        config.study,
        storage=open_storage(config.storage, folder),
        sampler=sampler,
        seed=config.seed,
        trials=config.trials,
    )
    try:
        search = Search(
            study=study,
            bench=bench,
            book=book,
            progress=progress,
            seed_epochs=config.seed_epochs,
            budget_s=config.budget_s,
        )
        evaluations, estimated = _evaluate(config, search, folder)
        conclusion = conclude(
            evaluations,
            bench=bench,
            book=book,
            model=config.model,
            max_map_drop=config.max_map_drop,
            settings={
                "space": bench.space.name,
                "sampler": because,
                "estimator": config.estimator,
                "board": config.board,
                "data": bench.dataset_tag,
            },
        )
    except BaseException:
        close_study(book.client, book.parent_id, "FAILED")
        raise
    close_study(book.client, book.parent_id)
    return conclusion, estimated


def _sampler(config: SearchConfig, bench: "Workbench", book: "StudyBook") -> "tuple[SamplerName, str]":
    """The sampler, and the choice in words, which the study's run holds as well."""
    from mlflow_nas.search import Decision, choose_sampler

    if config.sampler == "auto":
        sampler, decision = choose_sampler(bench.space.size, config.trials)
    else:
        sampler, decision = config.sampler, Decision(config.sampler, "chosen with --sampler")
    book.note({"nas.sampler": decision.choice, "nas.sampler_because": decision.because})
    return sampler, f"{decision.choice} ({decision.because})"


def _evaluate(
    config: SearchConfig, search: "Search", folder: Path
) -> "tuple[list[Evaluation], Estimated | None]":
    """Train trial after trial, or what an estimate chose."""
    from mlflow_nas.search import account_full, search_estimated

    name: str | None = config.estimator
    if name == "auto":
        from mlflow_nas.api.auto import choose_estimator

        name = choose_estimator(config, search, folder)
    if name is not None and name != "full":
        return search_estimated(search, _estimate_options(config, name))
    evaluations = search.run(config.trials)
    account_full(search)
    return evaluations, None


def _estimate_options(config: SearchConfig, name: str) -> "EstimateOptions":
    """How the options say that the strategy of that name is used.

    Raises:
        ConfigError: there is no such strategy.
    """
    from mlflow_nas.estimate import strategy_named
    from mlflow_nas.search import EstimateOptions

    return EstimateOptions(
        strategy=strategy_named(name),
        candidates=config.candidates,
        top_k=config.top_k,
        per_combination=config.per_combination,
        latency=config.latency,
        latency_samples=config.latency_samples,
        max_macs=config.max_macs,
        max_params=config.max_params,
    )


def _check_estimator(name: str) -> None:
    """Refuse an unknown strategy before anything is opened.

    Raises:
        ConfigError: there is none of that name.
    """
    if name in ("full", "auto"):
        return
    from mlflow_nas.estimate import strategy_named

    strategy_named(name)


def _receiver(config: SearchConfig) -> str | None:
    """The device that receives the champion: the board, where it was measured, or none.

    Raises:
        ConfigError: another device is named. It would refuse the champion, hours later.
    """
    device = config.device or config.board
    if device not in ("none", config.board):
        raise ConfigError(
            f"device={device} would refuse the champion, which is measured on board={config.board}: name one "
            "device for both, or give device=none and deploy with force=true."
        )
    return None if device == "none" else device


def _deploy(
    config: SearchConfig, device: str | None, conclusion: "Conclusion", book: "StudyBook"
) -> dict[str, object]:
    """What was deployed, or why it was not: the study stands either way."""
    if device is None or conclusion.registry is None:
        return {"deployed": None}
    from mlflow_nas.deployments import Options, deploy

    aliases = conclusion.registry.aliases
    alias = next(name for name in ("champion", f"champion-{config.board}") if name in aliases)
    try:
        deployed = deploy(
            book.client,
            f"models:/{config.model}@{alias}",
            device=device,
            devices=config.devices,
            options=Options(max_regression=None),
        )
    except NasError as error:
        return {"deployed": None, "not_deployed": str(error)}
    return {"deployed": deployed}
