"""The promises of docs/security.md that no other test holds."""

import ast
import json
import re
from pathlib import Path

import pytest
from mlflow import MlflowClient

from mlflow_nas import api
from mlflow_nas.config import WebhookServeConfig, webhook_secret
from mlflow_nas.errors import ConfigError, NasError
from mlflow_nas.registry import reconcile

PROJECT = Path(__file__).parents[2]
PASSWORD = "hunter2hunter2"  # noqa: S105 - to be found nowhere


PAGE = (PROJECT / "docs/security.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[name for _, name in NAMED])
def test_every_test_that_the_page_names_exists(file: str, name: str) -> None:
    """A promise without its test is none."""
    assert f"def {name}(" in (PROJECT / file).read_text(encoding="utf-8")


def test_every_promise_of_the_page_names_a_test() -> None:
    """Each item, and each of its sentences."""
    promises = re.findall(r"^- (.*?)(?=^- |^#|\Z)", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert len(promises) > 10
    sentences = [part for promise in promises for part in re.split(r"(?<=[.;])\s", promise.strip())]
    assert [part for part in sentences if "tests/" not in part] == []


def test_no_pickle_is_read_or_written_between_registry_and_device() -> None:
    """Neither the rooms of that way nor the package on the device import it, nor numpy's `allow_pickle`."""
    for room in ("registry", "deployments", "board", "runtime"):
        for path in sorted((PROJECT / "mlflow_nas" / room).rglob("*.py")):
            source = path.read_text(encoding="utf-8")
            names = {
                alias.name.partition(".")[0]
                for node in ast.walk(ast.parse(source))
                if isinstance(node, ast.Import | ast.ImportFrom)
                for alias in node.names
            } | {
                (node.module or "").partition(".")[0]
                for node in ast.walk(ast.parse(source))
                if isinstance(node, ast.ImportFrom)
            }
            assert not names & {"pickle", "cloudpickle", "joblib", "dill", "shelve", "marshal"}, path
            assert "allow_pickle=True" not in source, path


@pytest.mark.parametrize("secret", ["", "short", "x" * 15])
def test_a_webhook_without_a_real_secret_is_refused(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names the variable and a command that makes one, not the secret."""
    monkeypatch.setenv("MLFLOW_NAS_WEBHOOK_SECRET", secret)
    with pytest.raises(
        ConfigError, match=r"MLFLOW_NAS_WEBHOOK_SECRET has \d+ characters.*openssl rand"
    ) as raised:
        webhook_secret()
    assert not secret or secret not in str(raised.value)


def test_the_receiver_listens_on_this_machine_only() -> None:
    """Unless another address is given."""
    assert WebhookServeConfig().host == "127.0.0.1"


def test_activate_and_health_come_from_the_inventory() -> None:
    """The device's installer reads no command from a manifest."""
    source = (PROJECT / "mlflow_nas/board/runtime/install.py").read_text(encoding="utf-8")
    assert not re.search(
        r"""manifest\[["'](activate|health)["']\]|manifest\.get\(["'](activate|health)""", source
    )


def test_a_password_of_the_registry_is_in_no_error_and_no_record(
    tracking_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither of a server that is away, nor in the run that records a promotion."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(NasError) as raised:
        reconcile(MlflowClient(f"http://nora:{PASSWORD}@127.0.0.1:9"), "person-detector")
    assert PASSWORD not in str(raised.value)
    assert "nora:***@127.0.0.1:9" in str(raised.value)
    client = MlflowClient(tracking_uri)
    client.create_registered_model("person-detector")
    tags = {"map": "0.5", "latency_ms": "5", "nas.precision": "int8", "nas.board": "pi", "nas.dataset": "d@1"}
    client.create_model_version("person-detector", tmp_path.as_uri(), tags=tags)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{tracking_uri}?password={PASSWORD}")
    assert PASSWORD not in json.dumps(api.promote(model="person-detector").as_json())
    run = MlflowClient(tracking_uri).search_runs(["0", "1"])[0]
    assert PASSWORD not in json.dumps(run.to_dictionary(), default=str)
