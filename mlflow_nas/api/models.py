"""The ONNX files that `profile` and `focus` measure: a user's own, or those of an architecture."""

import re
from pathlib import Path

from mlflow_nas.config import ProfileConfig
from mlflow_nas.errors import CandidateError, ConfigError

__all__ = ["Files", "detector_files", "onnx_files"]

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
    from mlflow_nas.export import export_onnx, quantize_int8, random_images
    from mlflow_nas.space import build_detector, load_seed_weights, open_space, read_architecture

    aspect = config.space.aspect_number()
    space = open_space(config.space.name, aspect=aspect, arch=config.arch)
    architecture = read_architecture(space, config.arch) if config.arch else dict(space.baseline)
    weights = load_seed_weights(config.weights).for_classes(config.classes) if config.weights else None
    network = build_detector(
        architecture, num_classes=len(config.classes), space=space, weights=weights, seed=config.seed
    )
    folder.mkdir(parents=True, exist_ok=True)
    fp32 = export_onnx(
        network,
        folder / "model.onnx",
        img_size=space.input_size(architecture, aspect),
        metadata={"mlflow_nas.key": space.key(architecture)},
    )
    images = random_images(fp32, _CALIBRATION)
    return {"fp32": fp32, "int8": quantize_int8(fp32, folder / "int8.onnx", calibration=images)}
