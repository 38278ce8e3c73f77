"""The main job in this process, on the fake board and generated scenes."""

import importlib
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pytest
import torch

from mlflow_nas import api
from mlflow_nas.api.bench import make_bench
from mlflow_nas.config import SearchConfig
from mlflow_nas.errors import BoardError, CandidateError, ConfigError
from mlflow_nas.export import export_onnx
from mlflow_nas.search import Candidate, Silent, StudyBook
from mlflow_nas.search import artefact as artefact_module
from mlflow_nas.search import seed as seed_module
from mlflow_nas.search import study as study_module
from mlflow_nas.search import trial as trial_module
from mlflow_nas.search.artefact import Artefact, baseline_artefact
from mlflow_nas.space import build_detector, fastestdet_head, load_space, save_weights
from mlflow_nas.train import resume as resume_module
from mlflow_nas.types import Architecture, Evaluation, Latency

OPTIONS = {
    "data": "synthetic:train=8,val=4,test=3,size=128",
    "epochs": 1,
    "seed_epochs": 1,
    "board": "fake",
    "device": "fake",
    "trials": 3,
    "seed": 1,
    "max_int8_drop": 1,  # one epoch on eight images is noise
}


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("MLFLOW_NAS_HOME", str(tmp_path / "home"))


def _search(**options: Any) -> dict[str, Any]:
    return dict(api.search(**{**OPTIONS, **options}))


def _runs(result: dict[str, Any]) -> list[mlflow.entities.Run]:
    client = mlflow.MlflowClient()
    return list(client.search_runs([result["experiment_id"]], order_by=["attributes.start_time ASC"]))


def test_a_search_is_tracked_promoted_deployed_and_continued() -> None:
    """The same command goes on in the same parent run, trains nothing twice and stops at its trials."""
    first = _search()
    assert [row["trial"] for row in first["trials"]] == [0, 1, 2]
    assert first["trials"][0]["key"] == "k5-g1-c96-w320"
    assert {row["state"] for row in first["trials"]} == {"complete"}
    assert first["deployed"]["version"] == str(first["registry"]["aliases"]["champion"])

    again = _search()
    assert again["run_id"] == first["run_id"]
    assert again["trials"] == first["trials"]
    assert again["registry"]["changes"] == []

    more = _search(trials=4)
    assert len(more["trials"]) == 4
    assert len({row["key"] for row in more["trials"]}) == 4

    runs = _runs(more)
    parents = [run for run in runs if run.data.tags["nas.role"] == "study"]
    assert [run.info.run_id for run in parents] == [first["run_id"]]
    assert parents[0].info.status == "FINISHED"
    trials = [run for run in runs if run.data.tags["nas.role"] in {"trial", "baseline"}]
    assert [run.data.tags["nas.trial"] for run in trials] == ["0", "1", "2", "3"]
    wanted = {
        "map",
        "map_50",
        "map_fp32",
        "map_50_fp32",
        "latency_ms",
        "latency_ratio",
        "board_drift",
        "flops",
        "macs",
        "params",
    }
    assert all(wanted <= run.data.metrics.keys() for run in trials)
    assert trials[0].data.params["arch.img_width"] == "320"
    artifacts = {item.path for item in mlflow.MlflowClient().list_artifacts(first["run_id"])}
    assert {"pareto.png", "pareto.html", "trials.json", "training_batch.png"} <= artifacts
    _check_test_split([first, again, more], trials)

    promoted = api.promote(model="person-detector")
    assert promoted["changes"] == []

    champion = mlflow.MlflowClient().get_model_version_by_alias("person-detector", "champion")
    measured = api.evaluate(model="person-detector", data=OPTIONS["data"])
    assert measured["views"] == 6
    assert measured["map"] == mlflow.get_run(champion.run_id).data.metrics["map"]


def _check_test_split(calls: list[dict[str, Any]], trials: list[mlflow.entities.Run]) -> None:
    """The fronts of all calls and the baseline were measured on the test split once each; nobody else was."""
    tested = {0} | {row["trial"] for result in calls for row in result["front"]}
    client = mlflow.MlflowClient()
    for row, run in zip(calls[-1]["trials"], trials, strict=True):
        for name in ("test_map", "test_map_50"):
            history = client.get_metric_history(run.info.run_id, name)
            wanted = [row[name]] if row["trial"] in tested else []
            assert [point.value for point in history] == wanted
            assert (name in row) == (row["trial"] in tested)
    assert len({run.data.tags["nas.dataset"] for run in trials}) == 1
    assert trials[0].data.tags["nas.dataset"].startswith("synthetic@")


