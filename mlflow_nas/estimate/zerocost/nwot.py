"""NWOT: how differently the ReLUs of the network switch for different images."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from mlflow_nas.estimate.contract import ScoringInputs, UndefinedScoreError
from mlflow_nas.estimate.network import raw_output
from mlflow_nas.estimate.zerocost.batchnorm import batch_statistics

__all__ = ["nwot"]

_RELUS = {F.relu, F.relu_, F.relu6, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_}


class _Codes(TorchFunctionMode):
    """Counts, over every ReLU within the block, the units in which two images have the same sign."""

    def __init__(self) -> None:
        super().__init__()
        self.agreements: Tensor | None = None
        self.units = 0
        self._inside = False

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run the function and record the signs of a ReLU's output."""
        del types
        result = func(*args, **(kwargs or {}))
        if func in _RELUS:
            self._add(result)
        return result

    def _add(self, activation: Tensor) -> None:
        # [b, units] of 0 and 1; relu(x) > 0 exactly where x > 0, also for in-place ReLUs
        code = (activation.detach().flatten(1) > 0).float()
        both = (code @ code.T).double()  # exact up to 2^24 units
        ones = both.diagonal()
        same = 2 * both + code.shape[1] - ones[:, None] - ones[None, :]
        self.agreements = same if self.agreements is None else self.agreements + same
        self.units += code.shape[1]


def nwot(network: nn.Module, inputs: ScoringInputs) -> float:
    """Log |det K|, K[i, j] the number of ReLUs in which images i and j agree (arXiv:2006.04647, version 3).

    BatchNorm in mode T.

    Raises:
        UndefinedScoreError: the network has no ReLU, or two images switch all of them alike.
    """
    with torch.no_grad(), _Codes() as codes:
        raw_output(batch_statistics(network), inputs.images)
    if codes.agreements is None:
        raise UndefinedScoreError("the network has no ReLU")
    alike = int((codes.agreements == codes.units).sum()) - len(inputs.images)
    if alike:
        raise UndefinedScoreError(f"{alike // 2} pairs of images switch every ReLU alike: log det is -inf")
    return float(torch.linalg.slogdet(codes.agreements).logabsdet)
