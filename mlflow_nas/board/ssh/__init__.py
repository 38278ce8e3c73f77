"""The SSH transport."""

from mlflow_nas.board.ssh.endpoint import Endpoint, resolve
from mlflow_nas.board.ssh.transport import SshTransport

__all__ = ["Endpoint", "SshTransport", "resolve"]
