"""A network of a space with its first weights."""

import torch

from mlflow_nas.space.fastestdet import fastestdet_head
from mlflow_nas.space.inherit import inherit_detector
from mlflow_nas.space.network import FastestDet
from mlflow_nas.space.search_space import SearchSpace
from mlflow_nas.space.weights import BackboneWeights, SeedWeights
from mlflow_nas.types import Architecture

__all__ = ["build_detector", "is_whole", "keeps_backbone"]


def is_whole(weights: SeedWeights, space: SearchSpace) -> bool:
    """Whether weights are a trained baseline of the space, of any classes, and not only parts of one."""
    wanted = space.build(space.validate(space.baseline), 1).state_dict()
    return wanted.keys() <= weights.state.keys()


def keeps_backbone(space: SearchSpace) -> bool:
    """Whether all of a space have the baseline's `backbone`: each parameter is tried at both ends."""
    baseline = space.validate(space.baseline)
    changed = (
        {**baseline, name: end}
        for name, parameter in space.parameters.items()
        for end in (parameter.values[0], parameter.values[-1])
    )
    seed, *others = (getattr(space.build(one, 1), "backbone", None) for one in (baseline, *changed))
    return seed is not None and all(str(other) == str(seed) for other in others)


def build_detector(
    architecture: Architecture,
    *,
    num_classes: int,
    space: SearchSpace | None = None,
    backbone_weights: BackboneWeights | None = None,
    weights: SeedWeights | None = None,
    seed: int = 0,
) -> FastestDet:
    """Build one architecture of a space and give it its first weights.

    Args:
        architecture: a member of the space.
        num_classes: how many classes the detector tells apart.
        space: where the architecture is from; None for `fastestdet-head`.
        backbone_weights: state of the backbone (torchvision's names), from `load_backbone_weights`.
        weights: a whole trained seed network, from `load_seed_weights`; the architecture inherits what fits.
        seed: of the weights that are drawn at random.

    Raises:
        ConfigError: the architecture is not in the space, or the weights do not fit the seed network.
    """
    chosen = space or fastestdet_head()
    torch.manual_seed(seed)
    network = chosen.build(chosen.validate(architecture), num_classes)
    if weights is not None:
        weights.hand_down(network, chosen.inherit)
    elif backbone_weights is not None:
        state = {f"backbone.{name}": value for name, value in backbone_weights.items()}
        own = {name: value for name, value in network.state_dict().items() if name in state}
        network.load_state_dict(inherit_detector(state, own), strict=False)
    return network
