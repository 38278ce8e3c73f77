"""The plan of fronts, tags and aliases: values in, values out."""

import re

import pytest

from mlflow_nas.registry import Primary, Version, make_plan
from mlflow_nas.types import Objective


def _version(number: int, accuracy: float, latency: float, **tags: str | None) -> Version:
    known: dict[str, str | None] = {
        "map": str(accuracy),
        "latency_ms": str(latency),
        "nas.reference_map": "0.5",
    }
    known |= {"nas.precision": "int8", "nas.board": "pi", "nas.dataset": "d@1"}
    known |= {name if name == "speedup" else f"nas.{name}": value for name, value in tags.items()}
    return Version(number, {name: value for name, value in known.items() if value is not None})


def test_front_aliases_and_dominators() -> None:
    """The champion is the fastest version within the drop below the reference."""
    versions = [_version(1, 0.5, 10), _version(2, 0.495, 6), _version(3, 0.3, 4), _version(4, 0.29, 5)]
    plan = make_plan(versions, max_drop=0.01)
    assert plan.front == (3, 2, 1)
    assert (plan.aliases["champion"], plan.aliases["fastest"], plan.aliases["most-accurate"]) == (2, 3, 1)
    assert plan.tags[4] == {"nas.pareto": None, "nas.front": None, "nas.dominated_by": "3"}
    assert plan.tags[2] == {"nas.pareto": "true", "nas.front": "pi/d@1", "nas.dominated_by": None}
    assert plan.notes == ()


def test_without_a_version_within_the_drop_there_is_no_champion() -> None:
    """A sentence names the nearest version and its figures; the other aliases have holders."""
    plan = make_plan([_version(1, 0.3, 3), _version(2, 0.4, 5, speedup="1.7")], max_drop=0.01)
    assert "champion" not in plan.aliases
    assert plan.aliases["most-accurate-pi"] == 2
    assert plan.notes == (
        "pi: No version reaches the reference's map less max_drop 0.01: the nearest is version 2 (map 0.4, "
        "latency_ms 5, speedup 1.7; the reference has 0.5).",
    )


def test_without_a_known_reference_there_is_no_champion() -> None:
    """No drop can be measured."""
    plan = make_plan([_version(1, 0.5, 3, reference_map=None)], max_drop=0.01)
    assert "champion" not in plan.aliases


@pytest.mark.parametrize(
    ("goal", "champion"),
    [({"speedup": 2.0}, 2), ({"max_latency_ms": 4.5}, 3), ({"speedup": 2.0, "max_latency_ms": 6.0}, 2)],
)
def test_with_a_speed_goal_the_champion_is_the_most_accurate_that_meets_it(
    goal: dict[str, float], champion: int
) -> None:
    """However far its accuracy is below the reference's."""
    versions = [_version(1, 0.5, 10, speedup="1.1"), _version(2, 0.4, 5, speedup="2")]
    plan = make_plan([*versions, _version(3, 0.3, 4, speedup="2.5")], max_drop=0, **goal)
    assert plan.aliases["champion"] == champion


def test_a_speed_goal_that_no_version_meets_is_reported_with_the_fastest() -> None:
    """No champion is named then."""
    versions = [_version(1, 0.5, 10, speedup="1"), _version(2, 0.4, 5, speedup="2")]
    plan = make_plan(versions, max_drop=0.01, speedup=3)
    assert "champion" not in plan.aliases
    assert plan.notes[0].startswith(
        "pi: No version reaches speedup >= 3: the nearest is version 2 (map 0.4, "
    )


def test_a_champion_is_faster_than_the_reference() -> None:
    """The baseline that was trained as the candidates were, measured against itself, is no result."""
    plan = make_plan([_version(1, 0.6, 10, speedup="1"), _version(2, 0.3, 5, speedup="2")], max_drop=0.01)
    assert "champion" not in plan.aliases
    assert plan.aliases["most-accurate"] == 1


def test_a_champion_is_a_finalist_where_there_are_finalists() -> None:
    """A trial's short training chooses, it does not ship; the other aliases are the front's."""
    trial, finalist = _version(1, 0.52, 4, role="trial"), _version(2, 0.5, 5, role="finalist")
    plan = make_plan([trial, finalist], max_drop=0.01)
    assert (plan.aliases["champion"], plan.aliases["fastest"]) == (2, 1)
    assert make_plan([trial], max_drop=0.01).aliases["champion"] == 1


def test_the_reference_is_on_the_front_and_holds_no_alias() -> None:
    """What the user already had is no result; its accuracy counts for versions that have no tag of it."""
    reference = _version(1, 0.5, 10, role="reference", reference_map=None)
    plan = make_plan([reference, _version(2, 0.4, 6, reference_map=None)], max_drop=0.2)
    assert plan.front == (2, 1)
    assert set(plan.aliases.values()) == {2}
    alone = make_plan([reference], max_drop=0.2)
    assert (alone.aliases, alone.unfit) == ({}, {1: "it is the reference"})


def test_a_version_worse_than_the_reference_in_everything_is_no_champion() -> None:
    """Though it meets the goal."""
    versions = [_version(1, 0.5, 3, role="reference"), _version(2, 0.4, 4)]
    plan = make_plan(versions, max_drop=0.2, max_latency_ms=5)
    assert plan.aliases == {}
    assert "not faster than the reference" in plan.notes[0]


