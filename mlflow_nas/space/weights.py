"""Weights from files: an ImageNet backbone, or a whole trained seed network to transfer from."""

import hashlib
import io
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torchvision.models import ShuffleNet_V2_X0_5_Weights

from mlflow_nas.disk import disk_error, write_whole
from mlflow_nas.errors import ConfigError
from mlflow_nas.space.fastestdet.backbone import ShuffleNetBackbone
from mlflow_nas.space.fastestdet.published import COCO_CLASSES, from_published
from mlflow_nas.space.search_space import Transfer

__all__ = [
    "BackboneWeights",
    "SeedWeights",
    "load_backbone_weights",
    "load_seed_weights",
    "save_weights",
    "state_digest",
]

BackboneWeights: TypeAlias = Mapping[str, Tensor]
"""State of the backbone, under torchvision's names."""

_log = logging.getLogger(__name__)

_SAVE = "Write it with torch.save(network.state_dict(), FILE)."

_CLASS_BRANCH, _OBJECTNESS_BRANCH = "head.classes.", "head.objectness."
_CONVOLUTION_DIMS = 4


@dataclass(frozen=True, slots=True)
class SeedWeights:
    """The state of a trained baseline network, and the file that it came from.

    Attributes:
        state: name to tensor.
        source: the file.
        class_indexes: indexes of its classes among the published ones, those that are wanted first; None
            where it has its own.
        all_classes: the same with all of them, in that case.
    """

    state: Mapping[str, Tensor]
    source: str
    class_indexes: tuple[int, ...] | None = None
    all_classes: "SeedWeights | None" = None

    @property
    def full(self) -> "SeedWeights":
        """With all of its classes."""
        return self.all_classes or self

    @property
    def num_classes(self) -> int | None:
        """Number of the classes of a FastestDet, 1 without a class branch; None for other networks."""
        outputs = self._class_outputs()
        if outputs:
            return self.state[outputs[0]].shape[0]
        return 1 if any(name.startswith(_OBJECTNESS_BRANCH) for name in self.state) else None

    def _class_outputs(self) -> list[str]:
        """Names of the tensors that produce the classes: the last layers of their branch."""
        branch = [name for name in self.state if name.startswith(_CLASS_BRANCH)]
        convolutions = [
            place for place, name in enumerate(branch) if self.state[name].dim() == _CONVOLUTION_DIMS
        ]
        return branch[convolutions[-1] :] if convolutions else []

    def for_classes(self, wanted: Sequence[str]) -> "SeedWeights":
        """The published detector for some of its 80 classes, in their order.

        For one class the class branch is left out. For several it keeps all 80: with fewer, what is another
        object would become one of them.
        """
        if self.num_classes != len(COCO_CLASSES) or not set(wanted) <= set(COCO_CLASSES):
            return self
        indexes, outputs = [COCO_CLASSES.index(name) for name in wanted], {*self._class_outputs()}
        if len(indexes) > 1:
            rest = [index for index in range(len(COCO_CLASSES)) if index not in indexes]
            return replace(self, class_indexes=(*indexes, *rest), all_classes=self)
        state = {
            name: value[indexes] if name in outputs and value.dim() else value
            for name, value in self.state.items()
        }
        return replace(self, state=state, class_indexes=tuple(indexes), all_classes=self)

    def fits(self, network: nn.Module) -> bool:
        """Whether they are the network's own: every tensor, in its shape."""
        wanted = network.state_dict()
        return wanted.keys() == self.state.keys() and all(
            value.shape == self.state[name].shape for name, value in wanted.items()
        )

    def transfer_weights(self, network: nn.Module, transfer: Transfer) -> None:
        """Initialize a network of any architecture from these weights, by its space's transfer.

        Raises:
            ConfigError: a tensor of the network is missing or can't be sliced to its shape.
        """
        network.load_state_dict(self.transferred(network, transfer))

    def transferred(self, network: nn.Module, transfer: Transfer) -> dict[str, Tensor]:
        """The first state of a network of any architecture, by its space's transfer.

        Raises:
            ConfigError: a tensor of the network is missing or can't be sliced to its shape.
        """
        try:
            return transfer(self.state, network.state_dict())
        except (KeyError, ValueError) as error:
            raise ConfigError(
                f"The weights {self.source} are not those of the baseline network: {error}. "
                "Give --weights a whole trained detector of the space's baseline."
            ) from error

    def unchanged_in(self, network: nn.Module) -> frozenset[str]:
        """Names of an untrained network's parameters that equal these weights."""
        return frozenset(
            name
            for name, own in network.named_parameters()
            if name in self.state and torch.equal(self.state[name], own)
        )

    def fill(self, network: nn.Module) -> None:
        """Load all weights into a network of the same architecture.

        Raises:
            ConfigError: a tensor is missing, unknown or of another shape.
        """
        try:
            network.load_state_dict(self.state)
        except RuntimeError as error:
            fault = str(error).partition("\n")[2].strip().partition("\n")[0]
            raise ConfigError(
                f"The weights {self.source} are not those of this architecture: {fault} "
                "Give the --arch and --space that they were trained with."
            ) from error


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise ConfigError(f"The weights file {path} does not exist: give the path of a state dict (.pth).")
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes torch and pickle raise nearly anything
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ConfigError(
            f"The weights file {path} can't be read as a state dict: {reason}. {_SAVE}"
        ) from error
    state = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else None
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise ConfigError(f"The weights file {path} holds no state dict (names to tensors). {_SAVE}")
    return state


