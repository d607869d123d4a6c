"""What a gateway's process may keep of answers; what is kept is said by each route."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from protos.quantities import Size, size
from protos.settings import Settings

Bytes = Annotated[Size, Field(gt=0)]


class CacheSettings(Settings):
    """`memory` is divided among the workers; a longer request or answer than `maxEntry` isn't kept.

    Gateways that share answers need the same `keyFile`, of at least 16 bytes; without one each
    makes a key of its own in the state folder, and reads what it has kept itself.
    """

    memory: Bytes = size("256MiB")
    max_entry: Bytes = size("1MiB")
    key_file: Path | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.max_entry > self.memory:
            raise ValueError("maxEntry is larger than memory")
        return self
