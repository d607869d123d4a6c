"""A request's texts, redacted: the elements of its BYTES tensors and its string parameters."""

from policies.pii.leaves import is_json, redact_leaves
from policies.pii.redactor import Redactor
from policies.pii.span import Span
from policies.pii.vault import Vault
from protos.errors import invalid
from protos.text import texts, with_texts
from protos.values import Parameters, Payload


def redact_payload(
    payload: Payload, redactor: Redactor, vault: Vault
) -> tuple[Payload, tuple[Span, ...]]:
    """The payload as the policy lets it pass, and all findings (positions within their texts).

    Elements that are JSON are redacted leaf by leaf. Raises INVALID for an element that is not
    UTF-8 in an input that the policy doesn't list as binary, FORBIDDEN for what it blocks.
    """
    spans: list[Span] = []
    replaced: list[str | None] = []
    for each in texts(payload):
        if each.tensor in redactor.policy.binary_inputs:
            replaced.append(None)
        elif each.text is None:
            raise invalid(
                f'input "{each.tensor}": element {each.index} is not UTF-8, and the privacy policy'
                " doesn't list the input under binaryInputs"
            )
        else:
            replaced.append(_redacted(each.text, each.tensor, redactor, vault, spans))
    redactor.check(spans)
    if not spans:
        return payload, ()
    return with_texts(payload, replaced), tuple(spans)


def redact_parameters(
    parameters: Parameters, redactor: Redactor, vault: Vault
) -> tuple[Parameters, tuple[Span, ...]]:
    """String parameters likewise; others are left. Raises FORBIDDEN."""
    spans: list[Span] = []
    replaced = {
        name: _redacted(value, name, redactor, vault, spans) if isinstance(value, str) else value
        for name, value in parameters.items()
    }
    redactor.check(spans)
    return (replaced, tuple(spans)) if spans else (parameters, ())


def _redacted(text: str, name: str, redactor: Redactor, vault: Vault, spans: list[Span]) -> str:
    def leaf(value: str, key: str) -> str:
        result = redactor.redact(value, vault, hint=key)
        spans.extend(result.spans)
        return result.text

    if is_json(text):
        return redact_leaves(text, leaf)
    return leaf(text, name)
