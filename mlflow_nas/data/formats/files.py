"""Finding files: links are followed, loops refused, the files of operating systems passed over."""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from mlflow_nas.data.formats.suffixes import is_image
from mlflow_nas.errors import ConfigError

__all__ = ["FileFinder", "is_file", "is_folder", "walk_files"]

_SYSTEM = {"thumbs.db", "desktop.ini", ".ds_store", "__macosx"}


def _is_system(name: str) -> bool:
    """Files that macOS and Windows leave beside the user's."""
    return name.startswith("._") or name.lower() in _SYSTEM


def walk_files(folder: Path) -> list[Path]:
    """Every file below a folder, sorted; a broken link is among them.

    Raises:
        ConfigError: a link leads to a folder that holds it, or a folder can't be read.
    """
    found: list[Path] = []
    waiting: list[tuple[Path, frozenset[tuple[int, int]]]] = [(folder, frozenset())]
    while waiting:
        place, above = waiting.pop()
        status = _stat(place)
        key = status.st_dev, status.st_ino
        if key in above:
            raise ConfigError(f"{place}: a link to a folder that holds it; remove the link")
        for path in _entries(place):
            if path.is_dir():
                waiting.append((path, above | {key}))
            elif path.is_file() or path.is_symlink():
                found.append(path)
    return sorted(found)


def _stat(folder: Path) -> os.stat_result:
    try:
        return folder.stat()
    except OSError as error:
        raise _unreadable(folder, error) from error


def _entries(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if not _is_system(path.name)]
    except OSError as error:
        raise _unreadable(folder, error) from error


def _unreadable(folder: Path, error: OSError) -> ConfigError:
    return ConfigError(f"{folder}: the folder can't be read ({error.strerror}); allow it, or restore it")


class FileFinder:
    """Finds files by name, by name in another case, or by stem; folders are listed once."""

    def __init__(self) -> None:
        self._folders: dict[Path, dict[str, list[Path]]] = {}
        self._stems: dict[Path, dict[str, list[Path]]] = {}

    def find(self, path: Path) -> Path | None:
        """The file of that path, or the one whose name differs in its case only.

        Raises:
            ConfigError: several do, or the name can't be one of a file.
        """
        if is_file(path):
            return path
        return _only(path, self._names(path.parent).get(path.name.casefold(), ()))

    def locate(self, name: str, folders: Sequence[Path]) -> Path:
        r"""The file of a name relative to the first of several folders that has it.

        Args:
            name: with / or, where no such file exists, \ between its parts.
            folders: in the order of preference.

        Returns:
            The file; where there is none, where it was looked for first.

        Raises:
            ConfigError: several names differ in their case only.
        """
        names = (name, name.replace("\\", "/")) if "\\" in name else (name,)
        candidates = [folder / one for one in names for folder in folders]
        found = next((path for path in candidates if is_file(path)), None)
        return found or next(filter(None, map(self.find, candidates)), candidates[0])

    def image(self, folder: Path, stem: str) -> Path | None:
        """The image of that stem, whatever its suffix.

        Raises:
            ConfigError: several have it.
        """
        if folder not in self._stems:
            images = [path for path in self._listed(folder) if is_image(path)]
            self._stems[folder] = _by(lambda path: path.stem, images)
        return _only(folder / stem, self._stems[folder].get(stem, ()))

    def _names(self, folder: Path) -> dict[str, list[Path]]:
        if folder not in self._folders:
            self._folders[folder] = _by(lambda path: path.name.casefold(), self._listed(folder))
        return self._folders[folder]

    @staticmethod
    def _listed(folder: Path) -> Iterable[Path]:
        try:
            return sorted(_entries(folder)) if folder.is_dir() else ()
        except (OSError, ValueError):  # no name of a folder
            return ()


def is_file(path: Path) -> bool:
    """Whether there is such a file; a name that is too long or holds a NUL is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _by(key: Callable[[Path], str], paths: Iterable[Path]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in paths:
        found.setdefault(key(path), []).append(path)
    return found


def _only(wanted: Path, found: Sequence[Path]) -> Path | None:
    if len(found) > 1:
        names = ", ".join(path.name for path in found[:5])
        raise ConfigError(f"{wanted}: {len(found)} files fit ({names}), 1 is allowed; rename the others")
    return found[0] if found else None


def is_folder(path: Path) -> bool:
    """Whether there is such a folder; a name that is too long or holds a NUL is none."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
