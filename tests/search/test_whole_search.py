"""One small search, looked at from all sides, then continued."""

import html
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import reference_names
from mlflow.entities import Run
from user_folder import SMALL, UserFolder

from mlflow_nas import api
from mlflow_nas.api import SearchResult

DATA = "synthetic:train=8,val=4,test=3,size=128"
OPTIONS: dict[str, Any] = {"data": DATA, "sampler": "random", "study": "whole"}


@pytest.fixture(scope="module")
def searched(user_folder: UserFolder) -> SearchResult:
    """A search of three trials."""
    return user_folder.search(**OPTIONS, trials=3)


@dataclass(frozen=True)
class Continued:
    """The same command once more, and what lay in the step cache and in MLflow before it and after it."""

    result: SearchResult
    before: tuple[set[str], dict[str, Any]]
    after: tuple[set[str], dict[str, Any]]


def _state(folder: UserFolder) -> tuple[set[str], dict[str, Any]]:
    """The step cache's entries; of each run its id, metrics, params and status."""
    runs = {run.info.run_id: (run.data.metrics, run.data.params, run.info.status) for run in folder.runs()}
    return folder.cached(), runs


@pytest.fixture(scope="module")
def continued(user_folder: UserFolder, searched: SearchResult) -> Continued:  # noqa: ARG001 - comes first
    """The search again."""
    before = _state(user_folder)
    result = user_folder.search(**OPTIONS, trials=3)
    return Continued(result, before, _state(user_folder))


@pytest.fixture(scope="module")
def extended(user_folder: UserFolder, continued: Continued) -> SearchResult:  # noqa: ARG001 - comes first
    """The search of one more trial."""
    return user_folder.search(**OPTIONS, trials=4)


@pytest.fixture
def trials(user_folder: UserFolder, searched: SearchResult) -> list[Run]:
    """The runs of its trials."""
    runs = sorted(user_folder.runs("baseline", "trial"), key=lambda run: int(run.data.tags["nas.trial"]))
    return runs[: len(searched.trials)]


def test_a_result_has_trials_front_registry_and_deployment(searched: SearchResult) -> None:
    """The baseline first, each architecture once; the champion is on the board where it was measured."""
    assert [one.number for one in searched.trials] == [0, 1, 2]
    assert (searched.trials[0].key, searched.trials[0].role) == ("c24-k3-w128", "baseline")
    assert {one.state for one in searched.trials} == {"complete"}
    assert len({one.key for one in searched.trials}) == 3
    assert searched.registry is not None
    assert searched.deployed is not None
    assert searched.deployed["version"] == str(searched.registry["aliases"]["champion"])
    assert (searched.not_deployed, searched.notes) == (None, ())


def test_a_result_is_plain_json(searched: SearchResult) -> None:
    """A row per trial, with architecture and metrics."""
    plain = json.loads(json.dumps(searched.as_json()))
    assert plain["trials"][0].keys() >= {"trial", "key", "arch.channels", "map", "latency_ms", "error"}
    assert [row["trial"] for row in plain["front"]] == [one.number for one in searched.front]


def test_the_front_is_ordered_by_latency(searched: SearchResult) -> None:
    """Fastest first, each better than the one before."""
    points = [(one.metrics["latency_ms"], one.metrics["map"]) for one in searched.front]
    assert points == sorted(points)
    assert [accuracy for _, accuracy in points] == sorted(accuracy for _, accuracy in points)


def test_the_studys_run_tells_what_was_searched(user_folder: UserFolder, searched: SearchResult) -> None:
    """Data, space, board, protocol, settings, figures, table and description."""
    (run,) = user_folder.runs("study")
    assert (run.info.run_id, run.info.status) == (searched.run_id, "FINISHED")
    assert run.data.tags["nas.dataset"].startswith("synthetic@")
    assert run.data.tags.items() >= {"nas.study": "whole", "nas.space": "tiny", "nas.board": "fake"}.items()
    assert run.data.tags["nas.choices"].startswith("channels: 8..24 step 8; kernel_size: 1, 3")
    assert run.data.params["data.uri"] == DATA
    files = {item.path for item in user_folder.client.list_artifacts(run.info.run_id)}
    assert files >= {"pareto.png", "report.html", "trials.json", "training_batch.png"}
    assert searched.front[0].key in run.data.tags["mlflow.note.content"]
    assert "cost.full/trainings" in run.data.metrics


def test_the_studys_run_has_its_result_as_metrics(user_folder: UserFolder, searched: SearchResult) -> None:
    """Plain names: the best accuracy, what ships, the front's size, the hypervolume."""
    (run,) = user_folder.runs("study")
    metrics = run.data.metrics
    assert metrics["best_map"] == pytest.approx(max(one.metrics["map"] for one in searched.trials))
    assert metrics["front_size"] == len(searched.front)
    assert metrics["hypervolume"] > 0
    assert {"map", "latency_ms", "speedup"} <= metrics.keys()


