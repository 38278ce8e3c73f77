"""A trial: its steps, what is cached of them, where it ends, and whose fault an error is."""

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from contexts import SMALL, Finished, Recorder, entries, open_context
from tiny_space import TinyDetector, tiny_space

from mlflow_nas.board import FakeBoard
from mlflow_nas.errors import BoardError, CandidateError, ConfigError, MachineError
from mlflow_nas.export import Repair
from mlflow_nas.runtime import OnnxDetector
from mlflow_nas.space import SearchSpace, SeedWeights, build_detector, load_seed_weights, save_weights
from mlflow_nas.train import Recipe
from mlflow_nas.trial import (
    float_latency_ratio,
    given_detector,
    measure_given,
    parse_limits,
    parse_objectives,
    reference_latency_ms,
    run_trial,
    screen,
)
from mlflow_nas.types import Architecture, Latency

WHOLE = ["count", "train", "export", "quantize", "evaluate", "measure"]


def test_steps_run_in_their_order(finished: Finished) -> None:
    """Without a limit on the board's metrics nothing is screened; epochs are heard live."""
    assert finished.heard.steps == WHOLE
    assert finished.heard.epochs == [1, 2]


def test_a_result_holds_all_that_is_known(finished: Finished) -> None:
    """Metrics of each step, the learning curve, seconds, files, the board's facts."""
    result = finished.result
    assert (result.state, result.role, result.number, result.key) == ("complete", "trial", 3, "c8-k1-w64")
    assert result.metrics.keys() >= {
        *("params", "macs", "flops", "train_s", "epochs", "trained_params", "map", "map_50", "map_fp32"),
        *("model_size_bytes", "board_drift", "latency_ms", "latency_ratio", "latency_raw_ms", "speedup"),
    }
    assert result.metrics["flops"] == 2 * result.metrics["macs"]
    assert len(result.history) == result.metrics["epochs"] == 2
    assert list(result.seconds) == WHOLE
    assert result.metrics["trial_s"] == pytest.approx(sum(result.seconds.values()))
    assert result.facts["machine"] == "fake"
    assert {role: path.name for role, path in result.artefacts.items()} == {
        "weights": "weights.pth",
        "fp32": "model.onnx",
        "int8": "model.int8.onnx",
        "detections": "detections.npz",
    }
    assert all(path.is_file() for path in result.artefacts.values())


def test_a_trial_that_is_run_again_computes_nothing(copied: Path, finished: Finished) -> None:
    """Its result is the same, the seconds those of the first call; no epoch is heard."""
    before, heard = entries(copied), Recorder()
    again = run_trial(open_context(copied), SMALL, listener=heard)
    assert entries(copied) == before
    assert (heard.steps, heard.epochs) == (WHOLE, [])
    counted = {"trial_s", "count"}
    assert {n: v for n, v in again.metrics.items() if n not in counted} == {
        name: value for name, value in finished.result.metrics.items() if name not in counted
    }


def _truncate(folder: Path) -> None:
    (folder / "weights.pth").write_bytes(b"PK")


def _garble(folder: Path) -> None:
    (folder / "entry.json").write_text("{")


@pytest.mark.parametrize(
    ("step", "damage"), [("train", _truncate), ("evaluate", _garble), ("measure", shutil.rmtree)]
)
def test_a_damaged_or_missing_entry_is_computed_again(
    step: str, damage: Callable[[Path], object], copied: Path, finished: Finished
) -> None:
    """That one alone, to the same numbers."""
    before = entries(copied)
    (damaged,) = (copied / "cache" / step).glob("*/")
    damage(damaged)
    again = run_trial(open_context(copied), SMALL)
    after = entries(copied)
    assert after.keys() == before.keys()
    assert {name.partition("/")[0] for name in after if after[name] != before[name]} == {step}
    for metric in ("map", "map_fp32", "latency_ms"):
        assert again.metrics[metric] == finished.result.metrics[metric]


