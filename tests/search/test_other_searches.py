"""Searches that need a whole one: limits, failures, other objectives, other machines, a budget."""

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_space
from optuna.trial import TrialState
from user_folder import SMALL, UserFolder

from mlflow_nas import api
from mlflow_nas.api import SearchResult
from mlflow_nas.api.studies import tracked
from mlflow_nas.config import SearchConfig, find_device, load_config
from mlflow_nas.deployments.predict import predict
from mlflow_nas.errors import ConfigError
from mlflow_nas.estimate import complexity
from mlflow_nas.runtime import OnnxDetector
from mlflow_nas.search import Claim, NoProgress, Session, open_session
from mlflow_nas.search.session import GIVEN
from mlflow_nas.space import build_detector, save_weights
from mlflow_nas.trial import Silent
from mlflow_nas.types import TrialResult

FAULTY = """
import sys

from tiny_space import TinyDetector

from mlflow_nas.space import Parameter, SearchSpace


class Raising(TinyDetector):
    def loss(self, images, targets):
        raise RuntimeError("the branches differ in size")


class Leaving(TinyDetector):
    def loss(self, images, targets):
        sys.exit(0)


def build(architecture, num_classes):
    kind = architecture["kind"]
    if kind == "unbuildable":
        raise ValueError("in_channels must be divisible by groups")
    if kind == "exits":
        sys.exit(0)
    return {"raises": Raising, "leaves": Leaving}.get(kind, TinyDetector)(channels=8, kernel_size=1)


SPACE = SearchSpace(
    name="faulty",
    parameters={"kind": Parameter(short="k", values=("good", "unbuildable", "exits", "raises", "leaves"))},
    baseline={"kind": "good"},
    build=build,
    img_width=64,
)
"""


@pytest.fixture(scope="module")
def faulty(user_folder: UserFolder) -> SearchResult:
    """A search of a space of which four of five networks fail."""
    file = user_folder.path / "faulty.py"
    file.write_text(FAULTY, encoding="utf-8")
    options = {"space": f"{file}:SPACE", "study": "faulty", "training.seed_epochs": 0, "device": "none"}
    for trials in (3, 9):  # continued in the middle
        result = user_folder.search(**options, trials=trials, model="faulty")
    return result


def test_candidates_that_fail_are_failed_trials_with_their_reasons(faulty: SearchResult) -> None:
    """Whatever they do, the search continues to the end of the space."""
    reasons = {one.architecture["kind"]: (one.state, one.error) for one in faulty.trials}
    assert reasons.pop("good") == ("complete", None)
    assert {state for state, _ in reasons.values()} == {"failed"}
    errors = {kind: str(error) for kind, (_, error) in reasons.items()}
    assert errors["unbuildable"].startswith(
        "CandidateError: The space faulty can't build kunbuildable: ValueError: "
        "in_channels must be divisible by groups ("
    )
    assert errors["unbuildable"].endswith("faulty.py, line 22)")
    assert "can't build kexits: SystemExit: 0" in errors["exits"]
    assert "RuntimeError: the branches differ in size" in errors["raises"]
    assert "exit" in errors["leaves"].lower()
    assert [one.number for one in faulty.front] == [0]


def test_a_failed_trials_run_ends_failed_with_the_reason(
    faulty: SearchResult, user_folder: UserFolder
) -> None:
    """Once each; its error is a tag."""
    runs = [run for run in user_folder.runs("trial") if run.data.tags["nas.study"] == "faulty"]
    assert [run.info.status for run in runs] == ["FAILED"] * 4
    assert {run.data.tags["nas.error"] for run in runs} == {
        one.error for one in faulty.trials if one.state == "failed"
    }


def test_a_limit_on_latency_ends_trials_untrained(user_folder: UserFolder) -> None:
    """They are infeasible, pruned in Optuna with a native constraint, and their runs end well."""
    result = user_folder.search(
        study="slow", trials=2, limit=["latency_ms<=0.0001"], device="none", **{"training.seed_epochs": 0}
    )
    assert [one.state for one in result.trials] == ["infeasible"] * 2
    assert (result.front, result.registry, result.deployed) == ((), None, None)
    for one in result.trials:
        assert one.metrics["latency_ms"] > 0
        assert not one.metrics.keys() & {"map", "train_s"}
    for trial in user_folder.store("slow").study.trials:
        assert trial.state is TrialState.PRUNED
        assert trial.constraints["latency_ms<=0.0001"] > 0
    runs = [run for run in user_folder.runs("baseline", "trial") if run.data.tags["nas.study"] == "slow"]
    assert {(run.info.status, run.data.tags["nas.state"]) for run in runs} == {("FINISHED", "infeasible")}


