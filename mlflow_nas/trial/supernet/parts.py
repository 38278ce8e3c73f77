"""What a supernet of a study is made of: members, input sizes, batches, and the fingerprint of all."""

import inspect
import itertools
import math
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import nn

from mlflow_nas.errors import CandidateError, ConfigError
from mlflow_nas.estimate import complexity
from mlflow_nas.space import INPUT_SIZES, SeedWeights, build_detector, keeps_trunk, state_digest
from mlflow_nas.train import Recipe
from mlflow_nas.train.supernet import STATISTICS_PASSES, MemberBatches, Members
from mlflow_nas.trial.cache import file_digest
from mlflow_nas.trial.context import StudyContext
from mlflow_nas.types import Architecture

__all__ = ["SupernetParts"]

VERSION = 1
"""Of the code that trains and measures, raised by a change that alters its output."""
RATE_OF_A_TRIAL = 0.7
"""Peak rate as a multiple of a trial's, between that of sliced and that of unchanged weights."""
SIZES = 7
"""Number of input sizes that it is trained at."""
POOL = 256
"""Number of networks that random members are drawn from: building one takes longer than a step."""
_LIMIT_BYTES = 2 * 1024**3
_HALF_BYTES = 2


class SupernetParts:
    """What a supernet of a study is made of.

    Args:
        context: of the study.
        device: that trains and measures.

    Raises:
        ConfigError: the space transfers no weights.
    """

    def __init__(self, context: StudyContext, device: torch.device) -> None:
        self.context, self.device, space = context, device, context.space
        self.seed = context.weights or SeedWeights(
            state=context.build(space.baseline).state_dict(), source="the baseline's first weights"
        )
        if space.transfer is None or space.task != "detection":
            raise ConfigError(
                f"The space {space.name} shares no weights, so it has no supernet: give its SearchSpace a "
                "transfer, or choose another --estimator."
            )
        self.transfer = space.transfer
        rate = RATE_OF_A_TRIAL * context.recipe.learning_rate
        self.recipe: Recipe = replace(context.recipe, learning_rate=rate)

    def build(self, architecture: Architecture) -> nn.Module:
        """A network with weights drawn at random."""
        context = self.context
        return build_detector(
            architecture,
            num_classes=len(context.val.classes),
            space=context.space,
            class_indexes=self.seed.class_indexes,
            seed=context.seed,
        )

    @cached_property
    def members(self) -> Members:
        """All architectures of the space as members."""
        freeze, space = self.recipe.freeze, self.context.space
        shared = freeze == "backbone" and space.caches_trunk and keeps_trunk(space) and self.copies > 0
        return Members(
            space,
            self.build,
            self.seed,
            transfer=self.transfer,
            frozen=self.context.parts.frozen(freeze),
            shares_backbone=shared,
            device=self.device,
        )

    @cached_property
    def sizes(self) -> list[dict[str, Any]]:
        """Values of the parameters of the input's size to train at, by area; both ends are among them."""
        space = self.context.space
        names = [name for name in INPUT_SIZES if name in space.parameters]
        rows = itertools.product(*(space.parameters[name].values for name in names))
        every = [dict(zip(names, row, strict=True)) for row in rows]
        every.sort(key=lambda one: math.prod(self.context.input_size({**space.baseline, **one})))
        count = min(SIZES, len(every))
        return [every[round(place * (len(every) - 1) / max(count - 1, 1))] for place in range(count)]

    @cached_property
    def _bytes_per_image(self) -> int:
        """Of a frozen backbone's outputs at the largest input size."""
        context, largest = self.context, {**self.context.space.baseline, **self.sizes[-1]}
        backbone = context.build(largest).get_submodule(str(context.space.trunk)).eval()
        with torch.inference_mode():
            outputs = backbone(torch.zeros(1, 3, *context.input_size(largest)))
        return _HALF_BYTES * sum(int(output.numel()) for output in outputs)

    @cached_property
    def copies(self) -> int:
        """Number of augmented passes whose features fit into memory at all sizes; 0 where none does."""
        one_bytes = self._bytes_per_image * len(self.context.train) * len(self.sizes)
        return min(self.recipe.augmented_copies + 1, _LIMIT_BYTES // one_bytes)

    @cached_property
    def measured_sizes(self) -> int:
        """Number of input sizes whose images or features are kept for measuring, at least 1."""
        if self.members.backbone is None:
            return 1
        images = len(self.context.val) + STATISTICS_PASSES * len(self.context.train)
        return max(_LIMIT_BYTES // (self._bytes_per_image * images), 1)

    def batches(self, architecture: Architecture, *, with_teacher: bool) -> MemberBatches:
        """Both splits at an architecture's input size."""
        return MemberBatches(
            self.context.data(architecture),
            backbone=self.members.backbone,
            trunk=self.context.space.trunk,
            teacher=self.context.teacher(architecture) if with_teacher else None,
            copies=1 if self.members.backbone is None else self.copies,
            device=self.device,
        )

    def extremes(self) -> list[dict[str, Any]]:
        """The largest and the smallest network by MACs, found one parameter at a time."""
        return [self._extreme(largest=True), self._extreme(largest=False)]

    def _extreme(self, *, largest: bool) -> dict[str, Any]:
        space = self.context.space
        found = {**space.baseline, **self.sizes[-1]}
        for name, parameter in space.parameters.items():
            if name in INPUT_SIZES:
                continue
            values = parameter.values
            ends = values if parameter.is_categorical else (values[0], values[-1])
            tried = [{**found, name: value} for value in ends]
            found = (max if largest else min)(tried, key=lambda one: self._macs(one, largest=largest))
        return found

    def _macs(self, architecture: Architecture, *, largest: bool) -> float:
        try:
            return complexity(self.build(architecture), self.context.input_size(architecture))["macs"]
        except CandidateError:
            return -math.inf if largest else math.inf

    def pool(self) -> list[dict[str, Any]]:
        """Random networks of the space, those that can be built."""
        rng, space = Random(self.context.seed), self.context.space  # noqa: S311 - a draw of architectures
        found: dict[str, dict[str, Any]] = {}
        for _ in range(2 * POOL):
            drawn = space.draw(rng)
            name = self.members.name(drawn)
            if len(found) < POOL and name not in found and self._can_build(drawn):
                found[name] = drawn
        return list(found.values())

    def _can_build(self, architecture: Architecture) -> bool:
        try:
            self.members[architecture]
        except CandidateError:
            return False
        return True

    def identity(self) -> dict[str, object]:
        """Everything that the trained weights depend on."""
        context, space = self.context, self.context.space
        sources = {inspect.getsourcefile(one) for one in (space.build, self.transfer)}
        teacher = context.teacher(space.baseline) is not None
        return {
            "version": VERSION,
            "space": [space.name, space.describe(), dict(space.baseline)],
            "sources": sorted(file_digest(Path(one)) for one in sources if one),
            "seed_network": state_digest(self.seed.full.state),
            "classes": self.seed.class_indexes,
            "teacher": teacher,
            "data": [context.train.digest, context.val.classes],
            "aspect": context.aspect,
            "batch_size": context.batch_size,
            "epochs": context.epochs,
            "recipe": self.recipe,
            "seed": context.seed,
            "torch": torch.__version__,
        }
