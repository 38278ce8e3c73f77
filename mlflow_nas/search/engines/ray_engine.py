"""Ray: trials as tasks on an existing cluster, boards as its custom resources."""

import logging
import tempfile
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray
from ray.exceptions import RayError, RayTaskError

from mlflow_nas.board import get_board
from mlflow_nas.errors import ConfigError
from mlflow_nas.search.engines.protocol import LOST
from mlflow_nas.types import Device, Latency

__all__ = ["RayBoard", "RayEngine", "board_resource"]

_log = logging.getLogger(__name__)


def board_resource(name: str) -> str:
    """The custom resource of a board; the node that reaches it has one."""
    return f"board:{name}"


class RayEngine:
    """Runs calls as Ray tasks; implements `Engine`.

    Args:
        address: "auto" for the cluster of this machine, or that of a Ray client, ray://HOST:PORT.
        cpus: of a trial.
        gpus: of a trial; a fraction shares one.
        board: of the study.
        environment: variables of the tasks.
        is_shared: whether the study's storage can be opened on every machine.

    Raises:
        ConfigError: there is no such cluster, no node has the board, or the storage is this machine's.
    """

    def __init__(
        self,
        address: str,
        *,
        cpus: float,
        gpus: float,
        board: str,
        environment: Mapping[str, str],
        is_shared: bool,
    ) -> None:
        self._connect(address, environment)
        self._check(board_resource(board), is_shared=is_shared)
        # Of each task too: who connected to the cluster before gave it other variables, or none.
        variables = {"env_vars": dict(environment)}
        made = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=0, runtime_env=variables)
        self._task = made(_call)
        self._running: dict[Any, None] = {}

    def _connect(self, address: str, environment: Mapping[str, str]) -> None:
        if ray.is_initialized():
            return
        try:
            ray.init(
                address=address,
                runtime_env={"env_vars": dict(environment)},
                logging_level=logging.WARNING,
                log_to_driver=False,
            )
        except (ConnectionError, ImportError, ValueError, RuntimeError) as error:
            raise ConfigError(
                f"There is no Ray cluster at {address}: {str(error).partition(chr(10))[0]}. Start one with "
                "`ray start --head`, or give its address as --executor ray://HOST:10001."
            ) from error

    def _check(self, resource: str, *, is_shared: bool) -> None:
        if not ray.cluster_resources().get(resource):  # type: ignore[no-untyped-call]  # Ray's
            raise ConfigError(
                f"No node of the Ray cluster has the resource {resource}: start the node that reaches the "
                f"board with `ray start --resources '{{\"{resource}\": 1}}'`."
            )
        hosts = {node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]}  # type: ignore[no-untyped-call]  # Ray's
        if len(hosts) > 1 and not is_shared:
            raise ConfigError(
                f"The Ray cluster has {len(hosts)} machines, and the study's storage is a file of this one: "
                "give a database URL or a journal on a shared folder with --storage or MLFLOW_NAS_STORAGE."
            )

    def start(self, call: Callable[[], Any]) -> object:
        """Begin a call as a task."""
        reference = self._task.remote(call)
        self._running[reference] = None
        return reference

    def wait(self, timeout_s: float) -> Mapping[object, Any]:
        """Wait until a task has ended; one whose worker or node died is `LOST`."""
        ended, _ = ray.wait(list(self._running), timeout=timeout_s) if self._running else ([], [])
        return {reference: self._result(reference) for reference in ended}

    def _result(self, reference: Any) -> Any:
        del self._running[reference]
        try:
            return ray.get(reference)
        except RayTaskError:
            raise  # an error of this package, which no call raises
        except RayError as error:
            _log.warning("A task of Ray ended with %s.", type(error).__name__)
            return LOST

    def stop(self) -> None:
        """Interrupt the tasks that have not ended."""
        for reference in self._running:
            ray.cancel(reference)
        ray.wait(list(self._running), num_returns=len(self._running), timeout=30) if self._running else None
        self._running.clear()


def _call(call: Callable[[], Any]) -> Any:
    return call()


class RayBoard:
    """A board behind a custom resource; implements `mlflow_nas.types.Board`.

    What uses it runs as a task that holds the resource, on the node that has it: so two trials are never
    timed at once, and a local board is that node's.

    Args:
        device: its record in the inventory.
    """

    def __init__(self, device: Device) -> None:
        self.device = device

    @property
    def name(self) -> str:
        """Name in the device inventory."""
        return self.device.name

    @cached_property
    def protocol(self) -> str:
        """Digest of threads, providers, session options and affinity."""
        return str(self._ask("protocol"))

    @cached_property
    def _identity(self) -> Mapping[str, Any]:
        return dict(self._ask("identity"))

    def facts(self) -> Mapping[str, str]:
        """What the board is."""
        return dict(self._ask("facts"))

    def identity(self) -> Mapping[str, Any]:
        """All that a measurement depends on besides the files; the device is asked once per object."""
        return self._identity

    def close(self) -> None:
        """Nothing is open here."""

    def measure(self, model: Path, *, reference: Path | None = None) -> Latency:
        """Time the model, in turn with the reference model when one is given."""
        files = [model.read_bytes(), *([] if reference is None else [reference.read_bytes()])]
        found: Latency = self._ask("measure", *files)
        return found

    def infer(self, model: Path, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the model on images [n, 3, H, W]; its outputs [n, ...]."""
        found: NDArray[np.float32] = self._ask("infer", model.read_bytes(), images=images)
        return found

    def _ask(self, method: str, *files: bytes, **arguments: Any) -> Any:
        """What a method of the board returns; its errors are those of the board."""
        task = ray.remote(num_cpus=0, resources={board_resource(self.name): 1}, max_retries=2)(_on_board)
        return ray.get(task.remote(self.device, method, files, arguments))


def _on_board(device: Device, method: str, files: tuple[bytes, ...], arguments: Mapping[str, Any]) -> Any:
    """Call a method of a board with files."""
    board = get_board(device)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{place}.onnx" for place, _ in enumerate(files)]
        for path, content in zip(paths, files, strict=True):
            path.write_bytes(content)
        try:
            if method == "measure":
                return board.measure(paths[0], reference=paths[1] if len(paths) > 1 else None)
            found = getattr(board, method)
            return found(*paths, **arguments) if callable(found) else found
        finally:
            board.close()
