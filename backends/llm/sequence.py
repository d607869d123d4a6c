"""One choice of an answer while it grows: its tokens, and how far they are computed."""

from dataclasses import dataclass, field
from math import inf

from backends.llm.blocks import block_key
from backends.llm.sampling import Sampling


@dataclass(slots=True, eq=False)
class Sequence:
    """`tokens` are the prompt's, then those generated; `computed` of them are in the cache.

    `order` is the order of arrival, `priority` 1 the highest, `limit` the most tokens it may have,
    prompt included. `draft` are tokens guessed to come next, which the next step checks.
    """

    order: int
    tokens: list[int]
    limit: int
    sampling: Sampling
    salt: bytes = b""
    tenant: str = ""
    adapter: str = ""
    priority: int = 1
    deadline: float = inf
    prompt: int = 0  # tokens of it
    computed: int = 0
    reused: int = 0  # of the prompt, found in the cache when it first ran
    started: bool = False
    long: bool = False  # it stands back behind others, as the scheduler has it
    turn: int = 0  # the step in which it last had its turn among the long ones
    blocks: list[int] = field(default_factory=list)
    draft: list[int] = field(default_factory=list)
    _keys: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.prompt = len(self.tokens)

    def __repr__(self) -> str:
        return f"<Sequence {self.order}: {self.computed} of {len(self.tokens)} computed>"

    @property
    def lacking(self) -> int:
        """Tokens to compute until the next one is known."""
        return len(self.tokens) + len(self.draft) - self.computed

    @property
    def prefilling(self) -> bool:
        """Whether more than the newest token lacks."""
        return len(self.tokens) - self.computed > 1

    @property
    def output(self) -> list[int]:
        return self.tokens[self.prompt :]

    def keys(self, count: int, size: int) -> list[bytes]:
        """The names of its first `count` blocks of `size` tokens."""
        while len(self._keys) < count:
            at = len(self._keys) * size
            before = self._keys[-1] if self._keys else self.salt
            self._keys.append(block_key(before, self.tokens[at : at + size]))
        return self._keys[:count]

    def start_over(self) -> None:
        """What was computed is gone, what was said stays said."""
        self.computed = 0
        self.long = False
        self.blocks = []
        self.draft = []
