"""Reads the folder of route documents and checks them, each for itself and all together.

Reading and checking are apart: workers get the texts from whoever read them, and check the same.
"""

import errno
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from gateway.routes.notes import notes_of
from protos.route.document import Route
from protos.strict_yaml import ConfigError, read, validate
from protos.wording import did_you_mean, quote
from routing.rules.ambiguity import ambiguities
from routing.rules.loaded import Loaded, revision_of

LARGEST = 1 << 20  # bytes of a document
REMEMBERED = 4096  # documents
SUFFIXES = (".yaml", ".yml")
# The names of the privacy policies that routes may refer to: there are none.
POLICIES: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Documents:
    """Route documents that hold together."""

    routes: tuple[Loaded, ...]

    @property
    def revision(self) -> str:
        return revision_of(self.routes)

    @property
    def texts(self) -> list[tuple[str, str]]:
        """Each document's source and text, from which `check_texts` makes the same."""
        return [(each.source, each.text) for each in self.routes]

    @property
    def notes(self) -> list[str]:
        """What is written and has no effect, with file and line."""
        return notes_of(self.routes)


def load_folder(path: Path, *, policies: Collection[str]) -> Documents:
    """The documents in a folder; `policies` are the names of the privacy policies there are.

    Files end in .yaml or .yml and hold one route each; hidden ones and folders in the folder are
    not looked at, links are followed, so that a folder mounted by Kubernetes is read as it should.
    Raises ConfigError with every problem of every file.
    """
    problems: list[ConfigError] = []
    texts: list[tuple[str, str]] = []
    for file in _files(path):
        try:
            texts.append((str(file), _text(file)))
        except ConfigError as error:
            problems.append(error)
    return _checked(texts, policies, problems)


def check_texts(texts: Iterable[tuple[str, str]], *, policies: Collection[str]) -> Documents:
    """The documents of such sources and texts. Raises ConfigError with every problem."""
    return _checked(texts, policies, [])


def read_texts(texts: Iterable[tuple[str, str]]) -> Documents:
    """The documents of texts that `check_texts` has taken: what holds between them isn't asked."""
    routes = [_loaded(source, text) for source, text in texts]
    return Documents(tuple(sorted(routes, key=lambda each: each.name)))


def signature(path: Path) -> object:
    """Equal while no file of the folder has changed: name, time, size, and where links lead."""
    try:
        files = _files(path)
    except ConfigError as error:
        return str(error)
    return [(file.name, _stamp(file)) for file in files]


def _checked(
    texts: Iterable[tuple[str, str]], policies: Collection[str], problems: list[ConfigError]
) -> Documents:
    routes: list[Loaded] = []
    for source, text in texts:
        try:
            routes.append(_loaded(source, text))
        except ConfigError as error:
            problems.append(error)
    routes.sort(key=lambda each: each.name)
    problems.extend(_duplicates(routes))
    problems.extend(ambiguities(routes))
    problems.extend(_unknown_policies(routes, policies))
    if problems:
        raise _together(problems)
    return Documents(tuple(routes))


@lru_cache(maxsize=REMEMBERED)
def _loaded(source: str, text: str) -> Loaded:
    # Remembered, as reading takes milliseconds of the event loop, most files of a changed folder
    # are the old ones, and all of them are when a rollout takes a step.
    document = read(text, source)
    return Loaded(source, text, document, validate(document, Route))


def _duplicates(routes: Sequence[Loaded]) -> Iterable[ConfigError]:
    first: dict[str, Loaded] = {}
    for each in routes:
        path = ("metadata", "name")
        known = first.setdefault(each.name, each)
        if known is not each:
            where = f"{known.source}:{known.document.line(path)}"
            message = f"metadata.name: {where} is a route of this name as well"
            yield each.document.error(path, message)


def _unknown_policies(routes: Sequence[Loaded], policies: Collection[str]) -> Iterable[ConfigError]:
    for each in routes:
        privacy = each.route.spec.privacy
        if privacy is not None and privacy.policy not in policies:
            hint = did_you_mean(privacy.policy, sorted(policies))
            yield each.document.error(
                ("spec", "privacy", "policy"),
                f"spec.privacy.policy: there is no privacy policy {quote(privacy.policy)}{hint}",
            )


def _together(problems: list[ConfigError]) -> ConfigError:
    first, *others = sorted(problems, key=lambda each: (each.source, each.line))
    message = "\n".join([first.message, *map(str, others)])
    return ConfigError(first.source, first.line, message)


def _files(path: Path) -> list[Path]:
    try:
        entries = list(path.iterdir())
    except OSError as failure:
        raise ConfigError(str(path), 1, _why(failure)) from failure
    named = (e for e in entries if e.suffix in SUFFIXES and not e.name.startswith("."))
    # A broken link is not passed over: a route would be missing, and nobody would know.
    return sorted(each for each in named if not each.is_dir())


def _text(file: Path) -> str:
    try:
        if not file.is_file() and file.exists():
            raise ConfigError(str(file), 1, "is not a file")
        with file.open("rb") as opened:
            content = opened.read(LARGEST + 1)
    except OSError as failure:
        raise ConfigError(str(file), 1, _why(failure)) from failure
    if len(content) > LARGEST:
        raise ConfigError(str(file), 1, f"is larger than a document may be, {LARGEST >> 20} MiB")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as failure:
        line = content.count(b"\n", 0, failure.start) + 1
        raise ConfigError(str(file), line, "is not UTF-8") from failure


def _stamp(file: Path) -> tuple[int, ...]:
    try:
        found = file.stat()
    except OSError as failure:
        return (failure.errno or errno.EIO,)
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev


def _why(failure: OSError) -> str:
    return failure.strerror or "cannot be read"
