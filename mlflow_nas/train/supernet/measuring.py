"""Accuracy of a supernet's members, with BatchNorm statistics of their own.

Shared statistics are those of no member: BigNAS (arXiv:2003.11142) and OFA (arXiv:1908.09791) take them anew
for the members that are measured.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from mlflow_nas.networks import Meter
from mlflow_nas.train.fusion import fuse_batch_norms
from mlflow_nas.train.supernet.inputs import MemberBatches
from mlflow_nas.train.supernet.members import Member

__all__ = ["STATISTICS_PASSES", "evaluate_member", "with_statistics"]

STATISTICS_PASSES = 2
"""Differently augmented passes over the training images that the statistics are taken on."""


def with_statistics(member: Member, shared: Mapping[str, Tensor], batches: MemberBatches) -> nn.Module:
    """The member's network with these shared tensors and statistics of training images, in eval mode."""
    network = member.load(shared).eval()
    passes = (batch for epoch in range(STATISTICS_PASSES) for batch in batches.train_pass(epoch))
    update_bn(([batch.features] for batch in passes), network)
    return network


def evaluate_member(
    member: Member, shared: Mapping[str, Tensor], batches: MemberBatches, *, meter: Meter
) -> dict[str, float]:
    """The metrics of an empty meter on the validation images with their augmentations."""
    network = fuse_batch_norms(with_statistics(member, shared, batches))
    with torch.inference_mode():
        for batch in batches.val():
            meter.add(network(batch.features).float().cpu(), batch)
    return meter.compute()
