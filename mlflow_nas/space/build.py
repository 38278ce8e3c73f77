"""A network of a space with its first weights."""

from collections.abc import Sequence

import torch
from torch import nn

from mlflow_nas.errors import CandidateError, NasError
from mlflow_nas.space.fastestdet.spaces import fastestdet_head
from mlflow_nas.space.fastestdet.transfer import slice_weights
from mlflow_nas.space.parameter import Value
from mlflow_nas.space.search_space import SearchSpace
from mlflow_nas.space.weights import BackboneWeights, SeedWeights
from mlflow_nas.types import Architecture
from mlflow_nas.user_code import describe_error

__all__ = ["build_detector", "is_whole", "keeps_trunk", "part_at", "single_changes"]


def is_whole(weights: SeedWeights, space: SearchSpace, *, num_classes: int) -> bool:
    """Whether the weights are those of a whole baseline of the space.

    Args:
        weights: of a FastestDet of any classes, or of a network of these.
        space: of the baseline.
        num_classes: number of classes.
    """
    classes = weights.num_classes or num_classes
    wanted = build_detector(space.baseline, num_classes=classes, space=space).state_dict()
    return wanted.keys() <= weights.state.keys()


def part_at(network: nn.Module, path: str | None) -> nn.Module | None:
    """The module at a path; None without a path or a module."""
    try:
        return network.get_submodule(path) if path else None
    except AttributeError:
        return None


def keeps_trunk(space: SearchSpace) -> bool:
    """Whether all architectures of a space have the baseline's trunk, checked one parameter at a time.

    Each parameter is tried alone, words one by one, numbers at both ends. Where one of these can't be built
    the answer is no: other choices with it may have another trunk.
    """
    seed = _trunk_of(space, space.baseline)
    return bool(seed) and all(_trunk_of(space, one) == seed for one in single_changes(space))


def single_changes(space: SearchSpace) -> list[dict[str, Value]]:
    """The baseline with one parameter changed: to each word, or to either end of numbers."""
    baseline = space.validate(space.baseline)
    return [
        {**baseline, name: value}
        for name, parameter in space.parameters.items()
        for value in (
            parameter.values if parameter.is_categorical else (parameter.values[0], parameter.values[-1])
        )
    ]


def _trunk_of(space: SearchSpace, architecture: Architecture) -> str | None:
    """The printed trunk of an architecture: "" where it has none, None where it can't be built."""
    try:
        network = build_detector(architecture, num_classes=1, space=space)
    except CandidateError:
        return None
    return str(part_at(network, space.trunk) or "")


def build_detector(
    architecture: Architecture,
    *,
    num_classes: int,
    space: SearchSpace | None = None,
    backbone_weights: BackboneWeights | None = None,
    weights: SeedWeights | None = None,
    class_indexes: Sequence[int] | None = None,
    seed: int = 0,
) -> nn.Module:
    """Build one architecture of a space and give it its first weights.

    Args:
        architecture: a member of the space.
        num_classes: number of classes.
        space: of the architecture; None for `fastestdet-head`.
        backbone_weights: state of the backbone (torchvision's names), from `load_backbone_weights`.
        weights: a whole trained seed network, from `load_seed_weights`; transferred where they fit.
        class_indexes: of a network that knows more classes than it gives: all of them, those that it gives
            first; None for those of the weights.
        seed: of the weights that are drawn at random.

    Raises:
        CandidateError: the space can't build the architecture.
        ConfigError: the architecture is not in the space, or the weights do not fit the seed network.
    """
    chosen = space or fastestdet_head()
    valid = chosen.validate(architecture)
    order = class_indexes or (weights.class_indexes if weights else None) or ()
    torch.manual_seed(seed)
    try:
        network = chosen.build(valid, max(num_classes, len(order)))
    except NasError:
        raise
    except (Exception, SystemExit) as error:  # a user's space may fail in any way
        raise CandidateError(
            f"The space {chosen.name} can't build {chosen.key(valid)}: {describe_error(error)}"
        ) from error
    if not isinstance(network, nn.Module):
        raise CandidateError(
            f"The build function of the space {chosen.name} returns {type(network).__name__} for "
            f"{chosen.key(valid)}, expected is a torch.nn.Module: return one."
        )
    if len(order) > num_classes:
        network.show(order, num_classes)  # type: ignore[operator]  # a FastestDet
    if weights is not None and chosen.transfer is not None:
        weights.transfer_weights(network, chosen.transfer)
    elif weights is None and backbone_weights is not None:
        state = {f"backbone.{name}": value for name, value in backbone_weights.items()}
        own = {name: value for name, value in network.state_dict().items() if name in state}
        network.load_state_dict(slice_weights(state, own), strict=False)
    return network
