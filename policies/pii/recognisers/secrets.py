"""What opens doors: keys of well-known services, tokens, private keys, passwords in assignments."""

import base64
import binascii
import json
import re

from policies.pii.cuts import BLOCK
from policies.pii.recogniser import WORD, Recogniser

_LEFT = rb"(?:\\[nrt]|^|[^" + WORD + rb"-])"
_RIGHT = rb"(?:$|[^" + WORD + rb"-])"
# A name in a program, or what is asked of one: `config.db_password`, `os.environ[`, `getpass(`.
_CODE = re.compile(r"[A-Za-z_][A-Za-z_.]*(?:\Z|[\[(])")
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.")
_B64 = rb"[0-9A-Za-z_-]"

# Prefixes that the services document for their keys, so that they can be found.
_KEYS = (
    rb"(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}"  # Amazon
    rb"|gh[pousr]_[0-9A-Za-z]{36,255}|github_pat_[0-9A-Za-z_]{50,255}"
    rb"|gl(?:pat|ptt|dt|rt|cbt)-[0-9A-Za-z_-]{20,64}"  # GitLab
    rb"|xox[abeoprs]-[0-9A-Za-z-]{10,250}|xapp-[0-9A-Za-z-]{20,250}"  # Slack
    rb"|[srp]k_(?:live|test)_[0-9A-Za-z]{16,255}|whsec_[0-9A-Za-z+/]{24,64}"  # Stripe
    rb"|AIza[0-9A-Za-z_-]{35}|ya29\.[0-9A-Za-z_-]{20,512}|GOCSPX-[0-9A-Za-z_-]{28}"  # Google
    rb"|sk-(?:proj-|svcacct-|admin-|ant-[0-9a-z]{2,8}-)?[0-9A-Za-z_-]{20,255}"  # OpenAI, Anthropic
    rb"|hf_[0-9A-Za-z]{30,64}|npm_[0-9A-Za-z]{36}|pypi-[0-9A-Za-z_-]{50,512}"
    rb"|SG\.[0-9A-Za-z_-]{16,32}\.[0-9A-Za-z_-]{32,64}"  # SendGrid
    rb"|(?:SK|AC)[0-9a-f]{32}|dop_v1_[0-9a-f]{64}|shp(?:at|ca|pa|ss)_[0-9A-Fa-f]{32}"
    rb"|sq0(?:atp|csp)-[0-9A-Za-z_-]{22,43}|key-[0-9a-f]{32}|nvapi-[0-9A-Za-z_-]{60,80}"
    rb"|gsk_[0-9A-Za-z]{40,64}|r8_[0-9A-Za-z]{37}|pplx-[0-9A-Za-z]{40,64}"
    rb"|hvs\.[0-9A-Za-z_-]{24,200}|dapi[0-9a-f]{32}|lin_api_[0-9A-Za-z]{40}"
)
_NAMES = (
    rb"(?:api|access|secret|private|auth|client|account)[_ -]?(?:key|token|secret)(?:[_ -]?id)?"
    rb"|secret|token|bearer"
)
_ASSIGNED = rb"[\"']?(?: is)?(?: ?(?:[:=]|=>) ?| )[\"']?"
_BREAK = rb"(?:[ \t\r\n]|\\[nrt])"
_KEY_NAME = rb"(?:[0-9A-Z]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"


def is_jwt(text: str) -> bool:
    """RFC 7519: the first part is a JSON object in base64url."""
    head = text.partition(".")[0]
    try:
        value = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return False
    return isinstance(value, dict) and ("alg" in value or "enc" in value or "typ" in value)


def is_random(text: str) -> bool:
    """Letters and digits mixed as nobody writes them: no word, path, number or version."""
    return (
        _VERSION.match(text) is None
        and any(map(str.isdigit, text))
        and any(map(str.isalpha, text))
        and len(set(text)) >= min(8, len(text) // 2)
    )


def is_password(text: str) -> bool:
    """No word that only describes one, and no variable or template in its place."""
    word = text.rstrip(".;:!?)")
    mixed = not word.isalpha() and not word.isdigit() and _CODE.match(word) is None
    return mixed and len(text) >= 6 and text[0] not in "$%({[<*."


RECOGNISERS = (
    Recogniser(
        "API_KEY", _KEYS, 0.95, check=is_random, canonical=str, left=_LEFT, right=_RIGHT,
        longest=600,
    ),
    # After a name that says what it is: `api_key = "…"`, `Authorization: Bearer …`.
    Recogniser(
        "API_KEY",
        rb"[0-9A-Za-z][0-9A-Za-z_./+~-]{15,254}={0,2}",
        0.85,
        check=is_random,
        canonical=str,
        left=rb"(?i:" + _NAMES + rb")" + _ASSIGNED,
        right=rb"(?:$|[^" + WORD + rb"/+-])",
        longest=260,
        reach=48,
        confusable=False,
    ),
    Recogniser(
        "PASSWORD",
        rb"[!#-&(-+.-;=?-_a-z~\x82-]{6,64}",  # all but quotes, commas and braces
        0.8,
        check=is_password,
        canonical=str,
        trim=lambda text: len(text.rstrip(".;:)")),
        left=rb"(?i:password|passwd|passphrase|passwort|pwd)[\"']?"
        rb"(?: is[ :=]| ?(?:[:=]|=>)) ?[\"']?",
        right=rb"(?:$|[\s\"',<>{}|`])",
        reach=32,
        confusable=False,
    ),
    Recogniser(
        "JWT",
        rb"eyJ" + _B64 + rb"{8,}\.(?:eyJ)?" + _B64 + rb"*\." + _B64 + rb"*"
        rb"(?:\." + _B64 + rb"*\." + _B64 + rb"+)?",
        0.95,
        check=is_jwt,
        canonical=str,
        left=_LEFT,
        right=rb"(?:$|[^" + WORD + rb"-])",
        longest=8192,
        confusable=False,
    ),
    # With or without an end: a key that was cut off is still most of a key.
    Recogniser(
        "PRIVATE_KEY",
        rb"-----BEGIN " + _KEY_NAME + _BREAK + rb"*"
        rb"(?:[A-Za-z-]{3,16}: [^\n\\]{1,80}" + _BREAK + rb"+){0,4}"
        rb"(?:[0-9A-Za-z+/=]{16,}" + _BREAK + rb"*)*"
        rb"(?:[0-9A-Za-z+/]{0,15}={0,2}" + _BREAK + rb"*(?:=[0-9A-Za-z+/]{4}" + _BREAK + rb"*)?"
        rb"-----END " + _KEY_NAME + rb"|[0-9A-Za-z+/]{1,15}={0,2}$)?",
        0.99,
        1.0,
        canonical=str,
        left=rb"",
        right=rb"",
        longest=16384,
        crosses=True,
        opening=BLOCK,
        linear=True,
        confusable=False,
    ),
)  # fmt: skip
