"""The authenticator that a configuration describes, with the lists that the record store keeps."""

import time
from collections.abc import Callable, Set
from typing import TypeVar

from gateway.config import Config
from gateway.store.engine import Store
from gateway.store.keys import Keys
from policies.api_keys import ApiKeySettings, KeyBook, reader
from policies.authenticate import Authenticator
from policies.last_good import LastGood
from policies.mtls import Certificates
from policies.revocation import Revocation, TokenId, read_file

INTERVAL = 2.0  # seconds in which a revoked key or token stops counting

T = TypeVar("T")


def authenticator(
    config: Config, store: Callable[[], Store], clock: Callable[[], float] = time.time
) -> Authenticator:
    """Knows whoever the configuration lets in.

    `store` gives the opened record store and may raise; it is called from threads. `clock` is wall
    time. Raises INVALID for unusable keys and lists in files.
    """
    keys, revocation = config.api_keys, config.revocation
    return Authenticator(
        config.issuers,
        clock,
        api_keys=None if keys is None else _api_keys(keys, store),
        certificates=Certificates(config.certificates) if config.certificates else None,
        revoked=None if revocation is None else _revoked(revocation, store),
    )


def _api_keys(settings: ApiKeySettings, store: Callable[[], Store]) -> LastGood[KeyBook]:
    stored = _if_changed(store, lambda keys: keys.keys_state(), lambda keys: keys.all())
    read = reader(settings, stored)
    return LastGood(read, "the list of API keys", interval=INTERVAL, keep=settings.keep)


def _revoked(settings: Revocation, store: Callable[[], Store]) -> LastGood[Set[TokenId]]:
    stored = _if_changed(store, lambda keys: keys.withdrawn_state(), lambda keys: keys.withdrawn())

    def read() -> Set[TokenId]:
        found: Set[TokenId] = frozenset() if settings.file is None else read_file(settings.file)
        return found | stored() if settings.store else found

    revoked = LastGood(read, "the list of withdrawn tokens", interval=INTERVAL, keep=settings.keep)
    if settings.file is not None:
        read_file(settings.file)  # a list that is wrong from the start is an error in the settings
    return revoked


def _if_changed(
    store: Callable[[], Store], state: Callable[[Keys], object], read: Callable[[Keys], T]
) -> Callable[[], T]:
    """Reads anew only when the state, which costs less to ask for, is another one than before."""
    last: tuple[object, T] | None = None

    def read_if_changed() -> T:
        nonlocal last
        opened = store()
        # With the store: where another file has taken its place, numbers may still be the same.
        now = opened, state(opened.keys)
        if last is None or last[0] != now:
            # In this order: what changes in between is read twice rather than never.
            last = now, read(opened.keys)
        return last[1]

    return read_if_changed
