"""A study in Optuna's storage, shared by its workers: its trials, their owners and results."""

import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from mlflow_nas.errors import ConfigError
from mlflow_nas.search.fixed_inputs import refuse_other_inputs
from mlflow_nas.search.worker import Worker, heartbeat, this_worker
from mlflow_nas.types import Architecture, Objective, TrialResult

__all__ = [
    "ARCHITECTURE",
    "BEAT",
    "FAILURES",
    "KEY",
    "ORIGIN",
    "OWNER",
    "PAUSED",
    "PROMOTED",
    "RESULT",
    "RUNGS",
    "VOID",
    "Claim",
    "StudyStore",
    "is_paused",
    "open_study",
]

_log = logging.getLogger(__name__)

KEY, ARCHITECTURE, ORIGIN, RESULT = "nas.key", "nas.architecture", "nas.origin", "nas.result"
OWNER, BEAT, FAILURES, VOID = "nas.owner", "nas.heartbeat", "nas.failures", "nas.void"
PAUSED, PROMOTED, RUNGS = "nas.paused", "nas.promoted", "nas.rungs"
"""User attributes of a trial; the latter three of early stopping."""
_FIXED, _LATER, _LATE = "nas.fixed", "nas.later.", "nas.late."
"""User attributes of the study."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A trial that this worker evaluates.

    Attributes:
        number: of the trial in the study.
        key: the architecture's stable key.
        architecture: the choices.
        origin: what chose it: {"chosen_by": a strategy or None, "random": drawn at random or not}.
        failures: why earlier attempts ended without a result, such as "board".
        is_new: no worker has started it before.
    """

    number: int
    key: str
    architecture: Architecture
    origin: Mapping[str, Any] = field(default_factory=dict)
    failures: tuple[str, ...] = ()
    is_new: bool = False


def open_study(name: str, *, storage: BaseStorage, objectives: Sequence[Objective]) -> optuna.Study:
    """Create or continue a study in Optuna's storage.

    Raises:
        ConfigError: the study was made with other objectives.
    """
    study = optuna.create_study(
        study_name=name,
        storage=storage,
        directions=[one.direction for one in objectives],
        load_if_exists=True,
    )
    names = [one.name for one in objectives]
    if study.metric_names is None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names(names)
    elif study.metric_names != names:
        raise ConfigError(
            f"The study {name!r} was made with the objectives {', '.join(study.metric_names)}, this call has "
            f"{', '.join(names)}: give its --objectives, or another --study."
        )
    return study


