"""A study's trained supernet: scores of architectures, and their networks."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from mlflow_nas.data import calibration_images
from mlflow_nas.errors import ConfigError
from mlflow_nas.estimate import SupernetScore
from mlflow_nas.export import Quantization, export_onnx, quantize_int8
from mlflow_nas.runtime import OnnxDetector
from mlflow_nas.tasks import NetworkRunner, evaluate_outputs
from mlflow_nas.train import fit, torch_threads
from mlflow_nas.train.supernet import MemberBatches, evaluate_member, with_statistics
from mlflow_nas.trial.cache import Entry, StepCache, fingerprint
from mlflow_nas.trial.candidate import CALIBRATION_IMAGES, FP32_FILE, WEIGHTS_FILE
from mlflow_nas.trial.supernet.parts import SupernetParts
from mlflow_nas.types import Architecture

__all__ = ["Supernet"]

ADAPTED_EPOCHS = 2
"""Of a candidate's own training before it is compared as it ships (docs/results/supernet.md)."""


class Supernet:
    """A trained supernet.

    Args:
        parts: of the study.
        entry: of its training in the step cache.
    """

    def __init__(self, parts: SupernetParts, entry: Entry) -> None:
        self._parts, self._entry = parts, entry
        # MLflow holds no scores: asking it for each would take longer than computing them.
        self._scores = StepCache(parts.context.cache.folder, limit_bytes=parts.context.cache.limit_bytes)
        self._batches: OrderedDict[str, MemberBatches] = OrderedDict()

    @property
    def train_s(self) -> float:
        """Seconds that the training took."""
        return self._entry.seconds

    @cached_property
    def _shared(self) -> dict[str, Tensor]:
        """The shared tensors: as trained, or first ones where no member of the training has them."""
        device = self._parts.device
        trained = torch.load(self._entry.file(WEIGHTS_FILE), map_location=device, weights_only=True)
        tensors = self._parts.members.shared.tensors
        tensors |= {name: value.requires_grad_() for name, value in trained.items()}
        return tensors

    def score(self, architecture: Architecture, *, shipped: bool = False) -> SupernetScore:
        """The first objective of an architecture with the shared weights, higher is better.

        Args:
            architecture: a member of the space.
            shipped: of the file that ships, int8 where the study's trials ship that, of the network after a
                few epochs of its own (`adapted`); else of the float network as it is, which takes less time.

        Raises:
            CandidateError: it can't be built, exported or quantized.
            ConfigError: the first objective is not an accuracy.
        """
        context = self._parts.context
        objective = context.objectives[0]
        name = objective.name.removesuffix("_fp32")
        int8 = shipped and context.precision == "int8" and name == objective.name
        measure = self._measure_adapted if shipped else self._measure
        key = fingerprint(
            supernet=self._entry.fingerprint,
            architecture=dict(architecture),
            val=context.val.digest,
            precision="int8" if int8 else "fp32",
            epochs=ADAPTED_EPOCHS if shipped else 0,
        )
        with torch_threads(context.threads or torch.get_num_threads()):
            entry = self._scores.make(
                "supernet-score", key, lambda folder: measure(architecture, folder, int8=int8)
            )
        if name not in entry.values:
            raise ConfigError(
                f"The strategy supernet estimates {', '.join(entry.values)}, and the first objective is "
                f"{objective.name}: give one of these first, or use another strategy."
            )
        value = float(entry.values[name])
        return SupernetScore(value if objective.maximize else -value, entry.seconds)

    def _measure(self, architecture: Architecture, _folder: Path, *, int8: bool) -> Mapping[str, float]:  # noqa: ARG002 - as the other
        parts = self._parts
        batches = self._at_size(architecture)
        return evaluate_member(
            parts.members[architecture], self._shared, batches, meter=parts.context.task.meter()
        )

    def _measure_adapted(
        self, architecture: Architecture, folder: Path, *, int8: bool
    ) -> Mapping[str, float]:
        context, size = self._parts.context, self._parts.context.input_size(architecture)
        network, data = self.adapted(architecture), context.data(architecture)
        if not int8:
            return evaluate_outputs(NetworkRunner(network), data.batches("val"), task=context.task)
        images = calibration_images(context.train, img_size=size, count=CALIBRATION_IMAGES, seed=context.seed)
        fp32 = export_onnx(network, folder / FP32_FILE, img_size=size, metadata={})
        choices = Quantization(float_modules=context.space.float_modules)
        file = quantize_int8(fp32, folder / "int8.onnx", calibration=images, choices=choices)
        found = evaluate_outputs(OnnxDetector(file), data.batches("val"), task=context.task)
        fp32.unlink()  # of many candidates only the numbers are kept
        file.unlink()
        return found

    def _at_size(self, architecture: Architecture) -> MemberBatches:
        size = str(self._parts.context.input_size(architecture))
        if size not in self._batches:
            while len(self._batches) >= self._parts.measured_sizes:
                self._batches.popitem(last=False)
            self._batches[size] = self._parts.batches(architecture, with_teacher=False)
        self._batches.move_to_end(size)
        return self._batches[size]

    def network(self, architecture: Architecture) -> nn.Module:
        """The whole network of an architecture with the shared weights and statistics of its own.

        Raises:
            CandidateError: it can't be built.
        """
        parts = self._parts
        member = parts.members[architecture]
        measured = with_statistics(member, self._shared, self._at_size(architecture))
        whole = parts.build(architecture)
        parts.seed.transfer_weights(whole, parts.transfer)
        whole.load_state_dict(measured.state_dict(), strict=False)
        return whole.eval()

    def adapted(self, architecture: Architecture, *, epochs: int = ADAPTED_EPOCHS) -> nn.Module:
        """The network after a few epochs of its own, trained as a trial: shared weights fit no member best.

        Args:
            architecture: a member of the space.
            epochs: of its own.

        Raises:
            CandidateError: it can't be built or trained.
        """
        context, network = self._parts.context, self.network(architecture).cpu().train()
        fit(
            network,
            context.data(architecture),
            epochs=epochs,
            seed=context.seed,
            recipe=context.recipe,
            task=context.task,
            parts=context.parts,
            teacher=context.teacher(architecture),
            trainer=context.trainer,
            threads=context.threads,
        )
        return network

    def ordered(self, architectures: Sequence[Architecture]) -> list[int]:
        """The order in which they are scored fastest: those of one input size one after the other."""
        sizes = [self._parts.context.input_size(one) for one in architectures]
        return sorted(range(len(architectures)), key=lambda index: sizes[index])
