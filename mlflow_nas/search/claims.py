"""The trial that a worker evaluates next: an unfinished one of the study, or a new one."""

import json
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock
from optuna.trial import FrozenTrial, TrialState, create_trial

from mlflow_nas.search.early_stopping import SuccessiveHalving
from mlflow_nas.search.samplers import Proposer, distributions
from mlflow_nas.search.store import (
    ARCHITECTURE,
    BEAT,
    FAILURES,
    KEY,
    ORIGIN,
    OWNER,
    PAUSED,
    PROMOTED,
    RESULT,
    VOID,
    Claim,
    StudyStore,
    is_paused,
)
from mlflow_nas.search.worker import StaleWatch
from mlflow_nas.space import SearchSpace
from mlflow_nas.types import Architecture, TrialResult

__all__ = ["Choose", "Claims"]

Choose = Callable[[Collection[str]], Architecture | None]
"""Takes the keys of all architectures of the study, returns the next to evaluate, or None for no more."""


@dataclass(kw_only=True)
class Claims:
    """Hands trials of a study to this worker.

    A trial is created with its owner in one write. Trials of a dead worker are taken over by any other, in
    place: the number stays. Where two take over the same trial, the last writer has it, and the other one
    notices with its next heartbeat.

    Attributes:
        store: the study.
        space: of the architectures.
        proposer: proposes new architectures.
        watch: detects dead workers.
        lock: a file that processes of this machine lock while they claim; None for one process.
        halving: holds trials at rungs; None for no early stopping, when paused ones are trained to the end.
    """

    store: StudyStore
    space: SearchSpace
    proposer: Proposer
    watch: StaleWatch = field(default_factory=StaleWatch)
    lock: Path | None = None
    halving: SuccessiveHalving | None = None

    def next(
        self,
        *,
        limit: int,
        choose: Choose | None = None,
        origin: Mapping[str, Any] | None = None,
        skip: Collection[int] = (),
    ) -> Claim | None:
        """The next trial to evaluate: an unfinished one, else a new one while there are fewer than `limit`.

        Args:
            limit: trials of the study.
            choose: chooses new architectures; None for the sampler.
            origin: of new trials: what chooses them.
            skip: numbers of trials that are left alone for now.

        Returns:
            The claim; None where there is nothing to do, though other workers may still be at work.
        """
        with self._one_claims():
            left = self._left_over(skip)
            if left is not None:
                return left
            while len(trials := self.store.trials()) < limit:
                claim = self._new({str(one.user_attrs[KEY]) for one in trials}, choose, origin or {})
                if claim is None or self._is_first(claim, limit):
                    return claim
        return None

    @contextmanager
    def _one_claims(self) -> Iterator[None]:
        with FileLock(self.lock) if self.lock else nullcontext():
            yield

    def _left_over(self, skip: Collection[int]) -> Claim | None:
        """A trial that waits, or whose owner died; one that has a result is completed in Optuna."""
        states = (TrialState.WAITING, TrialState.RUNNING)
        trials = self.store.study.get_trials(deepcopy=False, states=states)
        held = self.halving.held(trials) if self.halving else set()
        for trial in sorted(trials, key=_rung, reverse=True):
            attrs = trial.user_attrs
            if trial.number in skip or trial.number in held:
                continue
            if trial.state is TrialState.RUNNING and not self._is_stale(trial):
                continue
            if trial.state is TrialState.WAITING and not self._pop(trial):
                continue
            if RESULT in attrs:
                self.store.tell(trial.number, TrialResult.from_json(json.loads(attrs[RESULT])))
            elif architecture := self._architecture_of(trial):
                return self._take(trial, architecture)
            else:
                self.store.study.tell(trial.number, state=TrialState.FAIL)  # its worker died while asking
        return None

    def release_stale(self) -> int:
        """Return trials of dead workers to the waiting ones; their number."""
        stale = [
            one for one in self.store.unfinished() if one.state is TrialState.RUNNING and self._is_stale(one)
        ]
        for trial in stale:
            self.store.release_of(trial.number)
        return len(stale)

    def others_work(self, skip: Collection[int] = ()) -> bool:
        """Whether a trial is being evaluated, but for those of these numbers."""
        return any(
            one.number not in skip and one.state is TrialState.RUNNING for one in self.store.unfinished()
        )

    def prune(self) -> list[tuple[Claim, TrialResult]]:
        """End the paused trials of a study that has ended; none while a worker may still add to a rung."""
        with self._one_claims():
            trials = self.store.unfinished()
            if self.halving is None or any(one.state is TrialState.RUNNING for one in trials):
                return []
            pruned = []
            for trial in trials:
                if is_paused(trial) and self._pop(trial):
                    result = TrialResult.from_json(trial.user_attrs[PAUSED]["result"])
                    claim = Claim(trial.number, result.key, result.architecture, self.store.origin_of(trial))
                    if self.store.finish(claim, result):
                        pruned.append((claim, result))
            return pruned

    def _is_stale(self, trial: FrozenTrial) -> bool:
        attrs = trial.user_attrs
        return self.watch.is_stale(trial.number, attrs.get(OWNER), attrs.get(BEAT))

    def _pop(self, trial: FrozenTrial) -> bool:
        """Set a waiting trial running; one worker succeeds. Its owner comes first, should this one die."""
        self.store.set_attr(trial.number, OWNER, self.store.worker.as_json())
        trial_id = self.store.trial_id(trial.number)
        return self.store.storage.set_trial_state_values(trial_id, TrialState.RUNNING)

    def _architecture_of(self, trial: FrozenTrial) -> Architecture | None:
        """The architecture of a trial, also of one that a user has enqueued."""
        if ARCHITECTURE in trial.user_attrs:
            return dict(trial.user_attrs[ARCHITECTURE])
        fixed = trial.system_attrs.get("fixed_params")
        return self.space.validate(fixed) if fixed else None

    def _take(self, trial: FrozenTrial, architecture: Architecture) -> Claim:
        attrs, key = trial.user_attrs, self.space.key(architecture)
        passed: dict[str, object] = {PAUSED: None} if is_paused(trial) else {}
        if passed and trial.state is TrialState.WAITING:  # else its worker died as it paused it
            passed[PROMOTED] = attrs[PAUSED]["rung"]
        own = {OWNER: self.store.worker.as_json(), ARCHITECTURE: dict(architecture), KEY: key}
        for name, value in (own | passed).items():
            self.store.set_attr(trial.number, name, value)
        return Claim(trial.number, key, architecture, attrs.get(ORIGIN, {}), tuple(attrs.get(FAILURES, ())))

    def _new(self, keys: set[str], choose: Choose | None, origin: Mapping[str, Any]) -> Claim | None:
        """A new trial, created with its owner in one write; the first one is the baseline."""
        space = self.space
        if space.key(space.baseline) not in keys:
            return self._create(space.baseline, self._owned({}))
        owned = self._owned(origin)
        if choose:
            architecture = choose(keys)
            return None if architecture is None else self._create(architecture, owned)
        if len(keys) >= space.size + (not space.offers(space.baseline)):
            return None
        proposed = self.proposer.propose(self.store.study, keys)
        return self._create(proposed.architecture, owned, proposed.system_attrs)

    def _owned(self, origin: Mapping[str, Any]) -> dict[str, Any]:
        return {OWNER: self.store.worker.as_json(), BEAT: 0, ORIGIN: dict(origin)}

    def _create(
        self,
        architecture: Architecture,
        owned: Mapping[str, Any],
        system_attrs: Mapping[str, Any] | None = None,
    ) -> Claim:
        key = self.space.key(architecture)
        # Samplers can't use values outside of a narrowed space: such a trial has no params.
        offered = self.space.offers(architecture)
        template = create_trial(
            state=TrialState.RUNNING,
            params=dict(architecture) if offered else {},
            distributions=distributions(self.space) if offered else {},
            user_attrs={**owned, KEY: key, ARCHITECTURE: dict(architecture)},
            system_attrs=dict(system_attrs or {}),
        )
        number = self.store.storage.get_trial(
            self.store.storage.create_new_trial(self.store.study_id, template)
        ).number
        return Claim(number, key, architecture, owned[ORIGIN], is_new=True)

    def _is_first(self, claim: Claim, limit: int) -> bool:
        """Whether no other machine has created this architecture or the last trial first; else it is void."""
        before = [one for one in self.store.trials() if one.number < claim.number]
        if len(before) < limit and claim.key not in {one.user_attrs[KEY] for one in before}:
            return True
        self.store.set_attr(claim.number, VOID, True)
        self.store.study.tell(claim.number, state=TrialState.FAIL)
        return False


def _rung(trial: FrozenTrial) -> int:
    """Epochs of the rung that the trial waits at; those that wait at none have priority over the others."""
    return int(trial.user_attrs[PAUSED]["rung"]) if is_paused(trial) else sys.maxsize
