"""The list of settings, and what of it becomes a run's params."""

import pytest

from mlflow_nas.config import (
    BoardsConfig,
    CachePruneConfig,
    CommandConfig,
    DeployConfig,
    DoctorConfig,
    EvaluateConfig,
    FocusConfig,
    ProfileConfig,
    PromoteConfig,
    ReportConfig,
    RollbackConfig,
    SearchConfig,
    SelectConfig,
    StatusConfig,
    TrainConfig,
    as_params,
    load_config,
    settings_of,
)

CONFIGS = (
    BoardsConfig,
    CachePruneConfig,
    DeployConfig,
    DoctorConfig,
    EvaluateConfig,
    FocusConfig,
    ProfileConfig,
    PromoteConfig,
    ReportConfig,
    RollbackConfig,
    SearchConfig,
    SelectConfig,
    StatusConfig,
    TrainConfig,
)


@pytest.mark.parametrize("model", CONFIGS)
def test_every_setting_has_a_description_of_one_line_and_a_range(model: type[CommandConfig]) -> None:
    """And no two settings of a command share an option."""
    settings = settings_of(model).values()
    for setting in settings:
        assert setting.description, setting.name
        assert "\n" not in setting.description
        assert setting.allowed, setting.name
    options = [setting.option for setting in settings if setting.option]
    assert len(set(options)) == len(options)


@pytest.mark.parametrize("model", [model for model in CONFIGS if model not in (EvaluateConfig, SelectConfig)])
def test_every_default_may_be_typed(model: type[CommandConfig]) -> None:
    """The default that the help shows is a value that the option takes."""
    typed = {setting.name: setting.default for setting in settings_of(model).values()}
    assert load_config(model, typed) == model()


@pytest.mark.parametrize(
    ("name", "allowed", "flag"),
    [
        ("search.trials", "1..100000", "--trials"),
        (
            "search.sampler",
            "auto|grid|random|tpe|nsga2|nsga3|gp|cmaes|qmc|evolution|FILE.py:NAME",
            "--sampler",
        ),
        ("training.recipe", "default|fastestdet", "--set training.recipe"),
        ("training.weights", "FILE", "--weights"),
        ("space.aspect", "auto|square|NUMBER", "--set space.aspect"),
        ("search.budget_s", "8h|30m|SECONDS", "--budget"),
        ("data.classes", "A,B,...", "--classes"),
    ],
)
def test_a_setting_tells_its_range_and_its_spelling(name: str, allowed: str, flag: str) -> None:
    """As help and messages show them."""
    setting = settings_of(SearchConfig)[name]
    assert (setting.allowed, setting.flag) == (allowed, flag)


def test_params_have_dotted_names_and_no_passwords() -> None:
    """The storage is no param at all."""
    options = {"storage": "postgresql://u:s3cret@h/d", "data": "coco:http://u:s3cret@h/d", "classes": "a,b"}
    params = as_params(load_config(SearchConfig, options))
    assert (params["data.classes"], params["search.trials"], params["training.epochs"]) == ("a,b", "8", "")
    assert params["data.uri"] == "coco:http://u:***@h/d"
    assert "search.storage" not in params
    assert "s3cret" not in str(params)


def test_what_the_project_logged_is_not_logged_under_another_name() -> None:
    """Except where the project's parameter is empty: then the param says what the value is."""
    logged = {"trials": "5", "study": "a", "model": "", "data": ""}
    params = as_params(load_config(SearchConfig, logged), logged)
    assert {"search.trials", "study"}.isdisjoint(params)
    assert (params["registry.model"], params["data.uri"]) == ("person-detector", "synthetic")


def test_a_param_is_no_longer_than_mlflow_takes() -> None:
    """A data set of very many classes still gets a run."""
    params = as_params(load_config(SearchConfig, {"classes": ",".join(f"class{i}" for i in range(2000))}))
    assert max(map(len, params.values())) == 6000
