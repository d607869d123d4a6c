"""Documents of a folder, checked each for itself and all together.

Reading and checking are apart: workers get the texts from whoever read them, and make the same.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pydantic import ValidationError

from gateway.routes.kinds import BY_NAME, POLICY_KINDS, ROUTE
from gateway.routes.notes import notes_of
from policies.pii.settings import PrivacyDocument
from policies.plugins import load, settings_of
from protos.route.document import Route
from protos.settings import Misplaced, Settings
from protos.strict_yaml import ConfigError, Document, Path, read, validate, written
from protos.wording import did_you_mean, quote
from routing.rules.ambiguity import ambiguities
from routing.rules.loaded import Loaded, LoadedPolicy, revision_of

REMEMBERED = 4096  # documents

_Called = tuple[str, str]  # kind and name
_UNKNOWN: _Called = ("", "")


@dataclass(frozen=True, slots=True)
class Documents:
    """Documents that hold together, in the order of their names."""

    routes: tuple[Loaded, ...]
    policies: tuple[LoadedPolicy, ...] = ()

    @property
    def revision(self) -> str:
        return revision_of(self.all)

    @property
    def all(self) -> tuple[Loaded | LoadedPolicy, ...]:
        return (*self.routes, *self.policies)

    @property
    def texts(self) -> list[tuple[str, str]]:
        """Each document's source and text, from which `check_texts` makes the same."""
        return [(each.source, each.text) for each in self.all]

    @property
    def notes(self) -> list[str]:
        """What is written and has no effect, with file and line."""
        return notes_of(self.routes)


def check_texts(
    texts: Iterable[tuple[str, str]], problems: Iterable[ConfigError] = ()
) -> Documents:
    """The documents of such sources and texts.

    Raises ConfigError with every problem, `problems` that are known already among them.
    """
    found = list(problems)
    refused = [_UNKNOWN for _ in found]
    documents: list[Loaded | LoadedPolicy] = []
    for source, text in texts:
        try:
            documents.append(_loaded(source, text))
        except ConfigError as error:
            found.append(error)
            refused.append(_called(source, text))
    checked = _sorted(documents)
    found.extend(_duplicates(checked))
    found.extend(ambiguities(checked.routes))
    found.extend(_unknown_policies(checked, refused))
    found.extend(_unredacted_samples(checked, refused))
    found.extend(_unusable(checked.policies))
    found.extend(_unusable_plugins(checked.routes))
    if found:
        raise _together(found)
    return checked


def read_texts(texts: Iterable[tuple[str, str]]) -> Documents:
    """The documents of texts that `check_texts` has taken: what holds between them isn't asked."""
    return _sorted([_loaded(source, text) for source, text in texts])


def _sorted(documents: Iterable[Loaded | LoadedPolicy]) -> Documents:
    in_order = sorted(documents, key=lambda each: (each.name, each.kind))
    return Documents(
        tuple(each for each in in_order if isinstance(each, Loaded)),
        tuple(each for each in in_order if isinstance(each, LoadedPolicy)),
    )


@lru_cache(maxsize=REMEMBERED)
def _loaded(source: str, text: str) -> Loaded | LoadedPolicy:
    # Remembered, as reading takes milliseconds of the event loop, most files of a changed folder
    # are the old ones, and all of them are when a rollout takes a step. What is derived from a
    # policy can be kept beside it for the same reason: an unchanged file is the same object.
    document = read(text, source)
    name = _kind(document)
    kind = BY_NAME.get(name)
    if kind is None:
        return Loaded(source, text, document, validate(document, Route))
    policy = validate(document, kind.document)
    return LoadedPolicy(source, text, document, name, document.value["metadata"]["name"], policy)


def _kind(document: Document) -> str:
    """What the document says that it is. A route that says nothing is refused as one."""
    kind = document.value.get("kind", ROUTE) if isinstance(document.value, dict) else ROUTE
    known = (ROUTE, *BY_NAME)
    if kind not in known:
        hint = did_you_mean(kind, known) if isinstance(kind, str) else ""
        should = f"should be {', '.join(known[:-1])} or {known[-1]}"
        raise document.error(("kind",), f"kind: {should}{hint}")
    return str(kind)


