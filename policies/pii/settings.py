"""A privacy policy as operators write it: what is looked for, and what becomes of it."""

from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from policies.pii.deep.settings import ALL as NAMED
from policies.pii.deep.settings import Deep
from policies.pii.numbering import is_region
from policies.pii.recognisers import built_in
from protos.settings import Misplaced, Settings
from protos.wording import did_you_mean, quote

Entity = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,39}$")]
Score = Annotated[float, Field(ge=0, le=1)]
Action = Literal["mask", "hash", "replace", "block", "restore", "ignore"]


class Rule(Settings):
    """What is done with an entity.

    `mask` writes stars for all letters and digits but the last `keepLast`, which are at most half
    of them, and for all of a password or key. `hash` writes a keyed digest, `replace` the entity's
    name or `text`; `restore` hides a value from the model and brings it back in the reply; `block`
    refuses the request; `ignore` leaves the value. `minScore` overrules the policy's.
    """

    action: Action
    keep_last: int = Field(default=0, ge=0, le=8)
    text: str | None = Field(default=None, max_length=256)
    min_score: Score | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.keep_last and self.action != "mask":
            raise ValueError("keepLast goes with action mask")
        if self.text is not None and self.action != "replace":
            raise ValueError("text goes with action replace")
        return self


class Pattern(Settings):
    """An entity of the company's own: RE2 over text whose accents and widths have been undone.

    With `context`, a match counts only where one of these words stands before it, or in the same
    clause behind it. Longer matches than `maxLength` characters are none.
    """

    entity: Entity
    pattern: str = Field(min_length=1, max_length=1024)
    context: tuple[Annotated[str, Field(min_length=2, max_length=64)], ...] = ()
    ignore_case: bool = False
    max_length: int = Field(default=64, ge=1, le=512)


class Allow(Settings):
    """Values that are nobody's secret: written out, or as RE2 that the whole value matches."""

    tenants: tuple[str, ...] = ("*",)
    entities: tuple[Entity, ...] = ()
    values: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.values and not self.patterns:
            raise ValueError("an entry of allow has values or patterns")
        return self


class Policy(Settings):
    """Entities without a rule of their own follow `default`; `observe` counts and changes nothing.

    `binaryInputs` and `binaryOutputs` are names of inputs and outputs whose bytes are no text;
    elsewhere bytes that are not UTF-8 are refused. `deep` looks for names and places as well.
    """

    mode: Literal["enforce", "observe"] = "enforce"
    min_score: Score = 0.5
    default: Rule = Rule(action="restore")
    entities: dict[Entity, Rule] = Field(default_factory=dict)
    patterns: tuple[Pattern, ...] = Field(default=(), max_length=256)
    allow: tuple[Allow, ...] = ()
    phone_regions: tuple[str, ...] = ("US", "GB", "DE", "FR", "IN", "AU")
    binary_inputs: tuple[str, ...] = ()
    binary_outputs: tuple[str, ...] = ()
    deep: Deep | None = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        known = {each.entity for each in built_in()} | {each.entity for each in self.patterns}
        known |= set(() if self.deep is None else self.deep.entities)
        named: list[tuple[str, tuple[str | int, ...]]] = [
            (name, ("entities", name)) for name in self.entities
        ]
        named += [
            (name, ("allow", index, "entities", at))
            for index, each in enumerate(self.allow)
            for at, name in enumerate(each.entities)
        ]
        for name, path in named:
            if name in NAMED and name not in known:
                why = f"{name} is looked for by deep, which doesn't ask for it"
                raise Misplaced(why, *path)
            if name not in known:
                raise Misplaced(f"no entity {quote(name)}{did_you_mean(name, known)}", *path)
        check_regions(self.phone_regions)
        return self

    def rule(self, entity: str) -> Rule:
        """What applies to an entity."""
        return self.entities.get(entity, self.default)

    def least(self, entity: str) -> float:
        """The score from which on an entity's findings count."""
        score = self.rule(entity).min_score
        return self.min_score if score is None else score


def check_regions(regions: Iterable[str]) -> None:
    """Raises Misplaced for what is none, as a model with `phoneRegions` must."""
    for index, region in enumerate(regions):
        if not is_region(region):
            why = f"{quote(region)} is no region, such as US or GB"
            raise Misplaced(why, "phoneRegions", index)


class Metadata(Settings):
    name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    owner: str = Field(default="", max_length=256)


class PrivacyDocument(Settings):
    """The file: `kind: Privacy`, its name, which routes refer to, and the policy."""

    api_version: Literal["penstock/v1"]
    kind: Literal["Privacy"]
    metadata: Metadata
    spec: Policy = Policy()
