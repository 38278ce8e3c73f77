"""From a configuration to what the trials of a study share."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from mlflow_nas.config import ProfileConfig, SearchConfig, load_config
from mlflow_nas.data import DetectionDataset, load_splits
from mlflow_nas.data.dataset import MemoryImage
from mlflow_nas.errors import ConfigError
from mlflow_nas.search import open_context, seeded
from mlflow_nas.space import (
    FastestDet,
    Parameter,
    SearchSpace,
    build_detector,
    fastestdet_head,
    keeps_trunk,
    load_space,
    narrow,
    save_weights,
)
from mlflow_nas.trial import StepCache, StudyContext
from mlflow_nas.types import Architecture

DATA = "synthetic:train=8,val=4,size=96"


def _open(folder: Path, **options: Any) -> StudyContext:
    """A context on generated scenes and the fake board, with its seed network, if it is given one."""
    config = load_config(SearchConfig, {"data": DATA, "board": "fake", **options})
    return seeded(open_context(config, cache=StepCache(folder / "cache")))


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_NAS_HOME", str(tmp_path / "home"))


@pytest.fixture
def seed_weights(tmp_path: Path) -> Path:
    """A whole detector."""
    baseline = fastestdet_head().baseline
    return save_weights(build_detector(baseline, num_classes=1, seed=3), tmp_path / "seed.pth")


@pytest.mark.parametrize(
    ("options", "freeze"),
    [
        ({}, "backbone"),
        ({"epochs": 400}, "backbone"),
        ({"epochs": 401}, "none"),
        ({"training.freeze": "none"}, "none"),
        ({"training.freeze": "stem"}, "stem"),
        ({"epochs": 401, "training.freeze": "backbone"}, "backbone"),
        ({"training.recipe": "fastestdet"}, "none"),
        ({"space": "multi-branch"}, "backbone"),
        ({"space": "chain"}, "none"),
        ({"space": "chain", "set": "space.img_width=224"}, "none"),
    ],
)
def test_a_short_training_freezes_a_transferred_backbone(
    options: dict[str, Any], freeze: str, seed_weights: Path, tmp_path: Path
) -> None:
    """Unless set otherwise, or the backbone is what is searched; the published recipe trains everything."""
    context = _open(tmp_path, weights=seed_weights, **options)
    assert context.recipe.freeze == freeze
    assert context.epochs == (options.get("epochs") or 200)


def test_without_a_seed_network_everything_is_trained(tmp_path: Path) -> None:
    """The seed network itself, and what starts from a backbone alone."""
    assert _open(tmp_path).recipe.freeze == "none"


def test_a_chain_narrowed_to_the_baselines_backbone_keeps_it(seed_weights: Path, tmp_path: Path) -> None:
    """What can be chosen decides, not the space's name."""
    chain = load_space("chain")
    fixed = [f"{name}={value}" for name, value in chain.baseline.items() if name != "img_width"]
    assert narrow(chain, tuple(fixed)).size > 1
    choices = " ".join(f"space.{one}" for one in fixed)
    assert _open(tmp_path, weights=seed_weights, space="chain", set=choices).recipe.freeze == "backbone"


