"""Electronic mail addresses: RFC 5321 as people write them, and as they disguise them."""

import re

from policies.pii.recogniser import WORD, Recogniser

_LOCAL = rb"[" + WORD + rb"](?:[" + WORD + rb".%+'~-]*[" + WORD + rb"+-])?"
_AT = rb"(?: ?[\[(] ?(?i:at) ?[\])] ?)"
_DOT = rb"(?: ?[\[(] ?(?i:dot) ?[\])] ?|\.)"
_LETTERS = rb"[A-Za-z\x82]"

# Endings of files, which stand where a domain's would: `logo@2x.png`, `model@fp16.onnx`.
_FILES = frozenset(
    (
        *("bin", "c", "cc", "cfg", "conf", "cpp", "css", "csv", "dll", "exe", "gguf", "gif", "go"),
        *("gz", "h", "html", "java", "jpeg", "jpg", "js", "json", "jsx", "lock", "log", "md"),
        *("onnx", "pdf", "php", "pkl", "png", "proto", "pt", "pth", "py", "rb", "rs"),
        *("safetensors", "sh", "so", "sql", "svg", "tar", "tgz", "tmp", "toml", "ts", "tsx"),
        *("txt", "webp", "whl", "xml", "yaml", "yml", "zip"),
    )
)
_SPELLED = re.compile(r" ?[\[(] ?(at|dot) ?[\])] ?", re.IGNORECASE)


def canonical(text: str) -> str:
    """In small letters, with the signs that were spelled out."""
    return _SPELLED.sub(lambda sign: "@" if sign[1].lower() == "at" else ".", text).lower()


def is_address(text: str) -> bool:
    """Lengths and labels as RFC 5321 and RFC 1035 have them; no file and no repository's login."""
    local, _, domain = canonical(text).rpartition("@")
    if not 0 < len(local) <= 64 or len(domain) > 253 or ".." in local or local == "git":
        return False
    labels = domain.split(".")
    return labels[-1] not in _FILES and all(
        0 < len(label) <= 63 and label[0] != "-" and label[-1] != "-" for label in labels
    )


RECOGNISERS = (
    Recogniser(
        "EMAIL",
        _LOCAL + rb"@(?:[0-9A-Za-z\x82-]+\.)+"
        rb"(?:[xX][nN]--[0-9A-Za-z-]+|" + _LETTERS + rb"{2,})",
        0.95,
        0.99,
        check=is_address,
        canonical=canonical,
        left=rb"(?:\\[nrt]|^|[^" + WORD + rb"])",
        right=rb"(?:$|[^" + WORD + rb"@-]|-(?:$|[^" + WORD + rb"]))",
        longest=320,
        confusable=False,
    ),
    Recogniser(
        "EMAIL",
        rb"[" + WORD + rb".+-]{1,24}" + _AT
        + rb"[0-9A-Za-z-]{1,24}(?:" + _DOT + rb"[0-9A-Za-z-]{1,24}){0,2}"
        + _DOT + rb"[A-Za-z]{2,12}",
        0.9,
        0.95,
        check=is_address,
        canonical=canonical,
        left=rb"(?:\\[nrt]|^|[^" + WORD + rb".+-])",
        right=rb"(?:$|[^" + WORD + rb"])",
        longest=96,
        confusable=False,
    ),
)  # fmt: skip
