"""Which networks are trained to the end, and what a search answers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlflow_nas.registry import Goal
from mlflow_nas.search.answer import answer
from mlflow_nas.search.baseline_check import short_training_note
from mlflow_nas.search.finalists import choose_finalists, keep_better
from mlflow_nas.search.seed_noise import seed_noise
from mlflow_nas.trial import parse_objectives
from mlflow_nas.types import Role, TrialResult

OBJECTIVES = parse_objectives(("map", "latency_ms"))


def _result(
    key: str, accuracy: float, speedup: float, *, role: Role = "trial", unstable: bool = False, **more: float
) -> TrialResult:
    metrics = {"map": accuracy, "latency_ms": 12 / speedup, "speedup": speedup, **more}
    return TrialResult(
        key=key, architecture={}, state="complete", role=role, metrics=metrics, latency_unstable=unstable
    )


GIVEN = _result("as-given", 0.60, 1.0, role="reference")
BASELINE = _result("base", 0.58, 1.2, role="baseline")
FRONT = [_result(f"t{place}", 0.58 - 0.02 * place, 1.3 + 0.2 * place) for place in range(8)]


def _keys(**options: Any) -> list[str]:
    results = options.pop("results", [BASELINE, *FRONT])
    return [one.key for one in choose_finalists(results, OBJECTIVES, **options)]


def test_finalists_are_spread_by_speedup() -> None:
    """The baseline first, then from the slowest to the fastest member of the front."""
    assert _keys(count=4) == ["base", "t0", "t2", "t5", "t7"]
    assert _keys(count=20) == ["base", *(f"t{place}" for place in range(8))]
    assert _keys(count=1) == ["base", "t0"]
    assert _keys(count=0) == []


def test_what_is_no_result_is_not_finished() -> None:
    """Unstable latencies, less than half of the reference's accuracy, dominated trials."""
    poor, shaky = _result("poor", 0.29, 9.0), _result("shaky", 0.57, 8.0, unstable=True)
    dominated = _result("dominated", 0.3, 1.25)
    assert _keys(count=9, results=[BASELINE, FRONT[0], poor, shaky, dominated], given=GIVEN) == ["base", "t0"]
    assert _keys(count=9, results=[BASELINE, poor]) == ["base", "poor"], "the baseline is the reference then"


@pytest.mark.parametrize(
    ("goal", "key"),
    [
        (Goal(max_drop=0.03), "t0"),
        (Goal(max_drop=0.07), "t2"),
        (Goal(max_drop=0.001), None),
        (Goal(speedup=1.6), "t2"),
        (Goal(max_latency_ms=7.5), "t2"),
        (Goal(speedup=9), None),
    ],
)
def test_the_network_to_ship_meets_the_goal(goal: Goal, key: str | None) -> None:
    """With a goal of speed the most accurate that meets it, else the fastest that is accurate enough."""
    lines = answer([BASELINE, *FRONT], GIVEN, objectives=OBJECTIVES, goal=goal)
    assert lines[1].partition(":")[0] == (f"Ship {key}" if key else "Nothing was gained")


@pytest.mark.parametrize("fault", [{"unstable": True}, {"accuracy": 0.1}, {"speedup": 0.9}])
def test_what_is_never_shipped(fault: dict[str, Any]) -> None:
    """Unstable, inaccurate, or slower than what the user has."""
    options = {"accuracy": 0.7, "speedup": 2.0, **fault}
    made = _result("a", options.pop("accuracy"), options.pop("speedup"), **options)
    lines = answer([made], GIVEN, objectives=OBJECTIVES, goal=Goal(max_drop=1.0))
    assert lines[1].startswith("Nothing was gained")


def test_the_answer_names_what_to_ship() -> None:
    """How much faster, how accurate, and whether the difference may be chance."""
    interval = {"map_difference_ci_low": -0.05, "map_difference_ci_high": 0.01}
    shipped = [_result("k3", 0.59, 2.0, role="finalist", **interval)]
    assert answer(shipped, GIVEN, objectives=OBJECTIVES, goal=Goal(max_drop=0.02)) == [
        "Reference: the detector as given, map 0.600, 12 ms.",
        "Ship k3: 2.00 times as fast (6 ms), map 0.590, -0.010 (95 % interval over images -0.050 to +0.010: "
        "the difference may be chance).",
    ]


def test_the_interval_says_whether_seeds_are_in_it() -> None:
    """Where second trainings tell how far a seed moves the accuracy."""
    interval = {"map_difference_ci_low": -0.05, "map_difference_ci_high": -0.01, "map_seed_sd": 0.01}
    shipped = [_result("k3", 0.59, 2.0, role="finalist", **interval)]
    lines = answer(shipped, GIVEN, objectives=OBJECTIVES, goal=Goal(max_drop=0.02))
    assert "interval over images and seeds -0.050 to -0.010: the difference is more than chance" in lines[1]


