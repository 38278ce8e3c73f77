"""Scores that count: parameters, multiply-accumulates, activations, and the entropy of arXiv:2303.02165."""

from torch import nn

from mlflow_nas.estimate.complexity import complexity
from mlflow_nas.estimate.contract import Probe
from mlflow_nas.estimate.layers import conv_layers

__all__ = ["act_elems", "macs", "params"]


def params(network: nn.Module, probe: Probe) -> float:  # noqa: ARG001 - every score takes both
    """Trainable parameters of the network as it is trained, BatchNorm not yet folded."""
    return float(sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad))


def macs(network: nn.Module, probe: Probe) -> float:
    """Multiply-accumulates of one image at the architecture's own input size; FLOPs are twice that."""
    return complexity(network, probe.img_size)["macs"]


def act_elems(network: nn.Module, probe: Probe) -> float:
    """Elements that the convolutions write for one image ("activations" of arXiv:2003.13678)."""
    return float(
        sum(layer.c_out * layer.height * layer.width for layer in conv_layers(network, probe.img_size))
    )
