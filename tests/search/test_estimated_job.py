"""Searches that train what an estimate chose, on the fake board and generated scenes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pytest

from mlflow_nas import api
from mlflow_nas.api import auto
from mlflow_nas.errors import CandidateError, ConfigError
from mlflow_nas.estimate import complexity
from mlflow_nas.search import Candidate, Conclusion, latencies, probes, selecting
from mlflow_nas.search import samples as sample_module
from mlflow_nas.search import study as study_module
from mlflow_nas.types import Evaluation, Latency

OPTIONS = {
    "data": "synthetic:train=8,val=4,size=96",
    "epochs": 1,
    "seed_epochs": 0,
    "board": "fake",
    "seed": 1,
    "set": "channels=24..40:8,img_width=220..236:4",
    "latency_samples": 10,
    "candidates": 40,
    "top_k": 2,
}

pytestmark = pytest.mark.usefixtures("tracking_uri")


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLFLOW_NAS_HOME", str(tmp_path / "home"))


def _size(architecture: Any) -> float:
    return float(architecture["channels"] * architecture["img_width"] ** 2 / 1e6 / architecture["groups"])


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The board's times follow the size without export; the keys that were measured."""
    keys: list[str] = []

    def make(_network: object, architecture: Any, **_: object) -> Any:
        return architecture

    def measure(architecture: Any, _bench: object) -> Latency:
        keys.append("-".join(map(str, architecture.values())))
        ms = 2 + _size(architecture)
        return Latency(p50_ms=ms, p90_ms=ms, p99_ms=ms, min_ms=ms, mean_ms=ms, cv=0, runs=1, board="fake")

    monkeypatch.setattr(latencies, "make_artefact", make)
    monkeypatch.setattr(latencies, "measure", measure)
    return keys


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Trials take no time: mAP and latency follow the size; nothing is published. The keys in order."""
    keys: list[str] = []

    def evaluate(candidate: Candidate, **_: object) -> Evaluation:
        keys.append(candidate.key)
        size = _size(candidate.architecture)
        return Evaluation(
            number=candidate.number,
            key=candidate.key,
            architecture=dict(candidate.architecture),
            state="complete",
            metrics={
                "map": 0.1 + size / 10,
                "latency_ms": 2 + size,
                "latency_ratio": (2 + size) / 12,
                "train_s": 1.0,
            },
            run_id=candidate.run_id,
        )

    monkeypatch.setattr(study_module, "evaluate_candidate", evaluate)
    monkeypatch.setattr(study_module, "publish", lambda *_, **__: "")
    monkeypatch.setattr("mlflow_nas.search.conclude", lambda done, **_: Conclusion(tuple(done), (), None))
    return keys


def _search(**options: Any) -> dict[str, Any]:
    return dict(api.search(**{**OPTIONS, **options}))


def _metrics(result: dict[str, Any]) -> dict[str, float]:
    return dict(mlflow.MlflowClient().get_run(result["run_id"]).data.metrics)


def test_a_search_by_macs_trains_the_baseline_and_the_best(timed: list[str]) -> None:
    """Two of sixty, tracked as trials that say who chose them; decided by measured mAP; nothing twice."""
    result = _search(estimator="macs", seed_epochs=1, candidates=60)
    assert [row["trial"] for row in result["trials"]] == [0, 1, 2]
    assert result["trials"][0]["key"] == "k5-g1-c96-w320"
    assert {row["key"] for row in result["trials"][1:]} == {"k5-g1-c40-w236", "k5-g1-c40-w232"}
    assert len(timed) == 10
    estimate = result["estimate"]
    assert "cross-validated error" in estimate["latency_model"]
    assert estimate["decided"]["map"] == max(row["map"] for row in result["trials"])
    metrics = _metrics(result)
    assert metrics["cost.macs/candidates"] == 60
    assert metrics["cost.macs/trainings"] == 3
    assert metrics["cost.macs/latency_error"] < 0.2
    assert metrics["cost.macs/search_s"] >= 60 * metrics["cost.macs/query_s"] > 0
    assert metrics["cost.macs/seed_s"] > 0
    client = mlflow.MlflowClient()
    runs = client.search_runs([result["experiment_id"]], "tags.`nas.estimator` = 'macs'")
    assert {run.data.params["arch.channels"] for run in runs} == {"40"}
    again = _search(estimator="macs", seed_epochs=1, candidates=60)
    assert (again["trials"], len(timed)) == (result["trials"], 10)


@pytest.mark.usefixtures("timed", "trained")
def test_what_a_space_cannot_build_is_no_candidate(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A user's space may fail in any way, and the rest of it is searched."""
    real = probes.build_detector

    def build(architecture: Any, **options: Any) -> Any:
        if architecture["groups"] == 1:
            raise CandidateError("The space can't build it.")
        return real(architecture, **options)

    monkeypatch.setattr(probes, "build_detector", build)
    chosen = _search(estimator="macs")["trials"][1:]
    assert len(chosen) == 2
    assert not any("-g1-" in row["key"] for row in chosen)
    assert "The space can't build it. It is no candidate." in caplog.text


