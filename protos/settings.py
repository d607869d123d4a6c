"""What every model of a configuration file has in common."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Misplaced(ValueError):
    """What a validator of a whole model has against one value in it, which lies at `path`.

    An error then has the value's line instead of the model's. Keys are as files write them.
    """

    def __init__(self, message: str, *path: str | int) -> None:
        super().__init__(message)
        self.path = path


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