def _counting(steps: list[int]) -> SearchSpace:
    """The tiny space, whose networks count their training steps."""
    space = tiny_space()

    def build(architecture: Architecture, num_classes: int) -> Any:
        network = space.build(architecture, num_classes)
        network.head.register_forward_hook(lambda module, *_: steps.append(1) if module.training else None)
        return network

    return replace(space, build=build)


def test_an_interrupted_training_continues(tmp_path: Path) -> None:
    """With the epochs that are left, to the same bits; nothing but its entry stays behind."""

    def interrupt(number: int) -> None:
        if number == 2:
            raise KeyboardInterrupt

    weights = []
    for folder, listener, taken in ((tmp_path / "a", Recorder(), 6), (tmp_path / "b", None, 4)):
        steps: list[int] = []
        context = open_context(folder, space=_counting(steps), epochs=3)
        if listener is None:
            with pytest.raises(KeyboardInterrupt):
                run_trial(context, SMALL, role="seed", listener=Recorder(interrupt))
            steps.clear()
        result = run_trial(context, SMALL, role="seed")
        assert len(steps) == taken
        assert [one.name for one in (folder / "cache/train").iterdir()] == [
            result.artefacts["weights"].parent.name
        ]
        weights.append(result.artefacts["weights"].read_bytes())
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    ("changes", "trained"),
    [
        ({}, 1),
        ({"limits": parse_limits(["map>=0.9"]), "max_int8_drop": 0.5, "threads": 2, "precision": "fp32"}, 1),
        ({"seed": 1}, 2),
        ({"epochs": 1}, 2),
        ({"batch_size": 2}, 2),
        ({"recipe": Recipe(learning_rate=0.123)}, 2),
    ],
)
def test_a_training_depends_on_what_changes_it(changes: dict[str, Any], trained: int, tmp_path: Path) -> None:
    """And on nothing else: limits, tolerance, threads and precision share it."""
    for context in (open_context(tmp_path), open_context(tmp_path, **changes)):
        run_trial(context, SMALL, role="seed")
    assert len(entries(tmp_path)) == trained


@pytest.mark.parametrize(
    ("limit", "steps"),
    [
        ("params<=10", ["count"]),
        ("latency_ms<=0.001", ["count", "screen"]),
        ("train_s<=1e-9", WHOLE[:2]),
        ("map>=0.99", WHOLE[:5]),
    ],
)
def test_a_limit_ends_a_trial_where_its_metric_is_known(limit: str, steps: list[str], copied: Path) -> None:
    """Latency is known before the training, of the file of untrained weights."""
    heard = Recorder()
    context = open_context(copied, limits=parse_limits([limit]), reference_ms=1.0)
    result = run_trial(context, SMALL, listener=heard)
    assert (result.state, heard.steps) == ("infeasible", steps)
    (violation,) = result.constraints.values()
    assert violation > 0
    assert ("map" in result.metrics) == ("evaluate" in steps)
    assert result.error is None


def test_a_limit_that_is_kept_is_a_constraint_of_a_complete_trial(copied: Path) -> None:
    """Negative, as Optuna's constraints are."""
    result = run_trial(open_context(copied, limits=parse_limits(["params<=1e6", "map>=0"])), SMALL)
    assert result.state == "complete"
    assert result.constraints.keys() == {"params<=1e+06", "map>=0"}
    assert all(violation <= 0 for violation in result.constraints.values())


def test_a_seed_network_ends_with_its_training(copied: Path) -> None:
    """No file of it ships, no limit but those on counts and training could end it."""
    heard = Recorder()
    result = run_trial(open_context(copied), SMALL, role="seed", listener=heard)
    assert (heard.steps, result.state, result.role) == (WHOLE[:2], "complete", "seed")
    assert result.artefacts.keys() == {"weights"}


