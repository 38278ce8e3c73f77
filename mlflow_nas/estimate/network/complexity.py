"""FLOPs, multiply-accumulates and parameters of a network."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from mlflow_nas.estimate.network.layers import dry

__all__ = ["complexity"]


class _Flops(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sums the FLOPs of operators by torch's own formulas.

    `FlopCounterMode` sums them per module as well, which takes six times as long.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run an operator and count it."""
        output = func(*args, **(kwargs or {}))
        if (formula := flop_registry.get(func.overloadpacket)) is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=output)
        return output


def complexity(network: nn.Module, img_size: tuple[int, int]) -> dict[str, float]:
    """Cost of one image at the network's own input size.

    Convolutions are counted from their shapes, everything else by torch's formulas, which leave out
    BatchNorm, activations and resizing; one multiply-accumulate is two FLOPs.

    Args:
        network: any module that takes float32 [1, 3, H, W]; its mode is restored.
        img_size: height and width in pixels.

    Returns:
        {"flops", "macs", "params"}, params being the trainable ones.
    """
    was_training = network.training
    network.eval()
    try:
        # Not inference_mode: composite operators would reach the counter undecomposed.
        with torch.no_grad(), dry(network) as layers, _Flops() as counter:
            network(torch.zeros(1, 3, *img_size))
    finally:
        network.train(was_training)
    macs = sum(layer.macs for layer in layers) + counter.total / 2
    params = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    return {"flops": 2 * macs, "macs": float(macs), "params": float(params)}
