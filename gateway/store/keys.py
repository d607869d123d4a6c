"""API keys, by their digests, and tokens that were withdrawn.

Nothing takes effect before it is on the disk with who did it.
"""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Engine, Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from gateway.store.schema import api_keys, revoked_tokens
from gateway.store.transactions import writing
from policies.api_keys import ApiKey
from policies.revocation import TokenId


class Keys:
    def __init__(self, database: Engine) -> None:
        self._database = database

    def add(self, key: ApiKey) -> None:
        """Returns when the key counts."""
        values = asdict(key) | {"scopes": " ".join(key.scopes)}
        with writing(self._database, durable=True) as connection:
            connection.execute(insert(api_keys), values)

    def all(self) -> list[ApiKey]:
        """Revoked and expired ones too, the oldest first."""
        columns = [api_keys.c[name] for name in ApiKey.__dataclass_fields__]
        query = select(*columns).order_by(api_keys.c.created, api_keys.c.id)
        with self._database.connect() as connection:
            return [_key(row) for row in connection.execute(query)]

    def revoke(self, key: str, by: str, now: float) -> bool:
        """Whether the key with that id was there and hadn't been revoked before."""
        live = (api_keys.c.id == key) & (api_keys.c.revoked.is_(None))
        with writing(self._database, durable=True) as connection:
            done = connection.execute(
                update(api_keys).where(live).values(revoked=now, revoked_by=by)
            )
            return done.rowcount == 1

    def withdraw(self, token: TokenId, *, until: float, by: str, now: float) -> None:
        """Withdraws a token that has expired by `until` at the latest; again does no harm."""
        issuer, jti = token
        values = {"issuer": issuer, "jti": jti, "revoked_by": by, "at": now, "until": until}
        same = (revoked_tokens.c.issuer == issuer) & (revoked_tokens.c.jti == jti)
        with writing(self._database, durable=True) as connection:
            try:
                with connection.begin_nested():
                    connection.execute(insert(revoked_tokens), values)
            except IntegrityError:
                connection.execute(
                    update(revoked_tokens)
                    .where(same & (revoked_tokens.c.until < until))
                    .values(until=until)
                )

    def withdrawn(self) -> frozenset[TokenId]:
        query = select(revoked_tokens.c.issuer, revoked_tokens.c.jti)
        with self._database.connect() as connection:
            return frozenset((row.issuer, row.jti) for row in connection.execute(query))

    def forget(self, now: float) -> int:
        """Forgets withdrawn tokens that have expired; how many."""
        with writing(self._database) as connection:
            over = delete(revoked_tokens).where(revoked_tokens.c.until < now)
            return connection.execute(over).rowcount

    def keys_state(self) -> tuple[int, int]:
        """Another one whenever `all` has changed: keys are added and revoked, and that's all."""
        query = select(func.count(), func.count(api_keys.c.revoked)).select_from(api_keys)
        with self._database.connect() as connection:
            total, revoked = connection.execute(query).one()
            return total, revoked

    def withdrawn_state(self) -> tuple[int, int, float]:
        """Another one whenever `withdrawn` has changed."""
        # With the time, since SQLite gives the id of the last row again when that was forgotten.
        columns = revoked_tokens.c
        query = select(
            func.count(),
            func.coalesce(func.max(columns.id), 0),
            func.coalesce(func.max(columns.at), 0.0),
        )
        with self._database.connect() as connection:
            total, last, at = connection.execute(query.select_from(revoked_tokens)).one()
            return total, last, at


def _key(row: Row[Any]) -> ApiKey:
    values = row._asdict()
    return ApiKey(**values | {"scopes": tuple(row.scopes.split(" "))})
