"""A network of a space with its first weights."""

import torch

from mlflow_nas.errors import CandidateError, NasError
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
    """Whether all of a space have the baseline's `backbone`, as far as one change at a time tells.

    Each parameter is tried alone, words one by one, numbers at both ends. Where one of these can't be built,
    other choices with it might be, with a backbone that nobody saw: the answer is no.
    """
    baseline = space.validate(space.baseline)
    changed = [
        {**baseline, name: value}
        for name, parameter in space.parameters.items()
        for value in (
            parameter.values if parameter.is_categorical else (parameter.values[0], parameter.values[-1])
        )
    ]
    seed = _backbone_of(space, baseline)
    return bool(seed) and all(_backbone_of(space, one) == seed for one in changed)


def _backbone_of(space: SearchSpace, architecture: Architecture) -> str | None:
    """What an architecture's backbone looks like: "" where it has none, None where it can't be built."""
    try:
        network = build_detector(architecture, num_classes=1, space=space)
    except CandidateError:
        return None
    return str(getattr(network, "backbone", ""))


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
        CandidateError: the space can't build the architecture.
        ConfigError: the architecture is not in the space, or the weights do not fit the seed network.
    """
    chosen = space or fastestdet_head()
    valid = chosen.validate(architecture)
    torch.manual_seed(seed)
    try:
        network = chosen.build(valid, num_classes)
    except NasError:
        raise
    except Exception as error:  # a user's space may fail in any way
        raise CandidateError(
            f"The space {chosen.name} can't build {chosen.key(valid)}: {type(error).__name__}: {error}"
        ) from error
    if weights is not None:
        weights.hand_down(network, chosen.inherit)
    elif backbone_weights is not None:
        state = {f"backbone.{name}": value for name, value in backbone_weights.items()}
        own = {name: value for name, value in network.state_dict().items() if name in state}
        network.load_state_dict(inherit_detector(state, own), strict=False)
    return network