PRETENDED = ((0.3, 1.0), (0.5, 2.0), (0.4, 3.0), (0.6, 0.5))
"""mAP on val and milliseconds of four trials: the third is behind the second, the fourth before all."""


def test_the_share_of_val_that_tests_is_measured_for_fronts_and_the_baseline(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Once each, though a search that goes on has another front; no trial behind the front is measured."""
    network = build_detector(fastestdet_head().baseline, num_classes=1, seed=0).eval()
    file = export_onnx(network, tmp_path / "untrained.onnx", img_size=(64, 64), metadata={})
    parts = set[tuple[int, int]]()

    def pretend(candidate: Candidate, **_: object) -> Evaluation:
        bench = candidate.bench
        parts.add((len(bench.val), len(bench.test or ())))
        (bench.folder / candidate.key).mkdir(parents=True)
        shutil.copy(file, bench.folder / candidate.key / "model.onnx")
        map_, latency_ms = PRETENDED[candidate.number]
        return Evaluation(
            number=candidate.number,
            key=candidate.key,
            architecture=candidate.architecture,
            state="complete",
            metrics={"map": map_, "map_50": map_, "latency_ms": latency_ms},
            run_id=candidate.run_id,
        )

    monkeypatch.setattr(study_module, "evaluate_candidate", pretend)
    data = {"data": "synthetic:train=4,val=12,size=64", "test_fraction": 0.5, "val_views": 1}
    options = {**data, "seed_epochs": 0, "precision": "fp32", "device": "none"}
    calls = [_search(**options, trials=trials) for trials in (3, 4)]
    assert [[row["trial"] for row in result["front"]] for result in calls] == [[0, 1], [3]]
    ((val, test),) = parts
    assert val + test == 12
    assert 0 < test < 12
    runs = [run for run in _runs(calls[-1]) if run.data.tags["nas.role"] in {"trial", "baseline"}]
    _check_test_split(calls, runs)
    assert [("test_map" in row) for row in calls[-1]["trials"]] == [True, True, False, True]


def test_data_are_told_apart_by_what_is_trained_on_too() -> None:
    """Another training image is another data set, and so are other views; the test split is no part of it."""
    tags = [
        make_bench(
            SearchConfig(data=f"synthetic:{options},size=64", board="fake", val_views=views),
            folder=Path(),
            max_latency_ms=None,
        ).dataset_tag
        for options, views in (
            ("train=4,val=4", 2),
            ("train=4,val=4,test=2", 2),
            ("train=5,val=4", 2),
            ("train=4,val=5", 2),
            ("train=4,val=4", 1),
            ("train=4,val=4", None),
        )
    ]
    assert tags[0] == tags[1]
    assert len(set(tags)) == 5


def test_a_skipped_image_is_counted_in_the_studys_run(
    penn_fudan: Path, fastestdet_weights: Path, tmp_path: Path
) -> None:
    """With --on-bad-image skip; without it the search is refused before anything is trained."""
    data = tmp_path / "data"
    (data / "images").mkdir(parents=True)
    for file in [*penn_fudan.glob("*.json"), *penn_fudan.glob("images/*")]:
        (data / file.relative_to(penn_fudan)).symlink_to(file)
    (data / "images/FudanPed00001.jpg").unlink()
    (data / "images/FudanPed00001.jpg").write_bytes(b"no photograph")
    options = {
        "data": f"coco:{data}",
        "weights": str(fastestdet_weights),
        "trials": 1,
        "max_latency_ms": 1e-6,
    }
    with pytest.raises(ConfigError, match=r"1 of \d+ images can't be used, .*FudanPed00001.jpg"):
        _search(**options)
    result = _search(**options, on_bad_image="skip")
    assert mlflow.get_run(result["run_id"]).data.tags["nas.skipped_images"] == "1"


def _seeds(result: dict[str, Any]) -> list[mlflow.entities.Run]:
    return [run for run in _runs(result) if run.data.tags["nas.role"] == "seed"]


def test_the_seed_network_is_trained_once_and_its_weights_outlive_the_folder(tmp_path: Path) -> None:
    """Its run holds them; a study that goes on elsewhere fetches them from there, byte for byte."""
    first = _search(trials=1)
    (seed,) = _seeds(first)
    assert (seed.info.status, seed.data.tags["nas.state"]) == ("FINISHED", "complete")
    assert "map_fp32" in seed.data.metrics
    assert "nas.trial" not in seed.data.tags
    (weights,) = (tmp_path / ".nas/demo").glob("seed-*/weights.pth")
    trained = weights.read_bytes()
    weights.unlink()
    more = _search(trials=2)
    assert weights.read_bytes() == trained
    assert [run.info.run_id for run in _seeds(more)] == [seed.info.run_id]
    assert [row["trial"] for row in more["trials"]] == [0, 1]


def test_candidates_start_from_the_seed_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The baseline, before its first step, is the seed network."""
    seen = []

    def look(candidate: Candidate, **_: object) -> Evaluation:
        seen.append(candidate.bench.build(candidate.architecture).state_dict())
        raise CandidateError("seen")

    monkeypatch.setattr(study_module, "evaluate_candidate", look)
    _search(trials=1)
    (weights,) = (tmp_path / ".nas/demo").glob("seed-*/weights.pth")
    seed = torch.load(weights, weights_only=True)
    assert all(torch.equal(value, seen[0][name]) for name, value in seed.items())


def test_no_seed_network_is_trained_where_weights_are_given_or_no_epochs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`weights` are the seed network; `seed_epochs=0` leaves each candidate its fresh head."""

    def fail(*_: object, **__: object) -> Evaluation:
        raise CandidateError("not today")

    monkeypatch.setattr(study_module, "evaluate_candidate", fail)
    network = build_detector(fastestdet_head().baseline, num_classes=1, seed=0)
    file = save_weights(network, tmp_path / "given.pth")
    assert _seeds(_search(trials=1, study="given", weights=str(file))) == []
    assert _seeds(_search(trials=1, study="none", seed_epochs=0)) == []


def test_an_interrupted_training_of_the_seed_network_is_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its run ends KILLED and is never taken for weights to inherit."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(seed_module, "fit", interrupt)
        with pytest.raises(KeyboardInterrupt):
            _search(trials=1)
    result = _search(trials=1, max_latency_ms=1e-6)
    assert [run.info.status for run in _seeds(result)] == ["KILLED", "FINISHED"]


def test_a_candidate_over_the_limit_is_infeasible_and_not_trained() -> None:
    """It has a latency, a constraint and no mAP."""
    result = _search(max_latency_ms=1e-6, trials=1)
    (row,) = result["trials"]
    assert row["state"] == "infeasible"
    assert "latency_ms" in row
    assert "map" not in row
    assert "train_s" not in row
    assert (result["front"], result["registry"], result["deployed"]) == ([], None, None)


def test_a_failed_candidate_is_written_down_and_the_search_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its run ends FAILED with the error as a tag."""

    def fail(*_: object, **__: object) -> Evaluation:
        raise CandidateError("it can't be exported")

    monkeypatch.setattr(study_module, "evaluate_candidate", fail)
    result = _search(trials=2)
    assert [row["state"] for row in result["trials"]] == ["failed", "failed"]
    failed = [run for run in _runs(result) if run.data.tags["nas.role"] in {"trial", "baseline"}]
    assert {run.info.status for run in failed} == {"FAILED"}
    assert failed[0].data.tags["nas.error"] == "CandidateError: it can't be exported"


def test_a_candidate_that_loses_too_much_by_quantization_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence is in its run, the search goes on."""
    monkeypatch.setattr(trial_module, "evaluate_detector", lambda *_, **__: {"map": -0.5, "map_50": -0.5})
    result = _search(trials=1, seed_epochs=0, max_int8_drop=0.25)
    (run,) = [run for run in _runs(result) if run.data.tags["nas.role"] == "baseline"]
    assert [row["state"] for row in result["trials"]] == ["failed"]
    assert re.match(
        r"CandidateError: Quantization costs 0\.\d+ mAP: -0\.500 instead of 0\.\d+ in float, while 0\.25 is "
        r"allowed\. Raise --max-int8-drop",
        run.data.tags["nas.error"],
    )


def test_float_files_are_measured_for_comparison() -> None:
    """They have a front, no model and no deployment, and never share a study with int8 files."""
    options = {"trials": 1, "seed_epochs": 0, "study": "float"}
    result = _search(**options, precision="fp32")
    (row,) = result["trials"]
    assert row["map"] == pytest.approx(row["map_fp32"], abs=0.01)
    assert [front["trial"] for front in result["front"]] == [0]
    assert (result["registry"], result["deployed"]) == (None, None)
    assert mlflow.MlflowClient().search_logged_models([result["experiment_id"]]) == []
    assert {run.data.tags["nas.precision"] for run in _runs(result)} == {"fp32"}
    with pytest.raises(ConfigError, match=r"made with precision 'fp32', this call has 'int8'.*--precision"):
        _search(**options)


def test_two_hardware_failures_in_a_row_stop_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names the board and the remedy."""

    def fail(*_: object, **__: object) -> Evaluation:
        raise BoardError("no route to host")

    monkeypatch.setattr(study_module, "evaluate_candidate", fail)
    with pytest.raises(BoardError, match=r"2 hardware failures in a row on board fake, .*no route to host"):
        _search(trials=5)


def test_what_the_board_failed_to_measure_is_measured_later_and_not_trained_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """After another one was, which tells a bad model from a dead board; it keeps who chose it."""
    real, calls = trial_module.measure, list[str]()

    def measure(*given: Any) -> Latency:
        calls.append("measure")
        if len(calls) == 2:
            raise BoardError("no route to host")
        return real(*given)

    monkeypatch.setattr(trial_module, "measure", measure)
    saved: list[str] = []
    save = resume_module._save
    monkeypatch.setattr(
        resume_module, "_save", lambda *given: (saved.append(given[1].parent.name), save(*given))
    )
    result = _search(trials=4, seed_epochs=0, sampler="random")
    rows = result["trials"]
    assert [row["state"] for row in rows] == ["complete", "failed", "complete", "complete"]
    assert rows[1]["key"] == rows[3]["key"]
    assert saved == [row["key"] for row in rows[:3]]
    assert list(tmp_path.rglob("training.ckpt")) == []
    drawn = {run.data.tags.get("nas.trial"): run.data.tags.get("nas.drawn") for run in _runs(result)}
    assert (drawn["1"], drawn["3"]) == ("random", "random")


def test_after_an_outage_the_same_command_measures_what_was_trained(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without a second training, as a trial of the sampler that chose it, until the trials are complete."""
    real = trial_module.measure
    down = [False]

    def measure(*given: Any) -> Latency:
        if down[0]:
            raise BoardError("no route to host")
        return real(*given)

    monkeypatch.setattr(trial_module, "measure", measure)
    _search(trials=1, seed_epochs=0, sampler="tpe")
    down[0] = True
    with pytest.raises(BoardError, match="Mend the board"):
        _search(trials=3, seed_epochs=0, sampler="tpe")
    assert len(list(tmp_path.rglob("training.ckpt"))) == 2
    down[0] = False
    monkeypatch.setattr(resume_module, "_save", lambda *_: pytest.fail("trained again"))
    result = _search(trials=3, seed_epochs=0, sampler="random")
    states = [row["state"] for row in result["trials"]]
    assert states == ["complete", "failed", "failed", "complete", "complete"]
    assert {row["key"] for row in result["trials"][1:3]} == {row["key"] for row in result["trials"][3:]}
    assert list(tmp_path.rglob("training.ckpt")) == []
    assert {run.data.tags.get("nas.drawn") for run in _runs(result)} == {None}
    assert len(_search(trials=3, seed_epochs=0)["trials"]) == 5


def test_a_model_that_the_board_never_measures_does_not_end_the_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is tried twice, with another one in between."""
    real, asked = trial_module.measure, list[str]()

    def measure(artefact: Any, bench: Any) -> Latency:
        asked.append(artefact.shipped.parent.name)
        if asked[-1] == asked[min(1, len(asked) - 1)] != asked[0]:
            raise BoardError("the runtime was killed")
        return real(artefact, bench)

    monkeypatch.setattr(trial_module, "measure", measure)
    rows = _search(trials=5, seed_epochs=0)["trials"]
    assert [row["state"] for row in rows] == ["complete", "failed", "complete", "failed", "complete"]


def test_each_space_has_its_own_yardstick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """They may name their baselines alike; trainings of several spaces lie in one folder."""
    monkeypatch.setattr(artefact_module, "make_artefact", lambda *_, folder, **__: Artefact(folder, None))
    bench = make_bench(SearchConfig(data=OPTIONS["data"], board="fake"), folder=tmp_path, max_latency_ms=None)
    other = replace(bench, space=load_space("cell"))
    renamed = replace(bench, space=replace(other.space, name=bench.space.name))
    folders = [baseline_artefact(one).fp32 for one in (bench, other, renamed)]
    assert len(set(folders)) == 3
    assert baseline_artefact(bench).fp32 == folders[0]


@pytest.mark.parametrize("changed", [{"seed_epochs": 0}, {"seed": 2}])
def test_a_study_goes_on_with_its_training_only(changed: dict[str, int]) -> None:
    """With another start or seed its trials could not be compared."""
    _search(trials=1, max_latency_ms=1e-6)
    with pytest.raises(ConfigError, match=r"made with training .*--seed-epochs and --seed"):
        _search(trials=2, **changed)


def test_a_seed_network_belongs_to_its_studys_run(tmp_path: Path) -> None:
    """A study of the same name in another experiment, which may have other data, does not inherit it."""
    _search(trials=1)
    bench = make_bench(
        SearchConfig(data=OPTIONS["data"], board="fake"), folder=tmp_path / ".nas/demo", max_latency_ms=None
    )
    (own,) = (tmp_path / ".nas/demo").glob("seed-*")
    book = StudyBook(
        client=mlflow.MlflowClient(), experiment_id="0", parent_id=own.name[5:], study="demo", tags={}
    )
    assert not seed_module.needs_seed_network(bench, book)
    assert seed_module.needs_seed_network(bench, replace(book, parent_id="0" * 32))


def test_a_model_is_logged_with_what_was_measured_on_val(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the test split was measured before the model could be logged."""
    told = list[dict[str, float]]()
    conclude_module = importlib.import_module("mlflow_nas.search.conclude")  # its package has a function so
    monkeypatch.setattr(conclude_module, "log_int8_model", lambda *_, metrics, **__: told.append(metrics))
    monkeypatch.setattr(conclude_module, "log_file", lambda *_: None)
    monkeypatch.setattr(conclude_module, "_golden", lambda *_: None)
    monkeypatch.setattr(conclude_module, "_picture", lambda *_: None)
    bench = make_bench(SearchConfig(data=OPTIONS["data"], board="fake"), folder=Path(), max_latency_ms=None)
    baseline = bench.space.baseline
    evaluation = Evaluation(
        number=0,
        key=bench.space.key(baseline),
        architecture=baseline,
        state="complete",
        metrics={"map": 0.5, "test_map": 0.4},
        run_id="run",
    )
    book = StudyBook(client=mlflow.MlflowClient(), experiment_id="0", parent_id="", study="demo", tags={})
    with pytest.raises(AttributeError):  # nothing was logged that has an id
        conclude_module.publish(evaluation, bench=bench, book=book)
    assert told == [{"map": 0.5}]


def test_an_interrupted_trial_is_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed process left behind is closed; the baseline is evaluated."""

    def interrupt(*_: object, **__: object) -> Evaluation:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(study_module, "evaluate_candidate", interrupt)
        with pytest.raises(KeyboardInterrupt):
            _search(trials=1)
    result = _search(trials=1, max_latency_ms=1e-6)
    assert [row["state"] for row in result["trials"] if row["state"] == "infeasible"] == ["infeasible"]
    assert {run.info.status for run in _runs(result)} <= {"FINISHED", "KILLED"}


class _Killer(Silent):
    """Ends the search after an epoch of a trial, as Ctrl-C would; notes which steps each trial took."""

    def __init__(self, *, trial: int | None = None) -> None:
        self._victim, self.current = trial, -1
        self.steps: list[tuple[int, str]] = []

    def trial(self, number: int, architecture: Architecture) -> None:  # noqa: ARG002 - Progress's signature
        """Remember which one it is."""
        self.current = number

    def step(self, name: str) -> None:
        """Interrupt the one."""
        self.steps.append((self.current, name))
        if (self.current, name) == (self._victim, "epoch"):
            raise KeyboardInterrupt


def test_a_killed_trials_training_goes_on_from_its_last_epoch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The same architecture comes next and takes only the epochs that are left; nothing stays behind."""
    options = {"trials": 2, "epochs": 2, "seed_epochs": 0, "recipe": "published", "freeze": "stem"}
    with pytest.raises(KeyboardInterrupt):
        _search(**options, progress=_Killer(trial=1))
    (kept,) = tmp_path.rglob("training.ckpt")
    saved: list[Path] = []
    real = resume_module._save
    monkeypatch.setattr(resume_module, "_save", lambda *given: (saved.append(given[1]), real(*given)))
    result = _search(**options, progress=_Killer())
    assert saved == [kept]
    assert [row["key"] for row in result["trials"] if row["state"] == "complete"][1] == kept.parent.name
    assert result["trials"][-1]["epochs"] == 2
    assert list(tmp_path.rglob("training.ckpt")) == []


def test_a_killed_seed_networks_training_goes_on_from_its_last_epoch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It takes the epochs that are left; its weights are then those to inherit."""
    options = {"trials": 1, "seed_epochs": 2, "max_latency_ms": 1e-6}
    with pytest.raises(KeyboardInterrupt):
        _search(**options, progress=_Killer(trial=-1))
    (kept,) = tmp_path.rglob("training.ckpt")
    saved: list[Path] = []
    real = resume_module._save
    monkeypatch.setattr(resume_module, "_save", lambda *given: (saved.append(given[1]), real(*given)))
    result = _search(**options)
    assert saved == [kept]
    assert [run.info.status for run in _seeds(result)] == ["KILLED", "FINISHED"]
    assert not kept.exists()
    assert kept.with_name("weights.pth").is_file()


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ({"data": "synthetic:train=8,val=5,size=128"}, "data set 'synthetic@"),
        ({"epochs": 2}, "training 'epochs 1, batch size 8, .*, this call has 'epochs 2, .*or the --epochs, "),
        (
            {"epochs": "", "freeze": "none"},
            "training 'epochs 1, .*, this call has 'epochs 200, .*freeze none, ",
        ),
        ({"aspect": 2.0}, "training 'epochs 1, .*aspect 1, .*, this call has .*aspect 2, weights none, "),
        ({"threads": 2}, "threads on the board '1', this call has '2'.*--threads of before"),
        ({"val_views": 1}, "data set 'synthetic@.*--data, .* and --val-views of before"),
    ],
)
def test_a_study_keeps_its_data_and_its_training(
    other: dict[str, Any], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results of different ones are never compared."""
    monkeypatch.setattr(study_module, "evaluate_candidate", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        _search(trials=1)
    with pytest.raises(ConfigError, match=f"study 'demo' was made with {sentence}"):
        _search(**other)


def test_one_training_is_exactly_one_run() -> None:
    """`train` logs one architecture, finished, with its metrics."""
    options = {name: OPTIONS[name] for name in ("data", "epochs", "board", "max_int8_drop")}
    result = api.train(**options, kernel_size=3, groups=2, channels=48, img_width=256)
    runs = mlflow.MlflowClient().search_runs([mlflow.get_experiment_by_name("mlflow-nas").experiment_id])
    assert [run.info.run_id for run in runs] == [result["run_id"]]
    assert runs[0].info.status == "FINISHED"
    assert runs[0].data.params["arch.channels"] == "48"
    assert "map" in runs[0].data.metrics


def test_an_architecture_outside_the_space_is_refused() -> None:
    """The user's mistake, with the choices."""
    with pytest.raises(ConfigError, match=r"kernel_size=4 is not in the space"):
        api.train(data=OPTIONS["data"], board="fake", kernel_size=4)


def test_promoting_a_model_that_is_not_there_names_the_known_ones() -> None:
    """The registry's error."""
    from mlflow_nas.errors import RegistryError

    with pytest.raises(RegistryError, match="There is no registered model 'nobody': known are none"):
        api.promote(model="nobody")
