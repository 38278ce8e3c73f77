"""The plan of fronts, tags and aliases: values in, values out."""

import pytest

from mlflow_nas.registry import Version, make_plan
from mlflow_nas.types import Objective


def _version(number: int, accuracy: float, latency: float, **tags: str) -> Version:
    known = {"map": str(accuracy), "latency_ms": str(latency), "nas.board": "pi", "nas.dataset": "d@1"}
    named = {f"nas.{name}": value for name, value in tags.items()}
    return Version(number, {**known, "nas.reference_map": "0.5", **named})


def test_front_aliases_and_dominators() -> None:
    """The champion is the fastest version within the drop below the reference."""
    versions = [_version(1, 0.5, 10), _version(2, 0.495, 6), _version(3, 0.3, 4), _version(4, 0.29, 5)]
    plan = make_plan(versions, max_drop=0.01)
    assert plan.front == (3, 2, 1)
    assert (plan.aliases["champion"], plan.aliases["fastest"], plan.aliases["most-accurate"]) == (2, 3, 1)
    assert plan.tags[4] == {"nas.pareto": "false", "nas.front": None, "nas.dominated_by": "3"}
    assert plan.tags[2] == {"nas.pareto": "true", "nas.front": "pi/d@1", "nas.dominated_by": None}


def test_without_a_version_within_the_drop_the_most_accurate_is_champion() -> None:
    """A front far below the reference has a champion, too; without a known reference alike."""
    versions = [_version(1, 0.2, 3), _version(2, 0.3, 5)]
    assert make_plan(versions, max_drop=0.01).aliases["champion"] == 2
    unknown = [Version(v.number, {**v.tags, "nas.reference_map": "0"}) for v in versions]
    assert make_plan(unknown, max_drop=0.01).aliases["champion"] == 1
    for version in unknown:
        del version.tags["nas.reference_map"]  # type: ignore[attr-defined]  # a dict
    assert make_plan(unknown, max_drop=0.01).aliases["champion"] == 2


def test_two_boards_have_a_front_and_aliases_each() -> None:
    """Latencies of different boards are never compared."""
    plan = make_plan([_version(1, 0.5, 10), _version(2, 0.4, 50, board="imx")], max_drop=0.2)
    assert {name for name in plan.aliases if name.startswith("champion")} == {"champion-imx", "champion-pi"}
    assert plan.tags[2]["nas.pareto"] == "true"


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


def test_aliases_follow_the_newest_versions_data_set() -> None:
    """Or the given one, on boards that have it."""
    versions = [_version(1, 0.5, 10), _version(2, 0.1, 20, dataset="e@2")]
    assert make_plan(versions, max_drop=1).aliases["champion"] == 2
    assert make_plan(versions, max_drop=1, dataset="d@1").aliases["champion"] == 1
    assert make_plan(versions, max_drop=1, dataset="f@3").aliases["champion"] == 2


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
                "nas.board": "pi",
                "nas.dataset": "d@1",
            },
        )
        for number, accuracy, size in points
    ]
    assert make_plan(versions, objectives=objectives, max_drop=0.01).aliases == aliases
