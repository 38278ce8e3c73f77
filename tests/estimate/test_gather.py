"""From networks to facts."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from mlflow_nas.estimate import STRATEGIES, Probe, gather, single_strategies, strategy_named

EPOCHS = tuple({"train_loss": 2.0 / epoch, "map_fp32": 0.1 * epoch} for epoch in range(1, 4))


@pytest.fixture
def probes(probe_of: Callable[..., Probe]) -> list[Probe]:
    """Three networks of 2, 4 and 8 channels, the last with one epoch less behind it."""
    made = []
    for channels in (2, 4, 8):
        network = nn.Sequential(nn.Conv2d(3, channels, 3), nn.BatchNorm2d(channels), nn.ReLU())
        probe = probe_of(network, images=torch.rand(2, 3, 8, 8), seeds=(0, 1))
        made.append(replace(probe, encoding=(float(channels),), history=EPOCHS[: 2 if channels == 8 else 3]))
    return made


def test_only_what_is_needed_is_computed(probes: list[Probe]) -> None:
    """A strategy of counts costs counts; the facts have a row per architecture and the seconds."""
    facts = gather(probes, [strategy_named("params")])
    assert facts.scores.keys() == facts.seconds.keys() == {"params"}
    assert facts.scores["params"].tolist() == [2 * 30, 4 * 30, 8 * 30]
    assert facts.encoding.tolist() == [[2.0], [4.0], [8.0]]
    assert facts.complexity.shape == (3, 0)
    assert facts.curve.shape == (3, 0)
    assert facts.zero_cost == ("params",)
    assert len(facts) == 3


def test_a_failed_score_is_not_a_number_and_seeds_have_a_spread(probes: list[Probe]) -> None:
    """What strategies could not say is NaN in the facts; what has seeds has a deviation."""
    facts = gather(probes, [strategy_named("l2_norm"), strategy_named("jacov")])
    assert np.isnan(facts.spreads["l2_norm"]).sum() == 0
    assert facts.seeds == 2
    broken = [replace(probe, images=probe.images[:0]) for probe in probes]
    assert np.isnan(gather(broken, [strategy_named("jacov")]).scores["jacov"]).all()


def test_models_get_sizes_and_curves_cut_to_the_shortest(probes: list[Probe]) -> None:
    """Logs of MACs and parameters; two epochs of everyone: accuracies, one difference, losses, summary."""
    seen = []
    facts = gather(probes, [strategy_named("lcsvr")], curve_s=7.0, on_probe=lambda: seen.append(1))
    assert facts.scores == {}
    assert facts.complexity[:, 1].tolist() == pytest.approx(np.log([60, 120, 240]))
    assert facts.curve[0].tolist() == pytest.approx([0.1, 0.2, 0.1, 2.0, 1.0, 0.15, 0.05, 1.5, 0.5, 3.0])
    assert facts.curve.shape == (3, 10)
    assert (facts.curve_s, len(seen)) == (7.0, 3)


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
    assert len(single_strategies(STRATEGIES)) == 18 + 4


def test_without_a_learning_curve_there_are_no_numbers_of_one(probes: list[Probe]) -> None:
    """One architecture without epochs leaves nobody with a curve."""
    bare = [probes[0], replace(probes[1], history=())]
    assert gather(bare, [strategy_named("lcsvr")]).curve.shape == (2, 0)
