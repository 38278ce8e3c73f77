"""The ONNX files that `profile` and `focus` measure: a user's own, or those of an architecture."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from mlflow_nas.config import ProfileConfig
from mlflow_nas.errors import CandidateError, ConfigError
from mlflow_nas.types import Architecture

if TYPE_CHECKING:
    from mlflow_nas.space import SearchSpace, SeedWeights

__all__ = ["Files", "architecture_files", "detector_files", "onnx_files"]

Files = dict[str, Path]

_SHAPE = re.compile(r"(.+)=(\d+(?:x\d+)*)")
_CALIBRATION = 4


def onnx_files(config: ProfileConfig, model: Path, folder: Path) -> tuple[Files, str | None]:
    """A user's file with the shapes given, and an int8 file beside a float one.

    Returns:
        Precision to file, and why there is no int8 file where there is none.

    Raises:
        ConfigError: a file that can't be read, or a shape that does not fit it.
    """
    from mlflow_nas.export import fix_input_shapes, is_quantized, quantize_int8, random_images

    shapes = _shapes(config.shape)
    fixed = fix_input_shapes(model, folder / "model.onnx", shapes)
    if is_quantized(fixed):
        return {"int8": fixed}, None
    if config.int8 is not None:
        return {"fp32": fixed, "int8": fix_input_shapes(config.int8, folder / "int8.onnx", shapes)}, None
    try:
        images = random_images(fixed, _CALIBRATION)
        folder.mkdir(parents=True, exist_ok=True)
        return {"fp32": fixed, "int8": quantize_int8(fixed, folder / "int8.onnx", calibration=images)}, None
    except (CandidateError, ConfigError) as error:
        return {"fp32": fixed}, f"no int8 file could be made, give one with --int8: {error}"


def _shapes(settings: tuple[str, ...]) -> dict[str, list[int]]:
    shapes = {}
    for setting in settings:
        found = _SHAPE.fullmatch(setting)
        if not found:
            raise ConfigError(f"--shape {setting!r} is no shape: write NAME=1x3x320x320, one per input.")
        shapes[found[1]] = [int(size) for size in found[2].split("x")]
    return shapes


def detector_files(config: ProfileConfig, folder: Path) -> Files:
    """Both files of an architecture's detector; its latency does not depend on its weights.

    Raises:
        ConfigError: the architecture or weights; CandidateError: it can't be exported or quantized.
    """
    from mlflow_nas.space import load_seed_weights, open_space, read_architecture

    aspect = config.space.aspect_number()
    space = open_space(config.space.name, aspect=aspect, arch=config.arch)
    architecture = read_architecture(space, config.arch) if config.arch else dict(space.baseline)
    weights = load_seed_weights(config.weights).for_classes(config.classes) if config.weights else None
    return architecture_files(
        space,
        architecture,
        folder,
        num_classes=len(config.classes),
        img_size=space.input_size(architecture, aspect),
        weights=weights,
        seed=config.seed,
    )


def architecture_files(
    space: "SearchSpace",
    architecture: Architecture,
    folder: Path,
    *,
    num_classes: int,
    img_size: tuple[int, int],
    weights: "SeedWeights | None" = None,
    seed: int = 0,
) -> Files:
    """The float and the int8 file of an architecture, calibrated on random images: for timing only.

    Args:
        space: of the architecture.
        architecture: a member.
        folder: of the files.
        num_classes: number of classes.
        img_size: height and width of the input, pixels.
        weights: that are transferred; None for fresh ones.
        seed: of fresh weights.

    Raises:
        ConfigError: the weights don't fit; CandidateError: it can't be built, exported or quantized.
    """
    from mlflow_nas.export import Quantization, export_onnx, quantize_int8, random_images
    from mlflow_nas.space import build_detector

    network = build_detector(architecture, num_classes=num_classes, space=space, weights=weights, seed=seed)
    folder.mkdir(parents=True, exist_ok=True)
    metadata = {"mlflow_nas.key": space.key(architecture)}
    fp32 = export_onnx(network, folder / "model.onnx", img_size=img_size, metadata=metadata)
    int8 = quantize_int8(
        fp32,
        folder / "int8.onnx",
        calibration=random_images(fp32, _CALIBRATION),
        choices=Quantization(float_modules=space.float_modules),
    )
    return {"fp32": fp32, "int8": int8}