@dataclass(kw_only=True)
class StudyStore:
    """A study that several workers share.

    A trial is owned by the worker named in its attributes, who renews a heartbeat there.

    Attributes:
        study: Optuna's study; its metric names are those of the objectives.
        parent: process without which this one ends; None for none.
        worker: this process.
    """

    study: optuna.Study
    parent: int | None = None
    worker: Worker = field(default_factory=this_worker)
    _known: dict[int, TrialResult] = field(default_factory=dict, init=False)

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """In the order of the study's values."""
        names = self.study.metric_names or ()
        return tuple(
            Objective(name, "maximize" if direction is StudyDirection.MAXIMIZE else "minimize")
            for name, direction in zip(names, self.study.directions, strict=True)
        )

    def value(self, key: str) -> Any:
        """A value of the study; None where there is none."""
        text = self.study.user_attrs.get(key)
        return None if text is None else json.loads(text)

    def keep(self, key: str, value: object) -> None:
        """Store a value of the study, as plain JSON."""
        self.study.set_user_attr(key, json.dumps(value))

    def fix(self, inputs: Mapping[str, object]) -> None:
        """Fix the inputs of a new study; compare them with those of a continued one.

        Raises:
            ConfigError: an input differs from that of an earlier call.
        """
        plain = json.loads(json.dumps(inputs))
        known = self.value(_FIXED)
        if known is None:
            self.keep(_FIXED, plain)
        else:
            refuse_other_inputs(self.study.study_name, known, plain)

    def trials(self) -> list[FrozenTrial]:
        """The trials of architectures, by number; without void ones and those that have none."""
        known = self._known
        return [one for one in self.study.get_trials(deepcopy=False) if one.number in known or _is_trial(one)]

    def results(self) -> list[TrialResult]:
        """The finished trials, by number, with metrics that were added after their ends."""
        known = self._known  # read once: a finished trial does not change
        for trial in self.trials():
            if trial.number not in known and trial.state.is_finished():
                known[trial.number] = TrialResult.from_json(json.loads(trial.user_attrs[RESULT]))
        results = dict(sorted(known.items()))
        for name, later in self.study.user_attrs.items():
            if name.startswith(_LATER) and (number := int(name.removeprefix(_LATER))) in results:
                result = results[number]
                results[number] = replace(result, metrics={**result.metrics, **json.loads(later)})
        return list(results.values())

    def add_metrics(self, number: int, metrics: Mapping[str, float]) -> None:
        """Store metrics that were measured after a trial's end."""
        known = self.value(f"{_LATER}{number}") or {}
        self.keep(f"{_LATER}{number}", {**known, **metrics})

    def origin_of(self, trial: FrozenTrial) -> Mapping[str, Any]:
        """What chose the trial."""
        return dict(trial.user_attrs.get(ORIGIN, {}))

    def unfinished(self) -> list[FrozenTrial]:
        """Trials that a worker evaluates, or that wait for one."""
        return [one for one in self.trials() if not one.state.is_finished()]

    def trial(self, number: int) -> FrozenTrial:
        """A trial as the storage has it now."""
        return self.storage.get_trial(self.trial_id(number))

    def report(self, number: int, epoch: int, value: float) -> None:
        """Store an intermediate value of the first objective; `Trial.report` takes those of one objective."""
        self.storage.set_trial_intermediate_value(self.trial_id(number), epoch, value)

    def is_mine(self, claim: Claim) -> bool:
        """Whether this worker still owns the trial."""
        trial = self.trial(claim.number)
        owner = trial.user_attrs.get(OWNER) or {}
        return trial.state is TrialState.RUNNING and owner.get("name") == self.worker.name

    @contextmanager
    def beating(self, claim: Claim) -> Iterator[Event]:
        """Renew the trial's heartbeat; the event is set when another worker has taken it over."""

        def beat(number: int) -> bool:
            if not self.is_mine(claim):
                return False
            self.set_attr(claim.number, BEAT, number)
            return True

        with heartbeat(beat, parent=self.parent) as lost:
            yield lost

    def finish(self, claim: Claim, result: TrialResult) -> bool:
        """Store a trial's result, then complete it in Optuna; after a kill in between another worker does.

        Returns:
            False where another worker has taken over the trial: the result is stored as late, not counted.
        """
        if not self.is_mine(claim):
            self.keep(f"{_LATE}{claim.number}.{self.worker.name}", result.as_json())
            _log.warning(
                "Trial %d was taken over by another worker, because this one's heartbeat stopped: this "
                "result is stored in the study's attributes and not counted.",
                claim.number,
            )
            return False
        self.set_attr(claim.number, RESULT, json.dumps(result.as_json()))
        return self.tell(claim.number, result)

    def tell(self, number: int, result: TrialResult) -> bool:
        """Complete a trial in Optuna; False where another worker was faster."""
        trial = optuna.Trial(self.study, self.trial_id(number))
        for name, violation in result.constraints.items():
            trial.set_constraint(name, violation)
        # A baseline outside of a narrowed space has no params: samplers can't use its values.
        known = bool(trial.params) and all(one.name in result.metrics for one in self.objectives)
        ended = result.state != "pruned"
        try:
            if result.state == "failed":
                self.study.tell(number, state=TrialState.FAIL)
            elif known and ended:
                self.study.tell(number, [result.metrics[one.name] for one in self.objectives])
            else:
                self.study.tell(number, state=TrialState.PRUNED)
        except (UpdateFinishedTrialError, ValueError):  # another worker was faster
            return False
        return True

    def release(self, claim: Claim, *, failure: str | None = None) -> None:
        """Return the trial to the waiting ones: it was interrupted, or hardware failed.

        Args:
            claim: of this worker.
            failure: the kind of a hardware failure, such as "board"; None for none.
        """
        if not self.is_mine(claim):
            return
        if failure:
            self.set_attr(claim.number, FAILURES, [*claim.failures, failure])
        self.release_of(claim.number)

    def pause(self, claim: Claim, rung: int, result: TrialResult) -> None:
        """Return the trial to the waiting ones until it is among the best of a rung.

        Args:
            claim: of this worker.
            rung: epochs.
            result: the trial's, should it stay there until the study's end.
        """
        if self.is_mine(claim):
            self.set_attr(claim.number, PAUSED, {"rung": rung, "result": result.as_json()})
            self.release_of(claim.number)

    def release_of(self, number: int) -> None:
        """Return a running trial, whoever owned it, to the waiting ones."""
        self.set_attr(number, OWNER, None)
        self.storage.set_trial_state_values(self.trial_id(number), TrialState.WAITING)

    @property
    def storage(self) -> BaseStorage:
        """Optuna's; `Study` has no public way to create a running trial or to return one to waiting."""
        return self.study._storage

    @property
    def study_id(self) -> int:
        """Of the study in the storage."""
        return self.storage.get_study_id_from_name(self.study.study_name)

    def trial_id(self, number: int) -> int:
        """Of a trial in the storage."""
        return self.storage.get_trial_id_from_study_id_trial_number(self.study_id, number)

    def set_attr(self, number: int, name: str, value: object) -> None:
        """Set a user attribute of a trial."""
        self.storage.set_trial_user_attr(self.trial_id(number), name, value)


def is_paused(trial: FrozenTrial) -> bool:
    """Whether the trial waits at a rung."""
    return trial.user_attrs.get(PAUSED) is not None


def _is_trial(trial: FrozenTrial) -> bool:
    """Whether the trial has an architecture; an unfinished one need not have a result."""
    attrs = trial.user_attrs
    return KEY in attrs and VOID not in attrs and (RESULT in attrs or not trial.state.is_finished())
