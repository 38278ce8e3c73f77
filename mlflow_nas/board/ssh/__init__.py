"""The SSH transport, by the machine's own OpenSSH."""

from mlflow_nas.board.ssh.destination import Destination
from mlflow_nas.board.ssh.transport import SshTransport

__all__ = ["Destination", "SshTransport"]
