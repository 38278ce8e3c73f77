"""What a performance-estimation strategy is, what it may look at and what it answers.

Shapes: b images, m targets, H x W input; n architectures, d features, p parts of a vote.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from mlflow_nas.types import Architecture

__all__ = [
    "Aggregate",
    "Curve",
    "CurveScore",
    "Fit",
    "Floats",
    "Judged",
    "NetworkScore",
    "Predict",
    "Probe",
    "Score",
    "Strategy",
    "UndefinedScoreError",
]

Floats: TypeAlias = NDArray[np.float64]
Curve: TypeAlias = tuple[Mapping[str, float], ...]
"""One mapping of metrics per trained epoch: train_loss, map_fp32, map_50_fp32; mAP is of one view of val."""

CostClass: TypeAlias = Literal["C0", "C1", "C2", "C3", "C4", "C5"]
"""C0 analytic; C1 one forward; C2 one backward; C3 many; C4 some epochs; C5 a full training."""
Family: TypeAlias = Literal["zero-cost", "learning-curve", "model-based", "hybrid", "aggregation"]
Need: TypeAlias = Literal["model", "init", "batch", "labels", "epochs", "samples", "pool"]
Features: TypeAlias = Literal["encoding", "complexity", "zero-cost", "curve", "parts"]
"""encoding: the space's own numbers; complexity: log MACs and log parameters; zero-cost: those scores, as
ranks within a fixed unlabelled pool; curve: the first epochs in numbers; parts: the scores of `parts`."""
Judged: TypeAlias = Literal["leave-pair-out", "within-folds"]
"""How a fitted model is kept from seeing the architectures it is judged by: a fit for every pair or, where
one takes long, for the folds of a repeated cross-validation, which underrates the model by .02 to .04."""


class UndefinedScoreError(Exception):
    """A score has no value for this network and batch; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A strategy's answer for one architecture.

    Attributes:
        value: higher is better; None when there is none. A failed score is missing, never a number.
        seconds: wall-clock time it took, all seeds together.
        status: ok, failed (it should have worked), or not_applicable (what it needs was not given).
        reason: why there is no value; empty when there is one.
        spread: standard deviation over the weight seeds (n - 1); None with a single one.
    """

    value: float | None
    seconds: float
    status: Literal["ok", "failed", "not_applicable"]
    reason: str = ""
    spread: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a strategy may look at for one architecture.

    Attributes:
        architecture: the choices.
        encoding: the choices as the space's numbers.
        img_size: height and width of the network's input, pixels.
        build: weight seed -> network with its first weights, either fresh or as it would be trained from.
            It may be the same object each time: `run_strategy` hands it back unchanged.
        images: float32 [b, 3, H, W] in 0..1, the same pictures for every architecture, each with a box.
        targets: float32 [m, 7], their boxes: (image, class, cx, cy, w, h, ignore).
        loss: (what the network's `raw` gave, targets) -> the scalar that training minimises.
        seeds: weight seeds; the score is the mean over them.
        history: the first epochs of a training, cut where the strategy may no longer look; may be empty.
        horizon: how many epochs the full training has.
    """

    architecture: Architecture
    encoding: tuple[float, ...]
    img_size: tuple[int, int]
    build: Callable[[int], nn.Module]
    images: Tensor
    targets: Tensor
    loss: Callable[[Any, Tensor], Tensor]
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    history: Curve = ()
    horizon: int = 0


NetworkScore: TypeAlias = Callable[[nn.Module, Probe], float]
"""Scores one network. It may change weights, buffers, modes and gradients: `run_strategy` restores them;
where modules or dtypes have to change it works on a copy.

Raises UndefinedScoreError where there is no value."""
CurveScore: TypeAlias = Callable[[Curve, int], float]
"""(the first epochs, how many epochs the full training has) -> float."""
Predict: TypeAlias = Callable[[Floats], Floats]
"""Features [n, d] -> predicted targets [n]."""
Fit: TypeAlias = Callable[[Floats, Floats], Predict]
"""(features [n, d], targets [n]) -> a fitted model; what it scales or tunes it learns from these."""
Aggregate: TypeAlias = Callable[[Floats, Floats], Floats]
"""(parts [n, p], parts of a fixed pool [m, p]; NaN is missing) -> scores [n]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """One row of the table of strategies. Exactly one of score, curve, fit and aggregate is set.

    Attributes:
        name: how options, tables and metrics call it.
        family: what kind of evidence it uses.
        direction: whether the quantity that the function returns is better when higher or when lower;
            `run_strategy` turns it so that a `Score` is better when higher.
        needs: model (shapes only), init (weights), batch (images), labels, epochs (a learning curve),
            samples (trained architectures), pool (scores of other candidates).
        cost_class: what one candidate costs once everything is fitted.
        min_samples: trained architectures below which it can't be fitted.
        reference: paper or standard.
        score: of one network.
        curve: of the first epochs of a training.
        fit: of trained samples.
        features: what `fit` sees.
        judged: how `fit` is judged out of sample.
        aggregate: of the scores of `parts`.
        parts: the strategies whose scores are aggregated, or that `fit` sees.
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
    fit: Fit | None = None
    features: tuple[Features, ...] = ()
    judged: Judged = "leave-pair-out"
    aggregate: Aggregate | None = None
    parts: tuple["Strategy", ...] = field(default=())
