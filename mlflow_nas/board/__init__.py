"""Devices: measure on them, run models there, keep deployed models safe."""

from mlflow_nas.board.deployed import Active, DeployedModels, Manifest
from mlflow_nas.board.device import DeviceBoard
from mlflow_nas.board.doctor import Check, examine
from mlflow_nas.board.fake import FakeBoard, fake_latency_ms
from mlflow_nas.board.inventory import get_board
from mlflow_nas.board.profile import NodeCost, NodeTime, Profile, compare, pair_nodes, profile_files
from mlflow_nas.board.ssh import SshTransport
from mlflow_nas.board.survey import survey
from mlflow_nas.board.transport import (
    ConnectionLostError,
    Finished,
    LocalTransport,
    Transport,
    UnreachableError,
)

__all__ = [
    "Active",
    "Check",
    "ConnectionLostError",
    "DeployedModels",
    "DeviceBoard",
    "FakeBoard",
    "Finished",
    "LocalTransport",
    "Manifest",
    "NodeCost",
    "NodeTime",
    "Profile",
    "SshTransport",
    "Transport",
    "UnreachableError",
    "compare",
    "examine",
    "fake_latency_ms",
    "get_board",
    "pair_nodes",
    "profile_files",
    "survey",
]
