"""Probes: the baseline detector on generated scenes, and networks small enough for closed forms."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mlflow_nas.estimate import ScoringInputs
from mlflow_nas.estimate.network import raw_output


@pytest.fixture
def inputs_of() -> Callable[..., ScoringInputs]:
    """A inputs of one network; its loss is the mean of the output's squares unless another is given."""

    def make(
        network: nn.Module,
        *,
        images: Tensor | None = None,
        targets: Tensor | None = None,
        loss: Callable[[Any, Tensor], Tensor] | None = None,
        seeds: tuple[int, ...] = (0,),
    ) -> ScoringInputs:
        batch = torch.rand(4, 3, 8, 8) if images is None else images
        of_raw = loss or (lambda raw, _targets: raw.square().mean())
        return ScoringInputs(
            architecture={},
            encoding=(),
            img_size=(int(batch.shape[-2]), int(batch.shape[-1])),
            build=lambda _seed: network,
            images=batch,
            targets=torch.zeros(1, 7) if targets is None else targets,
            loss=lambda network, given, targets: of_raw(raw_output(network, given), targets),
            seeds=seeds,
        )

    return make