def test_float_files_have_a_front_and_no_model(user_folder: UserFolder) -> None:
    """They are for comparison."""
    result = user_folder.search(
        study="float", trials=1, **{"quantization.precision": "fp32", "training.seed_epochs": 0}
    )
    (trial,) = result.trials
    assert trial.metrics["map"] == pytest.approx(trial.metrics["map_fp32"], abs=0.01)
    assert [one.number for one in result.front] == [0]
    assert (result.registry, result.deployed) == (None, None)
    (study,) = [run for run in user_folder.runs("study") if run.data.tags["nas.study"] == "float"]
    assert study.data.tags["nas.precision"] == "fp32"
    assert study.data.tags["nas.data_findings"] == "{}"


def test_a_height_is_searched_and_reaches_the_device(user_folder: UserFolder) -> None:
    """Trained, quantized, measured and deployed at 96 x 128; detections are boxes of the user's image."""
    result = user_folder.search(
        study="height", trials=1, model="height", set="space.img_height=64,96 space.aspect=1.333"
    )
    (trial,) = result.trials
    assert trial.key == "c24-k3-w128-ht96"
    assert OnnxDetector(trial.artefacts["int8"]).img_size == (96, 128)
    space = tiny_space.tiny_space()
    square = complexity(build_detector(space.baseline, num_classes=1, space=space), (128, 128))
    assert trial.metrics["macs"] == pytest.approx(square["macs"] * 96 / 128)
    with user_folder.entered():
        assert api.evaluate(model="models:/height/1", data=SMALL["data"]).img_size == (96, 128)
        manifest = api.deploy(model="models:/height/1", device="fake", force=True).manifest
        assert manifest["input_size"] == [96, 128]
        images = np.random.default_rng(0).integers(0, 256, (1, 60, 200, 3), np.uint8)
        (found,) = predict(find_device("fake", None), manifest["name"], images)
    assert all(0 <= x <= 200 and 0 <= y <= 60 for x, y in np.reshape(found["boxes"], (-1, 2)))


def test_an_estimate_chooses_within_the_limits(user_folder: UserFolder) -> None:
    """The largest networks by MACs that the limit lets pass are trained after the baseline; then none."""
    options: dict[str, Any] = {
        "study": "estimated",
        "estimator": "macs",
        "objectives": "map,macs",
        "limit": ["params<=2500"],
        "search.top_k": 2,
        "search.candidates": 18,
        "device": "none",
        "model": "estimated",
        "training.seed_epochs": 0,
    }
    result = user_folder.search(**options)
    baseline, *chosen = result.trials
    assert (baseline.role, baseline.state) == ("baseline", "infeasible")
    assert [one.state for one in chosen] == ["complete"] * 2
    assert all(one.metrics["params"] <= 2500 for one in chosen)
    assert result.estimate is not None
    assert result.estimate["costs"]["chosen"] == 2
    tags = {run.data.tags.get("nas.estimator") for run in user_folder.runs("trial")}
    assert "macs" in tags
    before = user_folder.cached()
    assert len(user_folder.search(**options).trials) == 3
    assert user_folder.cached() == before


class _Speed(NoProgress):
    """Changes the machine's speed before each trial."""

    def __init__(self, speeds: list[float]) -> None:
        self.speeds = speeds
        self.session: Session | None = None

    def trial_started(self, claim: Claim) -> None:
        """A trial begins on a machine that has become faster or slower."""
        assert self.session is not None
        self.session.context.board.speed = self.speeds[claim.number]  # type: ignore[attr-defined]  # a FakeBoard


