"""How long a trial trains, and what it leaves as it is, where nobody says so."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from mlflow_nas import api
from mlflow_nas.api.bench import make_bench
from mlflow_nas.config import SearchConfig
from mlflow_nas.errors import ConfigError
from mlflow_nas.search.schedule import default_epochs, is_short
from mlflow_nas.space import (
    FastestDet,
    Parameter,
    SearchSpace,
    build_detector,
    fastestdet_head,
    keeps_backbone,
    load_space,
    narrow,
    save_weights,
)
from mlflow_nas.train import Fitted
from mlflow_nas.types import Architecture

DATA = "synthetic:train=8,val=4,size=96"


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLFLOW_NAS_HOME", str(tmp_path / "home"))


@pytest.fixture
def seed_weights(tmp_path: Path) -> Path:
    """A whole detector."""
    baseline = fastestdet_head().baseline
    return save_weights(build_detector(baseline, num_classes=1, seed=3), tmp_path / "seed.pth")


@pytest.mark.parametrize(("images", "epochs"), [(120, 14), (477, 4), (800, 3), (64_000, 3), (3, 200)])
def test_unset_epochs_are_two_hundred_steps(images: int, epochs: int) -> None:
    """Of batches of 8, and three passes at least."""
    assert default_epochs(images, 8) == epochs


def test_a_training_is_short_up_to_four_hundred_steps() -> None:
    """Both sides of the bound."""
    assert is_short(50, 64, 8)
    assert not is_short(51, 64, 8)


@pytest.mark.parametrize(
    ("options", "freeze"),
    [
        ({}, "backbone"),
        ({"epochs": 400}, "backbone"),
        ({"epochs": 401}, "none"),
        ({"freeze": "none"}, "none"),
        ({"freeze": "stem"}, "stem"),
        ({"epochs": 401, "freeze": "backbone"}, "backbone"),
        ({"recipe": "published"}, "none"),
        ({"space": "multi-branch"}, "backbone"),
        ({"space": "chain"}, "none"),
        ({"space": "chain", "set": "img_width=224"}, "none"),
    ],
)
def test_a_short_training_leaves_an_inherited_backbone(
    options: dict[str, Any], freeze: str, seed_weights: Path, tmp_path: Path
) -> None:
    """Unless told otherwise, or the backbone is what is searched; the published recipe trains everything."""
    config = SearchConfig(data=DATA, board="fake", weights=seed_weights, **options)
    bench = make_bench(config, folder=tmp_path, max_latency_ms=None)
    assert bench.recipe.freeze == freeze
    assert bench.epochs == (options.get("epochs") or 200)


def test_without_a_seed_network_everything_is_trained(tmp_path: Path) -> None:
    """The seed network itself, and what starts from a backbone alone."""
    bench = make_bench(SearchConfig(data=DATA, board="fake"), folder=tmp_path, max_latency_ms=None)
    assert bench.recipe.freeze == "none"
    assert bench.inheriting().recipe.freeze == "backbone"


def test_a_chain_narrowed_to_the_baselines_backbone_keeps_it(seed_weights: Path, tmp_path: Path) -> None:
    """What can be chosen decides, not the space's name."""
    chain = load_space("chain")
    fixed = [f"{name}={value}" for name, value in chain.baseline.items() if name != "img_width"]
    assert narrow(chain, tuple(fixed)).size > 1
    config = SearchConfig(data=DATA, board="fake", weights=seed_weights, space="chain", set=",".join(fixed))
    assert make_bench(config, folder=tmp_path, max_latency_ms=None).recipe.freeze == "backbone"


def test_networks_without_a_backbone_keep_none() -> None:
    """A user's space may build what it likes."""
    space = replace(fastestdet_head(), build=lambda *_: nn.Conv2d(3, 5, 1))  # type: ignore[arg-type,return-value]  # no FastestDet
    assert keeps_backbone(fastestdet_head())
    assert not keeps_backbone(space)


def test_words_are_tried_one_by_one_and_what_cannot_be_built_may_change_the_backbone() -> None:
    """Their order means nothing: here the middle one changes the backbone. The last one can't be built."""
    head = fastestdet_head()

    def build(architecture: Architecture, num_classes: int) -> FastestDet:
        network = head.build(head.baseline, num_classes)
        if architecture["kind"] == "broken":
            raise ValueError(architecture)
        if architecture["kind"] == "middle":
            network.backbone.conv1 = nn.Sequential(network.backbone.conv1)
        return network

    def space(*kinds: str) -> SearchSpace:
        choice = {"kind": Parameter(short="k", values=kinds)}
        return SearchSpace(name="words", parameters=choice, baseline={"kind": "first"}, build=build)

    assert not keeps_backbone(space("first", "middle", "last"))
    assert keeps_backbone(space("first", "last"))
    assert not keeps_backbone(space("first", "last", "broken"))


@pytest.mark.usefixtures("tracking_uri")
def test_a_run_says_how_much_of_the_network_was_trained(seed_weights: Path) -> None:
    """The trials of a short search trained neck and head; told so, one training trains all."""
    options: dict[str, Any] = {
        "data": DATA,
        "board": "fake",
        "weights": seed_weights,
        "epochs": 1,
        "max_int8_drop": 1,
    }
    short = api.search(**options, trials=1, device="none")["trials"][0]
    assert 0 < short["trained_params"] < short["params"]
    whole = api.train(**options, freeze="none")["metrics"]
    assert whole["trained_params"] == whole["params"]


@pytest.fixture
def taught(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bool, float]]:
    """Whether each training had a teacher, and what weight, in their order."""
    seen: list[tuple[bool, float]] = []
    for name in ("mlflow_nas.search.trial", "mlflow_nas.search.seed"):

        def spy(*given: Any, own: Any = sys.modules[name].fit, **options: Any) -> Fitted:
            seen.append((options.get("teacher") is not None, options["recipe"].distillation))
            fitted: Fitted = own(*given, **options)
            return fitted

        monkeypatch.setattr(sys.modules[name], "fit", spy)
    return seen


@pytest.mark.usefixtures("tracking_uri")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [(True, 0.3)] * 2),
        ({"distillation": 0.7}, [(True, 0.7)] * 2),
        ({"recipe": "published"}, [(True, 0.0)] * 2),
        ({"weights": None, "seed_epochs": 1}, [(False, 0.3), *[(True, 0.3)] * 2]),
        ({"weights": None, "seed_epochs": 0}, [(False, 0.3)] * 2),
    ],
    ids=["given", "weight", "published", "own", "none"],
)
def test_a_seed_network_teaches_candidates(
    options: dict[str, Any], expected: object, seed_weights: Path, taught: list[tuple[bool, float]]
) -> None:
    """One that was given, or that the study trained; with another weight the study is another one."""
    wanted: dict[str, Any] = {
        "data": DATA,
        "board": "fake",
        "weights": seed_weights,
        "epochs": 1,
        "max_int8_drop": 1,
        "device": "none",
        "set": "channels=24",
        **options,
    }
    api.search(**wanted, trials=2)
    assert taught == expected
    if expected != [(False, 0.3)] * 2:
        with pytest.raises(ConfigError, match="distillation"):
            api.search(**{**wanted, "distillation": 0.1}, trials=3)
