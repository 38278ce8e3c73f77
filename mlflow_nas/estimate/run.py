"""Run one strategy on one architecture: time it, average over seeds, restore the network, catch failures."""

import math
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from mlflow_nas.errors import NasError
from mlflow_nas.estimate.contract import Probe, Score, Strategy, UndefinedScoreError

__all__ = ["run_strategy"]

_FAILURES = (UndefinedScoreError, NasError, ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)
"""What a score may end with; numpy's and torch's LinAlgError are a ValueError and a RuntimeError."""


def run_strategy(strategy: Strategy, probe: Probe) -> Score:
    """Score one architecture.

    The value is the mean over the probe's weight seeds; a strategy that looks at shapes or at a learning
    curve only is asked once. Each seed starts torch's generator, so that every architecture meets the same
    conditions, and the caller's generator is left where it was.

    Args:
        strategy: a row with `score` or `curve`; `fit` and `aggregate` need more than one architecture.
        probe: what it may look at. Its networks are handed back as they were.

    Returns:
        A score; what fails says so in its status and has no value.
    """
    start = time.perf_counter()
    if missing := _missing(strategy, probe):
        return Score(value=None, seconds=0.0, status="not_applicable", reason=missing)
    try:
        values = _values(strategy, probe)
    except _FAILURES as error:
        reason = f"{type(error).__name__}: {error}"
        return Score(value=None, seconds=time.perf_counter() - start, status="failed", reason=reason)
    return _summary(strategy, values, time.perf_counter() - start)


def _missing(strategy: Strategy, probe: Probe) -> str:
    """What the strategy needs and the probe lacks; empty when nothing."""
    if strategy.curve is None and strategy.score is None:
        return f"{strategy.name} is computed from several architectures, not from one"
    if "epochs" in strategy.needs and not probe.history:
        return f"{strategy.name} needs the first epochs of a training"
    if "batch" in strategy.needs and len(probe.images) == 0:
        return f"{strategy.name} needs images"
    if "labels" in strategy.needs and len(probe.targets) == 0:
        return f"{strategy.name} needs images with boxes"
    return ""


def _values(strategy: Strategy, probe: Probe) -> list[float]:
    """One value per seed."""
    if strategy.curve is not None:
        return [float(strategy.curve(probe.history, probe.horizon))]
    if strategy.score is None:
        return []
    values = []
    for seed in probe.seeds[:1] if strategy.needs == ("model",) else probe.seeds:
        with torch.random.fork_rng(devices=[]):
            network = probe.build(seed)
            torch.manual_seed(seed)
            with _restored(network):
                values.append(float(strategy.score(network, probe)))
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
    """Put weights, buffers, gradients, requires_grad and modes back as they were."""
    # Modules are asked for what is their own: walking the network for it costs more than the copies.
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
            for tensor, kept in tensors:
                tensor.copy_(kept)
        for parameter, gradient, wanted in gradients:
            parameter.grad = gradient
            parameter.requires_grad_(wanted)
        for module, training in modes:
            if module.training != training:  # a module takes its time to set whatever it is
                module.training = training
        for norm, momentum in norms:
            if norm.momentum != momentum:
                norm.momentum = momentum
