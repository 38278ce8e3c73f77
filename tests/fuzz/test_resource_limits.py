"""Malformed files are refused within 10 s and 500 MB, in one sentence that names the file."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("limited.py")


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What the readers say of each case: one process, with a fork that has the limits for each."""
    folder = tmp_path_factory.mktemp("limited")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder)], capture_output=True, text=True, check=True
    )
    assert "Warning" not in done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {answer["name"]: answer for answer in found}


def test_a_malformed_file_is_refused_within_limits(answers: dict[str, dict[str, Any]]) -> None:
    """Bombs, depth, endless numbers and names, encodings, huge and foreign models, and what is no weights."""
    malformed = [answer for name, answer in answers.items() if name != "huge image"]
    assert len(malformed) > 30
    assert [answer for answer in malformed if answer["kind"] != "refused"] == []
    assert [answer for answer in malformed if answer["file"] not in answer["sentence"]] == []
    assert max(len(answer["sentence"]) for answer in malformed) < 1000


def test_a_huge_image_is_read_within_the_same_memory(answers: dict[str, dict[str, Any]]) -> None:
    """144 million grey pixels, whose colours alone would not fit; its box is that of the reduced image."""
    answer = answers["huge image"]
    assert (answer["kind"], answer["sentence"]) == ("nothing", "[[2000.0, 0.0, 4000.0, 2000.0]]")
