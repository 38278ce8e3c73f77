"""Where settings come from, who wins, and what is said of a wrong one."""

from pathlib import Path

import pytest

from mlflow_nas.config import (
    CommandConfig,
    DeployConfig,
    RollbackConfig,
    SearchConfig,
    SelectConfig,
    load_config,
    read_limit,
)
from mlflow_nas.errors import ConfigError
from mlflow_nas.types import Limit


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A study's file, in sections and by option."""
    path = tmp_path / "study.yaml"
    path.write_text(
        "trials: 50\nstudy: file\nseed: 7\ntraining: {epochs: 3, freeze: none}\n"
        "space: {channels: 24..64:8, groups: [1, 2]}\nclasses: [person, traffic light]\n",
        encoding="utf-8",
    )
    return path


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"trials": "0"},
            r"--trials '0': Input should be greater than or equal to 1\. Give 1\.\.100000 \(Total",
        ),
        ({"trials": "many"}, r"--trials 'many': Input should be a valid integer"),
        (
            {"set": "training.recipe=mine"},
            r"recipe 'mine': Input should be 'default' or 'fastestdet'",
        ),
        ({"trails": "5"}, r"Unknown option trails: did you mean trials\?"),
        ({"batch_size": "5"}, r"Unknown option batch_size: did you mean training\.batch_size\?"),
        (
            {"set": "training.epoch=5"},
            r"Unknown option training\.epoch of --set: did you mean training\.epochs\?",
        ),
        ({"set": "x"}, r"--set 'x' sets nothing: write NAME=VALUE, such as training\.epochs=30"),
        ({"study": "../up"}, r"--study '\.\./up'"),
        ({"set": "training.epochs=0"}, r"^--set training\.epochs '0': Input should be greater"),
        ({"limit": "params<2e5"}, r"--limit 'params<2e5': .* write METRIC<=NUMBER or METRIC>=NUMBER"),
        ({"limit": "params<=1e400"}, "is no limit"),
        ({"training": {"distillation": "nan"}}, "should be a finite number"),
        ({"set": "space.channels=1 space.channels=2"}, "is given twice, by --set space.channels as '1'"),
        ({"set": "space.choices=8"}, "--set space.choices '8': '8' names no choice, write NAME=VALUES"),
        ({"trials": 5, "search": {"trials": 6}}, "search.trials is given twice, by --trials as 5 and by"),
        ({"classes": "cat,cat"}, "'cat' is given twice"),
    ],
)
def test_a_bad_option_is_named_with_its_bound(options: dict[str, object], sentence: str) -> None:
    """Value, bound and remedy stand in one sentence."""
    with pytest.raises(ConfigError, match=sentence):
        load_config(SearchConfig, options)


@pytest.mark.parametrize(
    "options",
    [
        {"trials": 5},
        {"trials": "5"},
        {"search.trials": 5},
        {"search": {"trials": 5}},
        {"set": "search.trials=5"},
        {"set": ["trials=5", ""]},
        SearchConfig.model_validate({"search": {"trials": 5}}),
    ],
)
def test_a_setting_has_one_value_however_it_is_written(options: dict[str, object] | SearchConfig) -> None:
    """By option, by dotted name, in its section, as text of `set`, or in a configuration."""
    assert load_config(SearchConfig, options) == load_config(SearchConfig, {"trials": 5})


def test_a_file_is_written_in_sections_or_by_option(file: Path) -> None:
    """And its lists are not split again."""
    config = load_config(SearchConfig, {}, file=file)
    assert (config.search.trials, config.study, config.seed) == (50, "file", 7)
    assert (config.training.epochs, config.training.freeze) == (3, "none")
    assert config.space.choices == ("channels=24..64:8", "groups=1,2")
    assert config.data.classes == ("person", "traffic light")


@pytest.mark.parametrize("options", [{"trials": "8"}, {"trials": 8}, {"set": "trials=8"}])
def test_an_option_that_equals_its_default_wins_over_the_file(file: Path, options: dict[str, object]) -> None:
    """What is typed counts, whatever its value."""
    assert load_config(SearchConfig, options, file=file).search.trials == 8


def test_an_empty_option_is_not_given(file: Path) -> None:
    """`mlflow run` passes every parameter, empty where the user gave none."""
    empty = dict.fromkeys(("trials", "study", "device", "weights", "limit", "set"), "")
    assert load_config(SearchConfig, empty, file=file) == load_config(SearchConfig, {}, file=file)


@pytest.mark.parametrize("nothing", [None, "null"])
def test_an_option_can_take_a_files_value_away(file: Path, nothing: object) -> None:
    """Where a setting may have no value."""
    assert load_config(SearchConfig, {"epochs": nothing}, file=file).training.epochs is None


def test_a_choice_of_the_space_wins_over_the_files_choice_of_the_same_parameter(file: Path) -> None:
    """The others stay."""
    config = load_config(SearchConfig, {"set": "space.channels=24,32"}, file=file)
    assert config.space.choices == ("channels=24,32", "groups=1,2")


