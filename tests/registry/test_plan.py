from mlflow_nas.registry import Version, make_plan


def _version(number: int, accuracy: float, latency: float, **tags: str) -> Version:
    known = {"map": str(accuracy), "latency_ms": str(latency), "nas.board": "pi", "nas.dataset": "d@1"}
    return Version(number, {**known, "nas.baseline_map": "0.5", **tags})


def test_front_aliases_and_dominators() -> None:
    """The champion is the fastest that is not more than the drop below the baseline."""
    versions = [_version(1, 0.5, 10), _version(2, 0.495, 6), _version(3, 0.3, 4), _version(4, 0.29, 5)]
    plan = make_plan(versions, max_map_drop=0.01)
    assert plan.front == (3, 2, 1)
    assert (plan.aliases["champion"], plan.aliases["fastest"], plan.aliases["most-accurate"]) == (2, 3, 1)
    assert plan.tags[4] == {"nas.pareto": "false", "nas.front": None, "nas.dominated_by": "3"}
    assert plan.tags[2] == {"nas.pareto": "true", "nas.front": "pi/d@1", "nas.dominated_by": None}


def test_without_a_good_one_the_most_accurate_is_champion() -> None:
    """A front far below the baseline still has a champion."""
    plan = make_plan([_version(1, 0.2, 3), _version(2, 0.3, 5)], max_map_drop=0.01)
    assert plan.aliases["champion"] == 2


def test_two_boards_have_a_front_and_aliases_each() -> None:
    """Latencies of different boards are never compared."""
    other = {"nas.board": "imx"}
    plan = make_plan([_version(1, 0.5, 10), _version(2, 0.4, 50, **other)], max_map_drop=0.2)
    assert {name for name in plan.aliases if name.startswith("champion")} == {"champion-imx", "champion-pi"}
    assert plan.tags[2]["nas.pareto"] == "true"


def test_aliases_follow_the_newest_versions_data_set() -> None:
    """Or the one that was named."""
    newer = {"nas.dataset": "e@2"}
    versions = [_version(1, 0.5, 10), _version(2, 0.1, 20, **newer)]
    assert make_plan(versions, max_map_drop=1).aliases["champion"] == 2
    assert make_plan(versions, max_map_drop=1, dataset="d@1").aliases["champion"] == 1


def test_equal_versions_are_all_on_the_front_and_the_oldest_is_named() -> None:
    """A second measurement of the same point moves no alias."""
    plan = make_plan([_version(1, 0.5, 10), _version(2, 0.5, 10)], max_map_drop=0.01)
    assert plan.front == (1, 2)
    assert set(plan.aliases.values()) == {1}