def test_the_noise_of_seeds_is_that_of_pairs() -> None:
    """Two trainings differ by the root of two standard deviations; without pairs nothing is known."""
    assert seed_noise([(0.50, 0.52), (0.40, 0.37)]) == pytest.approx(((4e-4 + 9e-4) / 4) ** 0.5)
    assert seed_noise([]) is None


@pytest.mark.parametrize(("accuracy", "said"), [(0.5, True), (0.595, False), (0.7, False)])
def test_a_short_training_that_costs_accuracy_is_said(accuracy: float, said: bool) -> None:
    """With both figures and what may help."""
    baseline = _result("base", accuracy, 1.2, role="baseline")
    note = short_training_note(baseline, GIVEN, accuracy="map", max_drop=0.01)
    assert bool(note) == said
    if note:
        assert "leaves the baseline at map 0.500, the given detector has 0.600" in note
        assert "finalists.epochs" in note


def test_the_answer_says_that_nothing_was_gained() -> None:
    """With the nearest network, what may help, and that trials are trained for a short time."""
    reference, lines = BASELINE, answer(FRONT, BASELINE, objectives=OBJECTIVES, goal=Goal(speedup=9))
    assert lines[0].startswith(f"Reference: the baseline {reference.key}, map 0.580")
    assert lines[1] == (
        "Nothing was gained: no faster network reaches the goal (speedup >= 9, map >= 0.290)."
    )
    assert lines[2].startswith("The nearest is t7: 2.70 times as fast (4.44 ms), map 0.440, -0.140")
    assert "mlflow_nas focus" in lines[3]
    assert lines[4].endswith("--finalists 4 trains the best to the end.")
    assert answer([], None, objectives=OBJECTIVES, goal=Goal()) == [
        "There is no reference to compare with: the baseline has no complete trial."
    ]


def test_a_test_split_is_beside_what_is_shipped() -> None:
    """Of both networks; nothing is said without one."""
    made = _result("a", 0.6, 2.0, test_map=0.5)
    reference = _result("as-given", 0.60, 1.0, role="reference", test_map=0.52)
    (line,) = [
        one
        for one in answer([made], reference, objectives=OBJECTIVES, goal=Goal(max_drop=0.01))
        if "test" in one
    ]
    assert line == "On the test split, which decided nothing, a has map 0.500, the reference 0.520 (-0.020)."
    assert not any(
        "test" in one for one in answer([made], GIVEN, objectives=OBJECTIVES, goal=Goal(max_drop=0.01))
    )


@pytest.mark.parametrize(
    ("files", "line"),
    [
        (
            ("fp32", "int8"),
            "Reference: the detector as given, mine.onnx, in int8 by ONNX Runtime's static quantization: map "
            "0.600, 12 ms (in float: map 0.610, 24 ms).",
        ),
        (("fp32",), "Reference: the detector as given, mine.onnx: map 0.600, 12 ms."),
    ],
)
def test_a_given_file_is_named_with_what_was_measured_of_it(files: tuple[str, ...], line: str) -> None:
    """Its plain int8 file and itself, or itself alone."""
    given = _result("as-given", 0.60, 1.0, role="reference", map_fp32=0.61, latency_ms_fp32=24.0)
    given = replace(given, artefacts=dict.fromkeys(files, Path("mine.onnx")))
    goal = Goal(max_drop=0.01)
    assert answer([BASELINE], given, objectives=OBJECTIVES, goal=goal, file="mine.onnx")[0] == line


def test_a_training_to_the_end_that_overfits_ships_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The trial's network does, with the seconds that were spent; a warning says so."""
    trial = _result("a", 0.5, 2.0, trial_s=10.0)
    worse = _result("a", 0.4, 2.0, role="finalist", trial_s=90.0)
    kept = keep_better(trial, worse, OBJECTIVES)
    assert (kept.role, kept.metrics["map"]) == ("finalist", 0.5)
    assert (kept.metrics["trial_s"], kept.metrics["kept_trial"]) == (90.0, 1.0)
    assert "a has map 0.400, after its trial it had 0.500: the trial's network is kept" in caplog.text
    better = keep_better(trial, _result("a", 0.6, 2.0, role="finalist", trial_s=90.0), OBJECTIVES)
    assert (better.metrics["map"], better.metrics["kept_trial"]) == (0.6, 0.0)
    failed = replace(worse, state="failed", metrics={})
    assert keep_better(trial, failed, OBJECTIVES) is failed
