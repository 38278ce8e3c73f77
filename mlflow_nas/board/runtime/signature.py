"""A manifest's hash and signature, verified on the device before it switches."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from pathlib import Path

from mlflow_nas.board.runtime.failure import Failure, JsonObject

__all__ = ["NAMESPACE", "SIGNERS", "canonical", "digest", "verify_manifest"]

SIGNERS = "allowed_signers"
"""In the device's folder of mlflow_nas: while it exists, only signed manifests are accepted."""

NAMESPACE = "mlflow-nas"
"""Of the signatures, and the name of the signers in their file."""

VERIFY_S = 30.0


def canonical(manifest: JsonObject) -> bytes:
    """The bytes that are hashed and signed: sorted names, no spaces."""
    return json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()


def digest(manifest: JsonObject) -> str:
    """SHA-256 of `canonical`, hexadecimal."""
    return hashlib.sha256(canonical(manifest)).hexdigest()


def verify_manifest(root: str, manifest: JsonObject, sha256: str, seal: JsonObject) -> None:
    """Refuse a manifest that was changed, is another file's, or is not signed by an allowed key.

    Args:
        root: folder of the deployed models; the allowed signers are beside it.
        manifest: as it was sent.
        sha256: of the model file.
        seal: `digest`, and `signature` where it was signed.
    """
    if digest(manifest) != seal["digest"]:
        raise Failure(
            "device", f"the manifest has sha256 {digest(manifest)}, not {seal['digest']}: deploy again"
        )
    if manifest.get("sha256", sha256) != sha256:
        raise Failure(
            "device", f"the manifest belongs to the file {manifest['sha256']}, not to {sha256}: deploy again"
        )
    signers = Path(root).parent / SIGNERS
    if signers.exists():
        _verify_signature(canonical(manifest), signers, seal.get("signature"))


def _verify_signature(content: bytes, signers: Path, signature: str | None) -> None:
    if not signature:
        raise Failure(
            "request",
            f"the device accepts signed manifests only ({signers}): give its record in the inventory a "
            "signing_key",
        )
    with tempfile.NamedTemporaryFile("w", suffix=".sig") as file:
        file.write(signature)
        file.flush()
        argv = ["ssh-keygen", "-Y", "verify", "-f", str(signers), "-I", NAMESPACE, "-n", NAMESPACE]
        try:
            done = subprocess.run(
                [*argv, "-s", file.name], input=content, capture_output=True, timeout=VERIFY_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Failure(
                "device", f"the signature can't be verified: {error}; install OpenSSH's client on the device"
            ) from error
    if done.returncode:
        reason = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise Failure(
            "request", f"the manifest's signature is refused: {reason}; sign with a key of {signers}"
        )
