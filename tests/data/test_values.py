"""Numbers and flags of all readers."""

import pytest

from mlflow_nas.data.formats.values import flag, number, shown, whole_value


@pytest.mark.parametrize(
    ("value", "expected"),
    [(3, 3.0), (0.5, 0.5), (" 1e-3 ", 0.001), ("+.5", 0.5), ("7.", 7.0), (2**64, 2.0**64)],
)
def test_a_number_is_a_number_or_its_text(value: object, expected: float) -> None:
    """With a decimal point."""
    assert number(value, "x") == expected


@pytest.mark.parametrize(
    "value",
    ["nan", "inf", "1e400", float("nan"), "1,5", "1_0", "", True, None, [1], "9" * 5000, 10**400, "\u0663"],
)
def test_what_is_no_finite_number_is_refused(value: object) -> None:
    """In a short sentence, however large the value is."""
    with pytest.raises(ValueError, match=r"^x .* is no finite number$") as refused:
        number(value, "x")
    assert len(str(refused.value)) < 120


def test_a_whole_number_may_be_decimal() -> None:
    """1.0 is one, 0.5 is none."""
    assert whole_value("1.0", "class") == 1
    assert whole_value(3.0, "class") == 3
    for value in (0.5, "nan", "person", None):
        with pytest.raises(ValueError, match=r"^class .* is no whole number$"):
            whole_value(value, "class")


@pytest.mark.parametrize("value", [True, 1, 1.0, "1", "true", "YES", " 1.0 "])
def test_a_flag_that_is_set(value: object) -> None:
    """As numbers, truth values and words."""
    assert flag(value, "x")


@pytest.mark.parametrize("value", [False, 0, 0.0, "0", "False", "no", "", None])
def test_a_flag_that_is_not_set(value: object) -> None:
    """Text is not true because it is not empty."""
    assert not flag(value, "x")


@pytest.mark.parametrize("value", ["maybe", 2, -1, [], "nan"])
def test_what_is_no_flag_is_refused(value: object) -> None:
    """It is not guessed."""
    with pytest.raises(ValueError, match=r"^x .* is no flag; write 0 or 1$"):
        flag(value, "x")


def test_a_value_is_shown_in_a_few_words() -> None:
    """Deep and long ones, too."""
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert shown([1, "a", deep]) == "[1, 'a', a list of 1]"
    assert shown({"a": 1}) == "a mapping of 1"
    assert shown(10**100) == "a whole number of more than 60 digits"
    assert len(shown("x" * 10**6)) < 80
