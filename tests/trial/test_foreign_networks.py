"""Trials of networks that are no FastestDet."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from contexts import open_context
from foreign_space import detector_space, faulty_space

from mlflow_nas.errors import ConfigError
from mlflow_nas.runtime import OnnxDetector
from mlflow_nas.space import SeedWeights
from mlflow_nas.train import Recipe, fit
from mlflow_nas.trial import open_supernet, run_trial
from mlflow_nas.trial.given import given_detector

SMALLEST = {"width": 4, "img_width": 64}


def test_a_foreign_detector_goes_through_all_steps(tmp_path: Path) -> None:
    """In place activations, a head for three scales: it is counted, trained, quantized, measured."""
    context = open_context(tmp_path, space=detector_space())
    result = run_trial(context, SMALLEST)
    assert (result.error, result.state) == (None, "complete")
    assert result.metrics.keys() >= {"map", "map_50", "map_fp32", "latency_ms", "macs", "board_drift"}
    assert context.tags["nas.task"] == "detection"
    opened = OnnxDetector(result.artefacts["int8"])
    assert opened.layout == ("boxes", 1)
    output = opened(np.zeros((1, 3, 64, 64), np.float32))
    assert output.shape == (1, 8 * 8 + 4 * 4 + 2 * 2, 5)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("shape", r"^Faulty\.forward gives \[1, 420\] for one image, expected is \[b, n, 4 \+ N\]: corners"),
        ("tuple", r"^Faulty\.forward gives tuple, expected is \[b, n, 4 \+ N\]"),
        ("classes", r"gives \[1, 84, 6\], which is 2 classes, expected is .*, here N = 1 \(person\)"),
        ("raises", r"ValueError: the pyramid has an odd level \(.*foreign_space\.py, line \d+\)$"),
        ("nan", r"^The training loss became nan in epoch 0: lower the learning rate"),
        ("detached", r"^The loss of Faulty has no gradient: compute it from the network's outputs"),
        ("vector", r"^The loss of Faulty is a tensor \[3\]: return a scalar tensor"),
        ("export", r"^The network can't be exported to ONNX at 64 x 64 px: "),
    ],
)
def test_a_fault_of_a_users_network_is_one_sentence(fault: str, sentence: str, tmp_path: Path) -> None:
    """It names what was expected, or the line that raised."""
    result = run_trial(open_context(tmp_path, space=faulty_space(), epochs=1), {"fault": fault})
    assert result.state == "failed"
    message = str(result.error).removeprefix("CandidateError: ")
    assert re.search(sentence, message), message
    assert "\n" not in message


def test_nothing_is_frozen_or_transferred_unless_a_space_asks_for_it(tmp_path: Path) -> None:
    """Every network starts from its own first weights; a part to freeze is named, not guessed."""
    weights = SeedWeights(state={"stem.0.0.weight": torch.zeros(8, 3, 3, 3)}, source="other.pth")
    context = open_context(tmp_path, space=detector_space(), weights=weights)
    built = context.build({"width": 8, "img_width": 96})
    assert bool(built.get_parameter("stem.0.0.weight").abs().sum() > 0)
    assert context.teacher(SMALLEST) is None
    frozen = open_context(tmp_path, space=detector_space(), recipe=Recipe(freeze="backbone"))
    with pytest.raises(ConfigError, match=r"names no trunk to freeze; give its SearchSpace trunk="):
        run_trial(frozen, SMALLEST)
    with pytest.raises(ConfigError, match=r"The space foreign shares no weights, so it has no supernet"):
        open_supernet(context)


def test_weights_of_the_baseline_are_the_reference(tmp_path: Path) -> None:
    """A trained network of the space is the detector as given; other weights are not."""
    space = detector_space()
    state = open_context(tmp_path, space=space).build(space.baseline).state_dict()
    weights = SeedWeights(state=state, source="mine.pth")
    given = given_detector(weights, space, classes=("person",), img_size=(64, 64))
    assert given is not None
    assert given.build().state_dict().keys() == state.keys()
    assert given_detector(SeedWeights(state={}, source=""), space, classes=("a",), img_size=(64, 64)) is None


def test_a_named_trunk_is_frozen(tmp_path: Path) -> None:
    """Its weights stay, the others are trained; the network sees images, as nothing of it is cached."""
    context = open_context(tmp_path, space=replace(detector_space(), trunk="stem"))
    network = context.build(SMALLEST)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    recipe = Recipe(freeze="backbone")
    fit(network, context.data(SMALLEST), epochs=1, seed=0, recipe=recipe, parts=context.parts, threads=1)
    after = network.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert not any(name.startswith("stem.") for name in changed)
