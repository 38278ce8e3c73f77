"""What trials share: the seed network, its teacher, the identity of the data."""

from dataclasses import replace
from pathlib import Path

import torch
from contexts import SMALL, open_context

from mlflow_nas.data import load_dataset
from mlflow_nas.space import SeedWeights
from mlflow_nas.train import Recipe
from mlflow_nas.trial import StudyContext, run_trial


def _seeded(folder: Path, **changes: object) -> StudyContext:
    """A context with a seed network, which is the baseline with other random weights."""
    context = open_context(folder, freeze_unchanged=True, **changes)
    network = replace(context, seed=7).build(context.space.baseline)
    return context.with_seed_network(SeedWeights(state=network.state_dict(), source="seed.pth"))


def test_candidates_start_from_the_seed_network(tmp_path: Path) -> None:
    """The baseline is it, to the bit; what a smaller one shares with it is the same."""
    context = _seeded(tmp_path)
    assert context.weights is not None
    seed = context.weights.state
    baseline, small = (context.build(one).state_dict() for one in (context.space.baseline, SMALL))
    assert all(torch.equal(value, seed[name]) for name, value in baseline.items())
    assert all(torch.equal(small[name], seed[name]) for name in small if name.startswith("backbone."))


def test_a_short_training_freezes_the_backbone_that_all_share(tmp_path: Path) -> None:
    """The result says how many of the parameters were trained."""
    whole = run_trial(open_context(tmp_path), SMALL, role="seed").metrics
    short = run_trial(_seeded(tmp_path), SMALL, role="seed").metrics
    assert whole["trained_params"] == whole["params"] == short["params"]
    assert 0 < short["trained_params"] < short["params"]


def test_a_long_training_freezes_nothing(tmp_path: Path) -> None:
    """201 epochs of two steps are more than 400."""
    assert _seeded(tmp_path, epochs=200).recipe.freeze == "backbone"
    assert _seeded(tmp_path, epochs=201).recipe.freeze == "none"


def test_the_seed_network_teaches_at_the_candidates_size(tmp_path: Path) -> None:
    """Unless the recipe has no distillation, or there is no seed network."""
    assert _seeded(tmp_path).teacher(SMALL) is not None
    assert _seeded(tmp_path, recipe=Recipe(distillation=0)).teacher(SMALL) is None
    assert open_context(tmp_path).teacher(SMALL) is None


def test_data_are_told_apart_by_what_is_trained_on_too(tmp_path: Path) -> None:
    """Another image of either split is another data set; the test split is no part of it."""

    def tag(**splits: object) -> str:
        return open_context(tmp_path, **splits).dataset_tag

    other = {name: load_dataset("synthetic:train=5,val=3,size=64", name) for name in ("train", "val")}  # type: ignore[arg-type]
    tags = [tag(), tag(train=other["train"]), tag(val=other["val"])]
    assert len(set(tags)) == 3
    assert all(one.startswith("synthetic@") for one in tags)
    assert tag(test=other["val"]) == tags[0]
