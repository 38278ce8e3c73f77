"""Which architecture comes next: the baseline first, then what the sampler says, nothing twice."""

import random
from collections.abc import Mapping, Sequence

import optuna
from optuna.trial import FrozenTrial, TrialState

from mlflow_nas.search.samplers import distributions
from mlflow_nas.space import SearchSpace, Value
from mlflow_nas.types import Architecture

__all__ = [
    "KEY",
    "ORIGIN",
    "OUTCOME",
    "RUN_ID",
    "architecture_of",
    "ask",
    "ask_for",
    "owed",
    "settled",
    "tried",
]

KEY = "nas.key"
RUN_ID = "nas.run_id"
ORIGIN = "nas.origin"
OUTCOME = "nas.outcome"
"""User attributes of an Optuna trial. The origin is who chose the architecture. The outcome is that of the
evaluation, or "unmeasured" for a hardware failure, which says nothing of the architecture; a killed trial has
none."""

_PATIENCE = 20
_ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


def tried(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that ended by themselves: neither a sampler's repetition nor a killed process's rest."""
    return [
        trial
        for trial in study.get_trials(deepcopy=False, states=_ENDED)
        if trial.user_attrs.get(OUTCOME) in _outcomes_of(trial.state)
    ]


def _outcomes_of(state: TrialState) -> tuple[str, ...]:
    return ("failed", "unmeasured") if state is TrialState.FAIL else ("complete", "infeasible")


def ask(study: optuna.Study, space: SearchSpace, *, seed: int) -> optuna.Trial | None:
    """The next trial to evaluate, or None when every architecture of the space was.

    What the sampler suggests twice is answered with what is known of it, so that the sampler learns and
    nobody pays again. A sampler that keeps repeating itself is given an architecture drawn at random.

    A baseline that lies outside of a narrowed space is a trial without parameters, told as pruned: samplers
    can make nothing of values that they may not choose.
    """
    known = settled(study)
    if space.key(space.baseline) not in known:
        if not space.offers(space.baseline):
            return study.ask()
        study.enqueue_trial(dict(space.baseline))
    for _ in range(_PATIENCE):
        trial = study.ask(distributions(space))
        twin = known.get(space.key(trial.params))
        if twin is None:
            return trial
        _answer_like(study, trial, twin)
    unseen = _draw_unseen(space, known, seed=seed + len(known))
    if unseen is None:
        return None
    study.enqueue_trial(unseen)
    return study.ask(distributions(space))


def ask_for(
    study: optuna.Study, space: SearchSpace, wanted: Sequence[Architecture], *, count: int
) -> optuna.Trial | None:
    """The next trial of a list: the baseline first, then what waits, then in the list's order.

    Args:
        study: the study.
        space: the study's space.
        wanted: members of the space, best first.
        count: so many of them are trained. One that misses the latency limit untrained was not, nor one that
            the board failed to measure, and the next takes its place.

    Returns:
        None when so many were trained, or the list is at its end.
    """
    while True:
        known = settled(study)
        if space.key(space.baseline) not in known:
            return ask(study, space, seed=0)
        if not _waiting(study):
            following = _following(study, space, wanted, count)
            if following is None:
                return None
            study.enqueue_trial(dict(following))
        trial = study.ask(distributions(space))
        twin = known.get(space.key(trial.params))
        if twin is None:
            return trial
        _answer_like(study, trial, twin)  # what a killed process had put there


def _following(
    study: optuna.Study, space: SearchSpace, wanted: Sequence[Architecture], count: int
) -> Architecture | None:
    known, asked = settled(study), {trial.user_attrs[KEY] for trial in tried(study)}
    trained = 0
    for architecture in wanted:
        key = space.key(architecture)
        if trained == count:
            return None
        if key not in asked:
            return architecture
        trained += key in known and known[key].state is not TrialState.PRUNED
    return None


def _waiting(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=[TrialState.WAITING])


def owed(study: optuna.Study, space: SearchSpace, *, attempts: int | None = None) -> list[FrozenTrial]:
    """The last trial of each architecture that the board failed to measure, and that does not wait already.

    Args:
        study: the study.
        space: the study's space; its baseline is left out, `ask` asks for it anyway.
        attempts: those that were tried so often are left out; None for no limit.
    """
    failed: dict[str, list[FrozenTrial]] = {}
    for trial in tried(study):
        if trial.user_attrs[OUTCOME] == "unmeasured":
            failed.setdefault(str(trial.user_attrs[KEY]), []).append(trial)
    waiting = {trial.user_attrs.get(KEY) for trial in _waiting(study)}
    left_out = {*settled(study), *waiting, space.key(space.baseline)}
    return [
        trials[-1]
        for key, trials in failed.items()
        if key not in left_out and (attempts is None or len(trials) < attempts)
    ]


def settled(study: optuna.Study) -> dict[str, FrozenTrial]:
    """Key to trial of what need not be evaluated again."""
    return {
        str(trial.user_attrs[KEY]): trial
        for trial in tried(study)
        if trial.user_attrs[OUTCOME] != "unmeasured"
    }


def architecture_of(trial: optuna.Trial | FrozenTrial, space: SearchSpace) -> dict[str, Value]:
    """What a trial stands for; one without parameters is a baseline outside of the choices."""
    return space.validate(trial.params or space.baseline)


def _answer_like(study: optuna.Study, trial: optuna.Trial, twin: FrozenTrial) -> None:
    for name, value in twin.constraints.items():
        trial.set_constraint(name, value)
    study.tell(trial, values=twin.values, state=twin.state)


def _draw_unseen(space: SearchSpace, known: Mapping[str, object], *, seed: int) -> dict[str, Value] | None:
    """An architecture that was not tried; None when there is none left."""
    if len(known) >= space.size + (not space.offers(space.baseline)):
        return None
    rng = random.Random(seed)  # noqa: S311 - a draw of architectures, not a secret
    while True:
        drawn = space.draw(rng)
        if space.key(drawn) not in known:
            return drawn
