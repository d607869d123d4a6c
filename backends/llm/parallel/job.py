"""What a rank is to do, as it is told on its standard input."""

from dataclasses import asdict, dataclass
from pathlib import Path

import orjson


@dataclass(frozen=True, slots=True)
class Job:
    """Holds part `rank` of `size` of the model in the folder; they meet at the file `meeting`.

    `blocks` of `block` tokens are in the cache of each rank, which has its share of the heads.
    """

    folder: str
    meeting: str
    rank: int
    size: int
    dtype: str
    int8: bool
    block: int
    blocks: int
    threads: int
    device: str

    def line(self) -> bytes:
        return orjson.dumps(asdict(self), option=orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def parse(cls, line: bytes) -> "Job":
        return cls(**orjson.loads(line))

    @property
    def path(self) -> Path:
        return Path(self.folder)
