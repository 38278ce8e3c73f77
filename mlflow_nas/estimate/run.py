"""One strategy on one architecture: timed, averaged over seeds, failures caught, the network restored."""

import math
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from mlflow_nas.errors import NasError
from mlflow_nas.estimate.contract import Score, ScoringInputs, Strategy, UndefinedScoreError

__all__ = ["run_strategy"]

_FAILURES = (UndefinedScoreError, NasError, ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)
"""Exceptions of a failed score; numpy's and torch's LinAlgError are a ValueError and a RuntimeError."""


def run_strategy(strategy: Strategy, inputs: ScoringInputs) -> Score:
    """Score one architecture.

    The value is the mean over the weight seeds; a strategy of shapes or of a learning curve runs once. Each
    seed starts torch's generator, so that all architectures are scored with the same random numbers; the
    caller's generator is restored.

    Args:
        strategy: a row with `score`, `curve` or `one_shot`; the others need more than one architecture.
        inputs: of the architecture. Its networks are restored.

    Returns:
        A score; a failure has no value, and its status and reason.
    """
    start = time.perf_counter()
    if missing := _missing(strategy, inputs):
        return Score(value=None, seconds=0.0, status="not_applicable", reason=missing)
    try:
        if strategy.one_shot is not None:
            quality, seconds = strategy.one_shot(inputs)
            return _summary(strategy, [quality], seconds)
        values = _values(strategy, inputs)
    except _FAILURES as error:
        reason = f"{type(error).__name__}: {error}"
        return Score(value=None, seconds=time.perf_counter() - start, status="failed", reason=reason)
    return _summary(strategy, values, time.perf_counter() - start)


def _missing(strategy: Strategy, inputs: ScoringInputs) -> str:
    """Which input of the strategy is missing; empty when none is."""
    if strategy.curve is None and strategy.score is None and strategy.one_shot is None:
        return f"{strategy.name} is computed from several architectures, not from one"
    if "epochs" in strategy.needs and not inputs.history:
        return f"{strategy.name} needs the first epochs of a training"
    if "supernet" in strategy.needs and inputs.supernet is None:
        return f"{strategy.name} needs the trained supernet of the space"
    if "batch" in strategy.needs and len(inputs.images) == 0:
        return f"{strategy.name} needs images"
    if "labels" in strategy.needs and len(inputs.targets) == 0:
        return f"{strategy.name} needs images with boxes"
    return ""


def _values(strategy: Strategy, inputs: ScoringInputs) -> list[float]:
    """One value per seed."""
    if strategy.curve is not None:
        return [float(strategy.curve(inputs.history, inputs.horizon))]
    if strategy.score is None:
        return []
    values = []
    for seed in inputs.seeds[:1] if strategy.needs == ("model",) else inputs.seeds:
        with torch.random.fork_rng(devices=[]):
            network = inputs.build(seed)
            torch.manual_seed(seed)
            with _restored(network):
                values.append(float(strategy.score(network, inputs)))
    return values


def _summary(strategy: Strategy, values: list[float], seconds: float) -> Score:
    """Mean and spread over the seeds, higher being better; one seed without a finite value is a failure."""
    wrong = [value for value in values if not math.isfinite(value)]
    if wrong or not values:
        reason = f"{strategy.name} is {wrong[0]}" if wrong else "no weight seeds were given"
        return Score(value=None, seconds=seconds, status="failed", reason=reason)
    mean = statistics.fmean(values)
    return Score(
        value=mean if strategy.direction == "higher" else -mean,
        seconds=seconds,
        status="ok",
        spread=statistics.stdev(values) if len(values) > 1 else None,
    )


@contextmanager
def _restored(network: nn.Module) -> Iterator[None]:
    """Restore weights, buffers, gradients, requires_grad and modes."""
    # Read from each module: `network.parameters()` takes longer than the copies.
    modules = list(network.modules())
    parameters = [one for module in modules for one in module._parameters.values() if one is not None]
    buffers = [one for module in modules for one in module._buffers.values() if one is not None]
    with torch.no_grad():
        tensors = [(tensor, tensor.clone()) for tensor in (*parameters, *buffers)]
    gradients = [(parameter, parameter.grad, parameter.requires_grad) for parameter in parameters]
    modes = [(module, module.training) for module in modules]
    norms = [(module, module.momentum) for module in modules if isinstance(module, nn.BatchNorm2d)]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, saved in tensors:
                tensor.copy_(saved)
        for parameter, gradient, requires_grad in gradients:
            parameter.grad = gradient
            parameter.requires_grad_(requires_grad)
        for module, training in modes:
            if module.training != training:  # setting an attribute of a module is slow
                module.training = training
        for norm, momentum in norms:
            if norm.momentum != momentum:
                norm.momentum = momentum
