"""The contract of search spaces: a space's test class derives from this one and names the space."""

import random
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from mlflow_nas.errors import ConfigError
from mlflow_nas.export import Quantization, export_onnx, quantize_int8
from mlflow_nas.runtime import OnnxDetector, check_parity
from mlflow_nas.space import COCO_CLASSES, SearchSpace, SeedWeights, build_detector, read_architecture

IMG_SIZE = (64, 96)


class SpaceContract:
    """Tests of one space; `space` is the class's own fixture."""

    DRAWN = 5

    @pytest.fixture
    def drawn(self, space: SearchSpace) -> list[Mapping[str, int | str]]:
        """Architectures spread over the space."""
        rng = random.Random(0)
        return [space.draw(rng) for _ in range(self.DRAWN)]

    @pytest.fixture
    def trained(self, space: SearchSpace) -> SeedWeights:
        """A baseline network whose weights are all different from fresh ones."""
        state = build_detector(space.baseline, space=space, num_classes=2, seed=5).state_dict()
        moved = {n: v + 0.1 * torch.rand_like(v) if v.is_floating_point() else v for n, v in state.items()}
        return SeedWeights(state=moved, source="trained.pth")

    def test_the_baseline_gets_the_seed_network_as_it_is(
        self, space: SearchSpace, trained: SeedWeights
    ) -> None:
        """Trial 0 is the seed network."""
        state = build_detector(space.baseline, space=space, num_classes=2, weights=trained).state_dict()
        assert state.keys() == trained.state.keys()
        assert all(torch.equal(value, trained.state[name]) for name, value in state.items())

    @pytest.mark.parametrize("classes", [1, 2, 80])
    def test_weights_hold_their_number_of_classes(self, space: SearchSpace, classes: int) -> None:
        """`evaluate --weights` builds the network from that; of COCO's classes some can be chosen."""
        network = space.build(space.baseline, classes)
        weights = SeedWeights(state=network.state_dict(), source="own.pth")
        assert weights.num_classes == classes
        weights.fill(space.build(space.baseline, weights.num_classes))
        if classes == len(COCO_CLASSES):
            people = weights.for_classes(("person", "dog"))
            assert (people.num_classes, people.class_indexes[:2]) == (80, (0, 16))
            given = build_detector(space.baseline, space=space, num_classes=2, weights=people)
            assert given.eval()(torch.rand(1, 3, *IMG_SIZE)).shape[1] == 5 + 2

    def test_every_architecture_is_built_gets_weights_and_learns(
        self, space: SearchSpace, trained: SeedWeights, drawn: list[Mapping[str, int | str]]
    ) -> None:
        """Outputs have the shape that decoding needs, at one class and at two, and each weight a gradient."""
        images = torch.rand(2, 3, *IMG_SIZE)
        for classes in (1, 2):
            for architecture in drawn:
                network = build_detector(architecture, space=space, num_classes=classes, weights=trained)
                objectness, box, logits = network.raw(images)
                assert box.shape == (2, 4, 4, 6)
                assert (logits is None) == (classes == 1)
                (objectness.sum() + box.sum() + (0 if logits is None else logits.sum())).backward()
                assert [n for n, weight in network.named_parameters() if weight.grad is None] == []

    def test_keys_are_stable_unique_and_can_be_read_back(
        self, space: SearchSpace, drawn: list[Mapping[str, int | str]]
    ) -> None:
        """A key does not depend on the mapping's order and names its architecture again."""
        keys = {space.key(architecture) for architecture in drawn}
        assert len(keys) == len({tuple(architecture.items()) for architecture in drawn})
        for architecture in drawn:
            shuffled = dict(reversed(architecture.items()))
            assert space.key(shuffled) == space.key(architecture)
            assert read_architecture(space, space.key(architecture)) == architecture

    def test_encodings_tell_architectures_apart_in_the_same_columns(
        self, space: SearchSpace, drawn: list[Mapping[str, int | str]]
    ) -> None:
        """Models get a rectangular table."""
        encoded = [space.encode(architecture) for architecture in [*drawn, space.baseline]]
        assert len({len(row) for row in encoded}) == 1
        assert len(set(encoded)) == len(
            {space.key(architecture) for architecture in [*drawn, space.baseline]}
        )

    def test_a_value_outside_of_it_is_refused(self, space: SearchSpace) -> None:
        """For every parameter, number or word."""
        for name in space.parameters:
            with pytest.raises(ConfigError, match=rf"{name}='wrong' is not in the space"):
                space.validate({**space.baseline, name: "wrong"})

    def test_an_architecture_is_exported_and_quantized(
        self, space: SearchSpace, drawn: list[Mapping[str, int | str]], tmp_path: Path
    ) -> None:
        """The float file computes what torch does, without the shuffles; the int8 file runs."""
        images = np.random.default_rng(0).random((2, 3, *IMG_SIZE), dtype=np.float32)
        fp32 = _exported(space, drawn[0], images, tmp_path)
        choices = Quantization(float_modules=space.float_modules)
        int8 = quantize_int8(fp32, tmp_path / "int8.onnx", calibration=images, choices=choices)
        assert OnnxDetector(int8)(images).shape == (2, 7, 4, 6)

    @pytest.mark.slow  # exports four networks
    def test_shuffles_are_folded_in_every_architecture(
        self, space: SearchSpace, drawn: list[Mapping[str, int | str]], tmp_path: Path
    ) -> None:
        """Also where groups, depths and kernels are others."""
        images = np.random.default_rng(0).random((2, 3, *IMG_SIZE), dtype=np.float32)
        for architecture in drawn[1:]:
            _exported(space, architecture, images, tmp_path)


def _exported(
    space: SearchSpace, architecture: Mapping[str, int | str], images: NDArray[np.float32], folder: Path
) -> Path:
    """The float file of random weights, equal to torch but for rounding, without a transpose.

    With the statistics of one batch torch's own float32 outputs differ from float64 by up to 3e-4.
    """
    network = build_detector(architecture, space=space, num_classes=2, seed=1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # the statistics of one batch: each layer's outputs differ by image
    network.train()(torch.from_numpy(images))
    fp32 = export_onnx(network, folder / "model.onnx", img_size=IMG_SIZE, metadata={})
    check_parity(network, fp32, images, atol=1e-3)
    assert not {node.op_type for node in onnx.load(fp32).graph.node} & {"Transpose", "Reshape"}
    return fp32
