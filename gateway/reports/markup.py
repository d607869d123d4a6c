"""HTML and SVG as values: text is escaped where it becomes markup, so it can't be forgotten."""

import unicodedata
from html import escape

# Long enough for any honest name; a tenant that calls itself a novel doesn't own the page.
LONGEST = 100

# Characters that draw nothing, or draw others elsewhere: controls, bidirectional overrides,
# joiners, surrogates, private and unassigned ones, line separators.
_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
_VOID = frozenset({"meta", "br", "input", "link"})


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


Child = str | int | None
Attribute = str | int | float | bool | None


def element(name: str, /, *children: Child, **attributes: Attribute) -> Markup:
    """`class_` is written class, `aria_label` aria-label; None is left out, True has no value."""
    written = "".join(
        f" {_name(key)}" + ("" if value is True else f'="{escape(str(value))}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{joined(*children)}</{name}>")


def joined(*children: Child) -> Markup:
    """The children one after the other, escaped unless they are markup."""
    return Markup("".join(_text(child) for child in children))


def visible(text: str, longest: int = LONGEST) -> str:
    """Foreign text in which nothing is hidden: unseen characters by code, long texts cut aloud."""
    cut = text[:longest]
    shown = "".join(
        f"⟨U+{ord(char):04X}⟩" if unicodedata.category(char) in _UNSEEN else char for char in cut
    )
    return shown if len(text) <= longest else f"{shown}… ({len(text):,} characters)"


def foreign(text: str, longest: int = LONGEST) -> Markup:
    """Foreign text as markup, isolated so that right-to-left text moves nothing around it."""
    return element("bdi", visible(text, longest)) if text else element("span", "none", class_="dim")


def _text(child: Child) -> str:
    if child is None:
        return ""
    return child if isinstance(child, Markup) else escape(str(child))


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")
