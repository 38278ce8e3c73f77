"""What a model file takes: images as floats, or as a camera's bytes."""

from __future__ import annotations

from typing import Any, NamedTuple

from mlflow_nas.board.runtime.failure import Failure

__all__ = ["FLOAT_NCHW", "INPUT_ENTRY", "INT8_NHWC_RGB", "UINT8_NHWC_RGBX", "ImageInput", "image_input"]

INPUT_ENTRY = "mlflow_nas.input"
"""The metadata entry of the file's input contract; files without it take floats."""

FLOAT_NCHW, UINT8_NHWC_RGBX, INT8_NHWC_RGB = "float-nchw", "uint8-nhwc-rgbx", "int8-nhwc-rgb"

ZERO_POINT = 128
"""Of INT8_NHWC_RGB: what a pixel's byte is less."""


class ImageInput(NamedTuple):
    """The input of an opened file.

    Attributes:
        name: of the input.
        contract: FLOAT_NCHW, UINT8_NHWC_RGBX or INT8_NHWC_RGB.
        size: height and width; not numbers where the file leaves them open.
        channels: of an image, 3, or what a file without a contract declares.
    """

    name: str
    contract: str
    size: tuple[Any, Any]
    channels: Any

    def feed(self, image: Any) -> dict[str, Any]:
        """The input for an image, float [1, C, H, W] in 0..1."""
        import numpy as np

        if self.contract == FLOAT_NCHW:
            return {self.name: image}
        taken = np.rint(image * 255).clip(0, 255).transpose(0, 2, 3, 1)
        if self.contract == INT8_NHWC_RGB:
            return {self.name: (taken - ZERO_POINT).astype(np.int8)}
        pixels = np.zeros((1, *image.shape[2:], 4), dtype=np.uint8)
        pixels[..., :3] = taken
        return {self.name: pixels}


def image_input(session: Any) -> ImageInput:
    """The first input of a session, by the contract in the file's metadata."""
    node = session.get_inputs()[0]
    contract = session.get_modelmeta().custom_metadata_map.get(INPUT_ENTRY, FLOAT_NCHW)
    shape = [*node.shape, None, None, None, None]
    if contract == FLOAT_NCHW:
        return ImageInput(node.name, contract, (shape[2], shape[3]), shape[1])
    if contract in (UINT8_NHWC_RGBX, INT8_NHWC_RGB):
        return ImageInput(node.name, contract, (shape[1], shape[2]), 3)
    known = f"{FLOAT_NCHW}, {UINT8_NHWC_RGBX}, {INT8_NHWC_RGB}"
    raise Failure("model", f"the file's {INPUT_ENTRY} is {contract!r}, known are {known}: upgrade mlflow_nas")
