import pytest
from mlflow import MlflowClient

from mlflow_nas.errors import ConfigError, RegistryError
from mlflow_nas.tracking import close_study, experiment_id, experiment_of, open_study

TAGS = {
    "nas.dataset": "penn-fudan@01",
    "nas.test_dataset": "02",
    "nas.board": "local",
    "nas.space": "fastestdet-head",
}


def _open(client: MlflowClient, experiment: str, run_id: str | None = None, **changes: str) -> str:
    tags = {**TAGS, **changes}
    return open_study(
        client, experiment_id=experiment, study="pf", tags=tags, params={"trials": 8}, run_id=run_id
    )


def test_experiment_is_created_once(client: MlflowClient) -> None:
    """The second call of a name finds the first one's experiment."""
    assert experiment_id(client, "mine") == experiment_id(client, "mine")


def test_deleted_experiment_says_how_to_restore_it(client: MlflowClient) -> None:
    """An experiment in MLflow's bin is not silently replaced."""
    known = experiment_id(client, "mine")
    client.delete_experiment(known)
    with pytest.raises(ConfigError, match=f"'mine' is deleted; restore it with .* restore -x {known}"):
        experiment_id(client, "mine")


def test_a_new_study_is_a_running_run_with_its_name(client: MlflowClient, experiment: str) -> None:
    """The parent run carries name, role, tags and params."""
    run = client.get_run(_open(client, experiment))
    assert (run.info.run_name, run.info.status) == ("pf", "RUNNING")
    assert run.data.tags.items() >= {**TAGS, "nas.study": "pf", "nas.role": "study"}.items()
    assert run.data.params == {"trials": "8"}


def test_a_closed_study_is_continued(client: MlflowClient, experiment: str) -> None:
    """The same name gives the same run, running again, its params untouched."""
    first = _open(client, experiment)
    close_study(client, first)
    assert client.get_run(first).info.status == "FINISHED"
    again = open_study(client, experiment_id=experiment, study="pf", tags=TAGS, params={"trials": 20})
    assert again == first
    assert client.get_run(first).info.status == "RUNNING"
    assert client.get_run(first).data.params == {"trials": "8"}


def test_a_study_killed_at_its_very_beginning_is_continued(
    client: MlflowClient, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its run is found by name and role from the moment that it exists."""
    monkeypatch.setattr(client, "log_batch", _killed)
    with pytest.raises(KeyboardInterrupt):
        _open(client, experiment)
    monkeypatch.undo()
    (first,) = client.search_runs([experiment])
    assert _open(client, experiment) == first.info.run_id


def _killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_studies_of_other_names_and_experiments_are_other_runs(client: MlflowClient, experiment: str) -> None:
    """A name is looked for exactly, and in its experiment only."""
    first = _open(client, experiment)
    longer = open_study(client, experiment_id=experiment, study="pf2", tags=TAGS, params={})
    elsewhere = _open(client, experiment_id(client, "other"))
    assert len({first, longer, elsewhere}) == 3


def test_the_run_of_mlflow_run_is_adopted(client: MlflowClient, experiment: str) -> None:
    """It becomes the study's run; a param that `mlflow run` logged with another spelling is left alone."""
    own = client.create_run(experiment, run_name="enthused-foal-42").info.run_id
    client.log_param(own, "trials", "08")
    params = {"trials": 8, "epochs": 4}
    opened = open_study(client, experiment_id=experiment, study="pf", tags=TAGS, params=params, run_id=own)
    run = client.get_run(own)
    assert opened == own
    assert run.info.run_name == run.data.tags["mlflow.runName"] == "pf"
    assert run.data.params == {"trials": "08", "epochs": "4"}
    assert len(client.search_runs([experiment])) == 1


def test_the_run_of_mlflow_run_becomes_a_continuation(client: MlflowClient, experiment: str) -> None:
    """When the study has a run already, the new one hangs below it and the study goes on there."""
    first = _open(client, experiment)
    own = client.create_run(experiment).info.run_id
    assert _open(client, experiment, run_id=own) == first
    tags = client.get_run(own).data.tags
    expected = {"nas.role": "continuation", "nas.study": "pf", "mlflow.parentRunId": first}
    assert tags.items() >= expected.items()


def test_the_adopted_run_continues_itself(client: MlflowClient, experiment: str) -> None:
    """A study opened twice in its own run is not put below itself."""
    own = client.create_run(experiment).info.run_id
    assert _open(client, experiment, run_id=own) == _open(client, experiment, run_id=own) == own
    assert client.get_run(own).data.tags["nas.role"] == "study"
    assert "mlflow.parentRunId" not in client.get_run(own).data.tags


@pytest.mark.parametrize(
    ("tag", "sentence"),
    [
        ("nas.dataset", "data set 'penn-fudan@01', this call has 'x'; give another --study, or the --data"),
        ("nas.test_dataset", "test split '02', this call has 'x'; give another --study, or the --data"),
        ("nas.board", "board 'local', this call has 'x'; give another --study, or the --board of before"),
        ("nas.space", "search space 'fastestdet-head', this call has 'x'; give another --study, or the --sp"),
    ],
)
def test_a_study_keeps_its_data_board_and_space(
    client: MlflowClient, experiment: str, tag: str, sentence: str
) -> None:
    """Another one is refused with both values, before the new run is marked."""
    _open(client, experiment)
    own = client.create_run(experiment).info.run_id
    with pytest.raises(ConfigError, match=f"study 'pf' was made with {sentence}"):
        _open(client, experiment, run_id=own, **{tag: "x"})
    assert "nas.role" not in client.get_run(own).data.tags


def test_a_run_of_another_experiment_is_refused(client: MlflowClient, experiment: str) -> None:
    """MLflow nests runs of one experiment only."""
    own = client.create_run("0").info.run_id
    with pytest.raises(ConfigError, match=f"lies in experiment 0, the study in {experiment}; call"):
        _open(client, experiment, run_id=own)
    assert experiment_of(client, own) == "0"


def test_a_study_name_that_cannot_be_searched_is_refused(client: MlflowClient, experiment: str) -> None:
    """A quotation mark would end MLflow's filter."""
    with pytest.raises(ConfigError, match="holds a quotation mark"):
        open_study(client, experiment_id=experiment, study="it's", tags=TAGS, params={})


def test_an_unknown_run_is_the_registrys_fault(client: MlflowClient) -> None:
    """MLflow's own sentence is kept, with the address before it."""
    with pytest.raises(RegistryError, match=r"MLflow at sqlite:.* could not find the run: Run .*nowhere"):
        experiment_of(client, "nowhere")
