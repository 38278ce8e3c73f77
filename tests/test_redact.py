import pytest

from mlflow_nas.redact import redact


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://nas:s3cret@db/optuna",
        "http://user:s3cret@mlflow:5000/",
        "postgresql://nas:s3cret@with@signs@db/optuna",
        "redis://:s3cret@cache/0",
        "postgresql://db/optuna?user=nas&password=s3cret",
        "postgresql://db/optuna?sslmode=require&sslpassword=s3cret&application_name=x",
        "mysql://db/optuna?passwd=s3cret",
        "https://host/api?access_token=s3cret",
    ],
)
def test_no_password_of_a_url_is_shown(url: str) -> None:
    """A password is masked wherever a URL may carry it, and in the middle of a sentence."""
    assert "s3cret" not in redact(f"The storage {url} can't be opened: connection to '{url}' failed")


def test_what_holds_no_password_stays_as_it_is() -> None:
    """Users, hosts, ports and paths are shown."""
    text = "sqlite:///mlflow.db, http://user@mlflow:5000/#/experiments/1 and postgresql://db/optuna?user=nas"
    assert redact(text) == text
