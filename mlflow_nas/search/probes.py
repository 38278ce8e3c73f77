"""What estimation strategies see of candidates: networks, pictures and the training's loss.

Weights are drawn afresh, not inherited: inherited ones differ between candidates by what was cut away. All
candidates meet the same weight seeds and the same pictures (arXiv:2101.08134 scores fresh networks, too).
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache

from mlflow_nas.estimate import Curve, Probe, Strategy, single_strategies
from mlflow_nas.estimate.batch import Pictures, no_pictures, probe_batch
from mlflow_nas.search.workbench import Workbench
from mlflow_nas.space import FastestDet, SearchSpace, build_detector
from mlflow_nas.train import detection_loss
from mlflow_nas.types import Architecture

__all__ = ["PICTURES", "SEEDS", "by_network", "make_probes"]

SEEDS = (0, 1, 2, 3, 4)
"""Weight seeds: a score is the mean over them."""
PICTURES = 32
_WIDTH = "img_width"
_KEPT_NETWORKS = 8


def make_probes(
    bench: Workbench,
    architectures: Sequence[Architecture],
    strategies: Iterable[Strategy],
    *,
    histories: Sequence[Curve] = (),
    pictures: int = PICTURES,
    seeds: tuple[int, ...] = SEEDS,
) -> list[Probe]:
    """A probe per architecture, with what these strategies need and no more.

    Args:
        bench: space, data and seed of the study.
        architectures: members of the space; in the order of `by_network` their networks are built once.
        strategies: rows of the table.
        histories: the first epochs of a training of each; empty when they were not trained.
        pictures: that zero-cost scores see.
        seeds: of the weights that they are averaged over.

    Raises:
        ConfigError: a strategy needs pictures, and no training image has a box.
    """
    needs = {need for row in single_strategies(strategies) for need in row.needs}
    shown = _pictures(bench, pictures) if needs & {"batch", "labels"} else no_pictures
    network = _networks(bench)
    curves = histories or [()] * len(architectures)
    return [
        _probe(bench, architecture, pictures=shown, network=network, history=history, seeds=seeds)
        for architecture, history in zip(architectures, curves, strict=True)
    ]


def by_network(space: SearchSpace, architectures: Iterable[Architecture]) -> list[Architecture]:
    """The architectures, those of one network and several input widths one after the other."""
    return sorted(architectures, key=lambda one: (_without_width(space, one), space.width_of(one)))


def _probe(
    bench: Workbench,
    architecture: Architecture,
    *,
    pictures: Callable[[tuple[int, int]], Pictures],
    network: Callable[[Architecture, int], FastestDet],
    history: Curve,
    seeds: tuple[int, ...],
) -> Probe:
    size = bench.input_size(architecture)
    images, targets = pictures(size)
    return Probe(
        architecture=architecture,
        encoding=bench.space.encode(architecture),
        img_size=size,
        build=lambda seed: network(architecture, seed),
        images=images,
        targets=targets,
        loss=lambda raw, boxes: detection_loss(raw, boxes).total,
        seeds=seeds,
        history=history,
        horizon=bench.epochs,
    )


def _pictures(bench: Workbench, count: int) -> Callable[[tuple[int, int]], Pictures]:
    """Size to images and targets, the same pictures at every size, read once per size."""

    @cache
    def at(size: tuple[int, int]) -> Pictures:
        return probe_batch(bench.train, img_size=size, count=count, seed=bench.seed)

    return at


def _networks(bench: Workbench) -> Callable[[Architecture, int], FastestDet]:
    """Architecture and weight seed to its network; the same object where only the input's width differs."""
    space, classes = bench.space, len(bench.val.classes)
    shared = _width_is_the_inputs(space, classes)
    built: dict[str, Architecture] = {}

    @lru_cache(maxsize=_KEPT_NETWORKS)
    def build(name: str, seed: int) -> FastestDet:
        return build_detector(built[name], num_classes=classes, space=space, seed=seed)

    def network(architecture: Architecture, seed: int) -> FastestDet:
        name = _without_width(space, architecture) if shared else space.key(architecture)
        built[name] = architecture
        return build(name, seed)

    return network


def _without_width(space: SearchSpace, architecture: Architecture) -> str:
    """The name of an architecture's network, whatever the input's width."""
    return "-".join(
        f"{parameter.short}{architecture[name]}"
        for name, parameter in space.parameters.items()
        if name != _WIDTH
    )


def _width_is_the_inputs(space: SearchSpace, classes: int) -> bool:
    """Whether `img_width` leaves the network alone: looked up in the baseline's at both ends."""
    if _WIDTH not in space.parameters:
        return False
    ends = (space.parameters[_WIDTH].legal[0], space.parameters[_WIDTH].legal[-1])
    narrow, wide = (str(space.build({**space.baseline, _WIDTH: end}, classes)) for end in ends)
    return narrow == wide
