"""A model file as something that can be run."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlflow_nas.board.runtime.failure import Failure

__all__ = ["Run", "load"]

Run = Callable[[], Any]

DTYPES = {"float": "f4", "float16": "f2", "uint8": "u1", "int8": "i1", "int32": "i4", "int64": "i8"}


def load(model: str, threads: int) -> tuple[Any, Run]:
    """The session, and a call that runs it on random inputs of its own shapes; it has run once already."""
    import numpy as np
    import onnxruntime

    if not Path(model).is_file():
        raise Failure("device", f"the model file {model} is not on the device")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        feed = {}
        for node in session.get_inputs():
            shape = [size if isinstance(size, int) else 1 for size in node.shape]
            feed[node.name] = (
                np.random.default_rng(0).random(shape).astype(DTYPES[node.type[len("tensor(") : -1]])
            )
        run = functools.partial(session.run, None, feed)
        run()
    except Exception as error:  # onnxruntime's errors share no base class
        raise Failure("model", f"onnxruntime {onnxruntime.__version__} refuses the model: {error}") from error
    return session, run
