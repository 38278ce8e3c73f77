"""Shapes and costs of a network, from one pass without arithmetic."""

from mlflow_nas.estimate.network.complexity import complexity
from mlflow_nas.estimate.network.layers import (
    ConvLayer,
    block_ends,
    conv_layers,
    hidden_convolutions,
    output_convolutions,
    raw_maps,
    raw_output,
)

__all__ = [
    "ConvLayer",
    "block_ends",
    "complexity",
    "conv_layers",
    "hidden_convolutions",
    "output_convolutions",
    "raw_maps",
    "raw_output",
]