def _on_a_machine(user_folder: UserFolder, study: str, speeds: list[float]) -> list[TrialResult]:
    """Four trials, each measured anew at a speed of its own."""
    shutil.rmtree(user_folder.path / user_folder.work / "cache/measure", ignore_errors=True)
    progress = _Speed(speeds)
    options = {**SMALL, "study": study, "sampler": "random", "training.seed_epochs": 0}
    with user_folder.entered(), tracked(load_config(SearchConfig, options), progress) as search:
        progress.session = search.session
        return search.run(4)


def test_a_machine_whose_speed_changes_gives_the_same_front(user_folder: UserFolder) -> None:
    """Between trials; wall-clock times differ, latency_ms and the front do not."""
    steady, changing = (
        _on_a_machine(user_folder, f"speed-{index}", speeds)
        for index, speeds in enumerate(([1.0] * 4, [1.0, 3.0, 0.5, 2.0]))
    )
    assert [one.key for one in steady] == [one.key for one in changing]
    for one, other, factor in zip(steady, changing, [1.0, 3.0, 0.5, 2.0], strict=True):
        assert other.metrics["latency_ms"] == pytest.approx(one.metrics["latency_ms"])
        assert other.metrics["speedup"] == pytest.approx(one.metrics["speedup"])
        assert other.metrics["latency_raw_ms"] == pytest.approx(factor * one.metrics["latency_raw_ms"])


def test_a_budget_is_planned_and_ends_a_search(user_folder: UserFolder) -> None:
    """Nothing fits after the baseline; the run has the plan, the report its forecast beside the actual."""
    options = {"study": "budget", "trials": 3, "device": "none", "training.seed_epochs": 0}
    result = user_folder.search(**options, budget="0.01s")
    assert [one.number for one in result.trials] == [0]
    (run,) = [run for run in user_folder.runs("study") if run.data.tags["nas.study"] == "budget"]
    assert run.data.tags["nas.plan"] == "full"
    assert "shorter than one training" in run.data.tags["nas.plan_because"]
    assert run.data.metrics["plan.forecast_s"] > 0
    assert result.plan is not None
    assert (result.plan["route"], result.plan["actual_trials"]) == ("full", 1)
    assert result.report is not None
    assert "full, forecast " in result.report.read_text(encoding="utf-8")
    with user_folder.entered():
        (row,) = api.report(study="budget").plans
    assert row["actual_s"] == pytest.approx(run.data.metrics["plan.actual_s"])
    assert row["forecast_s"] == pytest.approx(result.plan["forecast_s"]["mean"])


def test_a_second_training_is_a_run_of_its_own(user_folder: UserFolder) -> None:
    """With the next seed; once per study, and no trial of it."""
    options = {**SMALL, "study": "budget", "device": "none", "training.seed_epochs": 0}
    with user_folder.entered(), tracked(load_config(SearchConfig, options), None) as search:
        (first,) = search.run(1)
        again = search.repeat(first)
        assert search.repeat(first) == again
        assert len(search.results()) == 1
    assert (again.role, again.state) == ("repeat", "complete")
    assert again.metrics["train_loss"] != first.metrics["train_loss"]
    (run,) = user_folder.runs("repeat")
    assert run.info.status == "FINISHED"


@pytest.mark.slow
def test_a_study_is_continued_from_another_folder(user_folder: UserFolder) -> None:
    """With an empty step cache: the seed network is fetched from MLflow, no finished trial is evaluated."""
    storage = f"sqlite:///{user_folder.path}/shared.db"
    options = {"study": "moved", "storage": storage, "device": "none", "model": "moved", "sampler": "random"}
    first = user_folder.search(**options, trials=2)
    elsewhere = replace(user_folder, work="elsewhere")
    again = elsewhere.search(**options, trials=3)
    assert [one.metrics for one in again.trials[:2]] == [one.metrics for one in first.trials]
    seeds = [run for run in user_folder.runs("seed") if run.data.tags["nas.study"] == "moved"]
    assert len(seeds) == 1
    weights = "/".join(("train", *[run.data.tags["nas.step.train"] for run in seeds]))
    assert weights in elsewhere.cached()
    trained = {name for name in elsewhere.cached() if name.startswith("train/")}
    assert len(trained) == 2, "the seed network, and the third trial"


