"""Optuna's side of a space: distributions, samplers, storage."""

from pathlib import Path
from typing import Literal, TypeAlias

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.exc import SQLAlchemyError

from mlflow_nas.config import without_password
from mlflow_nas.errors import ConfigError
from mlflow_nas.space import Parameter, SearchSpace

__all__ = ["SamplerName", "distributions", "make_sampler", "open_storage", "open_study"]

SamplerName: TypeAlias = Literal["tpe", "nsga2", "random"]


def distributions(space: SearchSpace) -> dict[str, BaseDistribution]:
    """One Optuna distribution per parameter: integers where values are evenly spaced, else words."""
    return {name: _distribution(parameter) for name, parameter in space.parameters.items()}


def _distribution(parameter: Parameter) -> BaseDistribution:
    if parameter.step is None:
        return CategoricalDistribution(parameter.values)
    return IntDistribution(int(parameter.values[0]), int(parameter.values[-1]), step=parameter.step)


def make_sampler(name: SamplerName, *, seed: int, trials: int) -> BaseSampler:
    """A sampler for two objectives.

    Args:
        name: tpe (doi:10.1145/3377930.3389817), nsga2 (doi:10.1109/4235.996017) or random.
        seed: of the sampler.
        trials: the study's budget; a small one shortens TPE's random start and NSGA-II's generations.
    """
    match name:
        case "tpe":
            return TPESampler(seed=seed, n_startup_trials=max(min(10, trials // 2), 4))
        case "nsga2":
            return NSGAIISampler(seed=seed, population_size=max(min(50, trials // 4), 4))
        case "random":
            return RandomSampler(seed=seed)


def open_storage(storage: str | None, folder: Path) -> BaseStorage:
    """Optuna's storage: an RDB URL, a journal file, or by default a journal file in the study's folder.

    Raises:
        ConfigError: the database can't be opened, or its driver is missing.
    """
    if storage and "://" in storage:
        return _open_database(storage)
    path = Path(storage) if storage else folder / "optuna.journal"
    path.parent.mkdir(parents=True, exist_ok=True)
    return JournalStorage(JournalFileBackend(str(path)))


def _open_database(url: str) -> RDBStorage:
    try:
        return RDBStorage(url)
    except (ImportError, SQLAlchemyError) as error:
        said = str(error).partition("\n")[0]
        raise ConfigError(
            f"The storage {without_password(url)} can't be opened: {said}. Give a URL that SQLAlchemy "
            "can open, such as postgresql+psycopg://USER@HOST/DATABASE with its driver "
            "installed, or a journal file."
        ) from error


def open_study(
    name: str, *, storage: BaseStorage, sampler: SamplerName, seed: int, trials: int
) -> optuna.Study:
    """Create or continue the Optuna study: maximise map, minimise latency_ms.

    A continued study draws with another seed, or it would suggest its first architectures again.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=name, storage=storage, directions=["maximize", "minimize"], load_if_exists=True
    )
    study.set_metric_names(["map", "latency_ms"])
    study.sampler = make_sampler(sampler, seed=seed + len(study.get_trials(deepcopy=False)), trials=trials)
    return study