def test_a_search_ends_in_a_page_that_links_its_runs(user_folder: UserFolder, searched: SearchResult) -> None:
    """In the study's folder and in MLflow, whose configured view it links, too."""
    assert searched.report is not None
    page = searched.report.read_text(encoding="utf-8")
    for run in user_folder.runs("baseline", "trial")[:3]:
        assert f"/runs/{run.info.run_id}?workflowType=machine_learning" in page
    assert html.escape(str(searched.charts)) in page
    tags = user_folder.client.get_experiment(str(searched.experiment_id)).tags
    assert any(name.startswith("mlflow.sharedViewState.") for name in tags)


def test_the_page_is_written_again_from_the_storage(
    user_folder: UserFolder, extended: SearchResult, tmp_path: Path
) -> None:
    """`report` needs neither data nor files of the step cache."""
    with user_folder.entered():
        found = api.report(study="whole", out=tmp_path / "again.html")
    assert found.pages == (tmp_path / "again.html",)
    assert found.notes == ()
    page = found.pages[0].read_text(encoding="utf-8")
    assert f"{len(extended.trials)} finished trials" in page
    assert "data:image/jpeg;base64," in page


def test_a_trials_run_holds_architecture_and_metrics(trials: list[Run], searched: SearchResult) -> None:
    """Params are the choices alone; the objectives come first among the metrics."""
    assert [run.info.status for run in trials] == ["FINISHED"] * 3
    assert [run.data.tags["nas.role"] for run in trials] == ["baseline", "trial", "trial"]
    for run, trial in zip(trials, searched.trials, strict=True):
        assert {name: value for name, value in run.data.params.items() if name.startswith("arch.")} == {
            f"arch.{name}": str(value) for name, value in trial.architecture.items()
        }
        results = [name for name in run.data.metrics if not name.startswith("epoch/")]
        assert results[:2] == ["map", "latency_ms"]
        for name, value in trial.metrics.items():
            assert run.data.metrics[name] == pytest.approx(value), name
        assert run.data.tags["nas.state"] == "complete"
        assert run.data.tags["nas.protocol"]
        assert run.data.tags["nas.board.machine"] == "fake"


def test_the_reference_lists_every_metric_and_tag(user_folder: UserFolder, extended: SearchResult) -> None:  # noqa: ARG001 - comes first
    """docs/reference/results.md is generated from the same tables."""
    metrics, tags = set(), set()
    for run in user_folder.runs():
        metrics |= run.data.metrics.keys()
        tags |= {name for name in run.data.tags if not name.startswith("mlflow.")}
    assert {name for name in metrics if not reference_names.describes(reference_names.METRICS, name)} == set()
    assert {name for name in tags if not reference_names.describes(reference_names.TAGS, name)} == set()


def test_a_trial_is_linked_with_its_data(trials: list[Run]) -> None:
    """All three splits, with their sizes."""
    for run in trials:
        links = {
            tag.value: json.loads(link.dataset.profile)
            for link in run.inputs.dataset_inputs
            for tag in link.tags
        }
        assert links.keys() == {"training", "validation", "test"}
        assert links["training"]["images"] == 8
    assert len({run.data.tags["nas.dataset"] for run in trials}) == 1


def test_a_learning_curve_is_logged_by_epochs(user_folder: UserFolder, trials: list[Run]) -> None:
    """Apart from the metric that is the result."""
    for run in trials:
        for name in ("epoch/train_loss", "epoch/map_fp32"):
            points = user_folder.client.get_metric_history(run.info.run_id, name)
            assert [point.step for point in points] == [1]
            assert run.info.start_time <= points[0].timestamp <= run.info.end_time


def test_the_seed_network_is_a_run_whose_weights_outlive_the_folder(user_folder: UserFolder) -> None:
    """One training for the whole study; other machines fetch its step."""
    (run,) = user_folder.runs("seed")
    assert (run.info.status, run.data.tags["nas.state"]) == ("FINISHED", "complete")
    assert "nas.trial" not in run.data.tags
    assert "map_fp32" in run.data.metrics
    stored = [item.path for item in user_folder.client.list_artifacts(run.info.run_id, "steps/train")]
    assert {path.rpartition("/")[2] for path in stored} >= {"weights.pth", "entry.json"}


def test_the_test_split_is_measured_once(
    user_folder: UserFolder, searched: SearchResult, extended: SearchResult
) -> None:
    """For the fronts of all calls and the reference; it decides nothing."""
    tested = {0} | {one.number for result in (searched, extended) for one in result.front}
    runs = {run.data.tags["nas.trial"]: run for run in user_folder.runs("baseline", "trial")}
    for trial in extended.trials:
        run = runs[str(trial.number)]
        for name in ("test_map", "test_map_50"):
            history = user_folder.client.get_metric_history(run.info.run_id, name)
            wanted = [trial.metrics[name]] if trial.number in tested else []
            assert [point.value for point in history] == wanted
            assert (name in trial.metrics) == (trial.number in tested)


