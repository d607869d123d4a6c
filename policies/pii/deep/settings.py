"""How a privacy policy asks for names and places to be looked for."""

from typing import Annotated, Literal

from pydantic import Field

from protos.quantities import Duration
from protos.settings import Settings

Named = Literal["PERSON", "LOCATION", "ORGANISATION"]
ALL: tuple[Named, ...] = ("PERSON", "LOCATION", "ORGANISATION")


class Deep(Settings):
    """A spaCy model in processes of its own (extra `pii-deep`).

    `model` is an installed package or a folder. A request whose texts have more characters than
    `longest` in all, that finds `waiting` others before it, or whose names are not known after
    `timeout`, is refused.
    """

    model: Annotated[str, Field(min_length=1, max_length=1024)]
    entities: tuple[Named, ...] = Field(default=ALL, min_length=1)
    timeout: Annotated[Duration, Field(ge=0.01, le=60)] = 0.2
    processes: int = Field(default=1, ge=1, le=64)
    waiting: int = Field(default=16, ge=0, le=10_000)
    longest: int = Field(default=20_000, ge=1, le=1_000_000)