def load_seed_weights(path: Path) -> SeedWeights:
    """Read a whole network: of any space, or the published FastestDet, with either layout of the backbone.

    Raises:
        ConfigError: the file is missing, unreadable or only a backbone.
    """
    try:
        state = from_published(_read(path))
    except (KeyError, IndexError) as error:
        raise ConfigError(
            f"{path} has tensors of FastestDet's published file and lacks {error}: download it again."
        ) from error
    bare = {name.removeprefix("backbone.") for name in state}
    if bare <= ShuffleNetBackbone().state_dict().keys():
        raise ConfigError(
            f"{path} holds no detection head: give it as training.backbone_weights if it is only a backbone."
        )
    return SeedWeights(state=state, source=str(path))


def load_backbone_weights(path: Path | None) -> dict[str, Tensor] | None:
    """ImageNet weights of the backbone: from a file, else torchvision's download, else None and a warning.

    Raises:
        ConfigError: the file given is missing, unreadable or not this backbone's.
    """
    if path is not None:
        return _backbone_part(_read(path), str(path))
    try:
        state = ShuffleNet_V2_X0_5_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        _log.warning(
            "ImageNet weights of the backbone can't be downloaded (%s): training starts from random weights "
            "and reaches a lower mAP. Give training.backbone_weights a file, or --weights a whole detector.",
            error,
        )
        return None
    return _backbone_part(dict(state), "torchvision's ImageNet weights")


def _backbone_part(state: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    wanted = ShuffleNetBackbone().state_dict()
    bare = {name.removeprefix("backbone."): value for name, value in state.items()}
    wrong = [name for name, value in wanted.items() if name not in bare or bare[name].shape != value.shape]
    if wrong:
        raise ConfigError(
            f"{source} does not fit torchvision's shufflenet_v2_x0_5: {len(wrong)} tensors are missing or of "
            f"another shape, first {wrong[0]}. Give a file of that network as training.backbone_weights."
        )
    return {name: bare[name] for name in wanted}


def save_weights(network: nn.Module, path: Path) -> Path:
    """Write a network's state dict, whole or not at all, to be read again by `load_seed_weights`.

    Raises:
        ConfigError: the folder may not be written.
        MachineError: the disk is full, read-only or broken.
    """
    content = io.BytesIO()
    torch.save(network.state_dict(), content)  # given a path, torch makes a RuntimeError of a full disk
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(path, error) from error
    return write_whole(path, content.getvalue())


def state_digest(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of a state dict's names, types, shapes and numbers, hexadecimal."""
    digest = hashlib.sha256()
    for name, value in state.items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.detach().cpu().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