def _duplicates(documents: Documents) -> Iterable[ConfigError]:
    first: dict[tuple[str, str], Loaded | LoadedPolicy] = {}
    path = ("metadata", "name")
    for each in documents.all:
        known = first.setdefault((each.kind, each.name), each)
        if known is not each:
            where = f"{known.source}:{known.document.line(path)}"
            what = "route" if each.kind == ROUTE else f"{each.kind} document"
            yield each.document.error(path, f"metadata.name: {where} is a {what} of this name too")


def _called(source: str, text: str) -> _Called:
    """What a document that is refused would be, as far as that can be read."""
    try:
        value = read(text, source).value
        return str(value["kind"]), str(value["metadata"]["name"])
    except (ConfigError, KeyError, TypeError):
        return _UNKNOWN


def _may_be_there(kind: str, name: str, refused: Sequence[_Called]) -> bool:
    """Whether the document is one of those that were refused: then that is all that is wrong."""
    known = (ROUTE, *BY_NAME)
    return any(each == (kind, name) or each is _UNKNOWN or each[0] not in known for each in refused)


def _unknown_policies(documents: Documents, refused: Sequence[_Called]) -> Iterable[ConfigError]:
    names = {(each.kind, each.name) for each in documents.policies}
    for each in documents.routes:
        for kind in POLICY_KINDS:
            wanted = kind.wanted(each.route.spec)
            if wanted is None or (kind.name, wanted) in names:
                continue
            if _may_be_there(kind.name, wanted, refused):
                continue
            hint = did_you_mean(wanted, [name for of, name in sorted(names) if of == kind.name])
            yield each.document.error(
                ("spec", kind.block, "policy"),
                f"spec.{kind.block}.policy: there is no document of kind {kind.name} called"
                f" {quote(wanted)}{hint}",
            )


def _unredacted_samples(documents: Documents, refused: Sequence[_Called]) -> Iterable[ConfigError]:
    """Routes that would keep what nobody has redacted."""
    redacting = {
        each.name
        for each in documents.policies
        if isinstance(each.policy, PrivacyDocument) and each.policy.spec.mode == "enforce"
    }
    for each in documents.routes:
        audit, privacy = each.route.spec.audit, each.route.spec.privacy
        if audit is None or not audit.payloads:
            continue
        if privacy is not None and _may_be_there("Privacy", privacy.policy, refused):
            continue
        if privacy is None or privacy.mode == "observe" or privacy.policy not in redacting:
            message = "payloads are kept only where a privacy policy is enforced that redacts them"
            yield each.document.error(
                ("spec", "audit", "payloads"), f"spec.audit.payloads: {message}"
            )


def _unusable(policies: Iterable[LoadedPolicy]) -> Iterable[ConfigError]:
    for each in policies:
        try:
            BY_NAME[each.kind].check(each.policy)
        except Misplaced as error:
            yield each.document.error(error.path, f"{written(error.path)}: {error}")
        except ValueError as error:
            yield each.document.error(("spec",), f"spec: {error}")


def _unusable_plugins(routes: Iterable[Loaded]) -> Iterable[ConfigError]:
    for each in routes:
        for index, plugin in enumerate(each.route.spec.plugins):
            at = ("spec", "plugins", index)
            try:
                settings_of(plugin.policy, plugin.settings)
            except ValidationError:
                yield _misused(each, load(plugin.policy).Settings, (*at, "settings"))
            except ValueError as error:
                yield each.document.error((*at, "policy"), f"{written(at)}.policy: {error}")


def _misused(each: Loaded, settings: type[Settings], at: Path) -> ConfigError:
    """What is wrong with settings that a plug-in doesn't take."""
    try:
        validate(each.document, settings, at)
    except ConfigError as error:
        return error
    return each.document.error(at, f"{written(at)}: is refused, though not always")


def _together(problems: Sequence[ConfigError]) -> ConfigError:
    first, *others = sorted(problems, key=lambda each: (each.source, each.line))
    message = "\n".join([first.message, *map(str, others)])
    return ConfigError(first.source, first.line, message)
