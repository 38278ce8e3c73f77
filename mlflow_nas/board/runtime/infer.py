"""A model's outputs on given images."""

from __future__ import annotations

from pathlib import Path

from mlflow_nas.board.runtime.failure import Failure, JsonObject
from mlflow_nas.board.runtime.files import verify_sha256
from mlflow_nas.board.runtime.inputs import image_input
from mlflow_nas.board.runtime.lock import device_lock
from mlflow_nas.board.runtime.session import load

__all__ = ["infer"]


def infer(
    model: str, images: str, output: str, session: JsonObject, lock: JsonObject, sha256: str | None = None
) -> JsonObject:
    """Run the model on each image of an .npy file [n, 3, H, W]; write its first outputs as [n, ...].

    The images are floats in 0..1, whatever the file takes.
    It waits for a running measurement to end, so that it does not disturb it.
    """
    import numpy as np

    if sha256:
        verify_sha256(Path(model), sha256)
    with device_lock(**lock):
        network, _ = load(model, **session)
        taken = image_input(network)
        batch = np.load(images)
        if len(batch) == 0 or batch.shape[1:] != (taken.channels, *taken.size):
            wanted = ["n", taken.channels, *taken.size]
            raise Failure(
                "request", f"the images are {list(batch.shape)}, the model takes {wanted}: resize them"
            )
        outputs = [network.run(None, taken.feed(batch[i : i + 1]))[0] for i in range(len(batch))]
    np.save(output, np.concatenate(outputs))
    return {"images": len(batch)}
