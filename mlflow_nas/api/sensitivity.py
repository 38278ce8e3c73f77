"""`mlflow_nas sensitivity`: what int8 costs in each layer of a detector."""

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlflow_nas.api.results import SensitivityResult
from mlflow_nas.api.settings import read_settings
from mlflow_nas.config import EvaluateConfig, SensitivityConfig, work_root
from mlflow_nas.errors import ConfigError

__all__ = ["sensitivity"]


def sensitivity(
    settings: SensitivityConfig | None = None, /, *, config: Path | str | None = None, **options: object
) -> SensitivityResult:
    """Quantize each layer of a float detector alone; compare outputs, and of the worst the accuracy.

    Nothing is logged.

    Args:
        settings: the configuration; None for keywords.
        config: a YAML file with further settings.
        options: settings by option or dotted name.

    Raises:
        ConfigError: a setting or data, or the file is missing or already in int8.
        CandidateError: ONNX Runtime can't quantize the network.
    """
    chosen = read_settings(SensitivityConfig, settings, options, config)
    from mlflow_nas.data import calibration_images, load_dataset
    from mlflow_nas.export import Quantization, calibrated, is_quantized, layer_sensitivities
    from mlflow_nas.report import sensitivity_png

    start, data = time.perf_counter(), chosen.data
    if is_quantized(chosen.onnx):
        raise ConfigError(f"{chosen.onnx} is quantized already: give the float file that it was made of.")
    with tempfile.TemporaryDirectory() as folder:
        accuracy = _Accuracy(chosen, Path(folder))
        fp32 = accuracy.of(chosen.onnx)
        train = load_dataset(data.uri, "train", data.classes, on_bad_image=data.on_bad_image)
        images = calibration_images(train, img_size=accuracy.img_size, count=chosen.images, seed=chosen.seed)
        choices = Quantization(float_modules=chosen.float_modules)
        with calibrated(chosen.onnx, images, choices) as model:
            found = sorted(layer_sensitivities(model, images), key=lambda one: -one.output_error)
            file = Path(folder) / "int8.onnx"
            int8 = accuracy.of(model.write(file))
            rows = [
                {**one._asdict(), **(accuracy.of(model.write(file, only=[one.layer])) if shown else {})}
                for one, shown in zip(found, _first(chosen.worst, len(found)), strict=True)
            ]
    chart = work_root() / "sensitivity" / f"{chosen.onnx.stem}.png"
    chart.parent.mkdir(parents=True, exist_ok=True)
    return SensitivityResult(
        layers=tuple(rows),
        fp32=fp32,
        int8=int8,
        detector=str(chosen.onnx),
        chart=sensitivity_png(rows, chart, title=f"{chosen.onnx.name}: one layer alone in int8"),
        seconds=round(time.perf_counter() - start, 3),
    )


def _first(count: int, of: int) -> list[bool]:
    return [index < count for index in range(of)]


class _Accuracy:
    """Accuracy of files on the validation split, which is read once.

    Args:
        config: of the command.
        folder: of files.
    """

    def __init__(self, config: SensitivityConfig, folder: Path) -> None:
        from mlflow_nas.api.detectors import load_split, open_detector

        self._config = EvaluateConfig(onnx=config.onnx, data=config.data)
        self._folder = folder
        self._open = open_detector
        loaded = open_detector(self._config, folder=folder)
        self.img_size = loaded.img_size
        self._val = load_split(self._config, eval_augmentations=loaded.eval_augmentations)

    def of(self, path: Path) -> Mapping[str, Any]:
        """Of a file."""
        from mlflow_nas.data import in_order
        from mlflow_nas.tasks import evaluate_outputs

        loaded = self._open(self._config.model_copy(update={"onnx": path}), folder=self._folder)
        batches = in_order(self._val, img_size=loaded.img_size)
        return evaluate_outputs(loaded.detector, batches, task=loaded.task, classes=loaded.indexes)
