"""PASCAL VOC by torchvision's own download, from a server on this machine."""

import hashlib
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from layouts import EMPTY, PERSON, write_voc
from torchvision.datasets import voc

from mlflow_nas.data import load_dataset
from mlflow_nas.errors import ConfigError


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """URL of an HTTP server on this machine that serves the test's folder."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path))) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def _publish(url: str, md5: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {**voc.DATASET_YEAR_DICT["2012"], "url": url, "filename": "archive.tar", "md5": md5}
    monkeypatch.setitem(voc.DATASET_YEAR_DICT, "2012", known)


@pytest.fixture
def archive(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive like the published one, which torchvision now downloads."""
    write_voc(tmp_path / "VOCdevkit", {"train": [PERSON, EMPTY], "val": [PERSON]})
    path = tmp_path / "archive.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(tmp_path / "VOCdevkit", "VOCdevkit")
    md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    _publish(f"{server}/archive.tar", md5, monkeypatch)
    return path


def test_voc_is_downloaded_once(archive: Path, tmp_path: Path) -> None:
    """It equals the folder that it came from, and is there without a network the next time."""
    uri = f"voc-download:2012?root={tmp_path / 'store'}"
    first = load_dataset(uri)
    assert len(first) == 2
    assert first.digest == load_dataset(f"voc:{tmp_path / 'VOCdevkit'}").digest
    archive.unlink()
    assert len(load_dataset(uri, "val")) == 1
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["voc2012"]


def test_torchs_home_keeps_it_by_default(archive: Path, tmp_path: Path) -> None:
    """TORCH_HOME/datasets."""
    assert archive.is_file()
    load_dataset("voc-download:2012")
    assert (tmp_path / "torch-home/datasets/voc2012/VOC2012/Annotations").is_dir()


def test_a_download_that_fails_is_one_sentence_and_leaves_nothing(
    archive: Path, server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No network, or an archive that is not the published one."""
    uri, root = f"voc-download:2012?root={tmp_path / 'store'}", tmp_path / "store"
    _publish(f"{server}/archive.tar", "0" * 32, monkeypatch)
    with pytest.raises(ConfigError, match=r"VOC 2012 can't be downloaded to .*corrupted.*give a folder"):
        load_dataset(uri)
    archive.unlink()
    with pytest.raises(
        ConfigError, match=r"VOC 2012 can't be downloaded to .* Without a network give a folder"
    ):
        load_dataset(uri)
    assert list(root.iterdir()) == []


def test_an_unknown_year_is_refused() -> None:
    """The sentence says which there are."""
    with pytest.raises(ConfigError, match=r"year=1999: must be a whole number from 2007 to 2012"):
        load_dataset("voc-download:1999")
