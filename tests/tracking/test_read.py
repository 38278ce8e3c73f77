import dataclasses
from collections.abc import Callable

import pytest
from mlflow import MlflowClient
from tracking_samples import runs_of, study_run, trial_result, trial_run

from mlflow_nas.errors import ConfigError, RegistryError
from mlflow_nas.tracking import Mirror, read_results, study_costs
from mlflow_nas.tracking.read import find_study, result_of, trial_runs


@pytest.fixture
def mirror(open_mirror: Callable[..., Mirror]) -> Mirror:
    """A study with a reference, a trial that failed, a trial that runs and a seed network."""
    found = open_mirror()
    found.start_study()
    found.finish_trial(trial_run(1), trial_result(1, state="failed", error="too large", metrics={}))
    found.finish_trial(trial_run(0, role="baseline"), trial_result(0, role="baseline"))
    found.start_trial(trial_run(2))
    seed = dataclasses.replace(trial_run(), uid="seed", role="seed", number=None)
    found.finish_trial(seed, trial_result(role="seed"))
    found.finish_study()
    assert found.flush(30) == 0
    return found


def test_a_studys_results_come_back_from_mlflow(client: MlflowClient, mirror: Mirror) -> None:
    """Ended trials and the reference by their numbers, choices with their types; a limit keeps its name."""
    reference, failed = read_results(client, "nas", "pf")
    expected = trial_result(0, role="baseline", run_id=mirror.run_id(trial_run(0)))
    assert reference == expected
    assert [type(value) for value in reference.architecture.values()] == [int, float, str, float]
    assert (failed.number, failed.state, failed.error) == (1, "failed", "too large")


def test_of_two_studies_of_one_name_the_newer_is_read(
    client: MlflowClient, mirror: Mirror, open_mirror: Callable[..., Mirror]
) -> None:
    """As when a study was deleted in the storage and made anew."""
    assert mirror.run_id(None)
    again = open_mirror(study_run(uid="again"))
    again.finish_trial(trial_run(7), trial_result(7))
    again.flush(20)
    assert [result.number for result in read_results(client, "nas", "pf")] == [7]


@pytest.mark.parametrize(("experiment", "study"), [("nas", "other"), ("nowhere", "pf")])
def test_an_unknown_study_is_the_users_fault(client: MlflowClient, experiment: str, study: str) -> None:
    """Study and experiment are named, and their options."""
    with pytest.raises(
        ConfigError, match=f"no study '{study}' in the experiment '{experiment}': name one with"
    ):
        read_results(client, experiment, study)
    with pytest.raises(ConfigError, match="holds a quotation mark"):
        read_results(client, "nas", "it's")


def test_a_running_trial_is_no_result(client: MlflowClient, mirror: Mirror) -> None:
    """A run without a state is refused with what it has and what it needs."""
    assert mirror.experiment_id
    with pytest.raises(
        RegistryError, match=r"nas\.state='' and nas\.role='trial', an ended trial has one of"
    ):
        result_of(runs_of(client)["5eed/2"])


def test_trials_are_listed_by_role(client: MlflowClient, mirror: Mirror) -> None:
    """Only those below the study, running ones included."""
    assert mirror.experiment_id
    study = find_study(client, "nas", "pf")
    assert {run.data.tags["nas.trial"] for run in trial_runs(client, study)} == {"0", "1", "2"}
    assert len(trial_runs(client, study, roles=("seed",))) == 1


def test_a_studys_costs_are_read_from_its_run(client: MlflowClient, mirror: Mirror) -> None:
    """Terms by strategy, the mAP of trials that no estimate chose; finalists are no strategy."""
    with pytest.raises(ConfigError, match="No search of the study 'pf' has ended"):
        study_costs(client, "nas", "pf")
    terms = {"cost.full/train_s": 120.0, "cost.flops/score_s": 1.5}
    mirror.log_metrics(None, {**terms, "cost.finalists_s": 70.0})
    chosen = dataclasses.replace(trial_run(5), tags={"nas.estimator": "flops"})
    mirror.finish_trial(chosen, trial_result(5))
    mirror.flush(20)
    costs = study_costs(client, "nas", "pf")
    assert costs.terms == {"full": {"train_s": 120.0}, "flops": {"score_s": 1.5}}
    assert (costs.qualities, costs.selection) == ((0.51,), {})
