"""One request's way through a privacy policy: hidden on the way in, restored on the way out.

Work comes in steps (`policies/pii/steps.py`). Nothing that is raised here has a value in it.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

from policies.pii.leaves import is_json, redact_leaves
from policies.pii.names import LONGEST, Names
from policies.pii.redactor import Redactor
from policies.pii.span import Span
from policies.pii.spelling import refuse_spelling
from policies.pii.steps import EACH, SLICE, Steps
from policies.pii.streams import StreamRedactor
from protos.errors import Kind, PenstockError, invalid
from protos.object_text import digits_of, signed
from protos.openai.fields import TOP
from protos.route.snapshot import RouteSnapshot
from protos.text import rewriting
from protos.values import InferRequest, JsonObject, OpenAi, Parameters, Part, Payload

# What a text is called says what is in it (`customer_ssn`), unless it is called a text.
_PLAIN = frozenset(
    {"arguments", "content", "input", "output", "prompt", "text", "text_input", "text_output"}
)
# Under these a model keeps what belongs together, so different ones have to stay different.
_IDS = frozenset({"sequence_id", "correlation_id"})
_SAID = "what the model says"
_NAMES = 64  # that are looked at in a row

Work = Callable[[str, str], Steps[str]]  # a text and what it is called


class Passage:
    """The vault of a request, and how often each entity was found, in both directions.

    `total` is counted up as well. `answers_json` says whether the request asked for JSON.
    """

    __slots__ = ("_names", "_total", "answers_json", "found", "observing", "redactor", "vault")

    def __init__(self, redactor: Redactor, names: Names, tenant: str, total: Counter[str]) -> None:
        self.redactor = redactor
        self.vault = redactor.vault(tenant)
        self.found: Counter[str] = Counter()
        self.observing = redactor.policy.mode == "observe"
        self.answers_json = False
        self._names = names
        self._total = total

    def request(self, request: InferRequest) -> Steps[InferRequest]:
        """The request as it may go on.

        Raises INVALID for what can't be read and for names with something in them, FORBIDDEN for
        what the policy blocks.
        """
        payload, parameters = request.payload, request.parameters
        if not self.observing:
            yield from self._check_names(request)
        request_id = self._id(request.id) if request.id else ""
        if parameters:
            parameters = yield from self._strings(parameters, self._parameter)
        if isinstance(payload, OpenAi):
            self.answers_json = _asks_for_json(payload.body)
        payload = yield from self._payload(payload, self._hidden, reply=False)
        self.redactor.refuse(self.found, "this text")
        self.vault.close()
        if (
            payload is request.payload
            and parameters is request.parameters
            and request_id == request.id
        ):
            return request
        return replace(request, id=request_id, payload=payload, parameters=parameters)

    def reply(self, part: Part) -> Steps[Part]:
        """A whole reply as the requester gets it.

        What the model says by itself is hidden, what the requester sent is restored. Raises
        BAD_REPLY for what can't be read, FORBIDDEN for what the policy blocks.
        """
        before = Counter(self.found)
        payload, parameters = part.payload, part.parameters
        payload = yield from self._payload(payload, self._said, reply=True)
        if parameters:
            parameters = yield from self._strings(parameters, self._said)
        self.redactor.refuse(self.found - before, _SAID)
        if payload is part.payload and parameters is part.parameters:
            return part
        return replace(part, payload=payload, parameters=parameters)

    def parameters(self, parameters: Parameters) -> Steps[Parameters]:
        """Those of a part of a streamed reply, likewise."""
        before = Counter(self.found)
        said = yield from self._strings(parameters, self._said)
        self.redactor.refuse(self.found - before, _SAID)
        return said

    def answer(self, text: str, name: str = "") -> Steps[str]:
        """One text of a reply that stands for itself, likewise."""
        before = Counter(self.found)
        said = yield from self._said(text, name)
        self.redactor.refuse(self.found - before, _SAID)
        return said

    def said(self, spans: Iterable[Span]) -> None:
        """Counts what the model said in a stream; raises FORBIDDEN for what the policy blocks."""
        self.redactor.refuse(self._count(spans), _SAID)

    def sentence(self, text: str) -> str:
        """An error's sentence, which may quote what the model was given. Nothing is restored."""
        return self.redactor.redact(text, self.vault).text

    def name(self, request_id: str) -> str:
        """A name that the client gave the request, as it may be recorded."""
        return self._id(request_id)

    def unreadable(self, name: str, index: int, *, reply: bool) -> PenstockError | None:
        """The error for what is no text that can be read; None where the policy lets it pass."""
        policy = self.redactor.policy
        listed = policy.binary_outputs if reply else policy.binary_inputs
        if self.observing or name in listed:
            return None
        what, key = ("output", "binaryOutputs") if reply else ("input", "binaryInputs")
        return PenstockError(
            Kind.BAD_REPLY if reply else Kind.INVALID,
            f'{what} "{name}": element {index} is no text that can be read, and the'
            f" {self.redactor.called} policy doesn't list the {what} under {key}",
        )

    def _check_names(self, request: InferRequest) -> Steps[None]:
        payload, route = request.payload, request.context.route
        names = [(each.name, "an input") for each in payload.tensors]
        names += [(name, "an output") for name in payload.wanted]
        names += [(name, "a parameter") for name in request.parameters]
        # What operators call a model is theirs to choose; under a pattern it is anybody's.
        if route is None or not names_model(route, request.model):
            names.append((request.model, "a model"))
        else:
            self._names.clean(request.model)  # so that it is known
        for at, (name, what) in enumerate(names):
            self._names.check(name, what, self.vault.tenant)
            if at % _NAMES == _NAMES - 1:
                yield
        if isinstance(payload, OpenAi):
            refuse_spelling(payload)

    def _payload(self, payload: Payload, work: Work, *, reply: bool) -> Steps[Payload]:
        walk = rewriting(payload, reply=reply)
        written: str | None = None
        done = 0
        while True:
            try:
                each = walk.send(written)
            except StopIteration as end:
                made: Payload = end.value
                return made
            except UnicodeEncodeError:
                raise
            except ValueError:
                raise PenstockError(
                    Kind.BAD_REPLY if reply else Kind.INVALID,
                    "two keys of an object are one when what is in them is hidden",
                ) from None
            written = None
            text = None if each is None else each.text
            done += EACH if text is None else EACH + len(text)
            if done > SLICE or each is None:
                done = 0
                yield
            if each is None:
                continue
            if text is None:
                error = self.unreadable(each.name, each.index, reply=reply)
                if error is not None:
                    raise error
            elif text and not (each.key and self._plain(text)):
                new = yield from work(text, hint_of(each.name))
                written = None if new == text else new

    def _plain(self, key: str) -> bool:
        """Whether a key is known to have nothing in it: the same ones come again and again."""
        return (
            len(key) <= LONGEST
            and not self.redactor.names_texts
            and "[" not in key  # a placeholder
            and self._names.clean(key)
        )

    def _strings(self, parameters: Parameters, work: Work) -> Steps[Parameters]:
        made: dict[str, bool | int | float | str] = {}
        changed = False
        done = 0
        for name, value in parameters.items():
            made[name] = value
            number = not isinstance(value, str)
            text = value if isinstance(value, str) else digits_of(value)
            if not text or (number and name in TOP.counts):
                continue
            done += EACH + len(text)
            if done > SLICE:
                done = 0
                yield
            new = yield from work(text, name)
            if new != text:
                made[name] = signed(value, new) if isinstance(value, int | float) else new
                changed = True
        return made if changed else parameters

    def _parameter(self, value: str, name: str) -> Steps[str]:
        if name in _IDS:
            return self._id(value)
        return (yield from self._hidden(value, name))

    def _id(self, text: str) -> str:
        if len(text) > SLICE:
            raise invalid(
                f"an id has more than {SLICE} characters, which the {self.redactor.called} policy"
                " can't look at together"
            )
        result = self.redactor.pseudonym(text, self.vault.tenant)
        self._count(result.spans)
        return result.text

    def _hidden(self, text: str, name: str) -> Steps[str]:
        if is_json(text):
            return (yield from redact_leaves(text, self._leaf))
        return (yield from self._leaf(text, name))

    def _said(self, text: str, name: str) -> Steps[str]:
        json = is_json(text)
        hidden = yield from (redact_leaves(text, self._leaf) if json else self._leaf(text, name))
        return self.vault.restore(hidden, escaped=json)

    def _leaf(self, text: str, name: str) -> Steps[str]:
        if len(text) <= SLICE or self.redactor.names_texts:
            result = self.redactor.redact(text, self.vault, name)
            if result.spans:
                self._count(result.spans)
            return result.text
        # As a stream, whose result is the whole text's however it is cut.
        stream = StreamRedactor(self.redactor, self.vault, name, blocking=False)
        pieces: list[str] = []
        for start in range(0, len(text), SLICE):
            pieces.append(stream.push(text[start : start + SLICE]))
            self._count(stream.spans)
            stream.spans = []
            yield
        pieces.append(stream.flush())
        self._count(stream.spans)
        return "".join(pieces)

    def _count(self, spans: Iterable[Span]) -> Counter[str]:
        found = Counter(span.entity for span in spans)
        self.found.update(found)
        self._total.update(found)
        return found


def names_model(route: RouteSnapshot, model: str) -> bool:
    """Whether the route names this very model, rather than a pattern that it fits."""
    return any(each.model == model for each in route.spec.match)


def hint_of(name: str) -> str:
    """What a text's name says about what is in it."""
    return "" if name in _PLAIN else name


def _asks_for_json(body: JsonObject) -> bool:
    wanted = body.get("response_format")
    return isinstance(wanted, dict) and wanted.get("type") in ("json_object", "json_schema")
