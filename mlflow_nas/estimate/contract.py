"""Performance-estimation strategies: their inputs, their outputs and the columns of their table.

Shapes: b images, m targets, H x W input; n architectures, d features, p parts of a vote.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from mlflow_nas.types import Architecture

__all__ = [
    "Aggregate",
    "CrossFit",
    "Curve",
    "CurveScore",
    "Fit",
    "Floats",
    "NetworkScore",
    "OneShotScore",
    "Predict",
    "Score",
    "ScoringInputs",
    "Strategy",
    "SupernetScore",
    "UndefinedScoreError",
]

Floats: TypeAlias = NDArray[np.float64]
Curve: TypeAlias = tuple[Mapping[str, float], ...]
"""One mapping per trained epoch: `train_loss`, and `quality`, the objective of the float network (higher is
better), measured on the validation images as they are."""

CostClass: TypeAlias = Literal["C0", "C1", "C2", "C3", "C4", "C5"]
"""C0 analytic; C1 one forward; C2 one backward; C3 many; C4 some epochs; C5 a full training."""
Family: TypeAlias = Literal["zero-cost", "learning-curve", "model-based", "hybrid", "aggregation", "one-shot"]
Need: TypeAlias = Literal["model", "init", "batch", "labels", "epochs", "samples", "pool", "supernet"]
FeatureSet: TypeAlias = Literal["encoding", "complexity", "zero-cost", "curve", "parts"]
"""encoding: the space's own numbers; complexity: log MACs and log parameters; zero-cost: those scores, as
ranks within a fixed unlabelled pool; curve: the first epochs in numbers; parts: the scores of `parts`."""
CrossFit: TypeAlias = Literal["leave-pair-out", "within-folds"]
"""How a fitted model is evaluated out of sample: one fit per pair or, where a fit takes long, one per fold
of a repeated cross-validation, which underestimates the model's tau by .02 to .04."""


class SupernetScore(NamedTuple):
    """An architecture's quality with the shared weights of a supernet.

    Attributes:
        quality: the objective, higher is better.
        seconds: that measuring it took, also where it was measured earlier.
    """

    quality: float
    seconds: float


class UndefinedScoreError(Exception):
    """A score is undefined for this network and batch; the message gives the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A strategy's score of one architecture.

    Attributes:
        value: higher is better; None when the score is missing. A failed score is never a number.
        seconds: wall-clock time of all weight seeds together.
        status: ok, failed, or not_applicable (an input that it needs is missing).
        reason: why the value is missing; empty when it is not.
        spread: standard deviation over the weight seeds (n - 1); None with a single one.
    """

    value: float | None
    seconds: float
    status: Literal["ok", "failed", "not_applicable"]
    reason: str = ""
    spread: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringInputs:
    """Everything that a strategy may use to score one architecture.

    Attributes:
        architecture: the choices.
        encoding: the choices as the space's numbers.
        img_size: height and width of the network's input, pixels.
        build: weight seed -> network with its first weights, either fresh or as it would be trained from.
            It may be the same object each time: `run_strategy` restores it.
        images: float32 [b, 3, H, W] in 0..1, the same images for every architecture, each with a box.
        targets: float32 [m, 7], their boxes: (image, class, cx, cy, w, h, ignore).
        loss: (network, images, targets) -> the scalar that training minimizes.
        seeds: weight seeds; the score is the mean over them.
        history: the first epochs of a training, cut to those that the strategy may use; may be empty.
        horizon: number of epochs of the full training.
        supernet: scores an architecture with the weights of the space's supernet; None without one.
    """

    architecture: Architecture
    encoding: tuple[float, ...]
    img_size: tuple[int, int]
    build: Callable[[int], nn.Module]
    images: Tensor
    targets: Tensor
    loss: Callable[[nn.Module, Tensor, Tensor], Tensor]
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    history: Curve = ()
    horizon: int = 0
    supernet: Callable[[Architecture], SupernetScore] | None = None


NetworkScore: TypeAlias = Callable[[nn.Module, ScoringInputs], float]
"""Scores one network. It may change weights, buffers, modes and gradients: `run_strategy` restores them; it
changes modules or dtypes of a copy only.

Raises UndefinedScoreError where the score is undefined."""
CurveScore: TypeAlias = Callable[[Curve, int], float]
"""(the first epochs, number of epochs of the full training) -> float."""
OneShotScore: TypeAlias = Callable[[ScoringInputs], SupernetScore]
"""Scores an architecture with weights that are trained once for the whole space.

Raises UndefinedScoreError where there are none."""
Predict: TypeAlias = Callable[[Floats], Floats]
"""Features [n, d] -> predicted targets [n]."""
Fit: TypeAlias = Callable[[Floats, Floats], Predict]
"""(features [n, d], targets [n]) -> a fitted model; scaling and tuning use these samples only."""
Aggregate: TypeAlias = Callable[[Floats, Floats], Floats]
"""(parts [n, p], parts of a fixed pool [m, p]; NaN is missing) -> scores [n]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """One row of the table of strategies, with exactly one of score, curve, one_shot, fit and aggregate.

    Attributes:
        name: its name in options, tables and metrics.
        family: the kind of data that it uses.
        direction: whether the function's value is better when higher or when lower; `run_strategy` negates
            the latter, so that a higher `Score` is always better.
        needs: model (shapes only), init (weights), batch (images), labels, epochs (a learning curve),
            samples (trained architectures), pool (scores of other candidates), supernet (its weights).
        cost_class: the cost of one candidate once everything is fitted.
        min_samples: least number of trained architectures that it is fitted on.
        reference: paper or standard.
        score: of one network.
        curve: of the first epochs of a training.
        one_shot: of the weights of a supernet.
        fit: of trained samples.
        features: the features that `fit` is given.
        crossfit: how `fit` is evaluated out of sample.
        aggregate: of the scores of `parts`.
        parts: the strategies whose scores are aggregated, or given to `fit`.
    """

    name: str
    family: Family
    direction: Literal["higher", "lower"] = "higher"
    needs: tuple[Need, ...]
    cost_class: CostClass
    min_samples: int = 0
    reference: str
    score: NetworkScore | None = None
    curve: CurveScore | None = None
    one_shot: OneShotScore | None = None
    fit: Fit | None = None
    features: tuple[FeatureSet, ...] = ()
    crossfit: CrossFit = "leave-pair-out"
    aggregate: Aggregate | None = None
    parts: tuple["Strategy", ...] = field(default=())
