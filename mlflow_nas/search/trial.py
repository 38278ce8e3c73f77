"""One candidate from start to end: read this file first."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlflow_nas.errors import CandidateError, NasError
from mlflow_nas.estimate import complexity
from mlflow_nas.export import OnnxDetector
from mlflow_nas.search.agreement import check_board_outputs, check_int8_accuracy
from mlflow_nas.search.artefact import make_artefact
from mlflow_nas.search.timing import measure
from mlflow_nas.search.workbench import Workbench
from mlflow_nas.space import save_weights
from mlflow_nas.train import Fitted, evaluate_detector, evaluate_network, fit
from mlflow_nas.types import Architecture, Evaluation, Latency

__all__ = ["Candidate", "OnStep", "evaluate_candidate", "failed_evaluation"]

BOARD_IMAGES = 2
"""So many images of the validation split show whether the board computes what the host does."""

OnStep = Callable[[str], None]
"""Told the name of each step as it begins, and "epoch" after each epoch."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An architecture on the bench: the trial's number in the study and its MLflow run."""

    architecture: Architecture
    bench: Workbench
    number: int
    run_id: str

    @property
    def key(self) -> str:
        """The architecture's stable name."""
        return self.bench.space.key(self.architecture)

    @property
    def folder(self) -> Path:
        """Where the candidate's files go."""
        return self.bench.folder / self.key

    @property
    def checkpoint(self) -> Path:
        """Where the state of its training is, for a trial that was interrupted."""
        return self.folder / "training.ckpt"


@contextmanager
def _blaming_the_candidate() -> Iterator[None]:
    """For what torch and ONNX Runtime say of a network that they can't run, such as too little memory."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        raise CandidateError(f"{type(error).__name__}: {error}") from error


@_blaming_the_candidate()
def evaluate_candidate(candidate: Candidate, *, on_step: OnStep) -> Evaluation:
    """Counts, latency limit, training, int8 file, its accuracy, its outputs on the board, its latency.

    Returns:
        The evaluation. One that misses the latency limit with untrained weights is infeasible and was not
        trained: it has a latency and no mAP.

    Raises:
        CandidateError: the architecture can't be trained, exported or quantized, quantization costs too much
            accuracy, or the board computes something else than the host.
        BoardError: the board failed; the candidate is not to blame.
    """
    bench, architecture = candidate.bench, candidate.architecture
    on_step("build")
    network = bench.build(architecture)
    metrics = complexity(network, bench.input_size(architecture))

    if bench.max_latency_ms is not None:
        on_step("latency limit")
        untrained = make_artefact(network, architecture, bench=bench, folder=candidate.folder / "untrained")
        latency = measure(untrained, bench)
        if latency.p50_ms > bench.max_latency_ms:
            return _conclude(candidate, metrics, latency)

    on_step("train")
    data = bench.data(architecture)
    fitted = fit(
        network,
        data,
        epochs=bench.epochs,
        seed=bench.seed,
        recipe=bench.recipe,
        kept=bench.kept(network),
        teacher=bench.teacher(architecture),
        on_epoch=lambda _number, _metrics: on_step("epoch"),
        checkpoint=candidate.checkpoint,
    )
    weights = save_weights(network, candidate.folder / "weights.pth")

    on_step("export")
    artefact = make_artefact(network, architecture, bench=bench, folder=candidate.folder)

    on_step("accuracy")
    fp32 = evaluate_network(network, data)
    accuracy = evaluate_detector(OnnxDetector(artefact.shipped), data.batches("val"))
    check_int8_accuracy(fp32=fp32["map_fp32"], int8=accuracy["map"], max_drop=bench.max_int8_drop)
    metrics |= fitted.metrics | fp32 | accuracy | {"model_size_bytes": float(artefact.shipped.stat().st_size)}

    on_step("board")
    images = bench.real_images(architecture, BOARD_IMAGES)
    metrics["board_drift"] = check_board_outputs(bench.board, artefact, images)

    on_step("latency")
    latency = measure(artefact, bench)
    return _conclude(candidate, metrics, latency, fitted=fitted, files={**artefact.files, "weights": weights})


def _conclude(
    candidate: Candidate,
    metrics: Mapping[str, float],
    latency: Latency,
    *,
    fitted: Fitted | None = None,
    files: Mapping[str, Path] | None = None,
) -> Evaluation:
    """Put together what was measured; a limit that is missed makes the candidate infeasible."""
    limit = candidate.bench.max_latency_ms
    constraints = {} if limit is None else {"latency_ms": latency.p50_ms - limit}
    return Evaluation(
        number=candidate.number,
        key=candidate.key,
        architecture=dict(candidate.architecture),
        state="infeasible" if any(value > 0 for value in constraints.values()) else "complete",
        metrics={**metrics, **latency.metrics()},
        constraints=constraints,
        history=fitted.history if fitted else (),
        facts=latency.facts,
        latency_unstable=latency.unstable,
        files=files or {},
        run_id=candidate.run_id,
    )


def failed_evaluation(candidate: Candidate, error: NasError) -> Evaluation:
    """What is known of a candidate whose trial failed: why."""
    return Evaluation(
        number=candidate.number,
        key=candidate.key,
        architecture=dict(candidate.architecture),
        state="failed",
        error=f"{type(error).__name__}: {error}",
        run_id=candidate.run_id,
    )
