"""Events to MLflow runs: an event that is delivered twice, after any kill, is logged once."""

import logging
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import LifecycleStage, Run, ViewType

from mlflow_nas.redact import redact
from mlflow_nas.tracking import names
from mlflow_nas.tracking.artifacts import store_table
from mlflow_nas.tracking.batch import Point, log_values
from mlflow_nas.tracking.events import Event
from mlflow_nas.tracking.model import find_model, log_model
from mlflow_nas.tracking.runs import StudyRun, TrialRun
from mlflow_nas.tracking.server import experiment_id, experiment_of, machine_lock

__all__ = ["Delivery", "oldest"]

_log = logging.getLogger(__name__)

SETTLE_S = 1.0
"""After this time two machines that create a study's run at once see both runs; the older one stays."""
PAGE = 1_000


class Delivery:
    """Writes the events of one study to MLflow.

    A run has the tag nas.uid from its creation and is searched for by it before one is created, so that a
    kill at any moment leads to no second one; values keep the time stamps of their events, so that MLflow
    stores a repeated one once.
    """

    def __init__(self, client: MlflowClient, study: StudyRun, source: Mapping[str, str]) -> None:
        """Deliver to a server.

        Args:
            client: of the server.
            study: whose events.
            source: tags of user, source and git commit.
        """
        self.client = client
        self.study = study
        self._source = source
        self._known: dict[str | None, str] = {}
        self._lock = machine_lock(study.uid)

    @cached_property
    def experiment(self) -> str:
        """Id of the experiment: the project run's, else by name.

        Raises:
            ConfigError: the experiment is deleted; RegistryError: MLflow does not answer.
        """
        own = self.study.project_run_id
        return experiment_of(self.client, own) if own else experiment_id(self.client, self.study.experiment)

    def uid(self, trial: TrialRun | None) -> str:
        """The tag nas.uid of a run."""
        return self.uid_of(trial.uid if trial else "study")

    def uid_of(self, trial: str) -> str:
        """The tag nas.uid of the trial with that uid."""
        return f"{self.study.uid}/{trial}".replace("'", "_")  # a quotation mark would end MLflow's filter

    def run_id(self, trial: TrialRun | None) -> str | None:
        """The run of a trial or the study; None where MLflow has none."""
        known = self._known.get(trial.uid if trial else None)
        if known is None and (run := self._find(trial)) is not None:
            known = str(run.info.run_id)
        return known

    def model_id(self, trial: TrialRun) -> str | None:
        """The logged model of a trial; None where MLflow has none."""
        run_id = self.run_id(trial)
        return find_model(self.client, self.experiment, run_id) if run_id else None

    def runs(self) -> list[Run]:
        """All runs of the study, deleted ones too, the older first."""
        found: list[Run] = []
        token: str | None = ""
        prefix = self.uid(None).removesuffix("study")
        while token is not None:
            page = self.client.search_runs(
                [self.experiment],
                f"tags.`{names.UID}` LIKE '{prefix}%'",
                ViewType.ALL,
                max_results=PAGE,
                page_token=token or None,
            )
            found += page
            token = page.token or None
        return sorted((run for run in found if run.data.tags[names.UID].startswith(prefix)), key=_age)

    def forget(self, uid: str | None) -> None:
        """Search for the run on the server before the next event."""
        self._known.pop(uid, None)

    def deliver(
        self, events: Sequence[Event], files: Sequence[Path] = (), *, is_first_try: bool = False
    ) -> None:
        """Write events that belong together (`one_batch`) with as few requests as MLflow allows.

        Args:
            events: of one run.
            files: of the event, in its order.
            is_first_try: their first delivery: a new trial then has no run yet.

        Raises:
            MlflowException, OSError: the server does not answer, or refuses them.
            NasError: the experiment is deleted, or can't be asked for.
        """
        head, content = events[0], events[0].content
        run_id, params, is_created = self._open(head, is_new=is_first_try and head.is_new)
        if head.kind in {"start", "write", "end"}:
            self._write(run_id, params, events, is_created=is_created)
            return
        log_values(self.client, run_id, params=params)
        if head.kind == "file":
            self.client.log_artifact(run_id, str(files[0]), content["folder"])
        elif head.kind == "text":
            self.client.log_text(run_id, content["text"], content["name"])
        elif head.kind == "table":
            store_table(self.client, run_id, content["name"], content["text"])
        else:
            validation = next((link for link in self.study.datasets if link.context == "validation"), None)
            log_model(self.client, run_id, content, files, dataset=validation)

    def _write(
        self, run_id: str, params: Mapping[str, object], events: Sequence[Event], *, is_created: bool
    ) -> None:
        points = [point for event in events for point in event.points]
        curve = [point for event in events for point in event.curve]
        log_values(
            self.client,
            run_id,
            # Results before the curve: MLflow's UI offers metrics in the order of their arrival.
            points=sorted(
                [*points, *self._lacking(run_id, curve)], key=lambda p: p[0].startswith(names.CURVE)
            ),
            params=params,
            tags={name: value for event in events for name, value in event.tags.items()},
        )
        last = events[-1]
        if last.status:
            self.client.set_terminated(run_id, last.status, last.time_ms)
        elif events[0].kind == "start" and not is_created:
            self._continue(run_id, events[0])

    def _continue(self, run_id: str, start: Event) -> None:
        """A run that was interrupted runs again; one of an ended trial stays as it is."""
        if start.trial is None or names.STATE not in self.client.get_run(run_id).data.tags:
            self.client.update_run(run_id, status="RUNNING")

    def _lacking(self, run_id: str, curve: Sequence[Point]) -> list[Point]:
        """The points of a learning curve whose step MLflow lacks."""
        if not curve:
            return []
        logged = set(self.client.get_run(run_id).data.metrics)
        known = {
            (name, point.step)
            for name in {name for name, *_ in curve} & logged
            for point in self.client.get_metric_history(run_id, name)
        }
        return [point for point in curve if (point[0], point[3]) not in known]

    def _open(self, event: Event, *, is_new: bool) -> tuple[str, Mapping[str, object], bool]:
        """The event's run, the params that it lacks, and whether it is created just now."""
        if event.uid in self._known:
            return self._known[event.uid], {}, False
        if event.trial is not None and self.study.study is not None:
            self._open(Event(kind="start", trial=None, time_ms=event.time_ms), is_new=False)
        with self._lock:
            run = None if is_new else self._find(event.trial)
            run_id = str(run.info.run_id) if run else self._create(event)
            if run is not None and run.info.lifecycle_stage == LifecycleStage.DELETED:
                _log.warning(
                    "run %s of %s was deleted in MLflow: it is restored", run_id, self.uid(event.trial)
                )
                self.client.restore_run(run_id)
        self._mark_continuation(event.trial, run_id)
        params = self._params(event.trial)
        if self.study.datasets and not (run and run.inputs and run.inputs.dataset_inputs):
            self.client.log_inputs(run_id, [link.as_input() for link in self.study.datasets])
        self._known[event.uid] = run_id
        logged = run.data.params if run else self._logged_by_mlflow(run_id)
        return run_id, {name: value for name, value in params.items() if name not in logged}, run is None

    def _find(self, trial: TrialRun | None) -> Run | None:
        """The run with the uid: not deleted, the oldest of several; of a trial alone the project's run."""
        own = self.study.project_run_id
        if own and trial is not None and self.study.study is None:
            run = self.client.get_run(own)
            return run if run.data.tags.get(names.UID) == self.uid(trial) else None
        found = self.client.search_runs(
            [self.experiment], f"tags.`{names.UID}` = '{self.uid(trial)}'", ViewType.ALL, max_results=PAGE
        )
        return oldest(found)

    def _create(self, event: Event) -> str:
        trial, study = event.trial, self.study
        name = trial.name if trial else str(study.study)
        tags = {tag: redact(value) for tag, value in self._tags(trial).items()}
        if study.project_run_id and (trial is None or study.study is None):
            log_values(self.client, study.project_run_id, tags=tags)
            self.client.update_run(study.project_run_id, status="RUNNING", name=name)
            return study.project_run_id
        run = self.client.create_run(self.experiment, event.time_ms, tags, name)
        run_id = str(run.info.run_id)
        return self._settle(run_id) if trial is None else run_id

    def _settle(self, created: str) -> str:
        """The study's run, when another machine may be creating it at the same moment."""
        if self.client.tracking_uri.startswith("sqlite"):
            return created
        time.sleep(SETTLE_S)
        first = self._find(None)
        if first is None or first.info.run_id == created:
            return created
        self.client.delete_run(created)
        return str(first.info.run_id)

    def _logged_by_mlflow(self, run_id: str) -> Mapping[str, str]:
        """The params of a project run: MLflow has logged them and refuses another spelling."""
        if run_id != self.study.project_run_id:
            return {}
        logged: Mapping[str, str] = self.client.get_run(run_id).data.params
        return logged

    def _mark_continuation(self, trial: TrialRun | None, run_id: str) -> None:
        """Put the run that `mlflow run` made below the run that the study had already."""
        own = self.study.project_run_id
        if own and own != run_id and trial is None:
            tags = {names.STUDY: str(self.study.study), names.ROLE: "continuation", names.PARENT: run_id}
            log_values(self.client, own, tags=tags)

    def _tags(self, trial: TrialRun | None) -> dict[str, str]:
        """The tags that a run has from its creation."""
        study = self.study
        tags = {**self._source, **study.tags, names.UID: self.uid(trial)}
        if study.study is not None:
            tags[names.STUDY] = study.study
        if trial is None:
            return {**tags, names.ROLE: "study"}
        tags |= {**trial.tags, names.ROLE: trial.role, names.KEY: trial.key}
        if trial.number is not None:
            tags[names.TRIAL] = str(trial.number)
        if study.study is not None:
            tags[names.PARENT] = self._known[None]
        return tags

    def _params(self, trial: TrialRun | None) -> dict[str, object]:
        own = {} if trial is None else trial.architecture
        named: dict[str, object] = {f"{names.ARCHITECTURE}{name}": value for name, value in own.items()}
        return named if trial is not None and self.study.study is not None else {**self.study.params, **named}


def oldest(runs: Sequence[Run]) -> Run | None:
    """The one that counts of several runs with one uid: not deleted, then the oldest."""
    return min(runs, key=_age, default=None)


def _age(run: Run) -> tuple[bool, int, str]:
    return run.info.lifecycle_stage == LifecycleStage.DELETED, run.info.start_time, run.info.run_id
