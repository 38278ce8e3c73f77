"""From a checked configuration to the context that the trials of a study share."""

from pathlib import Path

from mlflow_nas.board import get_board
from mlflow_nas.config import SearchConfig, SelectConfig, TrainConfig, find_device
from mlflow_nas.data import load_splits
from mlflow_nas.errors import ConfigError
from mlflow_nas.networks import Task
from mlflow_nas.runtime import get_runtime
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
from mlflow_nas.tasks import check_truth, get_task
from mlflow_nas.train import Recipe, TrainerSettings, named_recipe
from mlflow_nas.trial import (
    GivenDetector,
    GivenFile,
    StepCache,
    StudyContext,
    default_epochs,
    given_detector,
    open_given_file,
    parse_limits,
    parse_objectives,
)
from mlflow_nas.types import Device

__all__ = ["StudyConfig", "open_context"]

StudyConfig = SearchConfig | SelectConfig
"""Configurations of the commands that train trials of a study."""


def open_context(config: StudyConfig | TrainConfig, *, cache: StepCache) -> StudyContext:
    """Load data and weights, and find the board.

    Raises:
        ConfigError: the board, space, a limit or an objective is unknown, the board is emulated, or data or
            weights can't be read.
    """
    training, device = config.training, _find_board(config)
    path = training.weights
    weights = load_seed_weights(path).for_classes(config.data.classes) if path else None
    data = load_splits(
        config.data.uri,
        config.data.classes,
        on_bad_image=config.data.on_bad_image,
        test_fraction=config.data.test_fraction,
        eval_augmentations=config.data.eval_augmentations,
    )
    aspect = config.space.aspect_number(data.train.aspect)
    arch = config.arch if isinstance(config, TrainConfig) else None
    space = open_space(config.space.name, config.space.choices, aspect=aspect, arch=arch)
    search = (config if isinstance(config, SearchConfig) else SearchConfig()).search
    task = get_task(space.task)
    of_weights = _given_weights(config, weights, space, aspect) if weights else None
    _refuse_unused(config, space, weights, of_weights)
    given = _given_file(config, search.reference, task) if search.reference else of_weights
    own = None if weights or not space.shufflenet_trunk else load_backbone_weights(training.backbone_weights)
    check_truth(task, data.train)
    _refuse_boxes(config, task)
    return StudyContext(
        space=space,
        train=data.train,
        val=data.val,
        test=data.test,
        board=get_board(device, threads=config.board.threads),
        runtime=get_runtime(device),
        cache=cache,
        epochs=training.epochs or default_epochs(len(data.train), training.batch_size),
        batch_size=training.batch_size,
        seed=config.seed,
        recipe=_recipe(config),
        objectives=parse_objectives(search.objectives or (task.metrics[0], "latency_ms")),
        limits=parse_limits(search.limits),
        aspect=aspect,
        weights=weights,
        backbone_weights=own,
        precision=config.quantization.precision,
        int8_input=config.quantization.input,
        file_output=config.quantization.output,
        max_int8_drop=config.quantization.max_drop,
        # FastestDet's recipe is for comparison, and trains everything.
        freeze_unchanged=training.freeze == "auto" and training.recipe == "default",
        trainer=TrainerSettings(**training.trainer.settings()),
        threads=training.threads,
        given=given if not isinstance(config, TrainConfig) else None,
    )


def _recipe(config: StudyConfig | TrainConfig) -> Recipe:
    training = config.training
    frozen = "none" if training.freeze == "auto" else training.freeze
    return named_recipe(training.recipe, freeze=frozen, distillation=training.distillation)


def _find_board(config: StudyConfig | TrainConfig) -> Device:
    device = find_device(config.board.name, config.board.inventory)
    if device.emulated:
        raise ConfigError(
            f"The board {device.name} is emulated: its times are no latencies. Search on another one; "
            "`mlflow_nas profile` and deployments work with it."
        )
    if device.runtime != "onnxruntime" and config.quantization.precision != "int8":
        raise ConfigError(
            f"The runtime {device.runtime} of {device.name} compiles int8 files, not "
            f"quantization.precision={config.quantization.precision}: leave it at int8."
        )
    if device.runtime != "onnxruntime" and isinstance(config, SearchConfig) and config.search.reference:
        raise ConfigError(
            f"--reference {config.search.reference} is an ONNX file, which {device.name} does not run "
            f"(runtime {device.runtime}): leave it out, or give the detector as --weights."
        )
    return device


def _refuse_unused(
    config: StudyConfig | TrainConfig,
    space: SearchSpace,
    weights: SeedWeights | None,
    given: GivenDetector | None,
) -> None:
    """Weights that nothing starts from are an error of the user's."""
    if weights and space.transfer is None and given is None:
        raise ConfigError(
            f"The weights {weights.source} are not those of the baseline of the space {space.name}, which "
            "has no transfer to its architectures: give the SearchSpace a transfer, or leave --weights out."
        )
    if config.training.backbone_weights and not space.shufflenet_trunk:
        raise ConfigError(
            f"training.backbone_weights={config.training.backbone_weights} are shufflenet_v2_x0_5's, which "
            f"the space {space.name} does not have: load pretrained weights in its build function."
        )


def _refuse_boxes(config: StudyConfig | TrainConfig, task: Task) -> None:
    if config.quantization.output == "boxes" and "boxes" not in task.layouts:
        raise ConfigError(
            f"quantization.output=boxes: networks of the task {task.name} give no boxes: leave it out."
        )


def _given_weights(
    config: StudyConfig | TrainConfig, weights: SeedWeights, space: SearchSpace, aspect: float
) -> GivenDetector | None:
    """The detector of the given weights, with all of its classes, at its own input size."""
    is_published = weights.full.num_classes == len(COCO_CLASSES)
    own_height, own_width = (
        input_size(PUBLISHED_IMG_WIDTH, 1.0) if is_published else space.input_size(space.baseline, aspect)
    )
    width = config.training.weights_img_width or own_width
    height = config.training.weights_img_height or input_size(width, own_width / own_height)[0]
    return given_detector(weights, space, classes=config.data.classes, img_size=(height, width))


def _given_file(config: StudyConfig | TrainConfig, path: Path, task: Task) -> GivenFile:
    """The reference file; the size of weights is that of a file which leaves it open."""
    width, height = config.training.weights_img_width, config.training.weights_img_height
    size = (height or width, width) if width else None
    return open_given_file(path, task=task, classes=config.data.classes, img_size=size)
