"""YAML as configuration should be read: nothing guessed, nothing hidden, every refusal has a line.

Scalars follow YAML 1.2's core schema, so that `no` is a word and `010` is not eight. Tags, anchors,
aliases, duplicate keys and several documents in one file are errors.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from protos.model_keys import keys_at
from protos.settings import Misplaced
from protos.wording import did_you_mean, quote

Path = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)

MAX_DEPTH = 64
SHOWN_ERRORS = 8

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,18})")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]{1,3})?")
_KEY = re.compile(r"[^\W\d][\w./-]{0,39}")
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}

# As YAML calls them; JSON's names are of no help to who writes files.
_COLLECTIONS = {
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type"), "a list"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "a mapping"),
}


class ConfigError(Exception):
    """What is wrong with a configuration file, and where; further errors are lines of `message`."""

    def __init__(self, source: str, line: int, message: str) -> None:
        super().__init__(f"{source}:{line}: {message}")
        self.source = source
        self.line = line  # from 1
        self.message = message


@dataclass(frozen=True, slots=True)
class Document:
    """Plain values (dict, list, str, int, float, bool, None) and the line of each by its path."""

    source: str
    value: Any
    lines: Mapping[Path, int]

    def line(self, path: Path) -> int:
        """The line of the value at `path`, or of the nearest thing around it."""
        return self.lines[self.known(path)]

    def known(self, path: Path) -> Path:
        """`path` without the parts that the file doesn't have, such as names of union members."""
        found: Path = ()
        for part in path:
            if (*found, part) in self.lines:
                found = (*found, part)
        return found

    def error(self, path: Path, message: str) -> ConfigError:
        """The refusal of what stands at `path`."""
        return ConfigError(self.source, self.line(path), message)


def load(text: str, source: str, model: type[Model]) -> Model:
    """The file's content as `model`; an empty file is an empty mapping.

    The content is validated as JSON of the same meaning would be, so that strict models take lists
    as tuples but still coerce nothing. Raises ConfigError with every error that was found.
    """
    return validate(read(text, source), model)


def validate(document: Document, model: type[Model], at: Path = ()) -> Model:
    """The document, or what stands in it `at` a path, as `model`; nothing is an empty mapping.

    Raises ConfigError with every error that was found.
    """
    value = document.value
    for part in at:
        value = value.get(part) if isinstance(value, dict) else value[part]
    try:
        return model.model_validate_json(json.dumps({} if value is None else value))
    except ValidationError as error:
        raise _explain(document, model, error, at) from None


def read(text: str, source: str) -> Document:
    """The one document of `text`. Raises ConfigError."""
    lines: dict[Path, int] = {(): 1}
    loader = None
    try:
        loader = yaml.SafeLoader(text)
        value = _Builder(_events(loader), source, lines).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        problem = error.problem or error.context or "it can't be read"
        raise ConfigError(source, line, f"not valid YAML: {problem}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(source, line, f"not valid YAML: {error.reason}") from None
    except (ValueError, OverflowError):  # PyYAML doesn't ask whether there is such a character
        line = loader.line + 1 if loader is not None else 1
        raise ConfigError(source, line, "not valid YAML: there is no such character") from None
    return Document(source, value, lines)


def _events(loader: Any) -> Iterator[yaml.Event]:
    while loader.check_event():
        yield loader.get_event()


def without_lines(value: Any, source: str) -> Document:
    """A document of values that were not written in YAML; everything is said to be in line 1."""
    lines: dict[Path, int] = {}

    def mark(inner: Any, path: Path) -> None:
        lines[path] = 1
        items = inner.items() if isinstance(inner, dict) else ()
        for key, item in enumerate(inner) if isinstance(inner, list | tuple) else items:
            mark(item, (*path, key))

    mark(value, ())
    return Document(source, value, lines)


class _Builder:
    """Builds values straight from the parser's events, before anything could be resolved away."""

    def __init__(self, events: Iterator[yaml.Event], source: str, lines: dict[Path, int]) -> None:
        self._events = events
        self._source = source
        self._lines = lines

    def document(self) -> Any:
        value = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._error(event, "a file holds one document, here begins a second")
                value = self._value(next(self._events), ())
        return value

    def _value(self, event: yaml.Event, path: Path) -> Any:
        if isinstance(event, yaml.AliasEvent):
            raise self._error(event, f"aliases are not allowed: *{event.anchor}")
        if not isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            raise self._error(event, "a value is missing")
        if event.anchor is not None:
            raise self._error(event, f"anchors are not allowed: &{event.anchor}")
        if event.tag is not None:
            raise self._error(event, f"tags are not allowed: {event.tag}")
        if len(path) > MAX_DEPTH:
            raise self._error(event, f"nested deeper than {MAX_DEPTH} levels")
        # A value that begins below its key is still shown where the key is.
        self._lines.setdefault(path, _line(event))
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        return self._mapping(path)

    def _sequence(self, path: Path) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._value(event, (*path, len(items))))
        return items

    def _mapping(self, path: Path) -> dict[str, Any]:
        items: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent) or event.anchor or event.tag:
                raise self._error(event, "a key is a plain word")
            key = self._text(event)
            if key in items:
                first = self._lines[(*path, key)]
                raise self._error(event, f"{quote(key)} is given twice, first in line {first}")
            self._lines[(*path, key)] = _line(event)
            items[key] = self._value(next(self._events), (*path, key))
        return items

    def _scalar(self, event: yaml.ScalarEvent) -> str | int | float | bool | None:
        text = self._text(event)
        if not event.implicit[0]:  # quoted, or a block
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text):
            number = float(text)
            if math.isinf(number):
                raise self._error(event, f"{quote(text)} is too large a number")
            return number
        return text

    def _text(self, event: yaml.ScalarEvent) -> str:
        text: str = event.value
        if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
            raise self._error(event, "text with half of a surrogate pair")
        return text

    def _error(self, event: yaml.Event, message: str) -> ConfigError:
        return ConfigError(self._source, _line(event), message)


