"""A model file as a session: ONNX Runtime's, or of a TFLite file LiteRT's."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlflow_nas.board.runtime.facts import processor
from mlflow_nas.board.runtime.failure import Failure, JsonObject
from mlflow_nas.board.runtime.litert import LIBRARY, LiteRtSession, is_tflite, litert_version

__all__ = ["Run", "load", "open_session", "refusals", "session_options"]

Run = Callable[[], Any]
Feed = dict[str, Any]

X86 = ("x86_64", "AMD64")


def session_options(facts: Mapping[str, str]) -> JsonObject:
    """Options of every session on a device of these facts; latencies compare only under the same options.

    Without VNNI the int8 kernels of x86 saturate 16-bit sums, which changes the outputs:
    `session.x64quantprecision` has others used. With VNNI it would only make the file slower.
    """
    saturates = facts.get("machine") in X86 and "vnni" not in facts.get("int8", "")
    return {
        "inter_op_num_threads": 1,
        "execution_mode": "ORT_SEQUENTIAL",
        "config_entries": {"session.x64quantprecision": "1"} if saturates else {},
    }


BYTES = 256

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


def load(model: str, **settings: Any) -> tuple[Any, Run]:
    """As `open_session`, with its arguments; the model has run once already."""
    session, run = open_session(model, **settings)
    with refusals(model):
        run()
    return session, run


def open_session(
    model: str,
    threads: int,
    cores: Sequence[int] = (),
    providers: Sequence[tuple[str, dict[str, str]]] = (("CPUExecutionProvider", {}),),
    delegate: tuple[str, dict[str, str]] | None = None,
    profile: str = "",
) -> tuple[Any, Run]:
    """The session, and a function that runs it on random inputs of its shapes.

    Args:
        model: path of the file.
        threads: of one inference.
        cores: CPU affinity of the process; empty for all.
        providers: ONNX Runtime's execution providers in their order, with their options.
        delegate: of a TFLite file: path of the library that computes what it can, and its options.
        profile: prefix of the path of ONNX Runtime's profile; empty for none.
    """
    if not Path(model).is_file():
        raise Failure("device", f"the model file {model} is not on the device: deploy it again")
    _pin(cores)
    if is_tflite(model):
        return _open_tflite(model, threads, delegate, profile)
    import onnxruntime

    _refuse_missing([name for name, _ in providers], onnxruntime.get_available_providers())
    with refusals(model):
        session = onnxruntime.InferenceSession(
            model,
            _options(threads, profile),
            providers=[(name, dict(settings)) for name, settings in providers],
        )
        return session, functools.partial(session.run, None, _random_feed(session))


def _open_tflite(
    model: str, threads: int, delegate: tuple[str, dict[str, str]] | None, profile: str
) -> tuple[Any, Run]:
    if profile:
        raise Failure("request", "LiteRT tells no time of single operators: profile the ONNX file")
    with refusals(model):
        session = LiteRtSession(model, threads, delegate)
        return session, functools.partial(session.invoke, _random_feed(session))


@contextmanager
def refusals(model: str) -> Iterator[None]:
    """Whatever the runtime raises means that it refuses the model."""
    try:
        yield
    except (Failure, ImportError):
        raise
    except Exception as error:  # the runtimes' errors share no base class
        raise Failure("model", f"{_runtime_of(model)} refuses the model: {error}") from error


def _runtime_of(model: str) -> str:
    if is_tflite(model):
        return f"{LIBRARY} {litert_version()}"
    import onnxruntime

    return f"onnxruntime {onnxruntime.__version__}"


def _options(threads: int, profile: str) -> Any:
    import onnxruntime

    options, chosen = onnxruntime.SessionOptions(), session_options(processor())
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = chosen["inter_op_num_threads"]
    options.execution_mode = getattr(onnxruntime.ExecutionMode, chosen["execution_mode"])
    options.log_severity_level = 3
    for name, value in chosen["config_entries"].items():
        options.add_session_config_entry(name, value)
    if profile:
        options.enable_profiling, options.profile_file_prefix = True, profile
    return options


def _random_feed(session: Any) -> Feed:
    """Random inputs by name; open dimensions are 1."""
    import numpy as np

    rng, feed = np.random.default_rng(0), {}
    for node in session.get_inputs():
        shape = [size if isinstance(size, int) else 1 for size in node.shape]
        kind = DTYPES[node.type[len("tensor(") : -1]]
        lowest = {"u1": 0, "i1": -BYTES // 2}.get(kind)
        values = rng.random(shape) if lowest is None else rng.integers(lowest, lowest + BYTES, shape)
        feed[node.name] = values.astype(kind)
    return feed


def _pin(cores: Sequence[int]) -> None:
    if not cores:
        return
    try:
        os.sched_setaffinity(0, cores)
    except OSError as error:
        raise Failure(
            "request", f"the process can't be pinned to the cores {list(cores)}: {error}; fix cpu_affinity"
        ) from error


def _refuse_missing(wanted: Sequence[str], available: Sequence[str]) -> None:
    """ONNX Runtime would only warn, and run the model on the CPU."""
    missing = [name for name in wanted if name not in available]
    if missing:
        raise Failure(
            "request",
            f"onnxruntime on the device has no {missing[0]}: it has {', '.join(available)}; install the "
            "build that has it, or fix `providers`",
        )
