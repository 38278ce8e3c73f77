"""The optimizer and the learning rate schedule of a recipe."""

from collections.abc import Collection

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from mlflow_nas.train.recipe import Recipe

__all__ = ["make_optimizer", "make_schedule"]

_STEPS = (1 / 3, 2 / 3, 5 / 6)
_STEP_FACTOR = 0.1
_WARMUP_POWER = 4


def make_optimizer(
    network: nn.Module, recipe: Recipe, *, unchanged: Collection[str] = (), fused: bool = True
) -> Optimizer:
    """AdamW that decays convolution weights only, or FastestDet's SGD that decays all.

    Args:
        network: its parameters that want a gradient are trained.
        recipe: the numbers.
        fused: one kernel instead of six per tensor; Lightning clips no gradients of mixed precision with it.
        unchanged: names of the parameters that equal the seed network's and have the rate for these.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            decays = recipe.optimizer == "sgd" or parameter.dim() > 1
            groups.setdefault((name in unchanged, decays), []).append(parameter)
    settings = [
        {
            "params": parameters,
            "lr": recipe.unchanged_rate if is_unchanged else recipe.learning_rate,
            "weight_decay": recipe.weight_decay if decays else 0.0,
        }
        for (is_unchanged, decays), parameters in groups.items()
    ]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(settings, momentum=recipe.momentum)
    return torch.optim.AdamW(settings, fused=fused or None)


def make_schedule(optimizer: Optimizer, recipe: Recipe, *, steps: int) -> LRScheduler:
    """The learning rate over that number of steps; it is stepped after each."""
    if recipe.schedule == "steps":
        return LambdaLR(optimizer, lambda step: _step_factor(step, steps, recipe.warmup_fraction))
    # torch divides by zero where the rise takes exactly one step.
    rise = recipe.warmup_fraction if steps * recipe.warmup_fraction != 1 else 1.5 / steps
    return OneCycleLR(
        optimizer, max_lr=[group["lr"] for group in optimizer.param_groups], total_steps=steps, pct_start=rise
    )


def _step_factor(step: int, steps: int, warmup_fraction: float) -> float:
    """FastestDet's schedule: a warm-up with the fourth power, then a tenth after each boundary."""
    warmup = max(round(warmup_fraction * steps), 1)
    if step < warmup:
        return float(((step + 1) / warmup) ** _WARMUP_POWER)
    return float(_STEP_FACTOR ** sum(step >= boundary * steps for boundary in _STEPS))