def test_float_files_are_measured_for_comparison(copied: Path, finished: Finished) -> None:
    """Without a step of quantization; the accuracy is that of the float file."""
    heard = Recorder()
    result = run_trial(open_context(copied, precision="fp32"), SMALL, listener=heard)
    assert "quantize" not in heard.steps
    assert result.artefacts.keys() == {"weights", "fp32", "detections"}
    assert result.metrics["map"] == pytest.approx(result.metrics["map_fp32"], abs=0.01)
    assert result.metrics["model_size_bytes"] != finished.result.metrics["model_size_bytes"]


def _raising(error: BaseException, *, in_forward: bool) -> SearchSpace:
    def fail(*_: object) -> NoReturn:
        raise error

    class Failing(TinyDetector):
        raw = fail

    def build(*_: object) -> Any:
        return Failing(channels=8, kernel_size=1) if in_forward else fail()

    return replace(tiny_space(), build=build)


@pytest.mark.parametrize("in_forward", [False, True])
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("the shapes differ"), "the shapes differ"),
        (ValueError("no such kernel"), "no such kernel"),
        (SystemExit(0), r"SystemExit: 0|sys\.exit\(0\)"),
    ],
)
def test_what_a_users_network_raises_is_the_candidates_failure(
    error: BaseException, reason: str, in_forward: bool, tmp_path: Path
) -> None:
    """As it is built or trained; the reason is in the result."""
    result = run_trial(open_context(tmp_path, space=_raising(error, in_forward=in_forward)), SMALL)
    assert result.state == "failed"
    assert result.error is not None
    assert result.error.startswith("CandidateError: ")
    assert re.search(reason, result.error)
    assert entries(tmp_path) == {}


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("unable to allocate shared memory(shm) for file </torch_1>"),
    ],
)
def test_what_the_machine_did_is_not_the_candidates_fault(error: Exception, tmp_path: Path) -> None:
    """It is raised, and nothing is kept of the step."""
    with pytest.raises(MachineError):
        run_trial(open_context(tmp_path, space=_raising(error, in_forward=True)), SMALL)
    assert entries(tmp_path) == {}


def test_a_dead_board_is_raised_and_the_rest_is_kept(copied: Path) -> None:
    """The next call measures what was trained."""
    shutil.rmtree(copied / "cache/measure")
    before = entries(copied)
    dead = FakeBoard(copied / "device", fail_on={"time": BoardError("no route to host")})
    with pytest.raises(BoardError, match="no route to host"):
        run_trial(open_context(copied, board=dead), SMALL)
    assert entries(copied) == before
    heard = Recorder()
    assert run_trial(open_context(copied), SMALL, listener=heard).state == "complete"
    assert heard.epochs == []


def test_a_board_that_refuses_a_file_fails_the_candidate(copied: Path) -> None:
    """It is well, and so is the search."""
    shutil.rmtree(copied / "cache/measure")
    refusing = FakeBoard(copied / "device", fail_on={"time": CandidateError("the operator is unknown")})
    result = run_trial(open_context(copied, board=refusing), SMALL)
    assert (result.state, result.error) == ("failed", "CandidateError: the operator is unknown")
    assert "map" in result.metrics


def _repairs(monkeypatch: pytest.MonkeyPatch, accuracies: Sequence[float]) -> None:
    """As many repaired files, copies of the float one, of these accuracies."""
    left = iter(accuracies)

    def repairs(fp32: Path, folder: Path, **_: object) -> Iterator[Repair]:
        for number in range(len(accuracies)):
            yield Repair(Path(shutil.copy(fp32, folder / f"{number}.onnx")), ("layer",) * number)

    def evaluate_file(_candidate: object, _file: Path, folder: Path) -> dict[str, float]:
        (folder / "detections.npz").write_bytes(b"")
        return {"map": next(left), "map_50": 1.0}

    monkeypatch.setattr("mlflow_nas.trial.repair.repairs", repairs)
    monkeypatch.setattr("mlflow_nas.trial.repair.evaluate_file", evaluate_file)


