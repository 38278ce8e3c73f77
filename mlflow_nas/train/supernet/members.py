"""The members of a supernet: networks of a space whose weights follow from the shared ones."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mlflow_nas.errors import CandidateError
from mlflow_nas.space import (
    INPUT_SIZES,
    NetworkWeights,
    SearchSpace,
    SeedWeights,
    SharedWeights,
    Transfer,
    single_changes,
)
from mlflow_nas.tasks import checked_loss
from mlflow_nas.train.supernet.inputs import Given
from mlflow_nas.train.teacher import Soft
from mlflow_nas.types import Architecture

__all__ = ["Member", "Members"]

_CACHED = 256
"""Networks: building one takes as long as a step."""


class _Loss(nn.Module):
    """A network whose forward pass is its loss."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, given: Given, targets: Tensor, distilled: tuple[Soft, float] | None) -> Tensor:
        """Images, or the trunk's outputs, and their targets to the loss."""
        if distilled is None:
            return checked_loss(self.network.loss(given, targets), self.network)  # type: ignore[operator]  # a Network
        loss = self.network.distilled_loss(given, targets, *distilled)  # type: ignore[operator]  # as well
        return checked_loss(loss, self.network)


@dataclass(frozen=True, slots=True)
class Member:
    """One network of a supernet.

    Attributes:
        network: its layers; without its backbone where all members share a frozen one.
        weights: how its parameters follow from the shared tensors.
    """

    network: nn.Module
    weights: NetworkWeights

    def loss(
        self,
        shared: Mapping[str, Tensor],
        given: Given,
        targets: Tensor,
        distilled: tuple[Soft, float] | None = None,
    ) -> Tensor:
        """The loss in the network's current mode, differentiable in the shared tensors.

        Args:
            shared: by name.
            given: the network's input.
            targets: of the task.
            distilled: the teacher's soft targets and their weight; None without a teacher.
        """
        own = {f"network.{name}": value for name, value in self.weights.of(shared).items()}
        loss: Tensor = functional_call(_Loss(self.network), own, (given, targets, distilled))
        return loss

    def load(self, shared: Mapping[str, Tensor]) -> nn.Module:
        """The network with the values that follow from the shared tensors."""
        with torch.no_grad():
            for name, value in self.weights.of(shared).items():
                self.network.get_parameter(name).copy_(value)
        return self.network


class Members:
    """Builds the members of a supernet, and keeps the last ones.

    Args:
        space: of the architectures.
        build: architecture to a network with weights drawn at random.
        seed: the seed network's weights.
        transfer: of the space.
        frozen: path of the part that is not trained; None for none.
        shares_backbone: all members have the seed's backbone and it is frozen; members then have none.
        device: of networks and shared tensors.

    Attributes:
        shared: the tensors that are trained.
        backbone: of all members, in eval mode; None where it is trained or differs.

    Raises:
        ConfigError: the seed's weights don't fit the space.
    """

    def __init__(
        self,
        space: SearchSpace,
        build: Callable[[Architecture], nn.Module],
        seed: SeedWeights,
        *,
        transfer: Transfer,
        frozen: str | None,
        shares_backbone: bool,
        device: torch.device,
    ) -> None:
        self._space, self._build, self._device = space, build, device
        self._frozen = frozen
        self._cached: OrderedDict[str, Member] = OrderedDict()
        baseline = build(space.baseline)
        names = [name for name, _ in baseline.named_parameters()]
        prefix = f"{frozen}." if frozen else None
        self.shared = SharedWeights(seed, transfer, trained=names, frozen=prefix, device=device)
        self._sizes_differ = self._extend(str(baseline))
        self.backbone: nn.Module | None = None
        if shares_backbone:
            self.backbone = self._attached(baseline).network.get_submodule(str(frozen)).eval()

    def _extend(self, baseline: str) -> bool:
        """Share what the seed lacks; whether the input's size changes the network's layers."""
        differ = False
        for architecture in single_changes(self._space):
            try:
                network = self._build(architecture)
            except CandidateError:
                continue
            self.shared.extend(network)
            if any(architecture.get(name) != self._space.baseline.get(name) for name in INPUT_SIZES):
                differ = differ or str(network) != baseline
        return differ

    def _attached(self, network: nn.Module) -> Member:
        weights = self.shared.attach(network)
        network.to(self._device).to(memory_format=torch.channels_last)
        return Member(network.requires_grad_(False), weights)

    def __getitem__(self, architecture: Architecture) -> Member:
        """The member of an architecture.

        Raises:
            CandidateError: it can't be built.
        """
        key = self.name(architecture)
        if key in self._cached:
            self._cached.move_to_end(key)
            return self._cached[key]
        member = self._attached(self._build(architecture))
        if self.backbone is not None:
            member.network.set_submodule(str(self._frozen), nn.Identity())
        self._cached[key] = member
        if len(self._cached) > _CACHED:
            self._cached.popitem(last=False)
        return member

    def name(self, architecture: Architecture) -> str:
        """Equal for architectures that are one network at several input sizes."""
        if not self._sizes_differ:
            sizes = {name: self._space.baseline[name] for name in INPUT_SIZES if name in architecture}
            architecture = {**architecture, **sizes}
        return self._space.key(architecture)

    def input_size(self, architecture: Architecture) -> dict[str, object]:
        """The values of its parameters of the input's size."""
        return {name: architecture[name] for name in INPUT_SIZES if name in architecture}

    def train_mode(self, member: Member) -> nn.Module:
        """The member's network, with batch statistics in all parts but the frozen one."""
        network = member.network.train()
        if self._frozen and self.backbone is None:
            network.get_submodule(self._frozen).eval()
        return network
