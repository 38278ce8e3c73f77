"""BatchNorm layers that keep their statistics: those of a part that equals the trained seed network.

Statistics of small batches are noise, and their moving average replaces those of the large data set that the
seed network was trained on: detectors are fine-tuned with fixed statistics (arXiv:1512.03385, appendix A;
figures in docs/results/detector.md). Scale and shift are trained.
"""

from collections.abc import Collection

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mlflow_nas.space import part_at

__all__ = ["kept_norms"]


def kept_norms(network: nn.Module, *, unchanged: Collection[str], trunk: str | None) -> dict[str, _BatchNorm]:
    """Path to each layer whose input has the statistics that the seed network knows.

    They are all layers where all parameters equal the seed network's, else those of the trunk, which takes
    the images, where all of its parameters do. Behind a sliced layer statistics differ.

    Args:
        network: before its training.
        unchanged: names of the parameters that equal the seed network's.
        trunk: path of the part that takes the images; None for none.
    """
    for path in ("", trunk):
        part = network if path == "" else part_at(network, path)
        if part is None:
            continue
        prefix = f"{path}." if path else ""
        names = [f"{prefix}{name}" for name, _ in part.named_parameters()]
        if names and all(name in unchanged for name in names):
            return {
                f"{prefix}{name}": layer
                for name, layer in part.named_modules()
                if isinstance(layer, _BatchNorm) and layer.running_mean is not None
            }
    return {}