def test_a_reference_run_that_was_deleted_in_mlflow_is_restored(user_folder: UserFolder) -> None:
    """Table, front and champion keep it; the user reads what was done."""
    options = {"study": "deleted", "model": "deleted", "trials": 2, "device": "none", "sampler": "random"}
    first = user_folder.search(**options)
    (run,) = [one for one in user_folder.runs("baseline") if one.data.tags["nas.study"] == "deleted"]
    user_folder.client.delete_run(run.info.run_id)
    again = user_folder.search(**options)
    assert any("was deleted in MLflow: it is restored" in note for note in again.notes)
    assert user_folder.client.get_run(run.info.run_id).info.lifecycle_stage == "active"
    assert [one.key for one in again.trials] == [one.key for one in first.trials]
    assert [one.key for one in again.front] == [one.key for one in first.front]
    assert first.registry is not None
    assert again.registry is not None
    assert again.registry["aliases"] == first.registry["aliases"]


def test_a_deployment_that_is_refused_costs_nobody_the_result(user_folder: UserFolder) -> None:
    """The study is registered, the reason is the last line."""
    (user_folder.path / "devices.yaml").write_text(
        "devices: {tight: {transport: fake, directory: tight, max_model_bytes: 10}}", encoding="utf-8"
    )
    options = {"study": "tight", "trials": 3, "board": "tight", "model": "tight", "sampler": "random"}
    result = user_folder.search(**options, **{"registry.max_drop": 1})
    assert result.registry is not None
    assert result.deployed is None
    assert "10" in str(result.not_deployed)
    (user_folder.path / "devices.yaml").unlink()


def test_another_device_than_the_board_is_refused_before_the_search(user_folder: UserFolder) -> None:
    """It would refuse the champion hours later."""
    with pytest.raises(
        ConfigError, match=r"device=local would refuse the champion.* on board=fake: name one"
    ):
        user_folder.search(study="nowhere", device="local")
    assert not [run for run in user_folder.runs("study") if run.data.tags["nas.study"] == "nowhere"]


class _Display(NoProgress):
    """Notes which trials begin and end."""

    def __init__(self) -> None:
        self.started: list[int] = []
        self.finished: list[int] = []

    def trial_started(self, claim: Claim) -> None:
        """A worker evaluates a trial."""
        self.started.append(claim.number)

    def trial_finished(self, claim: Claim, result: TrialResult) -> None:  # noqa: ARG002 - of the protocol
        """It has a result."""
        self.finished.append(claim.number)


@pytest.mark.slow
def test_two_workers_share_one_study_and_one_display(user_folder: UserFolder) -> None:
    """Processes of their own; each trial is evaluated once, the events of both are shown."""
    display = _Display()
    result = user_folder.search(
        study="shared", trials=6, workers=2, sampler="random", device="none", model="shared", progress=display
    )
    assert [one.number for one in result.trials] == list(range(6))
    assert {one.state for one in result.trials} == {"complete"}
    assert len({one.key for one in result.trials}) == 6
    assert sorted(display.started) == sorted(display.finished) == list(range(6))
    runs = [run for run in user_folder.runs("baseline", "trial") if run.data.tags["nas.study"] == "shared"]
    assert sorted(run.data.tags["nas.trial"] for run in runs) == list("012345")
    assert {run.info.status for run in runs} == {"FINISHED"}


