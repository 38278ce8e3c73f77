"""Analytic scores: parameters, multiply-accumulates, activations, and the entropy of arXiv:2303.02165."""

import math
from collections.abc import Sequence

from torch import nn

from mlflow_nas.estimate.contract import ScoringInputs, UndefinedScoreError
from mlflow_nas.estimate.network import ConvLayer, complexity, conv_layers, hidden_convolutions

__all__ = ["act_elems", "deepmad", "macs", "params", "stage_entropy"]

_BACKBONE_STAGES = 3
_HEAD_WEIGHT = 8


def params(network: nn.Module, inputs: ScoringInputs) -> float:  # noqa: ARG001 - every score takes both
    """Trainable parameters of the network as it is trained, BatchNorm not yet folded."""
    return float(sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad))


def macs(network: nn.Module, inputs: ScoringInputs) -> float:
    """Multiply-accumulates of one image at the architecture's own input size; FLOPs are twice that."""
    return complexity(network, inputs.img_size)["macs"]


def act_elems(network: nn.Module, inputs: ScoringInputs) -> float:
    """Elements that the convolutions write for one image ("activations" of arXiv:2003.13678)."""
    return float(
        sum(layer.c_out * layer.height * layer.width for layer in conv_layers(network, inputs.img_size))
    )


def deepmad(network: nn.Module, inputs: ScoringInputs) -> float:
    """Entropies of the backbone's last three stages and, with weight 8, of the whole (arXiv:2303.02165).

    The weights are those of DeepMAD's public detection code; the output convolutions are left out.

    Raises:
        UndefinedScoreError: the network has no convolution before its output.
    """
    layers = hidden_convolutions(network, inputs.img_size)
    if not layers:
        raise UndefinedScoreError("the network has no convolution before its output")
    stages = [end for end in _stage_ends(layers)[-_BACKBONE_STAGES:] if end < len(layers)]
    return sum(stage_entropy(layers[:end]) for end in stages) + _HEAD_WEIGHT * stage_entropy(layers)


def stage_entropy(layers: Sequence[ConvLayer]) -> float:
    """(log channels + log cells of the last layer) x sum over layers of log(k^2 c_in / groups)."""
    last = layers[-1]
    size = math.log(last.c_out) + math.log(last.height * last.width)
    return size * sum(math.log(layer.kernel_area * layer.c_in / layer.groups) for layer in layers)


def _stage_ends(layers: Sequence[ConvLayer]) -> list[int]:
    """Number of layers up to the end of each resolution, on the way down to the coarsest.

    A stage ends before the first layer of a coarser map; the last one with the last layer of its map.
    """
    ends, finest = [], layers[0].height * layers[0].width
    for index, layer in enumerate(layers):
        if layer.height * layer.width < finest:
            finest = layer.height * layer.width
            ends.append(index)
    coarsest = [index for index, layer in enumerate(layers) if layer.height * layer.width == finest]
    return [*ends, coarsest[-1] + 1]
