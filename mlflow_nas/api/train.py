"""`mlflow_nas train`: one architecture, one run."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlflow_nas.api.settings import read_settings
from mlflow_nas.config import TrainConfig, as_params, take_project_run_id, work_root
from mlflow_nas.errors import CandidateError, NasError
from mlflow_nas.types import Architecture, TrialResult

if TYPE_CHECKING:
    from mlflow_nas.tracking import Mirror, TrialRun
    from mlflow_nas.trial import Listener, StudyContext

__all__ = ["train"]

_FLUSH_S = 60.0


def train(
    settings: TrainConfig | None = None,
    /,
    *,
    config: Path | str | None = None,
    listener: "Listener | None" = None,
    **options: object,
) -> TrialResult:
    """Train, quantize and time one architecture, logged as exactly one run.

    Args:
        settings: the configuration; None for keywords.
        config: a YAML file with further settings.
        listener: receives the events; None for no listener.
        options: settings by option or dotted name.

    Raises:
        ConfigError: a setting, data or weights; CandidateError: the architecture can't be trained;
        BoardError: the hardware failed; MachineError: this machine did.
    """
    chosen = read_settings(TrainConfig, settings, options, config)
    from mlflow_nas.search import open_cache, open_context, seeded, trial_run
    from mlflow_nas.space import read_architecture
    from mlflow_nas.trial import Silent, run_trial

    context = seeded(open_context(chosen, cache=open_cache()))
    space = context.space
    architecture = read_architecture(space, chosen.arch) if chosen.arch else dict(space.baseline)
    mirror = _open_mirror(chosen, context)
    run = trial_run(context, architecture, role="trial")
    mirror.start_trial(run, is_new=True)
    try:
        result = run_trial(context, architecture, listener=_EpochLogger(run, mirror, listener or Silent()))
        mirror.finish_trial(run, result)
    except NasError as error:
        mirror.finish_trial(run, _failed(run, architecture, error))
        raise
    except BaseException:
        mirror.interrupt_trial(run)
        raise
    finally:
        mirror.flush(_FLUSH_S)
        run_id = mirror.run_id(run)
        mirror.close()
        context.board.close()
    if result.state == "failed":
        raise CandidateError(str(result.error).removeprefix("CandidateError: "))
    return replace(result, run_id=run_id)


def _failed(run: "TrialRun", architecture: Architecture, error: NasError) -> TrialResult:
    return TrialResult(
        key=run.key, architecture=architecture, state="failed", error=f"{type(error).__name__}: {error}"
    )


def _open_mirror(config: TrainConfig, context: "StudyContext") -> "Mirror":
    from mlflow_nas.search import dataset_links
    from mlflow_nas.tracking import Mirror, StudyRun, default_uri

    return Mirror(
        tracking_uri=default_uri(),
        folder=work_root() / "outbox" / "train",
        study=StudyRun(
            experiment=config.tracking.experiment,
            study=None,
            uid=uuid.uuid4().hex,
            params=as_params(config),
            tags={
                **context.tags,
                "nas.skipped_images": str(context.skipped_images),
                "nas.data_findings": json.dumps(context.val.findings.counts),
            },
            datasets=dataset_links(context),
            project_run_id=take_project_run_id(),
        ),
        objectives=[one.name for one in context.objectives],
    )


@dataclass(frozen=True, slots=True)
class _EpochLogger:
    """Sends epochs to MLflow as they end, and all events to another listener."""

    run: "TrialRun"
    mirror: "Mirror"
    listener: "Listener"

    def step(self, name: str) -> None:
        self.listener.step(name)

    def epoch(self, number: int, metrics: Mapping[str, float]) -> None:
        self.mirror.log_epoch(self.run, number, metrics)
        self.listener.epoch(number, metrics)
