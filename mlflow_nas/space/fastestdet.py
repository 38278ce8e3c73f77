"""The demo's space: the detection head of FastestDet (NXP, Embedded Vision Summit 2024)."""

import math

from mlflow_nas.space.search_space import Parameter, SearchSpace

__all__ = ["fastestdet_head"]


def _is_five(kernel_size: int) -> float:
    return float(kernel_size == 5)


def fastestdet_head() -> SearchSpace:
    """Kernel size, groups and channels of neck and head, and the input width: 2,080 architectures."""
    return SearchSpace(
        name="fastestdet-head",
        parameters={
            "kernel_size": Parameter(short="k", values=(3, 5), encode=_is_five),
            "groups": Parameter(short="g", values=(1, 2, 4, 8), encode=math.log2),
            "channels": Parameter(short="c", values=tuple(range(24, 97, 8)), encode=math.log),
            "img_width": Parameter(short="w", values=tuple(range(220, 321, 4)), encode=math.log),
        },
        baseline={"kernel_size": 5, "groups": 1, "channels": 96, "img_width": 320},
    )