def test_a_version_below_half_of_the_references_accuracy_holds_no_alias() -> None:
    """It stays on the front; `fastest` and `knee` go to the others (.00002 became both once)."""
    plan = make_plan([_version(1, 0.5, 10), _version(2, 0.00002, 1)], max_drop=1)
    assert plan.front == (2, 1)
    assert set(plan.aliases.values()) == {1}
    assert plan.unfit == {2: "map is 2e-05, less than half of the reference's 0.5"}


@pytest.mark.parametrize(
    ("accuracy", "latency", "unstable", "why"),
    [
        (1.7, 5, "false", r"map is 1\.7, an accuracy lies in 0\.\.1"),
        (0.5, -1, "false", "latency_ms is -1, a measured one is above 0"),
        (0.5, 0, "false", "latency_ms is 0, a measured one is above 0"),
        (0.9, 1, "true", "its latency is unstable"),
    ],
)
def test_figures_that_are_no_measurement_are_not_compared(
    accuracy: float, latency: float, unstable: str, why: str
) -> None:
    """They would dominate versions that were measured."""
    wrong = _version(2, accuracy, latency, latency_unstable=unstable)
    plan = make_plan([_version(1, 0.5, 10), wrong], max_drop=0.01)
    assert (plan.front, set(plan.aliases.values())) == ((1,), {1})
    assert re.fullmatch(why, plan.unfit[2])


def test_each_board_has_a_front_and_the_plain_aliases_are_the_primary_boards() -> None:
    """Latencies of different boards are never compared; the first version's board is the primary one."""
    versions = [_version(1, 0.5, 10), _version(2, 0.495, 50, board="imx")]
    plan = make_plan(versions, max_drop=0.2)
    assert {name: plan.aliases[name] for name in plan.aliases if name.startswith("champion")} == {
        "champion": 1,
        "champion-imx": 2,
        "champion-pi": 1,
    }
    assert make_plan(versions, max_drop=1, primary=Primary("imx", "d@1")).aliases["champion"] == 2


def test_two_protocols_have_a_front_each() -> None:
    """Latencies with other threads are never compared; the newest version's protocol has the aliases."""
    versions = [_version(1, 0.5, 10), _version(2, 0.4, 4, protocol="a" * 12), _version(3, 0.3, 5)]
    plan = make_plan(versions, max_drop=0.5)
    assert {number: tags["nas.pareto"] for number, tags in plan.tags.items()} == dict.fromkeys(
        (1, 2, 3), "true"
    )
    assert plan.tags[2]["nas.front"] == f"pi/d@1/{'a' * 12}"
    assert plan.aliases["fastest"] == 3
    newer = _version(4, 0.3, 5, protocol="a" * 12)
    plan = make_plan([*versions, newer], max_drop=0.5)
    assert (plan.aliases["fastest"], plan.tags[4]["nas.dominated_by"]) == (2, "2")


def test_a_run_on_other_data_takes_no_alias() -> None:
    """A smoke run on synthetic data leaves the aliases with the primary data set's versions."""
    versions = [_version(1, 0.5, 10), _version(2, 0.99, 1, dataset="synthetic@2")]
    assert set(make_plan(versions, max_drop=1).aliases.values()) == {1}
    second = [_version(3, 0.9, 1, board="imx", dataset="synthetic@2"), _version(4, 0.5, 9, board="imx")]
    assert make_plan([*versions, *second], max_drop=1).aliases["champion-imx"] == 4
    assert make_plan([*versions, second[0]], max_drop=1).aliases["champion-imx"] == 3


def test_equal_versions_are_all_on_the_front_and_the_oldest_has_the_aliases() -> None:
    """A second measurement of the same point moves no alias."""
    plan = make_plan([_version(1, 0.5, 10), _version(2, 0.5, 10)], max_drop=0.01)
    assert plan.front == (1, 2)
    assert set(plan.aliases.values()) == {1}


TOP1 = Objective("top1", "maximize")
SIZE = Objective("model_size_bytes", "minimize")


@pytest.mark.parametrize(
    ("objectives", "aliases"),
    [
        ((TOP1, SIZE), {"champion": 2, "fastest": 3, "most-accurate": 1, "knee": 2}),
        ((SIZE, TOP1), {"champion": 2, "fastest": 3, "most-accurate": 1, "knee": 2}),
        ((TOP1,), {"champion": 1, "most-accurate": 1, "knee": 1}),
        ((SIZE,), {"champion": 3, "fastest": 3, "knee": 3}),
    ],
)
def test_objectives_are_named(objectives: tuple[Objective, ...], aliases: dict[str, int]) -> None:
    """Any metrics in any order; with one objective the roles of the other kind are absent."""
    points = ((1, 0.90, 900), (2, 0.895, 300), (3, 0.5, 200), (4, 0.4, 250))
    versions = [
        Version(
            number,
            {
                "top1": str(accuracy),
                "model_size_bytes": str(size),
                "nas.reference_top1": "0.9",
                "nas.precision": "int8",
                "nas.board": "pi",
                "nas.dataset": "d@1",
            },
        )
        for number, accuracy, size in points
    ]
    plan = make_plan(versions, objectives=objectives, max_drop=0.01)
    assert {name: number for name, number in plan.aliases.items() if not name.endswith("-pi")} == aliases
