"""Training of a supernet: every step trains the largest, the smallest and two random members.

The sandwich rule is BigNAS' (arXiv:2003.11142), the elastic input size OFA's (arXiv:1908.09791). Unlike
theirs, members start from a trained network's weights and learn from its soft targets.
"""

import io
import math
import random
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mlflow_nas.disk import write_whole
from mlflow_nas.errors import ConfigError
from mlflow_nas.train.recipe import Recipe
from mlflow_nas.train.resume import EpochHook, warn_unusable
from mlflow_nas.train.supernet.inputs import MemberBatch, MemberBatches
from mlflow_nas.train.supernet.members import Members
from mlflow_nas.train.supernet.optimizer import SharedOptimizer
from mlflow_nas.types import Architecture

__all__ = ["SupernetTraining", "sandwich"]

RANDOM_MEMBERS = 2


def sandwich(
    step: int,
    *,
    extremes: Sequence[Architecture],
    pool: Sequence[Architecture],
    sizes: Sequence[Architecture],
    seed: int,
) -> list[Architecture]:
    """The members that one step trains: the extremes and two random ones, all at one random input size.

    Args:
        step: its number; the same number gives the same members.
        extremes: the largest and the smallest network.
        pool: networks that random members are drawn from.
        sizes: values of the parameters of the input's size.
        seed: of the draws.
    """
    rng = random.Random(f"{seed} {step}")  # noqa: S311 - a draw of architectures, not a secret
    size = rng.choice(sizes)
    return [{**one, **size} for one in (*extremes, *(rng.choice(pool) for _ in range(RANDOM_MEMBERS)))]


@dataclass(frozen=True, kw_only=True)
class SupernetTraining:
    """Trains the shared tensors of the members.

    Attributes:
        members: of the supernet.
        batches: architecture to the batches of its input size.
        draw: number of a step to the architectures that it trains, all of one input size.
        recipe: the numbers of the training; the optimizer is AdamW with one cycle.
        steps: of the training.
        steps_per_epoch: after each of these a checkpoint is written.
        seed: of everything that networks draw.
        checkpoint: file of an interrupted training, which continues to the same bits on a CPU; None for none.
        on_epoch: called with the number of each epoch, from 1, and its mean loss.
    """

    members: Members
    batches: Callable[[Architecture], MemberBatches]
    draw: Callable[[int], list[Architecture]]
    recipe: Recipe
    steps: int
    steps_per_epoch: int
    seed: int
    checkpoint: Path | None = None
    on_epoch: EpochHook | None = None

    def run(self) -> dict[str, Tensor]:
        """Train, from the checkpoint where there is one; the averaged shared tensors.

        Raises:
            ConfigError: the loss is not finite.
        """
        optimizer = SharedOptimizer(self.members.shared.tensors, self.recipe, steps=self.steps)
        done = self._restore(optimizer)
        visits: Counter[str] = Counter()
        losses: list[float] = []
        for step in range(self.steps):
            members = self.draw(step)
            size = str(self.members.input_size(members[0]))
            visits[size] += 1
            if step < done:
                continue
            torch.manual_seed(self.seed + step)
            batch = self.batches(members[0]).trained(visits[size] - 1)
            losses.append(self._step(optimizer, step, members, batch))
            if (step + 1) % self.steps_per_epoch == 0 or step + 1 == self.steps:
                self._end_epoch(optimizer, step + 1, statistics.fmean(losses))
                losses.clear()
        return optimizer.averaged

    def _step(
        self, optimizer: SharedOptimizer, step: int, members: Sequence[Architecture], batch: MemberBatch
    ) -> float:
        """One step on one batch; the mean loss of its members."""
        total = 0.0
        optimizer.zero_grad()
        for architecture in members:
            loss = self._loss(architecture, batch) / len(members)
            loss.backward()  # type: ignore[no-untyped-call]  # torch's
            total += float(loss.detach())
        if not math.isfinite(total):
            raise ConfigError(
                f"The supernet's loss became {total} in step {step}: give another recipe, or the weights of "
                "a trained detector (--weights)."
            )
        optimizer.step(step)
        return total

    def _loss(self, architecture: Architecture, batch: MemberBatch) -> Tensor:
        member = self.members[architecture]
        self.members.train_mode(member)
        distilled = None if batch.soft is None else (batch.soft, self.recipe.distillation)
        return member.loss(self.members.shared.tensors, batch.features, batch.targets, distilled)

    def _end_epoch(self, optimizer: SharedOptimizer, done: int, loss: float) -> None:
        if self.checkpoint is not None and done < self.steps:
            content = io.BytesIO()
            torch.save({"done": done, **optimizer.state_dict()}, content)
            write_whole(self.checkpoint, content.getvalue())
        if self.on_epoch is not None:
            self.on_epoch(math.ceil(done / self.steps_per_epoch), {"train_loss": loss})

    def _restore(self, optimizer: SharedOptimizer) -> int:
        """Number of steps that the checkpoint has; 0 without a usable one."""
        if self.checkpoint is None or not self.checkpoint.is_file():
            return 0
        try:
            state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
            optimizer.load_state_dict(state)
            return int(state["done"])
        except Exception as error:  # noqa: BLE001 - damaged bytes make torch and pickle raise nearly anything
            warn_unusable(self.checkpoint, error)
            return 0
