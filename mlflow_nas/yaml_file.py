"""YAML files of the user: bounded in size, depth and expansion, and every scalar is text."""

import codecs
import os
import re
import stat
from pathlib import Path
from typing import Any

import yaml

from mlflow_nas.errors import ConfigError

__all__ = ["read_yaml"]

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
MAX_NODES = 20_000
"""Of the document with its aliases expanded."""

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_NULL = "tag:yaml.org,2002:null"
_MERGE = "tag:yaml.org,2002:merge"


class _TextLoader(yaml.SafeLoader):
    """Scalars are text, null is None: `no` stays a name, `2e5` and `1e400` are read by the model."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own protocol
        "<": [(_MERGE, re.compile(r"^(?:<<)$"))],
        **{first: [(_NULL, re.compile(r"^(?:~|null|Null|NULL|)$"))] for first in ("~", "n", "N", "")},
    }
    yaml_constructors = {  # noqa: RUF012 - PyYAML's own protocol
        _NULL: yaml.SafeLoader.construct_yaml_null,
        "tag:yaml.org,2002:str": yaml.SafeLoader.construct_yaml_str,
        "tag:yaml.org,2002:seq": yaml.SafeLoader.construct_yaml_seq,
        "tag:yaml.org,2002:map": yaml.SafeLoader.construct_yaml_map,
        None: yaml.SafeLoader.construct_undefined,
    }


def read_yaml(path: Path, *, what: str, holds: str, remedy: str) -> dict[str, Any]:
    """The mapping that a YAML file holds: keys and scalars are text, empty values are left out.

    Args:
        path: of the file, which must be a regular one.
        what: it is, for messages: "config file".
        holds: what it must hold, for messages: "names and values".
        remedy: completes the sentence when the file can't be read.

    Raises:
        ConfigError: the file can't be read, is too large or no YAML, or holds something other than a mapping.
    """
    name = f"the {what} {str(path)[:200]!r}" if "\0" in str(path) else f"the {what} {path}"
    text = _read(path, name, remedy)
    try:
        _refuse_depth(text, name)
        loader = _TextLoader(text)
        try:
            root = loader.get_single_node()
            _size(root, {}, name)
            loaded = None if root is None else loader.construct_document(root)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise ConfigError(f"{name} is not YAML: {_one_line(error)}; correct that line") from error
    if not isinstance(loaded, dict):
        raise ConfigError(f"{name} must hold {holds}")
    return _without_empty(loaded)


def _read(path: Path, name: str, remedy: str) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a FIFO is never waited for
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ConfigError(f"{name} is no regular file; {remedy}")
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{name} can't be read: {error.strerror}; {remedy}") from error
    except ValueError as error:  # a NUL byte in the path
        raise ConfigError(f"{name} can't be read: {error}; {remedy}") from error
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{name} is larger than {MAX_BYTES:,} bytes, the largest size; {remedy}")
    try:
        return content.decode("utf-16" if content.startswith(_UTF_16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{name} is not YAML in UTF-8: {error.reason} at byte {error.start}; save it as UTF-8"
        ) from error


def _without_empty(loaded: dict[Any, Any]) -> dict[str, Any]:
    return {
        str(key): _without_empty(value) if isinstance(value, dict) else value
        for key, value in loaded.items()
        if value is not None
    }


def _refuse_depth(text: str, name: str) -> None:
    """Events come from an iterative parser; composing nodes recurses, so this goes first."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise ConfigError(f"{name} is nested more than {MAX_DEPTH} levels deep: flatten it")


def _size(node: yaml.Node | None, sizes: dict[int, int], name: str) -> int:
    """Nodes of the expanded document; an alias counts as often as it is used.

    Raises:
        ConfigError: there are too many, an alias holds itself, or a mapping has a key twice.
    """
    if id(node) not in sizes:
        sizes[id(node)] = MAX_NODES + 1  # while its parts are counted: an alias that holds itself
        sizes[id(node)] = 1 + sum(_size(part, sizes, name) for part in _parts(node, name))
    if sizes[id(node)] > MAX_NODES:
        raise ConfigError(
            f"{name} has more than {MAX_NODES:,} values with its aliases (*NAME) expanded: write fewer"
        )
    return sizes[id(node)]


def _parts(node: yaml.Node | None, name: str) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        keys = [str(key.value) for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = next((key for key in dict.fromkeys(keys) if key != "<<" and keys.count(key) > 1), None)
        if twice is not None:
            line = node.start_mark.line + 1
            raise ConfigError(f"{name} has {twice[:80]!r} twice in the mapping at line {line}: remove one")
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _one_line(error: yaml.YAMLError) -> str:
    return " ".join(str(error).split())[:200]
