"""What every model of a configuration file has in common."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Settings(BaseModel):
    """Frozen, strict and camelCase in the file; unknown keys are errors.

    Nothing is coerced: YAML's `yes`, `1` and `"1"` are three different things.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=to_camel,
        protected_namespaces=(),
    )
