"""`select --study` in this process, on the fake board and generated scenes, with tiny numbers."""

import json
from typing import Any

import mlflow
import pytest
from click.testing import CliRunner

from mlflow_nas import api
from mlflow_nas import search as search_room
from mlflow_nas.cli import main
from mlflow_nas.errors import BoardError, CandidateError, ConfigError
from mlflow_nas.search import Candidate, Conclusion
from mlflow_nas.search import samples as samples_module
from mlflow_nas.search import study as study_module
from mlflow_nas.types import Evaluation

OPTIONS = {
    "data": "synthetic:train=4,val=2,size=64",
    "epochs": 1,
    "seed_epochs": 0,
    "board": "fake",
    "precision": "fp32",
    "set": "channels=24,img_width=220..232:4",
    "study": "tiny",
    "samples": 8,
    "repeats": 2,
    "strategies": "act_elems,tse_e",
    "score_budget_s": 1e6,
    "score_images": 2,
    "score_seeds": 2,
    "draws": 200,
    "seed": 1,
}

pytestmark = pytest.mark.usefixtures("tracking_uri")


def _select(**options: Any) -> dict[str, Any]:
    return dict(api.select(**{**OPTIONS, **options}))


def _runs(role: str) -> list[mlflow.entities.Run]:
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("mlflow-nas")
    found = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
    return [run for run in found if run.data.tags.get("nas.role") == role]


def _pretend(candidate: Candidate, **_: object) -> Evaluation:
    """What a training would give: mAP follows the width, a second one differs a little."""
    width = float(candidate.architecture["img_width"])
    share = width / 1000 + float(candidate.architecture["groups"]) / 100 + 0.001 * candidate.bench.seed
    epoch = {"train_loss": 1 - share, "map_fp32": share, "map_50_fp32": share}
    return Evaluation(
        number=candidate.number,
        key=candidate.key,
        architecture=candidate.architecture,
        state="complete",
        metrics={"map": share, "latency_ms": width, "train_s": 100.0},
        history=(epoch, epoch),
        run_id=candidate.run_id,
    )


def _pretend_trainings(patch: pytest.MonkeyPatch) -> None:
    """Trainings take no time, and nothing is published."""
    for module in (study_module, samples_module):
        patch.setattr(module, "evaluate_candidate", _pretend)
    patch.setattr(study_module, "publish", lambda *_, **__: "")
    patch.setattr(search_room, "conclude", lambda found, **_: Conclusion(tuple(found), (), None))


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> None:
    """No training in the whole test."""
    _pretend_trainings(monkeypatch)


def test_a_selection_trains_scores_and_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """To eight samples that took no time come one real training as a trial, and one real second training."""
    with monkeypatch.context() as patch:
        _pretend_trainings(patch)
        _select()
    result = _select(samples=9, repeats=3, strategies="macs,snip,tse_e")
    assert result["samples"] == 9
    assert {row["name"] for row in result["strategies"]} == {"macs", "snip", "tse_e"}
    assert result["noise"]["architectures"] == 3
    costs = {row["name"]: row["seconds"] for row in result["strategies"]}
    assert costs["tse_e"] > costs["macs"] > 0
    client = mlflow.MlflowClient()
    trials = _runs("trial")
    assert {run.data.tags["nas.drawn"] for run in trials} == {"random"}
    assert (len(trials), len(_runs("repeat"))) == (9, 3)
    assert {"map", "latency_ms", "train_s", "macs"} <= trials[-1].data.metrics.keys()
    assert {"map", "latency_ms", "train_s", "macs"} <= _runs("repeat")[-1].data.metrics.keys()
    selection = _runs("selection")[-1]
    assert selection.info.run_id == result["run_id"]
    (study,) = _runs("study")
    assert selection.data.tags["mlflow.parentRunId"] == study.info.run_id
    assert selection.data.params["samples"] == "9"
    artifacts = {item.path for item in client.list_artifacts(result["run_id"])}
    assert {"selection.png", "strategies.json"} <= artifacts
    assert study.data.tags["nas.selection"] == result["run_id"]
    assert (study.info.status, selection.info.status) == ("FINISHED", "FINISHED")


@pytest.mark.usefixtures("pretended")
def test_nothing_is_trained_twice() -> None:
    """The same command again scores again and trains nothing; more samples train only what is missing."""
    first = _select(repeats=3)
    again = _select(repeats=3)
    assert [row["tau"] for row in again["strategies"]] == [row["tau"] for row in first["strategies"]]
    assert (len(_runs("trial")), len(_runs("repeat"))) == (8, 3)
    assert _select(repeats=4, samples=10)["samples"] == 10
    assert (len(_runs("trial")), len(_runs("repeat"))) == (10, 4)