@pytest.mark.slow
def test_finalists_are_trained_to_the_end_and_compared_with_what_was_given(
    user_folder: UserFolder, tmp_path: Path
) -> None:
    """Given weights are measured as they are, once; finalists and they are registered, and no trial is."""
    weights = tmp_path / "given.pth"
    space = tiny_space.tiny_space()
    save_weights(build_detector(space.baseline, num_classes=1, space=space), weights)
    options: dict[str, Any] = {
        "study": "finished",
        "trials": 3,
        "weights": weights,
        "training.weights_img_width": 160,
        "finalists": 1,
        "finalists.epochs": 2,
        "model": "finished",
        "device": "none",
    }
    result = user_folder.search(**options)
    given = result.given
    assert given is not None
    assert (given.key, given.role, given.number) == ("as-given", "reference", None)
    baseline, *others = result.finalists
    assert baseline.key == "c24-k3-w128"
    assert len(others) <= 1
    assert all(len(one.history) == 2 and one.role == "finalist" for one in result.finalists)
    assert all("map_difference_ci_low" in one.metrics for one in result.finalists)
    assert all(one.metrics["statistics_retaken"] in (0.0, 1.0) for one in result.finalists)
    assert "statistics_retaken" not in result.trials[0].metrics
    assert baseline.metrics["speedup"] == pytest.approx(
        given.metrics["latency_ratio"] / baseline.metrics["latency_ratio"]
    )
    assert result.answer[0].startswith("Reference: the detector as given, map ")
    assert re.search(r"Training the finalists took .* s, the forecast was ", result.notes[0])
    versions = user_folder.client.search_model_versions("name='finished'")
    roles = sorted(version.tags["nas.role"] for version in versions)
    assert roles == ["finalist"] * len(result.finalists) + ["reference"]
    (run,) = [one for one in user_folder.runs("reference") if one.data.tags["nas.study"] == "finished"]
    assert run.data.metrics["map"] == pytest.approx(given.metrics["map"])
    cached = user_folder.cached()
    with user_folder.entered():
        again = api.finish(**{**SMALL, **options})
    assert user_folder.cached() == cached
    assert [one.metrics["map"] for one in again.finalists] == [one.metrics["map"] for one in result.finalists]
    shutil.rmtree(user_folder.path / user_folder.work / "cache")
    with user_folder.entered():
        rebuilt = api.finish(**{**SMALL, **options})
    assert rebuilt.given is not None
    files = [path for one in (rebuilt.given, *rebuilt.finalists) for path in one.artefacts.values()]
    assert all(path.is_file() for path in files), "what the cache lacks is computed again"


def test_an_unstable_reference_is_measured_anew(user_folder: UserFolder, tmp_path: Path) -> None:
    """By the next call at the latest; speed-ups are relative to the stable one."""
    weights = tmp_path / "given.pth"
    space = tiny_space.tiny_space()
    save_weights(build_detector(space.baseline, num_classes=1, space=space), weights)
    options = {
        **SMALL,
        "study": "shaky",
        "weights": weights,
        "device": "none",
        "model": "shaky",
        "finalists": 0,
    }
    config = load_config(SearchConfig, options)
    with user_folder.entered():
        session = open_session(config)
        session.context.board.unstable_cause = "the board throttled"  # type: ignore[attr-defined]  # a FakeBoard
        session.prepare(Silent())
        shaky = session.given()
        session.close()
        assert shaky is not None
        assert shaky.latency_unstable
        doubled = {**shaky.metrics, "latency_ratio": 2 * shaky.metrics["latency_ratio"]}
        session.store.keep(GIVEN, replace(shaky, metrics=doubled).as_json())
    result = user_folder.search(**{**options, "trials": 2, "training.seed_epochs": 10})
    assert result.given is not None
    assert not result.given.latency_unstable
    assert result.given.metrics["latency_ratio"] == pytest.approx(shaky.metrics["latency_ratio"])
    assert result.given.metrics["speedup"] == 1.0, "of all others it is relative to this one"
    for one in result.trials:
        expected = result.given.metrics["latency_ratio"] / one.metrics["latency_ratio"]
        assert one.metrics["speedup"] == pytest.approx(expected)


@pytest.mark.slow
def test_a_search_by_the_supernet_trains_its_best_candidates(user_folder: UserFolder) -> None:
    """It scores four in float, three of them as int8 and trains one; slow: five files are quantized."""
    options = {
        "study": "one-shot",
        "estimator": "supernet",
        "device": "none",
        "search.candidates": 4,
        "search.top_k": 1,
        "search.latency": "measure",
        "finalists": 1,
        "finalists.epochs": 1,
    }
    result = user_folder.search(**options)
    assert {one.metrics["from_supernet"] for one in result.finalists} <= {0.0, 1.0}
    assert result.finalists[0].metrics["from_supernet"] == 0.0, "the baseline starts from the seed network"
    estimate = result.estimate
    assert estimate is not None
    assert (estimate["estimator"], len(estimate["chosen"])) == ("supernet", 1)
    assert estimate["costs"]["candidates"] == 4
    assert estimate["costs"]["search_s"] > estimate["costs"]["init_s"] > 0
    kinds = [one.partition("/")[0] for one in user_folder.cached()]
    assert (kinds.count("supernet"), kinds.count("supernet-score")) == (1, 4 + 3)
