"""AdamW with one cycle and a moving average, over shared tensors of which some are met late."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim.swa_utils import get_ema_multi_avg_fn

from mlflow_nas.train.optimizer import make_optimizer, make_schedule
from mlflow_nas.train.recipe import Recipe

__all__ = ["SharedOptimizer"]

_CYCLED = ("lr", "betas")
"""What the schedule changes."""


class SharedOptimizer:
    """Trains tensors in place.

    Args:
        tensors: name to leaf; more may be added between steps.
        recipe: its peak rate, decays, warm-up, clipping and average.
        steps: of the training.

    Attributes:
        averaged: name to the moving average of its values.
    """

    def __init__(self, tensors: dict[str, Tensor], recipe: Recipe, *, steps: int) -> None:
        self._tensors, self._recipe = tensors, recipe
        self._cycle = _cycle(recipe, steps)
        self._decay = min(recipe.ema_decay, 1 - 10 / max(steps, 20))
        self._names: list[str] = []
        self._adamw: torch.optim.AdamW | None = None
        self.averaged: dict[str, Tensor] = {}
        self._add_new()

    def _add_new(self) -> None:
        for name in [one for one in self._tensors if one not in self.averaged]:
            tensor = self._tensors[name]
            decay = self._recipe.weight_decay if tensor.dim() > 1 else 0.0
            group = {"params": [tensor], "weight_decay": decay}
            if self._adamw is None:
                self._adamw = torch.optim.AdamW([group], fused=True)
            else:
                self._adamw.add_param_group(group)
            self._names.append(name)
            self.averaged[name] = tensor.detach().clone()

    @property
    def _optimizer(self) -> torch.optim.AdamW:
        if self._adamw is None:
            raise AssertionError(self._tensors)  # a network has parameters
        return self._adamw

    def zero_grad(self) -> None:
        """Forget the gradients."""
        self._optimizer.zero_grad(set_to_none=True)

    def step(self, number: int) -> None:
        """Change the tensors by their gradients.

        Args:
            number: of the step, from 0.
        """
        self._add_new()
        for group in self._optimizer.param_groups:
            group.update(self._cycle[number])
        if self._recipe.gradient_clip:
            clip_grad_norm_(self._tensors.values(), self._recipe.gradient_clip)
        self._optimizer.step()
        with torch.no_grad():
            current = [self._tensors[name] for name in self._names]
            average = get_ema_multi_avg_fn(self._decay)  # type: ignore[no-untyped-call]  # torch's
            average([self.averaged[name] for name in self._names], current, number + 1)

    def state_dict(self) -> dict[str, Any]:
        """Names, values, averages and moments."""
        return {
            "tensors": {name: self._tensors[name].detach() for name in self._names},
            "averaged": self.averaged,
            "moments": self._optimizer.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue a training.

        Raises:
            KeyError, ValueError, RuntimeError: the state is another training's.
        """
        for name, value in state["tensors"].items():
            if name in self._tensors:
                with torch.no_grad():
                    self._tensors[name].copy_(value)
            else:
                device = next(iter(self._tensors.values())).device
                self._tensors[name] = value.to(device).requires_grad_()
        self._add_new()
        for name, value in state["averaged"].items():
            self.averaged[name].copy_(value)
        self._optimizer.load_state_dict(state["moments"])


def _cycle(recipe: Recipe, steps: int) -> list[dict[str, Any]]:
    """Rate and momentum of each step."""
    constant = nn.Linear(1, 1)
    optimizer = make_optimizer(constant, replace(recipe, optimizer="adamw"))
    schedule = make_schedule(optimizer, replace(recipe, schedule="one-cycle"), steps=steps)
    found = []
    for _ in range(steps):
        found.append({name: optimizer.param_groups[0][name] for name in _CYCLED})
        optimizer.step()
        schedule.step()
    return found
