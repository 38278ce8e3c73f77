"""From a checked configuration to the context that the trials of a study share."""

from mlflow_nas.board import get_board
from mlflow_nas.config import SearchConfig, SelectConfig, TrainConfig, find_device
from mlflow_nas.data import load_splits
from mlflow_nas.errors import ConfigError
from mlflow_nas.space import (
    COCO_CLASSES,
    PUBLISHED_IMG_WIDTH,
    SearchSpace,
    SeedWeights,
    input_size,
    load_backbone_weights,
    load_seed_weights,
    open_space,
)
from mlflow_nas.train import named_recipe
from mlflow_nas.trial import (
    GivenDetector,
    StepCache,
    StudyContext,
    default_epochs,
    given_detector,
    parse_limits,
    parse_objectives,
)

__all__ = ["StudyConfig", "open_context"]

StudyConfig = SearchConfig | SelectConfig
"""Configurations of the commands that train trials of a study."""


def open_context(config: StudyConfig | TrainConfig, *, cache: StepCache) -> StudyContext:
    """Load data and weights, and find the board.

    Raises:
        ConfigError: the board, space, a limit or an objective is unknown, the board is emulated, or data or
            weights can't be read.
    """
    training, device = config.training, find_device(config.board.name, config.board.inventory)
    if device.emulated:
        raise ConfigError(
            f"The board {device.name} is emulated: its times are no latencies. Search on another one; "
            "`mlflow_nas profile` and deployments work with it."
        )
    classes = config.data.classes
    weights = load_seed_weights(training.weights).for_classes(classes) if training.weights else None
    # FastestDet's recipe is for comparison, and trains everything.
    automatic = training.freeze == "auto" and training.recipe == "default"
    recipe = named_recipe(
        training.recipe,
        freeze="none" if training.freeze == "auto" else training.freeze,
        distillation=training.distillation,
    )
    data = load_splits(
        config.data.uri,
        classes,
        on_bad_image=config.data.on_bad_image,
        test_fraction=config.data.test_fraction,
        eval_augmentations=config.data.eval_augmentations,
    )
    aspect = config.space.aspect_number(data.train.aspect)
    arch = config.arch if isinstance(config, TrainConfig) else None
    space = open_space(config.space.name, config.space.choices, aspect=aspect, arch=arch)
    search = config.search if isinstance(config, SearchConfig) else SearchConfig().search
    return StudyContext(
        space=space,
        train=data.train,
        val=data.val,
        test=data.test,
        board=get_board(device, threads=config.board.threads),
        cache=cache,
        epochs=training.epochs or default_epochs(len(data.train), training.batch_size),
        batch_size=training.batch_size,
        seed=config.seed,
        recipe=recipe,
        objectives=parse_objectives(search.objectives),
        limits=parse_limits(search.limits),
        aspect=aspect,
        weights=weights,
        backbone_weights=None if weights else load_backbone_weights(training.backbone_weights),
        precision=config.quantization.precision,
        int8_input=config.quantization.input,
        max_int8_drop=config.quantization.max_drop,
        freeze_unchanged=automatic,
        threads=training.threads,
        given=_given(config, weights, space, aspect) if not isinstance(config, TrainConfig) else None,
    )


def _given(
    config: StudyConfig, weights: SeedWeights | None, space: SearchSpace, aspect: float
) -> GivenDetector | None:
    """The detector of the given weights, with all of its classes, at its own input size."""
    if weights is None:
        return None
    is_published = weights.full.num_classes == len(COCO_CLASSES)
    own_height, own_width = (
        input_size(PUBLISHED_IMG_WIDTH, 1.0) if is_published else space.input_size(space.baseline, aspect)
    )
    width = config.training.weights_img_width or own_width
    height = config.training.weights_img_height or input_size(width, own_width / own_height)[0]
    return given_detector(weights, space, classes=config.data.classes, img_size=(height, width))
