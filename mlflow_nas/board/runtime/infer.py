"""A model's outputs on given images."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from mlflow_nas.board.runtime.failure import Answer, Failure
from mlflow_nas.board.runtime.files import verify
from mlflow_nas.board.runtime.lock import exclusive
from mlflow_nas.board.runtime.session import load

__all__ = ["infer"]


def infer(
    model: str,
    images: str,
    output: str,
    session: Answer,
    sha256: str | None = None,
    lock: Answer | None = None,
) -> Answer:
    """Run the model on each image of an .npy file [n, 3, H, W]; its first outputs become another [n, ...].

    With a lock it waits for measurements to end, and disturbs none.
    """
    if sha256:
        verify(Path(model), sha256)
    with exclusive(**lock) if lock else nullcontext():
        return _infer(model, images, output, session)


def _infer(model: str, images: str, output: str, session: Answer) -> Answer:
    import numpy as np

    network, _ = load(model, **session)
    node = network.get_inputs()[0]
    batch = np.load(images)
    if len(batch) == 0 or list(batch.shape[1:]) != node.shape[1:]:
        raise Failure("request", f"the images are {list(batch.shape)}, the model takes {node.shape}")
    outputs = [network.run(None, {node.name: batch[i : i + 1]})[0] for i in range(len(batch))]
    np.save(output, np.concatenate(outputs))
    return {"images": len(batch)}