def test_a_file_that_loses_too_much_by_quantization_fails(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After all repairs: the sentence has the best figure, the bound and the setting."""
    _repairs(monkeypatch, [0.3, 0.25])
    result = run_trial(open_context(copied, max_int8_drop=-1.0), SMALL)
    assert result.state == "failed"
    assert re.search(r"in float included: 0\.300 instead of .*while -1 is allowed", str(result.error))
    assert "Raise quantization.max_drop" in str(result.error)
    assert not list((copied / "cache/repair").glob("*/*.onnx"))


def test_a_repaired_file_is_the_one_that_ships(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first that keeps the accuracy: it is measured, with its own figures and detections."""
    _repairs(monkeypatch, [0.3, 2.0, 2.5])
    result = run_trial(open_context(copied, max_int8_drop=-1.0), SMALL)
    assert (result.state, result.metrics["map"], result.metrics["float_layers"]) == ("complete", 2.0, 1)
    assert result.artefacts["int8"].parent == result.artefacts["detections"].parent
    assert result.artefacts["int8"].read_bytes() == result.artefacts["fp32"].read_bytes()
    assert list(result.seconds)[-2:] == ["repair", "measure"]


def test_an_objective_that_the_board_does_not_measure_is_the_users_mistake(copied: Path) -> None:
    """The sentence lists what it measures."""
    context = open_context(copied, objectives=parse_objectives(["map", "energy_mj"]))
    with pytest.raises(ConfigError, match=r"fake does not measure energy_mj: .* it measures .*latency_ms"):
        run_trial(context, SMALL)


def test_an_unstable_latency_is_measured_again(copied: Path, finished: Finished) -> None:
    """It is a result with its cause, and is not kept in the cache."""
    shutil.rmtree(copied / "cache/measure")
    board = FakeBoard(copied / "device")
    board.unstable_cause = "it lost 20 % of its processor time"
    context = open_context(copied, board=board)
    unstable = run_trial(context, SMALL)
    assert (unstable.state, unstable.latency_unstable) == ("complete", True)
    assert unstable.facts["unstable_cause"] == board.unstable_cause
    board.unstable_cause = ""
    stable = run_trial(context, SMALL)
    assert not stable.latency_unstable
    assert stable.metrics["latency_ms"] == finished.result.metrics["latency_ms"]


def test_a_machine_that_becomes_slower_changes_no_latency_ms(copied: Path) -> None:
    """It is the ratio to the reference model times the study's reference latency; wall-clock shows it."""
    board = FakeBoard(copied / "device")
    context = open_context(copied, board=board)
    context = replace(context, reference_ms=reference_latency_ms(context))
    latencies = []
    for speed in (1.0, 3.0):
        board.speed = speed
        shutil.rmtree(copied / "cache/measure")
        latencies.append(run_trial(context, SMALL).metrics)
    usual, slow = latencies
    assert slow["latency_ms"] == pytest.approx(usual["latency_ms"])
    assert slow["speedup"] == pytest.approx(usual["speedup"]) == pytest.approx(1 / usual["latency_ratio"])
    assert slow["latency_raw_ms"] == pytest.approx(3 * usual["latency_raw_ms"])
    assert reference_latency_ms(context) == context.reference_ms, "it is measured once"


def test_the_float_file_is_timed_once(copied: Path) -> None:
    """In turn with the int8 file of the reference model; the fake board's latency follows the size."""
    ratio = float_latency_ratio(open_context(copied, board=FakeBoard(copied / "device")))
    assert ratio > 1
    dead = FakeBoard(copied / "device", fail_on={"time": BoardError("gone")})
    assert float_latency_ratio(open_context(copied, board=dead)) == ratio


def test_the_int8_files_input_can_be_chosen(tmp_path: Path) -> None:
    """Another input is another file."""
    import onnx

    kinds = {}
    for contract in ("uint8-nhwc-rgbx", "float-nchw"):
        context = open_context(tmp_path, int8_input=contract)
        result = run_trial(replace(context, epochs=1), SMALL)
        graph = onnx.load(result.artefacts["int8"]).graph
        kinds[contract] = [dim.dim_value for dim in graph.input[0].type.tensor_type.shape.dim]
    assert kinds == {"uint8-nhwc-rgbx": [1, 64, 64, 4], "float-nchw": [1, 3, 64, 64]}


def test_a_file_can_give_boxes(tmp_path: Path) -> None:
    """Both files decode; trained and evaluated once, the accuracy is the same."""
    from mlflow_nas.runtime import OnnxDetector

    found = {}
    for output in ("network", "boxes"):
        context = open_context(tmp_path, file_output=output)
        result = run_trial(replace(context, epochs=1), SMALL)
        kinds = [OnnxDetector(result.artefacts[name]).layout.kind for name in ("fp32", "int8")]
        found[output] = (kinds, result.metrics["map"], result.metrics["map_fp32"])
    assert found["network"] == (["cells"] * 2, *found["network"][1:])
    assert found["boxes"] == (["boxes"] * 2, *(pytest.approx(one) for one in found["network"][1:]))


def test_a_screening_trains_nothing(tmp_path: Path) -> None:
    """Counts, and the board's metrics of the file of untrained weights."""
    context = open_context(tmp_path, reference_ms=2.0)
    baseline = context.space.baseline
    found = screen(context, baseline)
    assert found["latency_ratio"] == pytest.approx(1)
    assert found["latency_ms"] == pytest.approx(2)
    assert found.keys() >= {"params", "macs", "model_size_bytes"}
    assert not (tmp_path / "cache/train").exists()


def test_a_files_metadata_says_what_it_is(finished: Finished) -> None:
    """Architecture, classes and how it was evaluated: `evaluate` needs no more."""
    import onnx

    props = {one.key: one.value for one in onnx.load(finished.result.artefacts["int8"]).metadata_props}
    assert (
        props.items()
        >= {
            "mlflow_nas.key": "c8-k1-w64",
            "mlflow_nas.classes": '["person"]',
            "mlflow_nas.eval_augmentations": "1",
            "mlflow_nas.precision": "int8",
        }.items()
    )


def test_a_given_detector_is_measured_as_it_is(tmp_path: Path) -> None:
    """Its own weights and input size, no training; its latency is what speed-ups are relative to."""
    space = tiny_space()
    network = build_detector(space.baseline, num_classes=1, space=space, seed=5)
    save_weights(network, tmp_path / "given.pth")
    weights = load_seed_weights(tmp_path / "given.pth")
    given = given_detector(weights, space, classes=("person",), img_size=(96, 96))
    assert given is not None
    context = open_context(tmp_path, given=given)
    result = measure_given(context)
    assert (result.key, result.role, result.state) == ("as-given", "reference", "complete")
    assert result.metrics["speedup"] == 1
    assert {path.split("/")[0] for path in entries(tmp_path)} == {"export", "quantize", "evaluate", "measure"}
    assert OnnxDetector(result.artefacts["int8"]).img_size == (96, 96)
    slower = Latency(p50_ms=2, p90_ms=2, p99_ms=2, min_ms=2, mean_ms=2, cv=0, runs=9, board="b", ratio=0.5)
    assert slower.metrics(given_ratio=2.0)["speedup"] == pytest.approx(4.0)


def test_a_given_detector_of_other_classes_is_no_reference(tmp_path: Path) -> None:
    """What it gives is checked against the classes of the data."""
    space, classes = tiny_space(), ("cat", "dog")
    network = build_detector(space.baseline, num_classes=2, space=space)
    weights = SeedWeights(state=network.state_dict(), source="given.pth")
    given = given_detector(weights, space, classes=classes, img_size=(96, 96))
    result = measure_given(open_context(tmp_path, given=given))
    assert (result.state, result.artefacts) == ("failed", {})
    assert "which is 1 classes, expected is [b, n, 4 + N]" in str(result.error)
    assert given_detector(weights, space, classes=("cat",), img_size=(96, 96)) is not None
