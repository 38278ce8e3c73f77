"""`search --space auto`: the space that `focus` suggests for this board and data, found once."""

from collections.abc import Mapping
from typing import Any

from mlflow_nas.api.focus import suggest
from mlflow_nas.api.savings import RelativeLatency
from mlflow_nas.config import FocusConfig, NetworkSection, SearchConfig, find_onnx_device

__all__ = ["AUTO", "with_space"]

AUTO = "auto"
_VERSION = 1
"""Of what is measured, raised by a change that alters the suggestion."""


def with_space(config: SearchConfig, *, latency: RelativeLatency | None = None) -> SearchConfig:
    """The configuration with a space by name, where it asks for `auto`.

    The suggestion lies in the step cache, so that the same command continues its study. Choices that the user
    gives win over the suggested ones.

    Args:
        config: of the search.
        latency: of an architecture, relative to the baseline's; None to measure it on the board now.

    Raises:
        ConfigError, CandidateError, BoardError: as `focus`.
    """
    if config.space.name != AUTO:
        return config
    from mlflow_nas.board import get_board
    from mlflow_nas.data import load_splits
    from mlflow_nas.search import open_cache
    from mlflow_nas.trial import fingerprint

    data = config.data
    train = load_splits(data.uri, data.classes, on_bad_image=data.on_bad_image).train
    device = find_onnx_device(config.board.name, config.board.inventory)
    board = get_board(device, threads=config.board.threads)
    key = fingerprint(
        version=_VERSION,
        board=board.identity(),
        aspect=[config.space.aspect, train.aspect],
        classes=len(data.classes),
        seed=config.seed,
    )
    board.close()
    found = open_cache().make("focus", key, lambda _folder: _suggested(config, train.aspect, latency))
    own = {choice.partition("=")[0] for choice in config.space.choices}
    suggested = [one for one in found.values["choices"] if one.partition("=")[0] not in own]
    space = config.space.model_copy(
        update={"name": found.values["space"], "choices": (*config.space.choices, *suggested)}
    )
    return config.model_copy(update={"space": space})


def _suggested(config: SearchConfig, images: float, latency: RelativeLatency | None) -> Mapping[str, Any]:
    network = NetworkSection(aspect=config.space.aspect)
    chosen = FocusConfig(
        data=config.data.uri,
        classes=config.data.classes,
        seed=config.seed,
        space=network,
        board=config.board,
    )
    suggested = suggest(chosen, images=images, latency=latency).suggested
    return {"space": suggested["space"], "choices": list(suggested["settings"])}