@pytest.mark.usefixtures("timed")
def test_a_model_learns_from_the_studys_samples(trained: list[str]) -> None:
    """Without samples it says how to get them; with them it ranks by what it learned, and pays once."""
    with pytest.raises(
        ConfigError, match=r"bayesian_ridge needs 10 trained samples, the study has 0: .*select"
    ):
        _search(estimator="bayesian_ridge")
    _search(trials=12, sampler="random")
    samples = list(trained)
    result = _search(estimator="bayesian_ridge")
    assert len(trained) == len(samples) + 2
    assert not set(trained[12:]) & set(samples)
    metrics = _metrics(result)
    assert metrics["cost.bayesian_ridge/samples"] == 12
    assert metrics["cost.bayesian_ridge/trainings"] == 14
    assert metrics["cost.full/trainings"] == 12
    best = max(row["map"] for row in result["trials"])
    assert result["estimate"]["decided"]["map"] == metrics["cost.bayesian_ridge/best_map"] == best
    _search(estimator="macs")
    assert _metrics(result)["cost.macs/samples"] == 12
    _check_report(api.report(study="demo"), metrics)


def _check_report(report: Any, metrics: dict[str, float]) -> None:
    """The honest table of the study, from what its run holds."""
    rows = {row["strategy"]: row for row in report["rows"]}
    assert list(rows) == ["full", "bayesian_ridge", "macs"]
    row, cost = rows["bayesian_ridge"], "cost.bayesian_ridge/"
    paid = ("samples_s", "search_s", "post_search_s")
    assert row["cold_s"] == pytest.approx(sum(metrics[f"{cost}{term}"] for term in paid))
    assert row["speedup_cold"] == pytest.approx(rows["full"]["cold_s"] / row["cold_s"])
    assert row["best_map"] == metrics[f"{cost}best_map"]
    assert (row["trainings"], row["equal_compute_map"]) == (14, None)  # full training had 12
    with pytest.raises(ConfigError, match=r"There is no study 'nobody' in the experiment 'mlflow-nas'"):
        api.report(study="nobody")


