"""Builds the site of the documentation, of the Markdown files in the folders where their links hold."""

import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["copy_documents"]

PROJECT = Path(__file__).resolve().parents[1]
COPIED = (".md", ".png", ".gif", ".jsonl")
LINKED = ("LICENSE", "Makefile", "deploy/device/detect.py")


def copy_documents(target: Path) -> list[Path]:
    """Copy documents, pictures and what they link into a folder that is emptied before; the copies."""
    shutil.rmtree(target, ignore_errors=True)
    git = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(git, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.splitlines()
    copies = []
    for name in listed:
        if name.endswith(COPIED) or name in LINKED or name.startswith("examples/"):
            copy = target / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copies.append(Path(shutil.copy(PROJECT / name, copy)))
    return copies


if __name__ == "__main__":
    copy_documents(PROJECT / "build/docs")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    sys.exit(subprocess.run(build, cwd=PROJECT, check=False).returncode)
