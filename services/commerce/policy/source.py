"""The edge of the policy: reads files, notices changes, keeps the old version when the new one is
broken. Nothing here decides."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from services.commerce.policy import loader
from services.commerce.policy.loader import PolicyRefused, Problem
from services.commerce.policy.model import Policy
from services.commerce.policy.versions import BUILT_IN_VERSIONS, Versions

SUFFIXES = (".yaml", ".yml")
VERSIONS_MAX = 1000
Stamp = tuple[tuple[str, int, int, int], ...]


def read(path: Path) -> Policy:
    """One policy file. Raises PolicyRefused, also where the file cannot be read."""
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        said = error.strerror or str(error)
        raise PolicyRefused((Problem((), f"cannot be read: {said}", 1),), str(path)) from error
    except UnicodeDecodeError as error:
        problem = Problem((), "is not UTF-8; save it as UTF-8", 1)
        raise PolicyRefused((problem,), str(path)) from error
    return loader.from_text(text, str(path))


def read_versions(path: Path) -> Versions:
    """A file, or a folder of versions. Raises PolicyRefused with the problems of all files."""
    if not path.is_dir():
        return Versions.of([read(path)])
    policies, problems = [], []
    for file in _files(path):
        try:
            policies.append(read(file))
        except PolicyRefused as refused:
            problems.extend(refused.lines())
    if problems:
        raise PolicyRefused(tuple(Problem((), each) for each in problems), str(path))
    try:
        return Versions.of(policies)
    except ValueError as error:
        raise PolicyRefused((Problem((), str(error), 1),), str(path)) from error


def files(path: Path) -> list[Path]:
    """The policy file itself, or those of a folder."""
    if not path.is_dir():
        return [path]
    return _files(path)


def _files(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if each.suffix in SUFFIXES)[:VERSIONS_MAX]


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a look at the files brought: `changed` was taken up, `refused` was not."""

    changed: bool = False
    refused: PolicyRefused | None = None


UNCHANGED = Refreshed()


class PolicySource:
    """The versions in force, from POLICY_PATH; without a path the built-in policy.

    `refresh` looks whether files changed (cheap: it compares their stamps) and takes them up; a
    broken change is returned as `refused`, once, and the old versions stay in force.
    """

    def __init__(self, path: Path | None) -> None:
        """Raises PolicyRefused: a process does not start with a broken policy."""
        self._path = path
        self._stamp = self._look()
        self.versions = BUILT_IN_VERSIONS if path is None else read_versions(path)

    def refresh(self) -> Refreshed:
        if self._path is None:
            return UNCHANGED
        stamp = self._look()
        if stamp == self._stamp:
            return UNCHANGED
        self._stamp = stamp
        try:
            self.versions = read_versions(self._path)
        except PolicyRefused as refused:
            return Refreshed(refused=refused)
        return Refreshed(changed=True)

    def _look(self) -> Stamp:
        if self._path is None:
            return ()
        try:
            files = _files(self._path) if self._path.is_dir() else [self._path]
            stats = [(each, each.stat()) for each in files]
        except OSError:
            return ()
        return tuple((str(each), s.st_mtime_ns, s.st_size, s.st_ino) for each, s in stats)
