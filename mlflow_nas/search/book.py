"""The study's book in MLflow: one parent run, one child run per trial."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mlflow_nas.tracking import (
    Client,
    TrialRole,
    evaluation_of,
    fail_stale,
    fetch_file,
    finish_trial,
    interrupt_trial,
    learning_curve,
    log_file,
    log_json,
    log_measurement,
    read_json,
    run_metrics,
    run_tags,
    start_trial,
    trial_runs,
)
from mlflow_nas.tracking.names import COST, DRAWN, ESTIMATOR, SHORTLIST
from mlflow_nas.types import Evaluation

__all__ = ["StudyBook"]


@dataclass(frozen=True, kw_only=True)
class StudyBook:
    """Writes a study's trials down.

    Attributes:
        client: of the tracking server.
        experiment_id: the experiment of all runs.
        parent_id: the study's run.
        study: the study's name.
        tags: tags that every trial carries (board, space, data set).
    """

    client: Client
    experiment_id: str
    parent_id: str
    study: str
    tags: Mapping[str, str]

    def start(
        self,
        number: int,
        key: str,
        *,
        is_baseline: bool,
        chosen_by: str | None = None,
        at_random: bool = False,
    ) -> str:
        """Open a trial's run, with who chose it: a strategy's estimate, or chance; returns its id."""
        chosen = {ESTIMATOR: chosen_by} if chosen_by else {}
        drawn = {DRAWN: "random"} if at_random else {}
        role: TrialRole = "baseline" if is_baseline else "trial"
        return self._start(role, f"{number:03d}-{key}", number, {**chosen, **drawn})

    def _start(
        self, role: TrialRole, name: str, number: int | None, tags: Mapping[str, str] = MappingProxyType({})
    ) -> str:
        return start_trial(
            self.client,
            experiment_id=self.experiment_id,
            parent_id=self.parent_id,
            study=self.study,
            number=number,
            role=role,
            name=name,
            tags={**self.tags, **tags},
        )

    def finish(self, evaluation: Evaluation) -> None:
        """Write a trial's evaluation into its run and end the run."""
        finish_trial(self.client, str(evaluation.run_id), evaluation)

    def add_metrics(self, run_id: str, metrics: Mapping[str, float]) -> None:
        """Write what was measured after a trial's end into its run."""
        log_measurement(self.client, run_id, metrics, {})

    def start_seed(self, key: str) -> str:
        """Open the run of the seed network's training; returns its id."""
        return self._start("seed", f"seed-{key}", None)

    def finish_seed(self, evaluation: Evaluation, weights: Path) -> None:
        """Keep the seed network's weights and curve; ended last, so that what is complete has its file."""
        log_file(self.client, str(evaluation.run_id), weights)
        self.finish(evaluation)

    def fetch_seed(self, target: Path) -> bool:
        """Copy the seed network's weights from MLflow to this machine; False when it was never trained."""
        runs = trial_runs(self.client, self.experiment_id, self.parent_id, roles=("seed",))
        trained = [run for run in runs if run.data.tags.get("nas.state") == "complete"]
        if trained:
            fetch_file(self.client, trained[0].info.run_id, target.name, target)
        return bool(trained)

    def seed_seconds(self) -> float:
        """What training the seed network took; 0 when the study trained none."""
        runs = trial_runs(self.client, self.experiment_id, self.parent_id, roles=("seed",))
        return float(sum(run.data.metrics.get("train_s", 0.0) for run in runs))

    def selection_seconds(self) -> float:
        """What selecting a strategy on the study took: scores and fits, and the second trainings; else 0."""
        run_id = run_tags(self.client, self.parent_id).get("nas.selection")
        if run_id is None:
            return 0.0
        metrics = run_metrics(self.client, run_id)
        scored = sum(value for name, value in metrics.items() if name.endswith("/sample_s"))
        return scored + sum(again.metrics.get("train_s", 0.0) for again in self.repeats())

    def interrupt(self, run_id: str) -> None:
        """End a run that was interrupted."""
        interrupt_trial(self.client, run_id)

    def note(self, tags: Mapping[str, str]) -> None:
        """Write tags into the study's run."""
        for tag, value in tags.items():
            self.client.set_tag(self.parent_id, tag, value)

    def clear_stale(self) -> None:
        """End the runs that a killed process left open."""
        fail_stale(self.client, self.experiment_id, self.parent_id)

    def evaluations(self) -> list[Evaluation]:
        """All ended trials of the study, in the order of their numbers, read back from MLflow."""
        return self._read(lambda _tags: True)

    def samples(self) -> list[Evaluation]:
        """The ended trials that no estimate chose: what a strategy may be judged by, or learn from."""
        return self._read(lambda tags: ESTIMATOR not in tags)

    def drawn(self) -> list[Evaluation]:
        """The ended trials that chance chose: a fair sample of the space."""
        return self._read(lambda tags: tags.get(DRAWN) == "random")

    def start_repeat(self, number: int, key: str) -> str:
        """Open the run of a trial's second training; returns its id."""
        return self._start("repeat", f"{number:03d}-{key}-again", number)

    def repeats(self) -> list[Evaluation]:
        """The second trainings that ended by themselves; one of a killed process is done again."""
        runs = trial_runs(self.client, self.experiment_id, self.parent_id, roles=("repeat",))
        return [evaluation_of(run) for run in runs if run.info.status in {"FINISHED", "FAILED"}]

    def curve(self, evaluation: Evaluation) -> tuple[Mapping[str, float], ...]:
        """The learning curve of an ended trial, an epoch each."""
        return learning_curve(self.client, str(evaluation.run_id))

    def _read(self, wanted: Callable[[Mapping[str, str]], bool]) -> list[Evaluation]:
        runs = trial_runs(self.client, self.experiment_id, self.parent_id)
        ended = [evaluation_of(run) for run in runs if "nas.state" in run.data.tags and wanted(run.data.tags)]
        return sorted(ended, key=lambda evaluation: evaluation.number)

    def keep_shortlist(self, estimator: str, shortlist: Mapping[str, object], *, settings: str) -> None:
        """Store what an estimate chose and cost, and last the settings that it belongs to."""
        log_json(self.client, self.parent_id, shortlist, _shortlist_file(estimator))
        self.note({f"{SHORTLIST}{estimator}": settings})

    def shortlist(self, estimator: str, *, settings: str) -> dict[str, Any] | None:
        """What an estimate chose earlier with the same settings; None when it did not."""
        if run_tags(self.client, self.parent_id).get(f"{SHORTLIST}{estimator}") != settings:
            return None
        found: dict[str, Any] = read_json(self.client, self.parent_id, _shortlist_file(estimator))
        return found

    def log_costs(self, estimator: str, costs: Mapping[str, float]) -> None:
        """Write what a search cost and found into the study's run."""
        named = {f"{COST}{estimator}/{term}": value for term, value in costs.items() if isfinite(value)}
        log_measurement(self.client, self.parent_id, named, {})


def _shortlist_file(estimator: str) -> str:
    return f"estimate/{estimator}.json"
