"""The optimizer and the learning rate's course of a recipe."""

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from mlflow_nas.train.recipe import Recipe

__all__ = ["make_optimizer", "make_schedule"]

_STEPS = (1 / 3, 2 / 3, 5 / 6)
_STEP_FACTOR = 0.1
_WARMUP_POWER = 4


def make_optimizer(network: nn.Module, recipe: Recipe) -> Optimizer:
    """AdamW that decays convolution weights only, or the published SGD that decays all."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
        )
    return torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.dim() > 1], "weight_decay": recipe.weight_decay},
            {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
        ],
        lr=recipe.learning_rate,
        fused=True,  # one kernel instead of six for each of the network's tensors
    )


def make_schedule(optimizer: Optimizer, recipe: Recipe, *, steps: int) -> LRScheduler:
    """The learning rate over so many steps, to be moved on after each."""
    if recipe.schedule == "steps":
        return LambdaLR(optimizer, lambda step: _step_factor(step, steps, recipe.warmup_fraction))
    # torch divides by zero where the rise takes exactly one step.
    rise = recipe.warmup_fraction if steps * recipe.warmup_fraction != 1 else 1.5 / steps
    return OneCycleLR(optimizer, max_lr=recipe.learning_rate, total_steps=steps, pct_start=rise)


def _step_factor(step: int, steps: int, warmup_fraction: float) -> float:
    """The published course: a warm-up with the fourth power, then a tenth after each boundary."""
    warmup = max(round(warmup_fraction * steps), 1)
    if step < warmup:
        return float(((step + 1) / warmup) ** _WARMUP_POWER)
    return float(_STEP_FACTOR ** sum(step >= boundary * steps for boundary in _STEPS))
