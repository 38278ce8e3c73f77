"""The reference model's float file beside its int8 file: does int8 pay on this board?"""

import logging

from mlflow_nas.search.once import once
from mlflow_nas.search.store import StudyStore
from mlflow_nas.tracking import Mirror
from mlflow_nas.trial import StudyContext, float_latency_ratio

__all__ = ["int8_note", "no_faster_in_int8", "time_float_reference"]

_log = logging.getLogger(__name__)

_RATIO = "nas.float_latency_ratio"


def time_float_reference(context: StudyContext, store: StudyStore, mirror: Mirror) -> None:
    """Time the float file in turn with the int8 file, once per study, and warn where int8 is no faster.

    Raises:
        BoardError: the board failed; CandidateError: the baseline can't be exported or quantized.
    """

    def measure() -> float:
        ratio = float_latency_ratio(context)
        mirror.log_metrics(None, {"float_latency_ratio": ratio})
        if note := no_faster_in_int8(ratio, context.board.name):
            _log.warning(note)
        return ratio

    once(store, _RATIO, measure)


def int8_note(store: StudyStore, board: str) -> str | None:
    """The sentence for a study on whose board int8 is no faster; None elsewhere."""
    ratio = store.value(_RATIO)
    return None if ratio is None else no_faster_in_int8(float(ratio), board)


def no_faster_in_int8(ratio: float, board: str) -> str | None:
    """The sentence for a board where the float file takes at most the int8 file's time; None elsewhere.

    Args:
        ratio: latency of the reference model's float file, relative to its int8 file's.
        board: its name.
    """
    if ratio > 1:
        return None
    return (
        f"Int8 is no faster on {board}: the baseline's int8 file takes {1 / ratio:.2f} of its float file's "
        "time. Choose a board with int8 instructions (VNNI on x86, dotprod on arm64), or compare float files "
        "with --set quantization.precision=fp32."
    )
