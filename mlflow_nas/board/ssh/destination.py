"""A device's host as the inventory names it; everything else is the user's ssh configuration."""

import shlex
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Destination"]


@dataclass(frozen=True, slots=True)
class Destination:
    """A host, and what the inventory overrides of ~/.ssh/config.

    Attributes:
        host: a name, an address, or a Host of ~/.ssh/config.
        user: its user.
        port: its port.
        key_file: a private key; of the agent no other one is offered.
    """

    host: str
    user: str | None = None
    port: int | None = None
    key_file: Path | None = None

    @property
    def name(self) -> str:
        """User and host."""
        return f"{self.user}@{self.host}" if self.user else self.host

    @property
    def words(self) -> list[str]:
        """The arguments of ssh, the host last."""
        port = ["-p", str(self.port)] if self.port else []
        key = ["-i", str(self.key_file)] if self.key_file else []
        return [*port, *key, self.name]

    def by_hand(self, program: str, *command: str) -> str:
        """The command line of `ssh` or `ssh-copy-id` for a user's terminal."""
        return shlex.join([program, *self.words, *command])
