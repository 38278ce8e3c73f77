"""A model file as something that can be run."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mlflow_nas.board.runtime.failure import Failure

__all__ = ["Run", "load"]

Run = Callable[[], Any]
Feed = dict[str, Any]

DTYPES = {
    "float": "f4",
    "float16": "f2",
    "double": "f8",
    "bool": "?",
    "uint8": "u1",
    "uint16": "u2",
    "uint32": "u4",
    "uint64": "u8",
    "int8": "i1",
    "int16": "i2",
    "int32": "i4",
    "int64": "i8",
}


def load(
    model: str,
    threads: int,
    cores: Sequence[int] = (),
    providers: Sequence[tuple[str, dict[str, str]]] = (("CPUExecutionProvider", {}),),
    profile: str = "",
) -> tuple[Any, Run]:
    """The session, and a call that runs it on random inputs of its own shapes; it has run once already.

    Args:
        model: path of the file.
        threads: of one inference.
        cores: on which the process stays; none for all.
        providers: ONNX Runtime's execution providers in their order, with their options.
        profile: beginning of the path of ONNX Runtime's profile; empty for none.
    """
    import onnxruntime

    if not Path(model).is_file():
        raise Failure("device", f"the model file {model} is not on the device")
    _stay_on(cores)
    _refuse_missing([name for name, _ in providers], onnxruntime.get_available_providers())
    try:
        session = onnxruntime.InferenceSession(
            model,
            _options(threads, profile),
            providers=[(name, dict(settings)) for name, settings in providers],
        )
        run = functools.partial(session.run, None, _random_feed(session))
        run()
    except Exception as error:  # onnxruntime's errors share no base class
        raise Failure("model", f"onnxruntime {onnxruntime.__version__} refuses the model: {error}") from error
    return session, run


def _options(threads: int, profile: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    # As on the host: x86 without VNNI would saturate 16-bit sums, and compute what was never evaluated.
    options.add_session_config_entry("session.x64quantprecision", "1")
    if profile:
        options.enable_profiling, options.profile_file_prefix = True, profile
    return options


def _random_feed(session: Any) -> Feed:
    """An input of each name; sizes that the model leaves open are 1."""
    import numpy as np

    rng, feed = np.random.default_rng(0), {}
    for node in session.get_inputs():
        shape = [size if isinstance(size, int) else 1 for size in node.shape]
        feed[node.name] = rng.random(shape).astype(DTYPES[node.type[len("tensor(") : -1]])
    return feed


def _stay_on(cores: Sequence[int]) -> None:
    if not cores:
        return
    try:
        os.sched_setaffinity(0, cores)
    except OSError as error:
        raise Failure(
            "request", f"the process can't stay on the cores {list(cores)}: {error}; mend cpu_affinity"
        ) from error


def _refuse_missing(wanted: Sequence[str], there: Sequence[str]) -> None:
    """ONNX Runtime would only warn, and run the model on the CPU."""
    missing = [name for name in wanted if name not in there]
    if missing:
        raise Failure(
            "request",
            f"onnxruntime on the device has no {missing[0]}: it has {', '.join(there)}; install the build "
            "that has it, or mend `providers`",
        )
