import optuna
import pytest
from optuna.trial import TrialState

from mlflow_nas.search.ask import KEY, OUTCOME, architecture_of, ask, tried
from mlflow_nas.search.samplers import SamplerName, open_study
from mlflow_nas.space import Parameter, SearchSpace, fastestdet_head, load_space, narrow

TINY = SearchSpace(
    name="tiny",
    parameters={
        "a": Parameter(short="a", values=(1, 2), encode=float),
        "b": Parameter(short="b", values=(0, 4, 8), encode=float),
    },
    baseline={"a": 2, "b": 8},
    build=fastestdet_head().build,
)


def _study(sampler: SamplerName = "random") -> optuna.Study:
    storage = optuna.storages.InMemoryStorage()
    return open_study("s", storage=storage, sampler=sampler, seed=0, trials=6)


def _answer(study: optuna.Study, trial: optuna.Trial, space: SearchSpace, outcome: str = "complete") -> None:
    trial.set_user_attr(KEY, space.key(trial.params))
    trial.set_user_attr(OUTCOME, outcome)
    values = [0.1 * trial.number, 1.0 + trial.number]
    if outcome == "complete":
        study.tell(trial, values)
    else:
        study.tell(trial, state=TrialState.FAIL)


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_the_baseline_comes_first_and_nothing_twice(sampler: SamplerName) -> None:
    """A whole space is asked once each, then there is nothing left."""
    study, keys = _study(sampler), []
    while (trial := ask(study, TINY, seed=0)) is not None:
        keys.append(TINY.key(trial.params))
        _answer(study, trial, TINY)
    assert keys[0] == "a2-b8"
    assert sorted(keys) == sorted({f"a{a}-b{b}" for a in (1, 2) for b in (0, 4, 8)})
    assert len(tried(study)) == 6


def test_a_hardware_failure_says_nothing_of_the_architecture() -> None:
    """It may be asked again, and counts as a trial."""
    study = _study()
    trial = ask(study, TINY, seed=0)
    assert trial is not None
    _answer(study, trial, TINY, "unmeasured")
    again = ask(study, TINY, seed=0)
    assert again is not None
    assert again.params == dict(TINY.baseline)
    assert len(tried(study)) == 1


def test_a_killed_trial_does_not_count() -> None:
    """It has no outcome; its architecture comes again."""
    study = _study()
    trial = ask(study, TINY, seed=0)
    assert trial is not None
    study.tell(trial, state=TrialState.FAIL)
    assert tried(study) == []


def test_a_continued_study_draws_other_architectures() -> None:
    """The seed moves on with the number of trials."""
    storage, space = optuna.storages.InMemoryStorage(), fastestdet_head()
    drawn = []
    for _ in range(2):
        study = open_study("s", storage=storage, sampler="random", seed=0, trials=6)
        for _ in range(3):
            trial = ask(study, space, seed=0)
            assert trial is not None
            drawn.append(space.key(trial.params))
            _answer(study, trial, space)
    assert len(set(drawn)) == 6


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_a_baseline_outside_of_the_choices_is_still_the_first_trial(sampler: SamplerName) -> None:
    """The sampler then stays within them, with words as with numbers."""
    space = narrow(load_space("multi-branch"), ["branch1=none", "branch2=k3d1", "k3d2", "channels=24..48:8"])
    storage = optuna.storages.InMemoryStorage()
    study = open_study("s", storage=storage, sampler=sampler, seed=0, trials=25)
    drawn = []
    for number in range(25):
        trial = ask(study, space, seed=0)
        assert trial is not None
        drawn.append(architecture_of(trial, space))
        trial.set_user_attr(KEY, space.key(drawn[-1]))
        trial.set_user_attr(OUTCOME, "complete")
        if number == 0:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, [0.01 * number, 1.0 + number % 5])
    assert drawn[0] == space.baseline
    assert all(space.offers(architecture) for architecture in drawn[1:])
    assert len({space.key(architecture) for architecture in drawn}) == len(tried(study)) == 25


def test_a_narrowed_space_ends_after_its_choices_and_the_baseline() -> None:
    """Two choices and the baseline outside of them: three trials."""
    study, space = _study(), narrow(TINY, ["a=1", "b=0", "4"])
    for _ in range(3):
        trial = ask(study, space, seed=0)
        assert trial is not None
        trial.set_user_attr(KEY, space.key(architecture_of(trial, space)))
        trial.set_user_attr(OUTCOME, "complete")
        if trial.params:
            study.tell(trial, [0.1, 1.0])
        else:
            study.tell(trial, state=TrialState.PRUNED)
    assert ask(study, space, seed=0) is None
