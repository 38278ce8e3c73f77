"""Inputs of strategies for the candidates of a study: networks, images and the training's loss.

Weights are drawn afresh, not transferred: transferred ones differ between candidates by the slices that are
left out. All candidates have the same weight seeds and images (arXiv:2101.08134 scores fresh networks, too).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache, lru_cache

from torch import nn

from mlflow_nas.estimate import (
    LOSS,
    QUALITY,
    Curve,
    ScoringImages,
    ScoringInputs,
    Strategy,
    no_images,
    scoring_images,
    single_strategies,
)
from mlflow_nas.search.estimation.study import Context, Supernet
from mlflow_nas.space import INPUT_SIZES, SearchSpace, build_detector
from mlflow_nas.tasks import get_task
from mlflow_nas.types import Architecture, Objective, TrialResult

__all__ = ["IMAGES", "SEEDS", "by_network", "learning_curve", "scoring_inputs"]

SEEDS = (0, 1, 2, 3, 4)
"""Weight seeds: a score is the mean over them."""
IMAGES = 32
_CACHED_NETWORKS = 8


def scoring_inputs(
    context: Context,
    architectures: Sequence[Architecture],
    strategies: Iterable[Strategy],
    *,
    histories: Sequence[Curve] = (),
    images: int = IMAGES,
    seeds: tuple[int, ...] = SEEDS,
    supernet: Supernet | None = None,
) -> list[ScoringInputs]:
    """The inputs of each architecture that these strategies need.

    Args:
        context: space, data and seed of the study.
        architectures: members of the space; in the order of `by_network` their networks are built once.
        strategies: rows of the table.
        histories: the first epochs of a training of each; empty when they were not trained.
        images: number of images for zero-cost scores.
        seeds: of the weights that scores are averaged over.
        supernet: of the space, where a strategy needs it; or None.

    Raises:
        ConfigError: a strategy needs images, and no training image has a box.
    """
    needs = {need for row in single_strategies(strategies) for need in row.needs}
    images_at = _images(context, images) if needs & {"batch", "labels"} else no_images
    network = _networks(context)
    curves = histories or [()] * len(architectures)
    return [
        replace(
            _inputs(context, architecture, images=images_at, network=network, history=history, seeds=seeds),
            supernet=supernet.score if supernet else None,
        )
        for architecture, history in zip(architectures, curves, strict=True)
    ]


def learning_curve(result: TrialResult, objective: Objective, *, epochs: int) -> Curve:
    """The first epochs of a trial's training, as strategies read them."""
    sign = 1 if objective.maximize else -1
    names = {LOSS: (LOSS, 1), QUALITY: (f"{objective.name}_fp32", sign)}
    return tuple(
        {name: factor * epoch[metric] for name, (metric, factor) in names.items() if metric in epoch}
        for epoch in result.history[:epochs]
    )


def by_network(space: SearchSpace, architectures: Iterable[Architecture]) -> list[Architecture]:
    """The architectures, those of one network with several input sizes one after the other."""
    return sorted(architectures, key=lambda one: (_without_size(space, one), space.input_size(one)))


def _inputs(
    context: Context,
    architecture: Architecture,
    *,
    images: Callable[[tuple[int, int]], ScoringImages],
    network: Callable[[Architecture, int], nn.Module],
    history: Curve,
    seeds: tuple[int, ...],
) -> ScoringInputs:
    size = context.input_size(architecture)
    batch, targets = images(size)
    return ScoringInputs(
        architecture=architecture,
        encoding=context.space.encode(architecture),
        img_size=size,
        build=lambda seed: network(architecture, seed),
        images=batch,
        targets=targets,
        loss=get_task(context.space.task).loss,
        seeds=seeds,
        history=history,
        horizon=context.epochs,
    )


def _images(context: Context, count: int) -> Callable[[tuple[int, int]], ScoringImages]:
    """Size to images and targets: the same images at every size, read once per size."""

    @cache
    def at(size: tuple[int, int]) -> ScoringImages:
        return scoring_images(context.train, img_size=size, count=count, seed=context.seed)

    return at


def _networks(context: Context) -> Callable[[Architecture, int], nn.Module]:
    """Architecture and weight seed to its network; one object for all input sizes of one network."""
    space, classes = context.space, len(context.val.classes)
    shared = _is_size_of_input_only(space, classes)
    architectures: dict[str, Architecture] = {}

    @lru_cache(maxsize=_CACHED_NETWORKS)
    def build(name: str, seed: int) -> nn.Module:
        return build_detector(architectures[name], num_classes=classes, space=space, seed=seed)

    def network(architecture: Architecture, seed: int) -> nn.Module:
        name = _without_size(space, architecture) if shared else space.key(architecture)
        architectures[name] = architecture
        return build(name, seed)

    return network


def _without_size(space: SearchSpace, architecture: Architecture) -> str:
    """The name of an architecture's network, for all sizes of the input."""
    return "-".join(
        f"{parameter.short}{architecture[name]}"
        for name, parameter in space.parameters.items()
        if name not in INPUT_SIZES
    )


def _is_size_of_input_only(space: SearchSpace, classes: int) -> bool:
    """Whether the input's size leaves the network's modules unchanged, by the baseline's at both ends."""
    sizes = [name for name in INPUT_SIZES if name in space.parameters]
    built = [
        str(space.build({**space.baseline, name: end}, classes))
        for name in sizes
        for end in (space.parameters[name].legal[0], space.parameters[name].legal[-1])
    ]
    return bool(built) and len(set(built)) == 1
