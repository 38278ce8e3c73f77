"""The executor of a search: this process, processes of this machine, Ray, or a user's own engine."""

import importlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from mlflow_nas.config import SearchConfig, find_device, variables_for_workers
from mlflow_nas.errors import ConfigError
from mlflow_nas.search.context import StudyConfig
from mlflow_nas.search.engines.executor import EngineExecutor
from mlflow_nas.search.engines.protocol import Engine
from mlflow_nas.search.engines.remote import TrialCall
from mlflow_nas.search.executors import Executor, LocalExecutor, ProcessExecutor
from mlflow_nas.search.factories import load_factory
from mlflow_nas.search.plan import Plan
from mlflow_nas.search.progress import Progress
from mlflow_nas.search.session import Session
from mlflow_nas.tracking import default_uri
from mlflow_nas.types import Board, Device

__all__ = ["ENGINES", "make_executor"]

ENGINES = "mlflow_nas.engines"
"""Group of the entry points of engines that other packages bring."""
LOCAL, RAY = "local", "ray"


def make_executor(config: StudyConfig, session: Session, progress: Progress) -> Executor:
    """What evaluates the trials of a command.

    Args:
        config: of the command.
        session: the study; where an engine reaches boards in its own way, its board is replaced.
        progress: a display.

    Raises:
        ConfigError: there is no such engine, or it can't be used for this study.
    """
    asked = config.search.executor if isinstance(config, SearchConfig) else None
    workers = config.search.workers if isinstance(config, SearchConfig) else 1
    if asked is None or asked.engine == LOCAL:
        if workers > 1:
            return ProcessExecutor(config, workers, progress)
        return LocalExecutor(session, progress)
    board: Board | None = None
    engine: Engine
    if asked.engine == RAY or asked.engine.startswith(f"{RAY}://"):
        engine, board = _ray(asked.engine, asked.cpus, asked.gpus, config)
        session.context = replace(session.context, board=board)
    else:
        engine = _of_the_user(asked.engine, asked.cpus, asked.gpus)
    make_call = partial(_call, config, max(int(asked.cpus), 1), board)
    return EngineExecutor(engine, session.claims, make_call, workers=workers, progress=progress)


def _call(config: StudyConfig, threads: int, board: Board | None, plan: Plan, index: int) -> TrialCall:
    return TrialCall(config=config, plan=plan, index=index, folder=Path.cwd(), threads=threads, board=board)


def _ray(address: str, cpus: float, gpus: float, config: StudyConfig) -> tuple[Engine, Board]:
    try:
        module: Any = importlib.import_module("mlflow_nas.search.engines.ray_engine")
    except ImportError as error:
        raise ConfigError(
            f"--executor {address} needs Ray, which can't be imported ({error}): pip install "
            "'mlflow-nas[ray]'."
        ) from error
    device = _device(config)
    engine = module.RayEngine(
        "auto" if address == RAY else address,
        cpus=cpus,
        gpus=gpus,
        board=device.name,
        environment={**variables_for_workers(), "MLFLOW_TRACKING_URI": default_uri()},
        is_shared=config.search.storage is not None,
    )
    return engine, module.RayBoard(device)


def _device(config: StudyConfig) -> Device:
    device = find_device(config.board.name, config.board.inventory)
    return replace(device, threads=config.board.threads or device.threads)


def _of_the_user(name: str, cpus: float, gpus: float) -> Engine:
    factory: Callable[..., Engine] = load_factory(name, what="engine", group=ENGINES, known=(LOCAL, RAY))
    try:
        engine = factory(cpus=cpus, gpus=gpus)
    except (Exception, SystemExit) as error:  # a user's class may do anything
        raise ConfigError(
            f"The engine {name} can't be made with cpus={cpus}, gpus={gpus}: {error!r}; fix its code."
        ) from error
    missing = [method for method in ("start", "wait", "stop") if not callable(getattr(engine, method, None))]
    if missing:
        raise ConfigError(
            f"The engine {name} has no method {', '.join(missing)}: give it start, wait and stop, as "
            "mlflow_nas.search.Engine describes them."
        )
    return engine
