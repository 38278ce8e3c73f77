"""Limits and objectives by name."""

import pytest

from mlflow_nas.errors import ConfigError
from mlflow_nas.trial.limits import check_limits, parse_limits, parse_objectives, screening_limits
from mlflow_nas.types import Limit, Objective


def test_limits_are_read_from_text() -> None:
    """Both directions, blanks, and numbers as they are written."""
    limits = parse_limits(["params<=2e5", " speedup >= 1.5 "])
    assert limits == (Limit("params", "<=", 2e5), Limit("speedup", ">=", 1.5))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("params<2e5", r"--limit 'params<2e5' is no limit: write METRIC<=NUMBER or METRIC>=NUMBER"),
        ("param<=2e5", r"no metric 'param': did you mean params\?"),
        ("zzz<=1", r"no metric 'zzz': known are params, macs"),
        ("params<=many", r"the bound 'many' is no finite number"),
        ("params<=inf", r"the bound 'inf' is no finite number"),
        ("", r"'' is no limit"),
    ],
)
def test_what_is_no_limit_is_refused(text: str, message: str) -> None:
    """The sentence has the text, and what was expected."""
    with pytest.raises(ConfigError, match=message):
        parse_limits([text])


def test_objectives_know_their_direction() -> None:
    """Accuracy is maximized, cost is minimized."""
    wanted = (Objective("map_50", "maximize"), Objective("macs", "minimize"))
    assert parse_objectives(["map_50", "macs"]) == wanted


@pytest.mark.parametrize("names", [["map"], ["map", "map"], []])
def test_fewer_than_two_objectives_are_refused(names: list[str]) -> None:
    """One metric, or one twice, is no multi-objective search."""
    with pytest.raises(ConfigError, match="name two or more different metrics"):
        parse_objectives(names)


def test_violations_are_those_of_known_metrics() -> None:
    """A limit is checked as soon as its metric is known; a violation is positive."""
    limits = parse_limits(["params<=100", "speedup>=1.5", "latency_ms<=12"])
    found = check_limits(limits, {"params": 150.0, "speedup": 2.0})
    assert found == {"params<=100": 50.0, "speedup>=1.5": -0.5}


def test_only_a_boards_metric_is_worth_a_measurement_before_training() -> None:
    """Counts are known without a board."""
    assert not screening_limits(parse_limits(["params<=1e6", "map>=0.3"]))
    assert screening_limits(parse_limits(["latency_ms<=12"]))