@pytest.mark.parametrize(
    ("options", "weight"),
    [({}, 0.3), ({"training.distillation": 0.7}, 0.7), ({"training.recipe": "fastestdet"}, 0.0)],
)
def test_a_seed_network_that_is_given_teaches(
    options: dict[str, Any], weight: float, seed_weights: Path, tmp_path: Path
) -> None:
    """With the weight that is set, or the recipe's."""
    context = _open(tmp_path, weights=seed_weights, **options)
    assert context.recipe.distillation == weight
    assert (context.teacher(context.space.baseline) is not None) == bool(weight)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"space": "cello"}, "There is no space 'cello'"),
        ({"set": "space.channels=97"}, "channels=97|97.*channels"),
        ({"objectives": "map"}, "name two or more different metrics"),
        ({"limit": ["speed<=2"]}, "there is no metric 'speed'"),
        ({"board": "nowhere"}, "nowhere"),
        ({"data": "coco:/nowhere/at/all"}, "/nowhere/at/all"),
        ({"weights": "/nowhere/at.pth"}, r"/nowhere/at\.pth does not exist"),
    ],
)
def test_what_cant_be_opened_is_the_users_mistake(
    options: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    """One sentence, before anything is trained."""
    with pytest.raises(ConfigError, match=sentence):
        _open(tmp_path, **options)


@pytest.mark.parametrize(
    ("aspect", "size"), [("square", (320, 320)), ("auto", (240, 320)), ("1.25", (256, 320))]
)
def test_the_height_follows_the_data_where_that_is_asked_for(
    aspect: str, size: tuple[int, int], tmp_path: Path
) -> None:
    """By the median of the training images, here 4:3; a height that is a choice goes before."""
    images = load_splits(DATA, ("person",)).train.records
    wide = MemoryImage(np.zeros((30, 40, 3), np.uint8))
    records = [replace(one, source=wide) for one in images]
    assert load_splits(DATA, ("person",)).train.part(records).aspect == pytest.approx(4 / 3)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(DetectionDataset, "aspect", 4 / 3)
        context = _open(tmp_path, **{"space.aspect": aspect})
        chosen = _open(tmp_path, set=f"space.aspect={aspect} space.img_height=160,200")
    assert context.input_size(context.space.baseline) == size
    assert chosen.input_size(chosen.space.baseline) == size
    assert chosen.input_size({**chosen.space.baseline, "img_height": 160}) == (160, 320)


def test_what_was_given_keeps_its_own_size(seed_weights: Path, tmp_path: Path) -> None:
    """The baseline's, or the width and height that are said."""
    sizes = {
        "": (240, 320),
        "training.weights_img_width=160": (120, 160),
        "training.weights_img_width=160 training.weights_img_height=160": (160, 160),
    }
    for settings, size in sizes.items():
        context = _open(tmp_path, weights=seed_weights, set=f"space.aspect=1.333 {settings}")
        assert context.given is not None
        assert context.given.img_size == size


@pytest.mark.parametrize("aspect", ["wide", "0.05", "11", "nan"])
def test_what_is_no_aspect_is_refused(aspect: str) -> None:
    """The sentence says what may be written."""
    with pytest.raises(ConfigError, match=r"space\.aspect.*auto, square, or a number between 0\.1 and 10"):
        load_config(SearchConfig, {"space.aspect": aspect})


def test_without_training_images_there_is_no_median() -> None:
    """The sentence says what to give instead."""
    config = load_config(ProfileConfig, {"space.aspect": "auto"})
    with pytest.raises(ConfigError, match=r"reads none: give the number, such as space\.aspect=1\.33"):
        config.space.aspect_number()


def test_an_emulated_board_has_no_latencies(tmp_path: Path) -> None:
    """It is refused as the board of a search."""
    (tmp_path / "devices.yaml").write_text("devices: {qemu: {transport: local, emulated: true}}")
    with pytest.raises(ConfigError, match="The board qemu is emulated: its times are no latencies"):
        _open(tmp_path, board="qemu")


def test_networks_without_a_backbone_keep_none() -> None:
    """A user's space may build what it likes."""
    space = replace(fastestdet_head(), build=lambda *_: nn.Conv2d(3, 5, 1))  # type: ignore[arg-type,return-value]  # no FastestDet
    assert keeps_trunk(fastestdet_head())
    assert not keeps_trunk(space)


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
        return SearchSpace(
            name="words", parameters=choice, baseline={"kind": "first"}, build=build, trunk="backbone"
        )

    assert not keeps_trunk(space("first", "middle", "last"))
    assert keeps_trunk(space("first", "last"))
    assert not keeps_trunk(space("first", "last", "broken"))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"set": "quantization.precision=fp32"}, r"runtime litert of pi compiles int8 files, not .*=fp32"),
        ({"reference": "x.onnx"}, r"--reference x.onnx is an ONNX file, which pi does not run"),
    ],
)
def test_a_board_of_tflite_files_takes_no_others(
    tmp_path: Path, options: dict[str, str], sentence: str
) -> None:
    """Float files, and ONNX files as the reference, can't be timed there."""
    inventory = tmp_path / "devices.yaml"
    inventory.write_text("devices: {pi: {transport: fake, runtime: litert}}")
    with pytest.raises(ConfigError, match=sentence):
        _open(tmp_path, board="pi", devices=str(inventory), **options)


def test_the_runtime_is_the_boards(tmp_path: Path) -> None:
    """It is a tag of the study, which a continued one can't change."""
    inventory = tmp_path / "devices.yaml"
    inventory.write_text("devices: {pi: {transport: fake, runtime: litert}}")
    context = _open(tmp_path, board="pi", devices=str(inventory))
    assert context.tags["nas.runtime"] == context.fixed_inputs()["nas.runtime"] == "litert"
