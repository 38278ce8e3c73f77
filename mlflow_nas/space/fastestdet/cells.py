"""Decoding of a cell's box terms.

Shapes: b batch, h x w cells.
"""

import torch
from torch import Tensor

__all__ = ["boxes_of_cells"]


def boxes_of_cells(terms: Tensor) -> Tensor:
    """Box terms tx, ty, tw, th [b, 4, h, w] -> boxes [b, 4, h, w] as cx, cy, w, h relative to the image.

    centre = ((tanh(tx) + x) / w, (tanh(ty) + y) / h), size = (sigmoid(tw), sigmoid(th)) for cell (x, y).
    """
    height, width = terms.shape[-2:]
    x = torch.arange(width, device=terms.device, dtype=terms.dtype)
    y = torch.arange(height, device=terms.device, dtype=terms.dtype).unsqueeze(1)
    centre_x = (terms[:, 0].tanh() + x) / width
    centre_y = (terms[:, 1].tanh() + y) / height
    return torch.stack([centre_x, centre_y, terms[:, 2].sigmoid(), terms[:, 3].sigmoid()], dim=1)
