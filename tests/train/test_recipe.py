"""Recipes, and the optimizers and schedules that they stand for."""

import pytest
from small import make_network

from mlflow_nas.train import Recipe, fastestdet_recipe, fine_tuning, named_recipe
from mlflow_nas.train.optimizer import make_optimizer, make_schedule


def test_fastestdets_schedule() -> None:
    """A warm-up of 1/60, then a tenth of the rate after 1/3, 2/3 and 5/6 of the steps."""
    optimizer = make_optimizer(make_network(), fastestdet_recipe())
    schedule = make_schedule(optimizer, fastestdet_recipe(), steps=600)
    rates = []
    for _ in range(600):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[0] == pytest.approx(1e-7)
    assert [rates[step] for step in (9, 199, 200, 399, 400, 499, 500, 599)] == pytest.approx(
        [1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5, 1e-6, 1e-6]
    )


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 6, 12])
def test_a_schedule_may_have_any_length(steps: int) -> None:
    """Also where the rise takes exactly one step."""
    optimizer = make_optimizer(make_network(), Recipe())
    schedule = make_schedule(optimizer, Recipe(), steps=steps)
    for _ in range(steps - 1):
        optimizer.step()
        schedule.step()
    assert 0 < optimizer.param_groups[0]["lr"] <= Recipe().learning_rate


def test_unchanged_weights_have_a_rate_of_their_own() -> None:
    """Over the whole schedule; FastestDet's recipe has one rate only."""
    network, recipe = make_network(), fine_tuning()
    unchanged = [name for name, _ in network.named_parameters() if name.startswith("backbone.")]
    optimizer = make_optimizer(network, recipe, unchanged=unchanged)
    schedule = make_schedule(optimizer, recipe, steps=40)
    peaks: dict[str, float] = dict.fromkeys(dict(network.named_parameters()), 0.0)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    for _ in range(40):
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                peaks[names[id(parameter)]] = max(peaks[names[id(parameter)]], group["lr"])
        optimizer.step()
        schedule.step()
    expected = {name: recipe.unchanged_rate if name in unchanged else recipe.learning_rate for name in peaks}
    assert peaks == pytest.approx(expected, rel=0.05)
    one_rate = make_optimizer(network, fine_tuning(fastestdet_recipe()), unchanged=unchanged)
    assert {group["lr"] for group in one_rate.param_groups} == {1e-3}


def test_recipes_have_names() -> None:
    """The default one has distillation, FastestDet's none, unless a weight is given."""
    assert named_recipe("default", freeze="stem") == Recipe(freeze="stem")
    assert named_recipe("fastestdet") == fastestdet_recipe()
    assert (named_recipe("default").distillation, named_recipe("fastestdet").distillation) == (0.3, 0.0)
    assert named_recipe("fastestdet", distillation=0.5).distillation == 0.5
