"""The tables of the record store.

`VERSION` changes with them; a store of another version is refused when it is opened. Names begin
with `penstock_`, so that a database can be shared with others. Times are Unix seconds.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

VERSION = 3

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class AnyText(TypeDecorator[str]):
    """Text from outside. PostgreSQL takes no NUL and neither database takes a lone surrogate; such
    characters are stored as U+FFFD, or one odd request id would keep its whole batch out."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        if "\0" in value:
            value = value.replace("\0", _REPLACEMENT)
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return value


metadata = MetaData()


def _key() -> Column[int]:
    # SQLite counts up only what is an INTEGER.
    return Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True)


def _text(*names: str) -> list[Column[Any]]:
    return [Column(name, AnyText, nullable=False) for name in names]


def _numbers(*names: str) -> list[Column[Any]]:
    return [Column(name, Double, nullable=False) for name in names]


def _counts(*names: str) -> list[Column[Any]]:
    return [Column(name, BigInteger, nullable=False) for name in names]


schema = Table("penstock_schema", metadata, Column("version", Integer, primary_key=True))

pairs = Table(
    "penstock_pairs",
    metadata,
    _key(),
    *_numbers("at"),
    *_text("route", "mirror", "rollout", "arm", "model", "version", "primary_version", "tenant"),
    *_text("trace_id", "request_id", "kind", "status", "shape"),
    Column("agrees", Boolean),
    Column("noise_agrees", Boolean),
    *_text("detail", "payloads"),  # JSON: both sides, the outcome, the noise
    Index("penstock_pairs_by_route", "route", "at", "id"),
    Index("penstock_pairs_by_time", "at"),
)

# What the pairs of one batch and second add up to, so that counting reads seconds, not pairs. Rows
# of a batch are there once; those that were summed up later are of the seconds from `at` to `last`
# and have no batch.
pair_counts = Table(
    "penstock_pair_counts",
    metadata,
    _key(),
    *_numbers("at", "last", "span"),
    *_text("route", "mirror", "rollout"),
    *_counts("both_differ", "only_candidate", "only_noise", "neither"),
    *_counts("alone_differ", "alone_agree", "sampled"),
    Column("batch", Text),
    UniqueConstraint("batch", "at", "route", "mirror", "rollout"),
    Index("penstock_pair_counts_by_route", "route", "at"),
    Index("penstock_pair_counts_by_time", "at"),
)

arms = Table(
    "penstock_arms",
    metadata,
    _key(),
    *_numbers("at", "span"),
    *_text("route", "rollout", "arm"),
    *_counts("requests", "errors"),
    *_text("latency"),  # JSON: count by bucket
    Column("replica", AnyText),
    UniqueConstraint("replica", "at", "route", "rollout", "arm"),
    Index("penstock_arms_by_route", "route", "at"),
    Index("penstock_arms_by_time", "at"),
)

rollouts = Table(
    "penstock_rollouts",
    metadata,
    Column("route", AnyText, primary_key=True),
    *_text("id", "candidate", "baseline", "status", "before_pause", "reason"),
    *_numbers("weight", "mirror_percent", "started", "step_started", "since", "weight_since"),
    *_counts("step", "step_compared", "version"),
    Column("harm", Boolean, nullable=False),
)

leaders = Table(
    "penstock_leaders",
    metadata,
    Column("name", AnyText, primary_key=True),
    *_text("holder"),
    *_counts("epoch"),
    *_numbers("until"),
)

audit = Table(
    "penstock_audit",
    metadata,
    _key(),
    *_numbers("at"),
    *_text("route", "rollout", "actor", "action", "from_status", "to_status"),
    *_counts("step"),
    *_numbers("weight"),
    *_text("reason"),
    Index("penstock_audit_by_route", "route", "id"),
)

decisions = Table(
    "penstock_decisions",
    metadata,
    _key(),
    *_numbers("at"),
    *_text("route", "arm", "revision", "model", "version", "served_model", "served_version"),
    *_text("tenant", "key", "missing"),
    *_numbers("weight", "compute_seconds", "latency"),
    *_counts("rows", "code"),
    Column("whole", Boolean, nullable=False),
    Column("user", LargeBinary, nullable=False),
    *_text("attributes"),  # JSON
    Index("penstock_decisions_by_time", "at", "id"),
)

# Never deleted: who made and who revoked a key stays known.
api_keys = Table(
    "penstock_api_keys",
    metadata,
    Column("id", AnyText, primary_key=True),
    *_text("name", "tenant", "scopes", "created_by", "revoked_by"),  # scopes: by blanks
    *_numbers("created"),
    Column("expires", Double),
    Column("revoked", Double),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("sealed_with", LargeBinary, nullable=False),
)

revoked_tokens = Table(
    "penstock_revoked_tokens",
    metadata,
    _key(),
    *_text("issuer", "jti", "revoked_by"),
    *_numbers("at", "until"),
    UniqueConstraint("issuer", "jti"),
    Index("penstock_revoked_tokens_by_time", "until"),
)

# What one process (`process`, distinct for each start) has counted of a day until now: rows are
# replaced by later ones, so that to write one again changes nothing.
usage = Table(
    "penstock_usage",
    metadata,
    _key(),
    *_text("day", "tenant", "model", "process"),  # day: YYYY-MM-DD in UTC
    *_counts("requests", "rows", "prompt_tokens", "completion_tokens"),
    *_numbers("device_seconds"),
    UniqueConstraint("day", "tenant", "model", "process"),
)

# The same of budgets; `until` is when the period ends.
budgets = Table(
    "penstock_budgets",
    metadata,
    _key(),
    *_text("limit", "period", "key", "process"),
    *_numbers("used", "until"),
    UniqueConstraint("limit", "period", "key", "process"),
    Index("penstock_budgets_by_time", "until"),
)
