"""From a checked config to the bench that trials work on."""

from pathlib import Path

from mlflow_nas.board import get_board
from mlflow_nas.config import StudyOptions, TrainConfig, find_device, measurements_root
from mlflow_nas.data import load_splits
from mlflow_nas.errors import ConfigError
from mlflow_nas.search import Workbench, default_epochs
from mlflow_nas.space import is_whole, load_backbone_weights, load_seed_weights, load_space, narrow
from mlflow_nas.train import named_recipe

__all__ = ["make_bench"]


def make_bench(
    config: StudyOptions | TrainConfig, *, folder: Path, max_latency_ms: float | None
) -> Workbench:
    """Load data and weights and find the board.

    Raises:
        ConfigError: the board or space is unknown, the board emulated, or data or weights can't be read.
    """
    device = find_device(config.board, config.devices)
    if device.emulated:
        raise ConfigError(
            f"The board {device.name} is emulated: its times are no latencies. Search on another one; "
            "`mlflow_nas profile` and deployments work with it."
        )
    board = get_board(device, threads=config.threads, cache=measurements_root())
    space = load_space(config.space)
    seed_weights = load_seed_weights(config.weights).for_classes(config.classes) if config.weights else None
    # The published recipe is for comparison, and trained everything.
    automatic = config.freeze == "auto" and config.recipe == "ours"
    recipe = named_recipe(
        config.recipe,
        freeze="none" if config.freeze == "auto" else config.freeze,
        distillation=config.distillation,
    )
    data = load_splits(
        config.data,
        config.classes,
        on_bad_image=config.on_bad_image,
        test_fraction=config.test_fraction,
        val_views=config.val_views,
    )
    bench = Workbench(
        space=narrow(space, config.set) if isinstance(config, StudyOptions) else space,
        train=data.train,
        val=data.val,
        test=data.test,
        board=board,
        folder=folder,
        epochs=config.epochs or default_epochs(len(data.train), config.batch_size),
        batch_size=config.batch_size,
        seed=config.seed,
        aspect=config.aspect,
        recipe=recipe,
        freeze_inherited=automatic,
        weights=seed_weights,
        backbone_weights=None if seed_weights else load_backbone_weights(config.backbone_weights),
        max_latency_ms=max_latency_ms,
        precision=config.precision,
        max_int8_drop=config.max_int8_drop,
    )
    return bench.inheriting() if seed_weights and is_whole(seed_weights, space) else bench
