"""MLflow as a mirror of a study: everything is written through an outbox, without waiting for the network."""

import hashlib
import json
import os
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.tracking.context.registry import resolve_tags

from mlflow_nas.errors import NasError
from mlflow_nas.redact import redact
from mlflow_nas.tracking import names
from mlflow_nas.tracking.artifacts import table_text
from mlflow_nas.tracking.batch import as_points
from mlflow_nas.tracking.delivery import Delivery
from mlflow_nas.tracking.events import Event, Status, curve_points, finished, ordered
from mlflow_nas.tracking.model import model_content
from mlflow_nas.tracking.outbox import Outbox
from mlflow_nas.tracking.reconcile import reconcile_runs
from mlflow_nas.tracking.runs import ModelFiles, StudyRun, TrialRun
from mlflow_nas.tracking.sender import Sender
from mlflow_nas.tracking.server import Client, connect, one_line
from mlflow_nas.tracking.step_files import STEP, fetch_step_files, step_folder
from mlflow_nas.types import TrialResult

__all__ = ["Mirror"]


class Mirror:
    """Writes a study, or one trial alone, to MLflow.

    Every method but `flush`, `reconcile`, `run_id`, `model_id` and `experiment_id` returns at once. Events
    are delivered in their order as soon as the server accepts them; after this process's end, by the next
    process that opens a mirror on the same folder. None as a trial is the study itself. Each process opens
    its own mirror.
    """

    def __init__(
        self,
        *,
        tracking_uri: str,
        folder: Path,
        study: StudyRun,
        objectives: Sequence[str],
        client: Client | None = None,
    ) -> None:
        """Open the mirror, and start to deliver the events of dead processes in the folder.

        Args:
            tracking_uri: of the server.
            folder: of the outboxes of all processes of this machine, each in a folder of its own.
            study: the study's run, and the tags that all runs share.
            objectives: the names of the objectives, which stand first among the metrics.
            client: of the server; None connects to it.

        Raises:
            ConfigError: the URI's scheme is unknown, or its database can't be opened.
        """
        self._client = client or connect(tracking_uri)
        self._study = study
        self._objectives = tuple(objectives)
        self._target = hashlib.sha256(tracking_uri.encode()).hexdigest()
        self._epochs: dict[str, int] = {}
        self._resumed: set[str] = set()
        source = {name: redact(value) for name, value in resolve_tags().items()}
        context = {"target": self._target, "study": study.as_json(), "source": source}
        self._outbox = Outbox(folder / f"{time.time_ns():020d}-{os.getpid()}", context)
        self._delivery = Delivery(self._client, study, source)
        self._sender = Sender(self._outbox, self._delivery, self._delivery_of)

    @property
    def experiment_id(self) -> str:
        """Id of the experiment.

        Raises:
            ConfigError: the experiment is deleted; RegistryError: MLflow does not answer.
        """
        return self._delivery.experiment

    def start_study(self) -> None:
        """Open the study's run, or continue it; a single trial has no study's run."""
        if self._study.study is not None:
            self._post("start", None, tags=self._study.tags)

    def finish_study(self, status: Status = "FINISHED") -> None:
        """End the study's run."""
        if self._study.study is not None:
            self._post("end", None, status=status)

    def start_trial(self, trial: TrialRun, *, is_new: bool = False) -> None:
        """Open a trial's run with `arch.*`, user, source, git commit and data sets, or continue it.

        Args:
            trial: the trial.
            is_new: no process has started this trial before, so the server need not be searched for its run.
        """
        if not is_new:
            self._resumed.add(trial.uid)
        self._post("start", trial, is_new=is_new)

    def log_epoch(self, trial: TrialRun, epoch: int, metrics: Mapping[str, float]) -> None:
        """Add an epoch, counted from 1, to the trial's learning curve, with the current time.

        A training that is resumed repeats its earlier epochs: those are written where MLflow lacks them.
        """
        self._epochs[trial.uid] = self._epochs.get(trial.uid, 0) + 1
        points = as_points(self._ordered(metrics), _now_ms(), step=epoch, prefix=names.CURVE)
        # A kill loses epochs that are not delivered: those of a resumed training, and reconcile, add them.
        if trial.uid in self._resumed:
            self._post("write", trial, in_memory=True, curve=points)
        else:
            self._post("write", trial, in_memory=True, points=points)

    def finish_trial(self, trial: TrialRun, result: TrialResult) -> None:
        """Write a trial's result and end its run; epochs that MLflow lacks are added to the curve."""
        end = finished(trial, result, objectives=self._objectives, time_ms=_now_ms())
        is_logged = self._epochs.pop(trial.uid, 0) >= len(result.history)
        curve = (
            []
            if is_logged
            else curve_points(result.history, objectives=self._objectives, time_ms=end.time_ms)
        )
        self._post("end", trial, points=end.points, tags=end.tags, status=end.status, curve=curve)

    def interrupt_trial(self, trial: TrialRun) -> None:
        """End the run of a trial that was interrupted: KILLED until it is started again."""
        self._post("end", trial, status="KILLED")

    def log_model(self, trial: TrialRun, model: ModelFiles) -> None:
        """Log the trial's file as an MLflow model; the same file is logged once."""
        files = [path for path in (model.onnx, *model.companions, model.golden) if path is not None]
        self._post("model", trial, files=files, content=model_content(model))

    def log_artifact(self, target: TrialRun | None, path: Path, folder: str | None = None) -> None:
        """Store a file with a run, under its own name; one of the same name is replaced."""
        self._post("file", target, files=[path], content={"folder": folder})

    def log_step(self, trial: TrialRun, step: str, folder: Path) -> None:
        """Store the files of a cached step for other machines; its folder is named by the fingerprint."""
        for path in sorted(one for one in folder.iterdir() if one.is_file()):
            self.log_artifact(trial, path, step_folder(step))
        self.set_tags(trial, {f"{STEP}{step}": folder.name})

    def fetch_step(self, step: str, fingerprint: str, folder: Path) -> bool:
        """Download the files of a step into a folder; False where MLflow has none, or does not answer."""
        with suppress(MlflowException, OSError, NasError):
            return fetch_step_files(self._client, self.experiment_id, step, fingerprint, folder)
        return False

    def log_table(
        self, target: TrialRun | None, columns: Sequence[str], rows: Sequence[Sequence[object]], name: str
    ) -> None:
        """Store a table that MLflow's UI shows as one, under a name that ends in .json; it is replaced."""
        self._post("table", target, content={"name": name, "text": table_text(columns, rows)})

    def log_json(self, target: TrialRun | None, content: Mapping[str, object], name: str) -> None:
        """Store plain values as a JSON file; one of the same name is replaced."""
        self._post("text", target, content={"name": name, "text": json.dumps(content, default=str, indent=1)})

    def describe(self, target: TrialRun | None, markdown: str) -> None:
        """Set a run's description, at most 8,000 characters of it."""
        self.set_tags(target, {names.NOTE: markdown})

    def set_tags(self, target: TrialRun | None, tags: Mapping[str, str]) -> None:
        """Set tags of a run."""
        self._post("write", target, tags=tags)

    def log_metrics(self, target: TrialRun | None, metrics: Mapping[str, float]) -> None:
        """Add metrics to a run, such as those that were measured after its end."""
        self._post("write", target, points=as_points(self._ordered(metrics), _now_ms()))

    def flush(self, timeout_s: float) -> int:
        """Wait until everything is delivered; the number of events that are not."""
        return self._sender.flush(timeout_s)

    def run_id(self, trial: TrialRun | None) -> str | None:
        """The run of a trial or the study; None where MLflow has none, or does not answer."""
        with suppress(MlflowException, OSError, NasError):
            return self._delivery.run_id(trial)
        return None

    def model_id(self, trial: TrialRun) -> str | None:
        """The logged model of a trial; None where MLflow has none, or does not answer."""
        with suppress(MlflowException, OSError, NasError):
            return self._delivery.model_id(trial)
        return None

    def reconcile(
        self,
        results: Sequence[tuple[TrialRun, TrialResult]],
        *,
        running: Collection[str] = (),
        timeout_s: float = 30.0,
    ) -> list[str]:
        """Write what the study has and MLflow lacks; call it once, at the end of a command.

        Args:
            results: all ended trials of the study.
            running: the uids of trials that other workers evaluate now; every other run that is left running
                ends as KILLED.
            timeout_s: how long to wait for the delivery of earlier events.

        Returns:
            One sentence per run that was changed, or why it could not be done.
        """
        if waiting := self.flush(timeout_s):
            return [
                f"MLflow at {redact(self._client.tracking_uri)} has not accepted {waiting} events: they wait "
                f"in {self._outbox.folder.parent} for the next command."
            ]
        try:
            return reconcile_runs(self._delivery, results, objectives=self._objectives, running=running)
        except (MlflowException, OSError, NasError) as fault:
            return [
                f"MLflow at {redact(self._client.tracking_uri)} could not be compared with the study "
                f"({one_line(fault)}): rerun the same command when it answers."
            ]

    def close(self) -> None:
        """Stop delivering; the remaining events wait in the folder for the next process."""
        self._sender.close()

    def _ordered(self, metrics: Mapping[str, float]) -> dict[str, float]:
        return ordered(metrics, self._objectives)

    def _post(
        self,
        kind: Any,
        trial: TrialRun | None,
        *,
        files: Sequence[Path] = (),
        tags: Mapping[str, str] | None = None,
        in_memory: bool = False,
        **values: Any,
    ) -> None:
        texts = {name: redact(value) for name, value in (tags or {}).items()}
        event = Event(kind=kind, trial=trial, time_ms=_now_ms(), tags=texts, **values)
        self._outbox.append(event.as_json(), files, in_memory=in_memory)
        self._sender.call()

    def _delivery_of(self, box: Outbox) -> Delivery | None:
        """The delivery of an adopted outbox; None when it goes to another server."""
        if box.context["target"] != self._target:
            return None
        return Delivery(self._client, StudyRun.from_json(box.context["study"]), box.context["source"])


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
