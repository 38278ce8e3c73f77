"""Selection of a strategy on the samples of a study."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from fake_study import FakeStudy, size_of

from mlflow_nas.errors import ConfigError
from mlflow_nas.estimate import StrategySelector, complexity, run_strategy, strategy_named
from mlflow_nas.estimate.selection import Limits
from mlflow_nas.search import StudySelection
from mlflow_nas.search.estimation.inputs import by_network, learning_curve, scoring_inputs
from mlflow_nas.space import SearchSpace, fastestdet_head, narrow
from mlflow_nas.types import Objective

Make = Callable[..., FakeStudy]


def _selection(study: FakeStudy, *strategies: str, repeats: int = 2) -> StudySelection:
    rows = [strategy_named(name) for name in strategies]
    return StudySelection(
        search=study,
        selector=StrategySelector(strategies=rows, draws=200, limits=Limits(budget_s=1e6)),
        repeats=repeats,
        early_epochs=2,
        images=2,
        seeds=(0, 1),
    )


def test_a_selection_trains_scores_and_selects(study_of: Make) -> None:
    """Eight samples and two second trainings; a selection of more reuses them, and keeps its seconds."""
    study = study_of()
    result = _selection(study, "params", "l2_norm", "tse_e").run(8)
    assert result.samples == 8
    assert result.winner in {"params", "tse_e"}
    assert (len(study.drawn()), len(study.repeats)) == (8, 2)
    seconds = {row.name: row.seconds for row in result.strategies}
    assert seconds["tse_e"] is not None
    assert seconds["tse_e"] >= 5.0, "half of a training of 10 s"
    assert study.storage["estimation/selection_s"] > 2 * 12.0
    again = _selection(study, "params", "l2_norm", "tse_e").run(8)
    assert [row.tau for row in again.strategies] == [row.tau for row in result.strategies]
    assert len(study.trained) == 1 + 8 + 2
    larger = _selection(study, "params", repeats=3).run(10)
    assert larger.noise is not None
    assert larger.noise.architectures == 3
    assert len(study.trained) == 1 + 10 + 3


def test_trials_that_an_estimate_chose_are_no_samples(study_of: Make, space: SearchSpace) -> None:
    """Only a fair sample is; a drawn architecture that is trained already is not trained again."""
    study = study_of()
    chosen = [
        {**space.baseline, "kernel_size": 3, "channels": 40, "img_width": width} for width in (220, 224)
    ]
    study.train(chosen, count=2, chosen_by="macs")
    _selection(study, "params").run(8)
    assert len(study.trained) == len({*study.trained}) + len(study.repeats)
    assert len(study.drawn()) >= 6


def test_failed_trainings_are_replaced(study_of: Make) -> None:
    """Another architecture is drawn; a failed second training is left out."""
    first = study_of()
    _selection(first, "params", repeats=0).run(8)
    study = study_of()
    study.failing = [one.key for one in first.drawn()[2:4]]
    result = _selection(study, "params", repeats=8).run(8)
    assert result.samples == 8
    assert [one.state for one in study.drawn()].count("failed") == 2
    assert len(study.repeats) == 8
    study.repeats.clear()
    study.failing = [one.key for one in study.drawn()[:1]]
    noise = _selection(study, "params", repeats=8).run(8).noise
    assert noise is not None
    assert noise.architectures == 7


def test_a_space_that_is_too_small_is_reported(study_of: Make, space: SearchSpace) -> None:
    """Five architectures can't be eight samples."""
    small = narrow(space, ("channels=24", "groups=1"))
    with pytest.raises(
        ConfigError, match=r"has 5 architectures that could be trained, fewer than the 8 samples"
    ):
        _selection(study_of(space=small), "params").run(8)


def test_a_sequential_selection_trains_no_more_than_it_needs(study_of: Make) -> None:
    """The loss gives the quality without noise: 20 of 26 samples suffice, each scored once."""
    study, scored = study_of(), list[str]()
    selection = replace(_selection(study, "tse_e"), on_sample=scored.append)
    assert selection.run(26, sequential=True).samples == 20
    assert scored == [one.key for one in study.drawn()]


def test_a_learning_curve_is_the_objective_of_the_float_network(study_of: Make, space: SearchSpace) -> None:
    """Cut to the first epochs; of an objective to minimize with the sign turned."""
    study = study_of(objectives=(Objective("error", "minimize"),))
    result = study.result_of(space.baseline, number=0)
    error = 0.1 + size_of(space.baseline) / 10
    curve = learning_curve(result, study.context.objectives[0], epochs=2)
    assert [dict(epoch) for epoch in curve] == [{"train_loss": 1 - error, "quality": -error}] * 2


def test_networks_that_differ_in_the_inputs_width_are_built_once(study_of: Make, space: SearchSpace) -> None:
    """Five widths of one network are one object per weight seed, and counted at their own sizes."""
    study = study_of(space=narrow(space, ("channels=24", "groups=2")))
    members = [
        {**space.baseline, "kernel_size": 3, "channels": 24, "groups": 2, "img_width": w} for w in (220, 232)
    ]
    found = scoring_inputs(study.context, by_network(space, members), [strategy_named("params")])
    assert found[0].build(0) is found[1].build(0)
    assert found[0].build(1) is not found[0].build(0)
    assert (
        complexity(found[0].build(0), found[0].img_size)["macs"]
        < complexity(found[1].build(0), found[1].img_size)["macs"]
    )


def test_gradients_are_those_of_the_training_loss_on_the_studys_images(study_of: Make) -> None:
    """A score with labels works on the detector, at the architecture's own input size."""
    study = study_of(space=fastestdet_head())
    small = {"kernel_size": 3, "groups": 8, "channels": 24, "img_width": 220}
    (inputs,) = scoring_inputs(study.context, [small], [strategy_named("snip")], images=2, seeds=(0,))
    assert inputs.images.shape == (2, 3, 220, 220)
    assert run_strategy(strategy_named("snip"), inputs).status == "ok"
    (bare,) = scoring_inputs(study.context, [small], [strategy_named("params")])
    assert len(bare.images) == 0, "images are read for strategies that need them only"


def test_the_supernet_is_compared_with_its_cost(study_of: Make) -> None:
    """Its training is an initial cost, and a part of the selection's seconds."""
    study = study_of()
    result = _selection(study, "params", "supernet").run(8)
    row = {one.name: one for one in result.strategies}["supernet"]
    assert (row.family, row.tau, row.init_s, row.seconds) == ("one-shot", 1.0, 300.0, 2.0)
    assert row.sample_s == 300 + 8 * 2
    assert study.storage["estimation/selection_supernet_s"] == 300
    assert study.storage["estimation/selection_s"] > 300