def test_the_environment_is_between_file_and_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A storage URL with a password need not stand in a file or a param."""
    file = tmp_path / "study.yaml"
    file.write_text("storage: of-the-file\nexperiment: of-the-file\n", encoding="utf-8")
    monkeypatch.setenv("MLFLOW_NAS_STORAGE", "of-the-environment")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "of-the-environment")
    config = load_config(SearchConfig, {"experiment": "typed"}, file=file)
    assert (config.search.storage, config.tracking.experiment) == ("of-the-environment", "typed")
    assert load_config(RollbackConfig, {}) == RollbackConfig()


def test_values_may_hold_what_separates_elsewhere() -> None:
    """Commas, colons, dots, blanks and, in quotes, an equals sign."""
    text = """
      data.uri=voc:VOC devkit/a=b?year=2012 space.channels=24..64:8
      data.classes="traffic light,stop x=sign"\tsearch.limits=params<=2e5 latency_ms<=12 study='a'
    """
    config = load_config(SearchConfig, {"set": text})
    assert config.data.uri == "voc:VOC devkit/a=b?year=2012"
    assert config.space.choices == ("channels=24..64:8",)
    assert config.data.classes == ("traffic light", "stop x=sign")
    assert config.search.limits == ("params<=2e5", "latency_ms<=12")
    assert config.study == "a"


@pytest.mark.parametrize("given", ["a='b' c", "junk a=b", "a='b'c d=e"])
def test_what_sets_nothing_is_refused(given: str) -> None:
    """A forgotten quote must not lose half of a line."""
    with pytest.raises(ConfigError, match=r"sets nothing|Unknown option a"):
        load_config(SearchConfig, {"set": given})


@pytest.mark.parametrize(
    "limits",
    ["params<=2e5,latency_ms <= 12", ["params<=2e5", "latency_ms<=12"], ("params <= 2e5 latency_ms<=12", "")],
)
def test_limits_are_one_text_or_several(limits: object) -> None:
    """As a repeated option, as a project parameter and in YAML."""
    assert load_config(SearchConfig, {"limit": limits}).search.limits == ("params<=2e5", "latency_ms<=12")


def test_a_limit_is_read() -> None:
    """Metric, operator and bound."""
    assert read_limit("map_50>=.5") == Limit(metric="map_50", operator=">=", bound=0.5)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "give either --study NAME"),
        ({"study": "a", "table": "b.csv"}, "give either --study NAME"),
        ({"table": "b.csv"}, "give --target COLUMN: the column of b.csv"),
        ({"table": "b.csv", "target": "y"}, "give --scores A,B,... to evaluate, or --features"),
    ],
)
def test_settings_that_need_each_other_are_named(options: dict[str, object], sentence: str) -> None:
    """The sentence says what to add."""
    with pytest.raises(ConfigError, match=sentence):
        load_config(SelectConfig, options)


def test_a_wrong_value_of_a_file_names_the_file(file: Path) -> None:
    """So that the user knows where to change it."""
    file.write_text("training: {epochs: none}\n", encoding="utf-8")
    with pytest.raises(
        ConfigError, match=r"^study\.yaml training\.epochs 'none': Input should be a valid int"
    ):
        load_config(SearchConfig, {}, file=file)
    file.write_text("trails: 3", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"Unknown option trails of study\.yaml: did you mean trials"):
        load_config(SearchConfig, {}, file=file)


def test_a_config_does_not_change() -> None:
    """It is frozen, and so are its sections."""
    config: CommandConfig = load_config(DeployConfig, {})
    with pytest.raises(ValueError, match="frozen"):
        config.device = "other"  # type: ignore[attr-defined]  # that is the test
    with pytest.raises(ValueError, match="frozen"):
        SearchConfig().search.trials = 3  # type: ignore[misc]  # that is the test


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://nas:s3cret@db/optuna",
        "postgresql://nas:s3cret@with@signs@db/optuna",
        "postgresql://db/optuna?user=nas&password=s3cret",
        "mysql://:s3cret@db:port/optuna",
        "redis://:s3cret@cache/0",
        "postgresql://nas:s3cret@db/" + "x" * 5000,
        "postgresql://nas:" + "y" * 200 + "s3cret@db/\n",
    ],
)
@pytest.mark.parametrize("spelled", ["storage", "search.storage", "set", "stroage", "trials"])
def test_no_error_shows_a_password(url: str, spelled: str) -> None:
    """Whichever option the URL was given to."""
    options = {"set": f"search.storage={url} seed=x"} if spelled == "set" else {spelled: url, "seed": "x"}
    with pytest.raises(ConfigError) as refused:
        load_config(SearchConfig, options)
    assert "s3cret" not in str(refused.value)
    assert "yyy" not in str(refused.value)
