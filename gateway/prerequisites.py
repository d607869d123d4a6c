"""What a configuration names and has to be there: files, folders, runtimes.

A gateway looks before it starts, so that a wrong path is an error of that moment, with its line,
and not one of the first request that needs the file, or of a server that seems to be lost.
"""

import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from gateway.audit.seal import read_seal
from gateway.config import Config
from gateway.own_key import given_key
from gateway.routes.decision_log import KEY_BYTES as DECISIONS_KEY
from gateway.runtimes import unknown
from policies.cache.key import MIN_KEY as CACHE_KEY
from policies.pii.tokens import MIN_KEY as PRIVACY_KEY
from protos.errors import PenstockError
from protos.settings import Settings
from protos.strict_yaml import ConfigError, Document, read, written
from protos.strict_yaml import Path as Where

Lack = tuple[Where, str]

# Folders that are made, and keys that are made by the command which first needs them.
_MADE: set[Where] = {("stateFolder",), ("audit", "folder"), ("apiKeys", "secretFile")}
_MADE_SECRETS: dict[Where, str] = {
    ("issuers",): "`penstock up` and `penstock token` make",
    ("apiKeys",): "`penstock keys create` makes",
}
_FOLDERS = {"routes", "repository"}
_SECRETS = ("audit", "cache", "decisions", "privacy")
_AUDIT, _CACHE, _DECISIONS, _PRIVACY = ((block, "keyFile") for block in _SECRETS)


def check_gateway(config: Config, file: Path) -> None:
    """Raises ConfigError for what a gateway needs and isn't there.

    The folder of routes is not asked for: a gateway that lost it serves by the routes it had.
    """
    _refuse(file, (each for each in _lacks(config) if each[0][0] not in ("routes", "backends")))


def check_all(config: Config, file: Path) -> None:
    """The same for everything, the backends of `penstock up` among it."""
    _refuse(file, _lacks(config))


def notes(config: Config) -> Iterator[str]:
    """What is valid and may not be what was meant."""
    if config.state.shared and not config.store.url.startswith("postgresql"):
        yield (
            "state: limits are shared with other gateways, and the record store isn't: API keys,"
            " withdrawn tokens, usage and rollouts are each gateway's own; store.url shares them"
        )
    if _is_open(config.state_folder):
        yield (
            f"stateFolder: others on this machine can look into {config.state_folder}, where"
            f" secrets and records lie; chmod 700 {config.state_folder}"
        )

    for where, path in _paths(config, ()):
        maker = _MADE_SECRETS.get(where[:1])
        if maker and where[-1] == "secretFile" and where in _made(config) and not path.exists():
            yield f"{written(where)}: {path} isn't there yet; {maker} it, and a gateway needs it"
        if where in (_AUDIT, _CACHE, _DECISIONS, _PRIVACY) and path.stat().st_mode & 0o007:
            yield f"{written(where)}: others on this machine can read {path}; chmod 600 {path}"


def _is_open(folder: Path) -> bool:
    """Of folders that are somebody else's, such as a container's volume, they know best."""
    try:
        found = folder.stat()
    except OSError:
        return False  # it is made, for us alone
    return found.st_uid == os.getuid() and found.st_mode & 0o007 != 0


def _refuse(file: Path, lacks: Iterable[Lack]) -> None:
    found = list(lacks)
    if found:
        raise _together(_document(file), found)


def _document(file: Path) -> Document:
    return read(file.read_text(encoding="utf-8"), str(file))


def _together(document: Document, lacks: Iterable[Lack]) -> ConfigError:
    first, *others = sorted(
        (document.error(path, message) for path, message in lacks), key=lambda each: each.line
    )
    message = "\n".join([first.message, *map(str, others)])
    return ConfigError(first.source, first.line, message)


def _lacks(config: Config) -> Iterator[Lack]:
    yield from _keys(config)
    made = _made(config)
    for where, path in _paths(config, ()):
        if where in made or where in (_AUDIT, _CACHE, _DECISIONS, _PRIVACY):
            continue
        why = _folder(path) if where[-1] in _FOLDERS else _file(path)
        if why:
            yield where, f"{written(where)}: {path} {why}"
    for index, backend in enumerate(config.backends):
        if why := unknown(backend.runtime):
            yield ("backends", index, "runtime"), f"backends[{index}].runtime: {why}"


def _made(config: Config) -> set[Where]:
    """What the commands that first need it make."""
    return _MADE | {
        ("issuers", index, "secretFile")
        for index, each in enumerate(config.issuers)
        if each.development
    }


def _keys(config: Config) -> Iterator[Lack]:
    for where, path, use in (
        (_AUDIT, config.audit.key_file, read_seal),
        (_CACHE, config.cache.key_file, partial(given_key, "cache.keyFile", least=CACHE_KEY)),
        (
            _DECISIONS,
            config.decisions.key_file,
            partial(given_key, "decisions.keyFile", least=DECISIONS_KEY),
        ),
        (
            _PRIVACY,
            config.privacy.key_file,
            partial(given_key, "privacy.keyFile", least=PRIVACY_KEY),
        ),
    ):
        if path is not None:
            try:
                use(path)
            except PenstockError as error:
                yield where, error.message


def _paths(value: object, where: Where) -> Iterator[tuple[Where, Path]]:
    """All paths of the configuration, each with its place in the file."""
    if isinstance(value, Path):
        yield where, value
    elif isinstance(value, Settings):
        for name, field in type(value).model_fields.items():
            yield from _paths(getattr(value, name), (*where, field.alias or name))
    elif isinstance(value, tuple):
        for index, each in enumerate(value):
            yield from _paths(each, (*where, index))


def _file(path: Path) -> str:
    try:
        with path.open("rb"):
            return ""
    except OSError as error:
        return f"can't be read: {error.strerror}"


def _folder(path: Path) -> str:
    return "" if path.is_dir() else "is no folder"
