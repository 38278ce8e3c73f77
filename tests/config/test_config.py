from pathlib import Path

import pytest

from mlflow_nas.config import DeployConfig, SearchConfig, device_root, load_config, take_project_run_id
from mlflow_nas.errors import ConfigError
from mlflow_nas.space import fastestdet_head, narrow


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"trials": "0"}, r"--trials '0': Input should be greater than or equal to 1"),
        ({"trials": "many"}, r"--trials 'many': Input should be a valid integer"),
        ({"sampler": "grid"}, r"--sampler 'grid': Input should be 'tpe', 'nsga2', 'random' or 'auto'"),
        ({"trails": "5"}, r"Unknown option trails: did you mean trials\?"),
        ({"study": "../up"}, r"--study '\.\./up'"),
        ({"max_latency_ms": "-1"}, r"--max-latency-ms '-1': Input should be greater than 0"),
    ],
)
def test_a_bad_option_is_named_with_its_bound(options: dict[str, object], sentence: str) -> None:
    """Value, bound and remedy stand in one sentence."""
    with pytest.raises(ConfigError, match=sentence):
        load_config(SearchConfig, options)


def test_an_empty_string_means_not_set() -> None:
    """Where None is possible it is None, elsewhere the default."""
    config = load_config(SearchConfig, {"device": "", "weights": "", "trials": ""})
    assert (config.device, config.weights, config.trials) == (None, None, 8)


def test_strings_become_values() -> None:
    """`mlflow run` passes strings."""
    config = load_config(SearchConfig, {"classes": "person, car", "max_latency_ms": "4.5"})
    assert config.classes == ("person", "car")
    assert config.max_latency_ms == 4.5


def test_yaml_gives_what_options_leave_at_their_defaults(tmp_path: Path) -> None:
    """An option that differs from its default wins."""
    file = tmp_path / "study.yaml"
    file.write_text("trials: 20\nepochs: 3\n")
    config = load_config(SearchConfig, {"trials": "8", "epochs": "5"}, file=file)
    assert (config.trials, config.epochs) == (20, 5)


@pytest.mark.parametrize(
    ("text", "sentence"), [("trails: 3", "did you mean trials"), ("- 1", "must hold names")]
)
def test_a_bad_yaml_file_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    """A typo must not cost a night."""
    file = tmp_path / "study.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=sentence):
        load_config(SearchConfig, {}, file=file)


def test_a_config_does_not_change() -> None:
    """It is frozen."""
    config = load_config(DeployConfig, {})
    with pytest.raises(ValueError, match="frozen"):
        config.device = "other"  # type: ignore[misc]  # that is the test


def test_the_project_run_is_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child process must not find it."""
    monkeypatch.setenv("MLFLOW_RUN_ID", "abc")
    assert (take_project_run_id(), take_project_run_id()) == ("abc", None)


def test_the_home_folder_can_be_moved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """MLFLOW_NAS_HOME says where local devices keep their models."""
    monkeypatch.setenv("MLFLOW_NAS_HOME", str(tmp_path))
    assert device_root("local") == tmp_path / "devices" / "local"


@pytest.mark.parametrize(
    "written",
    [
        "set: channels=24..64:8,groups=1,2\n",
        "set: ['channels=24..64:8', 'groups=1,2']\n",
        "set: {channels: '24..64:8', groups: [1, 2]}\n",
    ],
)
def test_choices_are_narrowed_in_yaml_as_on_the_command_line(written: str, tmp_path: Path) -> None:
    """As text, a list or a mapping; a space takes the same choices from each."""
    file = tmp_path / "search.yaml"
    file.write_text(written, encoding="utf-8")
    by_yaml = load_config(SearchConfig, {}, file=file)
    by_option = load_config(SearchConfig, {"set": "channels=24..64:8,groups=1,2"})
    assert by_yaml == by_option
    narrowed = narrow(fastestdet_head(), by_yaml.set)
    assert narrowed.parameters["channels"].values == (24, 32, 40, 48, 56, 64)
    assert narrowed.parameters["groups"].values == (1, 2)