def _line(event: yaml.Event) -> int:
    return 0 if event.start_mark is None else event.start_mark.line + 1


def _explain(
    document: Document, model: type[BaseModel], error: ValidationError, at: Path
) -> ConfigError:
    details = error.errors(include_url=False, include_input=False)
    paths = [document.known((*at, *_place(detail))) for detail in details]
    found: dict[tuple[int, Path], list[str]] = {}
    for path, detail in zip(paths, details, strict=True):
        # A union complains once for each member; those that the value resembles know best.
        if detail["type"] != "missing" and any(_below(other, path) for other in paths):
            continue
        sentences = found.setdefault((document.lines[path], path), [])
        sentence = _sentence(model, path[len(at) :], detail)
        if sentences and sentences[-1].startswith("should be ") and sentence.startswith("should "):
            sentences[-1] += f" or {sentence.removeprefix('should be ')}"
        else:
            sentences.append(sentence)
    told = [
        (line, f"{written(_repeatable(path))}: {sentence}" if path else sentence)
        for (line, path), sentences in sorted(found.items(), key=lambda item: item[0][0])
        for sentence in sentences
    ]
    (line, message), *others = told
    for number, other in others[: SHOWN_ERRORS - 1]:
        message += f"\n{document.source}:{number}: {other}"
    if len(others) >= SHOWN_ERRORS:
        message += f"\n… and {len(others) - SHOWN_ERRORS + 1} more"
    return ConfigError(document.source, line, message)


def _place(detail: Any) -> Path:
    where: Path = detail["loc"]
    cause = detail.get("ctx", {}).get("error")
    return (*where, *cause.path) if isinstance(cause, Misplaced) else where


def _repeatable(path: Path) -> Path:
    """`path` without a last key that looks like none: where a wrong file was put, or linked to,
    what its lines begin with is nobody's to read in a log."""
    last = path[-1]
    if isinstance(last, int) or _KEY.fullmatch(last):
        return path
    return (*path[:-1], f"(a key of {len(last)} characters)")


def _below(path: Path, other: Path) -> bool:
    return len(path) > len(other) and path[: len(other)] == other


def _sentence(model: type[BaseModel], path: Path, detail: Any) -> str:
    if detail["type"] == "missing":
        return f'"{detail["loc"][-1]}" is missing'
    if detail["type"] == "extra_forbidden":
        hint = did_you_mean(str(path[-1]), keys_at(model, path[:-1]))
        return f"unknown key{hint}"
    if detail["type"] in _COLLECTIONS:
        return f"should be {_COLLECTIONS[detail['type']]}"
    what: str = detail["msg"]
    return re.sub(r"^(?:Value error, |\w+ (?=should))", "", what)


def written(path: Path) -> str:
    """A path as people read it: `spec.match[0].model`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)[1:]
