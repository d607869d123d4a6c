"""An output policy as operators write it: what a model may not say, and what becomes of it."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from policies.pii.custom import recogniser
from policies.pii.recognisers import built_in
from policies.pii.settings import Entity, Metadata, Score, check_regions
from policies.pii.settings import Pattern as PiiPattern
from policies.pii.settings import Policy as PiiPolicy
from policies.pii.settings import Rule as PiiRule
from protos.errors import PenstockError
from protos.quantities import Duration, seconds
from protos.settings import Misplaced, Settings
from protos.wording import did_you_mean, quote

Action = Literal["mask", "block"]
Name = Annotated[str, Field(min_length=1, max_length=256)]


def _positive(value: float) -> float:
    if value <= 0:
        raise ValueError("must be more than zero")
    return value


class Rule(Settings):
    """`mask` writes stars for all letters and digits but the last `keepLast`, or `text` instead of
    the whole; `block` refuses the answer. `minScore` overrules the policy's.
    """

    action: Action
    keep_last: int = Field(default=0, ge=0, le=8)
    text: str | None = Field(default=None, max_length=256)
    min_score: Score | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.action == "block" and (self.keep_last or self.text is not None):
            raise ValueError("keepLast and text go with action mask")
        if self.keep_last and self.text is not None:
            raise ValueError("should have one of keepLast and text")
        return self

    @property
    def redaction(self) -> PiiRule:
        """The same for the engine of redaction."""
        if self.text is not None:
            return PiiRule.model_construct(
                action="replace", text=self.text, min_score=self.min_score
            )
        return PiiRule.model_construct(
            action=self.action, keep_last=self.keep_last, min_score=self.min_score
        )


class Pattern(Settings):
    """RE2 over text whose accents and widths have been undone; `name` is what metrics, records and
    refusals call it. Longer matches than `maxLength` characters are none.
    """

    name: Entity
    pattern: str = Field(min_length=1, max_length=1024)
    action: Action
    text: str | None = Field(default=None, max_length=256)
    ignore_case: bool = False
    max_length: int = Field(default=64, ge=1, le=512)

    @model_validator(mode="after")
    def _is_usable(self) -> Self:
        if self.action == "block" and self.text is not None:
            raise ValueError("text goes with action mask")
        try:
            recogniser(self.finding)
        except PenstockError as error:
            raise Misplaced(error.message, "pattern") from None
        return self

    @property
    def finding(self) -> PiiPattern:
        """The same for the engine of redaction."""
        return PiiPattern.model_construct(
            entity=self.name,
            pattern=self.pattern,
            ignore_case=self.ignore_case,
            max_length=self.max_length,
        )

    @property
    def rule(self) -> Rule:
        return Rule(action=self.action, text=self.text)


class Classifier(Settings):
    """A model of this mesh that judges answers: BYTES texts in, one row each, a judgement out.

    With `threshold` alone the output is one number a text, which is refused from there on. With
    `columns` it is a number for each of them, of which those in `labels` count. With `labels` alone
    it is BYTES: what the text is, which is refused if it is one of them. `onFailure` says what
    becomes of an answer that isn't judged within `timeout`.
    """

    model: Name
    version: str = Field(default="", max_length=256)
    input: Name
    output: Name
    threshold: float | None = None
    columns: tuple[Name, ...] = ()
    labels: tuple[Name, ...] = ()
    timeout: Annotated[Duration, AfterValidator(_positive)] = seconds("1s")
    on_failure: Literal["block", "pass"] = "block"

    @model_validator(mode="after")
    def _says_what_is_refused(self) -> Self:
        if self.columns:
            if self.threshold is None or not self.labels:
                raise ValueError("columns go with threshold and labels")
            for index, label in enumerate(self.labels):
                if label not in self.columns:
                    hint = did_you_mean(label, self.columns)
                    raise Misplaced(f"no column is called {quote(label)}{hint}", "labels", index)
        elif (self.threshold is None) == (not self.labels):
            raise ValueError("should have one of threshold and labels, or both with columns")
        return self


class Policy(Settings):
    """`entities` are the privacy engine's, and only those that are listed are looked for.

    `binaryOutputs` are names of outputs whose bytes are no text; elsewhere bytes that are not UTF-8
    are refused, as nobody could say what they say. `observe` counts and changes nothing.
    """

    mode: Literal["enforce", "observe"] = "enforce"
    min_score: Score = 0.5
    entities: dict[Entity, Rule] = Field(default_factory=dict)
    patterns: tuple[Pattern, ...] = Field(default=(), max_length=256)
    classifier: Classifier | None = None
    phone_regions: tuple[str, ...] = ("US", "GB", "DE", "FR", "IN", "AU")
    binary_outputs: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _known(self) -> Self:
        if not self.entities and not self.patterns and self.classifier is None:
            raise ValueError("should have entities, patterns or a classifier")
        known = {each.entity for each in built_in()}
        for name in self.entities:
            if name not in known:
                why = f"no entity {quote(name)}{did_you_mean(name, known)}"
                raise Misplaced(why, "entities", name)
        names = set(self.entities)
        for index, each in enumerate(self.patterns):
            if each.name in names:
                raise Misplaced(f"two things are called {each.name}", "patterns", index, "name")
            names.add(each.name)
        check_regions(self.phone_regions)
        return self

    @property
    def redaction(self) -> PiiPolicy:
        """The same for the engine of redaction, without the classifier."""
        rules = {name: rule.redaction for name, rule in self.entities.items()}
        rules |= {each.name: each.rule.redaction for each in self.patterns}
        return PiiPolicy.model_construct(
            mode=self.mode,
            min_score=self.min_score,
            default=PiiRule(action="ignore"),
            entities=rules,
            patterns=tuple(each.finding for each in self.patterns),
            phone_regions=self.phone_regions,
            binary_outputs=self.binary_outputs,
        )


class OutputDocument(Settings):
    """The file: `kind: Output`, its name, which routes refer to, and the policy."""

    api_version: Literal["penstock/v1"]
    kind: Literal["Output"]
    metadata: Metadata
    spec: Policy
