"""YAML files that are no configuration cost a sentence: not memory, not time, not a traceback."""

import os
import time
from pathlib import Path

import pytest

from mlflow_nas.config import SearchConfig, load_config, load_devices
from mlflow_nas.errors import ConfigError

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
CHAIN = "a:\n- &n0 [x]\n" + "".join(f"- &n{i + 1} [*n{i}]\n" for i in range(500))

WRONG = [
    (BOMB, "more than 20,000 values"),
    (BOMB + "trials: *i\n", "more than 20,000 values"),
    (CHAIN, "more than 20,000 values"),
    ("a: &a [*a]", "more than 20,000 values"),
    ("&a {<<: *a}", "more than 20,000 values"),
    ("[" * 100_000, "nested more than 20 levels"),
    ("a:\n" + "".join(f"{' ' * i}- \n" for i in range(1, 200)), "nested more than 20 levels|is not YAML"),
    ("{a: " * 30 + "1" + "}" * 30, "nested more than 20 levels"),
    ("trials: 1\ntrials: 2\n", "has 'trials' twice in the mapping at line 1"),
    ("- 1", "must hold "),
    ("", "must hold "),
    ("trials: [", "is not YAML"),
    ("a\0b: 1", "is not YAML"),
    ("trials: !!python/object/apply:os.system [id]", "is not YAML"),
    ("trials: !!int ''", "is not YAML"),
    ("trials: !!timestamp x", "is not YAML"),
    ("? [1]\n: 2", "is not YAML"),
    ("x" * 1_000_001, "is larger than 1,000,000 bytes"),
]


@pytest.mark.parametrize(("text", "sentence"), WRONG)
def test_a_file_that_is_no_configuration_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    """Within two seconds and 1,000 characters, for the config file and the device inventory alike."""
    path = tmp_path / "file.yaml"
    path.write_text(text, encoding="utf-8")
    begun = time.process_time()
    for read in (lambda: load_config(SearchConfig, {}, file=path), lambda: load_devices(path)):
        with pytest.raises(ConfigError, match=sentence) as refused:
            read()
        assert len(str(refused.value)) < 1_000
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    "text",
    [
        f"trials: {'9' * 5000}",
        "trials: 1e400",
        "training: {distillation: 1e400}",
        f"study: {'x' * 5000}",
        f"{'x' * 5000}: 1",
        f"classes: [{','.join(str(i) for i in range(9000))}, 1]",
        "trials: &a [[[x, x], [x, x]], *b]",
        "trials: {a: {b: {c: {d: {e: f}}}}}",
        'weights: "a\\0b"',
        'data: "a\\0b"',
        f"weights: {'x' * 5000}",
        'study: "\\ud800"',
        "data: 2024-99-99\ntrials: no",
    ],
)
def test_a_huge_or_odd_value_is_refused_in_few_words(tmp_path: Path, text: str) -> None:
    """A message shows the beginning of a value at most."""
    path = tmp_path / "file.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        load_config(SearchConfig, {}, file=path)
    assert len(str(refused.value)) < 600


def test_scalars_are_text(tmp_path: Path) -> None:
    """Neither a class named no nor a study named 2024-01-01 becomes something else."""
    path = tmp_path / "file.yaml"
    path.write_text(
        "study: 2024-01-01\nclasses: [no, 010]\nlimit: params<=2e5\nepochs: ~\ndevice:\n", "utf-8-sig"
    )
    config = load_config(SearchConfig, {}, file=path)
    assert (config.study, config.data.classes, config.training.epochs) == ("2024-01-01", ("no", "010"), None)
    assert config.search.limits == ("params<=2e5",)


def test_devices_may_share_settings_by_anchors(tmp_path: Path) -> None:
    """A fleet is written once."""
    path = tmp_path / "devices.yaml"
    text = "devices:\n  a: &base {transport: ssh, host: a, threads: 2}\n  b: {<<: *base, host: b}\n"
    path.write_text(text, encoding="utf-8")
    devices = load_devices(path)
    assert [(devices[name].host, devices[name].threads) for name in "ab"] == [("a", 2), ("b", 2)]


@pytest.mark.parametrize("kind", ["folder", "fifo", "nul", "absent", "long", "latin"])
def test_what_is_no_readable_file_is_one_sentence(tmp_path: Path, kind: str) -> None:
    """A FIFO is not waited for."""
    path = tmp_path / kind
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "nul":
        path = Path("a\0b.yaml")
    elif kind == "long":
        path = tmp_path / ("x" * 5000)
    elif kind == "latin":
        path.write_bytes("study: größe".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"is no regular file|can't be read|in UTF-8"):
        load_config(SearchConfig, {}, file=path)
    with pytest.raises(ConfigError, match=r"is no regular file|can't be read|in UTF-8"):
        load_devices(path)


@pytest.mark.parametrize(
    "entry",
    [
        'host: "a\\0b"',
        'directory: "a\\0b"',
        'activate: "a\\0b"',
        'environment: {A: "b\\0"}',
        'key_file: "a\\0"',
    ],
)
def test_a_nul_byte_in_an_inventory_is_refused(tmp_path: Path, entry: str) -> None:
    """It would be an error of the operating system hours later."""
    path = tmp_path / "devices.yaml"
    path.write_text(f"devices: {{a: {{transport: ssh, host: b, {entry}}}}}".replace("host: b, host", "host"))
    with pytest.raises(ConfigError, match=r"devices\.a\."):
        load_devices(path)
