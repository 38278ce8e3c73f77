"""Class names that were not requested, and those that are nearly a requested one."""

import re
from collections import Counter
from collections.abc import Sequence

from mlflow_nas.data.findings import Findings

__all__ = ["check_classes"]

_BETWEEN = re.compile(r"[\s_-]+")


def check_classes(found: Counter[str], classes: Sequence[str], findings: Findings) -> None:
    """Count boxes of classes that were not requested; near names differ in case, blanks or plural.

    Args:
        found: boxes of every class name.
        classes: the requested ones.
        findings: receives what is found.
    """
    wanted = {_key(name): name for name in classes}
    for name, count in sorted(found.items()):
        if name in classes or not count:
            continue
        near = wanted.get(_key(name))
        if near is None:
            findings.add("class-other", f"{name[:60]!r}: {count}", count=count)
        else:
            findings.add("class-near", f"{name[:60]!r} beside {near!r}: {count}", count=count)
    for name in classes:
        if not found.get(name):
            findings.add("class-without-box", repr(name))


def _key(name: str) -> str:
    """Equal for near names."""
    return _BETWEEN.sub("", name).casefold().removesuffix("s")
