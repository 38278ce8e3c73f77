"""Features computed from networks."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from mlflow_nas.estimate import STRATEGIES, ScoringInputs, compute_features, single_strategies, strategy_named

EPOCHS = tuple({"train_loss": 2.0 / epoch, "quality": 0.1 * epoch} for epoch in range(1, 4))


@pytest.fixture
def all_inputs(inputs_of: Callable[..., ScoringInputs]) -> list[ScoringInputs]:
    """Three networks of 2, 4 and 8 channels, the last with one epoch less behind it."""
    made = []
    for channels in (2, 4, 8):
        network = nn.Sequential(nn.Conv2d(3, channels, 3), nn.BatchNorm2d(channels), nn.ReLU())
        inputs = inputs_of(network, images=torch.rand(2, 3, 8, 8), seeds=(0, 1))
        made.append(replace(inputs, encoding=(float(channels),), history=EPOCHS[: 2 if channels == 8 else 3]))
    return made


def test_only_what_is_needed_is_computed(all_inputs: list[ScoringInputs]) -> None:
    """A strategy of counts needs counts; the features have a row per architecture and the seconds."""
    features = compute_features(all_inputs, [strategy_named("params")])
    assert features.scores.keys() == features.seconds.keys() == {"params"}
    assert features.scores["params"].tolist() == [2 * 30, 4 * 30, 8 * 30]
    assert features.encoding.tolist() == [[2.0], [4.0], [8.0]]
    assert features.complexity.shape == (3, 0)
    assert features.curve.shape == (3, 0)
    assert features.zero_cost == ("params",)
    assert len(features) == 3


def test_a_failed_score_is_not_a_number_and_seeds_have_a_spread(all_inputs: list[ScoringInputs]) -> None:
    """A failed score is NaN; scores with seeds have a deviation."""
    features = compute_features(all_inputs, [strategy_named("l2_norm"), strategy_named("jacov")])
    assert np.isnan(features.spreads["l2_norm"]).sum() == 0
    assert features.seeds == 2
    broken = [replace(inputs, images=inputs.images[:0]) for inputs in all_inputs]
    assert np.isnan(compute_features(broken, [strategy_named("jacov")]).scores["jacov"]).all()


def test_models_get_sizes_and_curves_cut_to_the_shortest(all_inputs: list[ScoringInputs]) -> None:
    """Logs of MACs and parameters; two epochs of each: qualities, one difference, losses, summary."""
    seen = []
    features = compute_features(
        all_inputs, [strategy_named("lcsvr")], curve_s=7.0, on_scored=lambda: seen.append(1)
    )
    assert features.scores == {}
    assert features.complexity[:, 1].tolist() == pytest.approx(np.log([60, 120, 240]))
    assert features.curve[0].tolist() == pytest.approx([0.1, 0.2, 0.1, 2.0, 1.0, 0.15, 0.05, 1.5, 0.5, 3.0])
    assert features.curve.shape == (3, 10)
    assert (features.curve_s, len(seen)) == (7.0, 3)


def test_hybrids_name_the_scores_they_are_made_of() -> None:
    """All zero-cost scores for those that rank them, the parts for the others; nothing twice."""
    names = [row.name for row in single_strategies([strategy_named("br_zc"), strategy_named("vote")])]
    assert len(names) == len(set(names)) == 14
    assert {row.name for row in single_strategies([strategy_named("omni_lite")])} == {"nwot", "tse_e"}
    assert {row.name for row in single_strategies([strategy_named("az_nas")])} == {
        "az_expressivity",
        "az_progressivity",
        "az_trainability",
        "az_complexity",
    }
    assert single_strategies([strategy_named("gp")]) == ()
    assert len(single_strategies(STRATEGIES)) == 18 + 4 + 1


def test_without_a_learning_curve_there_are_no_numbers_of_one(all_inputs: list[ScoringInputs]) -> None:
    """One architecture without epochs leaves all without a curve."""
    bare = [all_inputs[0], replace(all_inputs[1], history=())]
    assert compute_features(bare, [strategy_named("lcsvr")]).curve.shape == (2, 0)
