"""`search --estimator auto`: the selection first, then what it says."""

import logging
from dataclasses import replace
from pathlib import Path

from mlflow_nas.api.select import make_chooser
from mlflow_nas.api.select_study import select_in_study
from mlflow_nas.config import SearchConfig, SelectConfig, load_config
from mlflow_nas.estimate import STRATEGIES
from mlflow_nas.search import Search, StudySelection, open_storage, open_study

__all__ = ["choose_estimator"]

_log = logging.getLogger(__name__)

ASKED = tuple(row.name for row in STRATEGIES if "epochs" not in row.needs)
"""A search can't train thousands of candidates for some epochs: such strategies aren't judged."""


def choose_estimator(config: SearchConfig, search: Search, folder: Path) -> str | None:
    """Choose the strategy on samples of the search's own study, trained as trials.

    What is not an option of `search` is as `select` has it by default. The samples keep the search's latency
    limit: strategies are judged where they will be used.

    Args:
        config: of the search.
        search: the open study.
        folder: of the study.

    Returns:
        The strategy's name, or None when there is not enough evidence: train instead. The study's run says
        why, as `nas.estimator_because`.

    Raises:
        ConfigError: the space is too small, or all samples have one mAP.
        BoardError: two hardware failures in a row; RegistryError: MLflow does not answer.
    """
    shared = {name: getattr(config, name) for name in ("study", "samples", "candidates", "epochs", "seed")}
    options = load_config(SelectConfig, {**shared, "strategies": ",".join(ASKED)})
    random = open_study(
        config.study,
        storage=open_storage(config.storage, folder),
        sampler="random",
        seed=config.seed,
        trials=config.samples,
    )
    selection = StudySelection(
        search=replace(search, study=random, budget_s=None),
        chooser=make_chooser(options, search.progress.step),
        repeats=options.repeats,
        early_epochs=1,
        pictures=options.score_images,
        seeds=tuple(range(options.score_seeds)),
    )
    params = {"samples": options.samples, "candidates": options.candidates, "repeats": options.repeats}
    result = select_in_study(selection, options.samples, sequential=options.sequential, params=params)
    search.book.note({"nas.estimator_because": str(result["reason"])})
    _log.warning("%s.", result["reason"])
    return result["selected"] or None
