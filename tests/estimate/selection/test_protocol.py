import re

import numpy as np
import pytest

from mlflow_nas.errors import ConfigError
from mlflow_nas.estimate.selection import (
    Evidence,
    Floats,
    Limits,
    Noise,
    SelectionResult,
    pairs_of,
    select_strategy,
)
from mlflow_nas.estimate.selection.decide import pick

N = 40
RNG = np.random.default_rng(5)
TARGET = RNG.normal(size=N)
GOOD = TARGET + RNG.normal(0, 0.4, N)
FAIR = TARGET + RNG.normal(0, 2.0, N)


def _evidence(name: str, scores: Floats, **known: object) -> Evidence:
    return Evidence(name=name, family="zero-cost", pairs=pairs_of(scores), scores=scores, **known)  # type: ignore[arg-type]


def _select(*evidence: Evidence, **options: object) -> SelectionResult:
    return select_strategy(evidence, TARGET, draws=500, **options)  # type: ignore[arg-type]


def test_the_better_strategy_is_selected_and_corrected() -> None:
    """A clear winner is chosen alone; the interval moves by as much as the correction."""
    result = _select(_evidence("good", GOOD), _evidence("macs", FAIR))
    assert result.selected == result.winner == "good"
    assert result.indistinguishable == ("good",)
    assert result.tau_bbc == pytest.approx(result.tau, abs=0.05)
    assert result.tau_bbc_ci[0] - result.tau_ci[0] == pytest.approx(result.tau_bbc - result.tau)
    assert [row.name for row in result.strategies] == ["good", "macs"]
    assert sum(row.probability_best for row in result.strategies) == pytest.approx(1.0)


def test_the_same_vote_is_recognised() -> None:
    """A score that ranks as the winner does agrees with it fully, its mirror image not at all."""
    result = _select(_evidence("good", GOOD), _evidence("twin", 2 * GOOD), _evidence("mirror", -GOOD))
    agreement = {row.name: row.tau_to_winner for row in result.strategies}
    assert agreement == {"good": 1.0, "twin": 1.0, "mirror": -1.0}


def test_noise_is_refused_with_a_reason() -> None:
    """Scores of no worth end in the advice to train, and in the FLOPs and the winner as a second best."""
    noise = [_evidence(f"noise-{i}", RNG.normal(size=N)) for i in range(6)]
    result = _select(*noise, _evidence("flops", RNG.normal(size=N)))
    assert result.selected is None
    assert re.fullmatch(
        r"not enough evidence, train instead: the lower 95 % bound of the corrected tau is -?\d\.\d\d, "
        r"at least 0\.20 is needed",
        result.reason,
    )
    assert set(result.fallback) == {"flops", str(result.winner)}


def test_a_low_noise_ceiling_is_refused() -> None:
    """When two trainings don't agree with each other, no estimate can agree with them."""
    result = _select(_evidence("good", GOOD), noise=Noise(0.25, 0.01, 8))
    assert result.selected is None
    assert "training the same 8 architectures twice ranks them with a tau of 0.25" in result.reason


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        ({"missing": 0.05}, "misses 5% of the scores, less than 5% is allowed"),
        ({"informativeness": 0.4}, "informativeness 0.40 is below 0.50"),
        ({"query_s": 2.0}, "2000 candidates take 4000 s, the budget is 100 s"),
    ],
)
def test_a_strategy_beyond_a_limit_is_shown_but_not_chosen(known: dict[str, float], reason: str) -> None:
    """Missing scores, seed noise or a long time exclude a strategy: it is listed last, with the reason."""
    limits = Limits(budget_s=100.0)
    result = _select(_evidence("good", GOOD, **known), _evidence("macs", FAIR), limits=limits)
    assert result.winner == "macs"
    assert result.strategies[-1].name == "good"
    assert result.strategies[-1].excluded == reason
    assert result.strategies[-1].probability_best == 0.0


def test_nothing_eligible_is_refused() -> None:
    """With every strategy excluded there is no winner, and all numbers of the choice are missing."""
    result = _select(_evidence("good", GOOD, missing=0.5))
    assert result.winner is None
    assert result.selected is None
    assert result.reason == "not enough evidence, train instead: no strategy is eligible"
    assert np.isnan(result.tau)


def test_the_cheaper_of_two_equals_is_chosen() -> None:
    """Within half a standard error cost decides; beyond it tau does."""
    dear, cheap = _evidence("dear", GOOD, query_s=9.0), _evidence("cheap", FAIR, query_s=0.1)
    in_bag = np.stack([np.full(400, 0.5), RNG.normal(0.5, 0.1, 400)], axis=1)
    assert pick([dear, cheap], np.array([0.5, 0.46]), in_bag, candidates=100) == 1
    assert pick([dear, cheap], np.array([0.5, 0.44]), in_bag, candidates=100) == 0
    unknown = _evidence("unknown", GOOD)
    assert pick([unknown, cheap], np.array([0.5, 0.46]), in_bag, candidates=100) == 0


def test_p_values_are_one_sided_and_corrected() -> None:
    """A good score beats nothing and the FLOPs; the FLOPs have no p-value against themselves."""
    rows = {row.name: row for row in _select(_evidence("good", GOOD), _evidence("macs", -TARGET)).strategies}
    assert rows["good"].p_value < 0.05
    assert rows["good"].p_value_flops is not None
    assert rows["good"].p_value_flops < 0.05
    assert rows["macs"].p_value == 1.0
    assert rows["macs"].p_value_flops is None


def test_the_sparse_tau_forgives_differences_below_the_noise() -> None:
    """The target is rounded to the noise of training, or else to a tenth of its own deviation."""
    assert _select(_evidence("good", GOOD), noise=Noise(0.9, 0.7, 8)).sparse_step == 0.7
    assert _select(_evidence("good", GOOD)).sparse_step == pytest.approx(0.1 * TARGET.std())


def test_the_result_is_plain_json() -> None:
    """Names that the command promises stand in the object."""
    plain = _select(_evidence("good", GOOD), noise=Noise(0.8, 0.1, 8)).as_json()
    assert {"selected", "tau", "tau_ci", "tau_bbc", "indistinguishable", "strategies"} <= plain.keys()
    assert plain["noise_ceiling"] == 0.8


@pytest.mark.parametrize(
    ("evidence", "target", "message"),
    [
        ([], TARGET, "There is no strategy to select from"),
        (
            [_evidence("good", GOOD[:5])],
            TARGET[:5],
            "at least 8 architectures with a measured target, there are 5",
        ),
        ([_evidence("good", GOOD)], np.ones(N), "has missing values or is constant"),
    ],
)
def test_what_cant_be_judged_is_refused(evidence: list[Evidence], target: Floats, message: str) -> None:
    """No strategy, too few architectures or a constant target are refused with the reason."""
    with pytest.raises(ConfigError, match=message):
        select_strategy(evidence, target)