def test_a_killed_search_goes_on_with_its_list(
    trained: list[str], timed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while it measures, then while it trains: no latency and no training is paid for twice."""
    real = latencies.measure

    def die_at_six(architecture: Any, bench: Any) -> Latency:
        if len(timed) == 6:
            raise KeyboardInterrupt
        return real(architecture, bench)

    with monkeypatch.context() as patch:
        patch.setattr(latencies, "measure", die_at_six)
        with pytest.raises(KeyboardInterrupt):
            _search(estimator="act_elems")
    evaluate = study_module.evaluate_candidate

    def die_at_two(candidate: Candidate, **options: Any) -> Evaluation:
        if len(trained) == 2:
            raise KeyboardInterrupt
        return evaluate(candidate, **options)

    with monkeypatch.context() as patch:
        patch.setattr(study_module, "evaluate_candidate", die_at_two)
        with pytest.raises(KeyboardInterrupt):
            _search(estimator="act_elems")
    result = _search(estimator="act_elems")
    assert len(timed) == len(set(timed)) == 10
    assert len(trained) == len(set(trained)) == 3
    assert {row["state"] for row in result["trials"] if "map" in row} == {"complete"}


@pytest.mark.usefixtures("timed", "trained")
def test_candidates_keep_the_limits() -> None:
    """Counts, and the predicted or measured latency; a limit that nothing keeps is said."""
    result = _search(estimator="macs", max_latency_ms=3.0, study="predicted")
    assert all(row["latency_ms"] <= 3.3 for row in result["estimate"]["chosen"])
    measured = _search(estimator="macs", max_latency_ms=3.0, latency="measure", study="measured")
    assert measured["estimate"]["latency_model"] == ""
    assert all(row["latency_ms"] <= 3.0 for row in measured["estimate"]["chosen"])
    counted = _search(estimator="params", max_macs=3.1e7, study="counted", candidates=20)
    assert counted["estimate"]["costs"]["candidates"] < 20
    with pytest.raises(ConfigError, match="No candidate is within the limits max_macs"):
        _search(estimator="macs", max_params=10, study="none")


def test_an_unknown_estimator_is_refused_with_the_names_and_one_of_epochs_with_the_reason() -> None:
    """Before anything is opened; a learning curve would train every candidate."""
    with pytest.raises(ConfigError, match=r"no estimation strategy 'flopps': choose one of params, macs"):
        _search(estimator="flopps")
    with pytest.raises(ConfigError, match=r"tse_e needs the first epochs of every candidate's training"):
        _search(estimator="tse_e")


@pytest.mark.usefixtures("timed")
def test_auto_selects_first_and_trains_on_where_nothing_can_be_trusted(
    trained: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """MAP that follows the size selects a size; mAP that follows nothing goes on with full training."""
    monkeypatch.setattr(auto, "ASKED", ("params", "macs"))
    monkeypatch.setattr(selecting, "_seconds", lambda _sample: 100.0)  # what scoring may cost as well
    evaluate = study_module.evaluate_candidate

    def by_macs(candidate: Candidate, **options: Any) -> Evaluation:
        bench, found = candidate.bench, evaluate(candidate, **options)
        size = bench.input_size(candidate.architecture)
        macs = complexity(bench.build(candidate.architecture), size)["macs"]
        return replace(found, metrics={**found.metrics, "map": macs / 1e9})

    def by_chance(candidate: Candidate, **options: Any) -> Evaluation:
        found = evaluate(candidate, **options)
        return replace(found, metrics={**found.metrics, "map": len(trained) * 7 % 11 / 20})

    monkeypatch.setattr(study_module, "evaluate_candidate", by_macs)
    monkeypatch.setattr(sample_module, "evaluate_candidate", by_macs)
    result = _search(estimator="auto", samples=10, set="", candidates=30)
    assert result["estimate"]["estimator"] == "macs"
    assert _metrics(result)["cost.macs/samples"] == 11  # and the baseline
    assert _metrics(result)["cost.macs/selection_s"] > 0
    assert len(result["trials"]) == 13

    monkeypatch.setattr(study_module, "evaluate_candidate", by_chance)
    monkeypatch.setattr(sample_module, "evaluate_candidate", by_chance)
    refused = _search(estimator="auto", samples=10, set="", trials=13, study="refused")
    assert refused["estimate"] is None
    assert len(refused["trials"]) == 13
    tags = mlflow.MlflowClient().get_run(refused["run_id"]).data.tags
    assert tags["nas.estimator_because"].startswith("not enough evidence, train instead")
