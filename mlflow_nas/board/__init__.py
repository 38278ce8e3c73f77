"""Devices: measurements, inference, and the models deployed on them."""

from mlflow_nas.board.bundle import runtime_bundle
from mlflow_nas.board.client import RuntimeClient
from mlflow_nas.board.deployed import Active, DeployedModels, Manifest
from mlflow_nas.board.device import DeviceBoard
from mlflow_nas.board.doctor import Check, check_device
from mlflow_nas.board.estimate import EstimateBoard
from mlflow_nas.board.fake import FakeBoard, fake_latency_ms
from mlflow_nas.board.inventory import get_board
from mlflow_nas.board.profiling import (
    NodeCost,
    NodeTime,
    Profile,
    compare_profiles,
    pair_nodes,
    profile_files,
)
from mlflow_nas.board.runtime.facts import throttling
from mlflow_nas.board.runtime.signature import NAMESPACE, canonical, digest
from mlflow_nas.board.runtime.source import RELEASE, RELEASE_FOLDER
from mlflow_nas.board.ssh import SshTransport
from mlflow_nas.board.status import device_status
from mlflow_nas.board.transport import (
    CommandResult,
    ConnectionLostError,
    LocalTransport,
    Transport,
    UnreachableError,
)

__all__ = [
    "NAMESPACE",
    "RELEASE",
    "RELEASE_FOLDER",
    "Active",
    "Check",
    "CommandResult",
    "ConnectionLostError",
    "DeployedModels",
    "DeviceBoard",
    "EstimateBoard",
    "FakeBoard",
    "LocalTransport",
    "Manifest",
    "NodeCost",
    "NodeTime",
    "Profile",
    "RuntimeClient",
    "SshTransport",
    "Transport",
    "UnreachableError",
    "canonical",
    "check_device",
    "compare_profiles",
    "device_status",
    "digest",
    "fake_latency_ms",
    "get_board",
    "pair_nodes",
    "profile_files",
    "runtime_bundle",
    "throttling",
]
