"""The convolutions of a network and the shapes of their outputs, without arithmetic."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

__all__ = [
    "ConvLayer",
    "block_ends",
    "conv_layers",
    "dry",
    "hidden_convolutions",
    "output_convolutions",
    "raw_maps",
    "raw_output",
]


class ConvLayer(NamedTuple):
    """One call of a convolution: [c_in, H, W] -> [c_out, height, width]."""

    name: str
    c_in: int
    c_out: int
    kernel_area: int
    groups: int
    height: int
    width: int
    output: Tensor

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one image; a bias costs none."""
        return self.c_in // self.groups * self.kernel_area * self.c_out * self.height * self.width


def raw_output(network: nn.Module, images: Tensor) -> Any:
    """The network's output before any activation: that of its `raw` where it has one."""
    return getattr(network, "raw", network)(images)


def raw_maps(raw: Any) -> list[Tensor]:
    """The tensors of a raw output: a tensor, or a nested tuple with None for missing branches."""
    return [raw] if isinstance(raw, Tensor) else [maps for part in raw or () for maps in raw_maps(part)]


def _dry_pass(network: nn.Module, img_size: tuple[int, int]) -> tuple[list[ConvLayer], list[Tensor]]:
    """The convolutions in the order of execution for one image [3, *img_size], and the raw output."""
    with dry(network) as layers, torch.inference_mode():
        maps = raw_maps(raw_output(network, torch.zeros(1, 3, *img_size)))
    return layers, maps


def conv_layers(network: nn.Module, img_size: tuple[int, int]) -> list[ConvLayer]:
    """The convolutions in the order of execution for one image [3, *img_size]; one per call."""
    return _dry_pass(network, img_size)[0]


def output_convolutions(network: nn.Module, img_size: tuple[int, int]) -> set[str]:
    """Names of the convolutions that only BatchNorm or ReLU follow."""
    return _outputs(*_dry_pass(network, img_size))


def hidden_convolutions(network: nn.Module, img_size: tuple[int, int]) -> list[ConvLayer]:
    """`conv_layers` without `output_convolutions`."""
    layers, maps = _dry_pass(network, img_size)
    outputs = _outputs(layers, maps)
    return [layer for layer in layers if layer.name not in outputs]


def _outputs(layers: list[ConvLayer], maps: list[Tensor]) -> set[str]:
    return {layer.name for layer in layers if any(layer.output is output for output in maps)}


def block_ends(network: nn.Module, img_size: tuple[int, int]) -> list[nn.Module]:
    """The consecutive blocks of the network, without the output layers.

    A block is a module with a single output map: a residual block of the backbone, a neck, the first layers
    of a head. Modules with several output maps, and sequences of modules, are replaced by their children.
    """
    single_output: dict[nn.Module, bool] = {}

    def remember(module: nn.Module, _inputs: Any, output: Any) -> None:
        single_output[module] = isinstance(output, Tensor)

    hooks = [module.register_forward_hook(remember) for module in network.modules() if module is not network]
    try:
        outputs = output_convolutions(network, img_size)
    finally:
        for hook in hooks:
            hook.remove()
    blocks = {
        block
        for name, block in _blocks_in(network, "", single_output)
        if not any(f"{output}.".startswith(f"{name}.") for output in outputs)
    }
    return [module for module in single_output if module in blocks]


def _blocks_in(
    module: nn.Module, name: str, single_output: dict[nn.Module, bool]
) -> Iterator[tuple[str, nn.Module]]:
    for child_name, child in module.named_children():
        path = f"{name}.{child_name}" if name else child_name
        if not any(isinstance(part, nn.Conv2d) for part in child.modules()):
            continue
        if _is_block(child, single_output):
            yield path, child
        else:
            yield from _blocks_in(child, path, single_output)


def _is_block(module: nn.Module, single_output: dict[nn.Module, bool]) -> bool:
    """Whether the module has a single output map and is not a sequence of blocks."""
    if not isinstance(module, nn.Sequential):
        return single_output.get(module, False)
    return any(isinstance(child, nn.Conv2d) for child in module.children())


@contextmanager
def dry(network: nn.Module) -> Iterator[list[ConvLayer]]:
    """Context in which convolutions return tensors of the right shape without content, and are recorded.

    BatchNorm and ReLU return their input. That is ten times as fast as a forward of the baseline.
    """
    layers: list[ConvLayer] = []
    changed = []
    for name, module in network.named_modules():
        forward = _dry_forward(name, module, layers)
        if forward is not None:
            module.forward = forward
            changed.append(module)
    try:
        yield layers
    finally:
        for module in changed:
            del module.forward


def _dry_forward(name: str, module: nn.Module, layers: list[ConvLayer]) -> Callable[[Tensor], Tensor] | None:
    if isinstance(module, nn.BatchNorm2d | nn.ReLU):
        return lambda x: x
    return _dry_convolution(name, module, layers) if type(module) is nn.Conv2d else None


def _dry_convolution(
    name: str, convolution: nn.Conv2d, layers: list[ConvLayer]
) -> Callable[[Tensor], Tensor]:
    def forward(x: Tensor) -> Tensor:
        height, width = _output_size(convolution, x)
        output = x.new_zeros(x.shape[0], convolution.out_channels, height, width)
        layers.append(
            ConvLayer(
                name=name,
                c_in=convolution.in_channels,
                c_out=convolution.out_channels,
                kernel_area=convolution.kernel_size[0] * convolution.kernel_size[1],
                groups=convolution.groups,
                height=height,
                width=width,
                output=output,
            )
        )
        return output

    return forward


def _output_size(convolution: nn.Conv2d, x: Tensor) -> tuple[int, int]:
    """Height and width of the convolution's output for x [b, c, h, w]."""
    left, right, top, bottom = convolution._reversed_padding_repeated_twice
    padded = (x.shape[2] + top + bottom, x.shape[3] + left + right)
    height, width = (
        (size - dilation * (kernel - 1) - 1) // stride + 1
        for size, dilation, kernel, stride in zip(
            padded, convolution.dilation, convolution.kernel_size, convolution.stride, strict=True
        )
    )
    return height, width