@pytest.mark.usefixtures("pretended")
def test_random_trials_of_the_study_count_and_others_do_not() -> None:
    """What chance chose in a search is a sample; what TPE chose is not, unless it happens to be drawn."""
    shared = ("data", "epochs", "seed_epochs", "board", "precision", "set", "study", "seed")
    options = {name: OPTIONS[name] for name in shared}
    api.search(**options, trials=5, sampler="random", device="none")
    assert len(_runs("trial")) == 4
    _select()
    assert len(_runs("trial")) == 8
    api.search(**options, trials=12, sampler="tpe", device="none")
    assert len([run for run in _runs("trial") if "nas.drawn" not in run.data.tags]) == 3
    _select()
    assert len(_runs("trial")) == 11


@pytest.mark.usefixtures("pretended")
def test_an_interrupted_selection_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was trained before a kill counts; the selection's run of then is failed."""
    seen: list[str] = []

    def tire(candidate: Candidate, **_: object) -> Evaluation:
        seen.append(candidate.key)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return _pretend(candidate)

    with monkeypatch.context() as patch:
        patch.setattr(study_module, "evaluate_candidate", tire)
        with pytest.raises(KeyboardInterrupt):
            _select()
    result = _select()
    assert result["samples"] == 8
    complete = [run for run in _runs("trial") if run.data.tags.get("nas.state") == "complete"]
    assert len(complete) == len({run.data.tags["nas.key"] for run in complete}) == 8
    assert [run.info.status for run in _runs("selection")] == ["FAILED", "FINISHED"]


@pytest.mark.usefixtures("pretended")
def test_an_architecture_that_fails_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed training is no sample: another one is drawn; a failed second training is left out."""

    def fail(candidate: Candidate, **_: object) -> Evaluation:
        if candidate.number in {2, 5}:
            raise CandidateError("it can't be exported")
        return _pretend(candidate)

    for module in (study_module, samples_module):
        monkeypatch.setattr(module, "evaluate_candidate", fail)
    result = _select(repeats=8)
    assert result["samples"] == 8
    assert len([run for run in _runs("trial") if run.data.tags["nas.state"] == "failed"]) == 2
    assert len(_runs("repeat")) == 8


@pytest.mark.usefixtures("pretended")
@pytest.mark.parametrize("death", [BoardError("no route to host"), KeyboardInterrupt()])
def test_a_second_training_that_was_cut_off_is_done_again(
    monkeypatch: pytest.MonkeyPatch, death: BaseException
) -> None:
    """Neither a dead board nor a killed process costs a repeat, even where its run was left open."""

    def die(*_: object, **__: object) -> Evaluation:
        raise death

    with monkeypatch.context() as patch:
        patch.setattr(samples_module, "evaluate_candidate", die)
        if isinstance(death, KeyboardInterrupt):
            patch.setattr(search_room.StudyBook, "interrupt", lambda *_: None)
        with pytest.raises(type(death)):
            _select()
    result = _select()
    assert result["noise"]["architectures"] == 2
    assert len(_runs("trial")) == 8
    assert sorted(run.info.status for run in _runs("repeat")) == ["FINISHED", "FINISHED", "KILLED"]


@pytest.mark.usefixtures("pretended")
def test_a_space_that_is_too_small_says_so() -> None:
    """Four architectures can't be eight samples."""
    with pytest.raises(ConfigError, match=r"has 4 architectures that could be trained, --samples 8 are more"):
        _select(set="channels=24,img_width=220,kernel_size=3")


@pytest.mark.usefixtures("pretended")
def test_a_sequential_selection_trains_no_more_than_it_needs() -> None:
    """The loss tells the mAP without noise: 20 of 26 samples suffice."""
    result = _select(samples=26, sequential=True, set="groups=1,channels=24,kernel_size=3")
    assert result["samples"] == 20
    assert result["selected"] is not None
    assert len(_runs("trial")) == 20


@pytest.mark.usefixtures("pretended")
def test_the_command_line_prints_the_decision() -> None:
    """As a user types it, in JSON: the study and its selection."""
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in OPTIONS.items()]
    done = CliRunner().invoke(main, ["select", *arguments, "--json"])
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["study"] == "tiny"
    assert result["winner"] in {"act_elems", "tse_e"}
