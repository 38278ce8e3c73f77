"""What the choices of a space save on a board, measured on files of untrained weights."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from mlflow_nas.config import FocusConfig, find_onnx_device, work_root
from mlflow_nas.types import Architecture

if TYPE_CHECKING:
    from mlflow_nas.search import Focus
    from mlflow_nas.space import SearchSpace

__all__ = ["RelativeLatency", "focused_space", "heights_to_search"]

RelativeLatency: TypeAlias = Callable[[Architecture], float]
"""The latency of an architecture, relative to the baseline's."""

_WIDE = 1.1
"""Images with a larger aspect ratio waste time in a square input."""
_HEIGHT_STEP = 16


def heights_to_search(config: FocusConfig, images: float | None) -> tuple[tuple[str, ...], float]:
    """A choice of heights between the images' aspect ratio and the baseline's, and the latter.

    Args:
        config: of the command.
        images: median width / height of the training images; None without a data set.

    Raises:
        ConfigError: the aspect ratio is to be that of the images, and there are none.
    """
    from mlflow_nas.space import input_size, load_space

    aspect = config.space.aspect_number(images)
    if images is None or aspect * _WIDE > images or images < _WIDE:
        return (), aspect
    space = load_space(config.space.name)
    width = space.width_of(space.baseline)
    highest = input_size(width, aspect)[0]
    lowest = highest - _HEIGHT_STEP * round((highest - input_size(width, images)[0]) / _HEIGHT_STEP)
    return (f"img_height={lowest}..{highest}:{_HEIGHT_STEP}",), aspect


def focused_space(
    config: FocusConfig,
    name: str,
    heights: Sequence[str],
    aspect: float,
    times_ms: Mapping[str, float],
    latency: "RelativeLatency | None" = None,
) -> "Focus":
    """The space, narrowed to what saves time.

    Args:
        config: of the command.
        name: of the space.
        heights: a choice of `img_height`, or none.
        aspect: width / height of the baseline's input.
        times_ms: path of a module to the time of its own nodes.
        latency: of an architecture, relative to the baseline's; None to measure it on the board now.

    Raises:
        CandidateError, BoardError: of a latency that is measured.
    """
    from mlflow_nas.estimate import complexity
    from mlflow_nas.search import focus as narrow_to
    from mlflow_nas.space import build_detector, open_space

    space = open_space(name, heights, aspect=aspect)

    def macs(architecture: Architecture) -> float:
        network = build_detector(architecture, num_classes=len(config.classes), space=space)
        return complexity(network, space.input_size(architecture, aspect))["macs"]

    with _on_board(config, space, aspect) if latency is None else nullcontext(latency) as measure:
        return narrow_to(space, times_ms, measure=measure, cost=macs, min_saving=config.min_saving)


@contextmanager
def _on_board(config: FocusConfig, space: "SearchSpace", aspect: float) -> Iterator[RelativeLatency]:
    """Measures an architecture's int8 file of untrained weights on the board, relative to the baseline's."""
    from mlflow_nas.api.models import architecture_files
    from mlflow_nas.board import get_board

    device = find_onnx_device(config.board.name, config.board.inventory)
    board = get_board(device, threads=config.board.threads)
    folder = work_root() / "focus" / board.name

    def file(architecture: Architecture, role: str) -> Path:
        files = architecture_files(
            space,
            architecture,
            folder / role,
            num_classes=len(config.classes),
            img_size=space.input_size(architecture, aspect),
            seed=config.seed,
        )
        return files["int8"]

    try:
        baseline = file(space.baseline, "baseline")
        yield lambda one: float(board.measure(file(one, "candidate"), reference=baseline).ratio or 1.0)
    finally:
        board.close()