def test_the_front_is_registered_with_its_figures(user_folder: UserFolder, searched: SearchResult) -> None:
    """A version per member: the logged model, trial, board, protocol, digest of the file."""
    client = user_folder.client
    versions = client.search_model_versions("name='person-detector'")
    by_trial = {version.tags["nas.trial"]: version for version in versions}
    for member in searched.front:
        version = by_trial[str(member.number)]
        assert version.run_id == member.run_id
        assert version.tags["nas.board"] == "fake"
        assert float(version.tags["map"]) == pytest.approx(member.metrics["map"], rel=1e-5)
        assert float(version.tags["latency_ms"]) == pytest.approx(member.metrics["latency_ms"], rel=1e-5)
        reference = searched.trials[0].metrics["map"]
        assert float(version.tags["nas.reference_map"]) == pytest.approx(reference, rel=1e-5)
        assert len(version.tags["nas.sha256"]) == 64
        assert version.tags["nas.protocol"]


def test_models_of_the_front_are_logged_with_what_was_measured_on_val(
    user_folder: UserFolder, searched: SearchResult
) -> None:
    """Not with what the test split gave."""
    models = user_folder.client.search_logged_models([str(searched.experiment_id)])
    logged = {model.source_run_id: model for model in models}
    for member in searched.front:
        metrics = {metric.key for metric in logged[member.run_id].metrics}
        assert "map" in metrics
        assert not {name for name in metrics if name.startswith("test_")}


def test_the_same_command_changes_nothing(continued: Continued, searched: SearchResult) -> None:
    """No step is computed, no run is changed, no version or alias either."""
    assert continued.after == continued.before
    assert continued.result.run_id == searched.run_id
    assert [one.metrics for one in continued.result.trials] == [one.metrics for one in searched.trials]
    assert continued.result.registry is not None
    assert continued.result.registry["changes"] == []
    assert continued.result.notes == ()


def test_more_trials_continue_the_study(
    user_folder: UserFolder, extended: SearchResult, searched: SearchResult
) -> None:
    """In the same run, with one more architecture."""
    assert [one.number for one in extended.trials] == [0, 1, 2, 3]
    assert len({one.key for one in extended.trials}) == 4
    assert extended.run_id == searched.run_id
    assert len(user_folder.runs("seed")) == len(user_folder.runs("study")) == 1
    assert len(user_folder.runs("baseline", "trial")) == 4


def test_status_is_read_from_the_storage(user_folder: UserFolder, extended: SearchResult) -> None:
    """Trials, front and best, without MLflow."""
    with user_folder.entered():
        status = api.status(study="whole")
    assert [row["trial"] for row in status.trials] == [0, 1, 2, 3]
    assert (status.running, status.waiting) == (0, 0)
    assert {row["trial"] for row in status.front} == {one.number for one in extended.front}
    assert status.best is not None
    assert status.best["map"] == max(one.metrics["map"] for one in extended.trials)


def test_a_report_is_the_same_from_the_storage_and_from_mlflow(
    user_folder: UserFolder, extended: SearchResult
) -> None:
    """The costs of the search, whichever is at hand."""
    with user_folder.entered():
        stored = api.report(study=("whole",))
        mirrored = api.report(study=("whole",), storage=f"sqlite:///{user_folder.path}/empty.db")
    (search,) = stored.searches
    assert search["trainings"] == len(extended.trials)
    assert search["best_quality"] == pytest.approx(max(one.metrics["map"] for one in extended.trials))
    assert stored.rows[0].keys() == mirrored.rows[0].keys()
    assert mirrored.searches[0]["best_quality"] == pytest.approx(search["best_quality"])


def test_the_champion_is_measured_as_the_search_measured_it(
    user_folder: UserFolder, extended: SearchResult
) -> None:
    """By its name: the same file on the same augmented images."""
    champion = user_folder.client.get_model_version_by_alias("person-detector", "champion")
    with user_folder.entered():
        measured = api.evaluate(model="person-detector", data=DATA)
    assert measured.eval_augmentations == SMALL["data.eval_augmentations"]
    assert measured.metrics["map"] == pytest.approx(float(champion.tags["map"]))
    assert extended.registry is not None
    assert str(extended.registry["aliases"]["champion"]) == str(champion.version)


@pytest.mark.usefixtures("extended")
def test_promote_after_a_search_changes_nothing(user_folder: UserFolder) -> None:
    """The search has reconciled the registry."""
    with user_folder.entered():
        assert api.promote(model="person-detector").as_json()["changes"] == []
