"""API keys and withdrawn tokens in the store."""

from dataclasses import replace

import pytest
from sqlalchemy.exc import IntegrityError

from gateway.store.engine import Store, open_store
from policies.api_keys import ApiKey

KEY = ApiKey(
    id="a1",
    name="nightly",
    tenant="acme",
    scopes=("infer:a*", "metrics"),
    created=1000.25,
    created_by="ann",
    expires=2000.5,
    digest=b"\x00\xff" * 16,
    sealed_with=b"12345678",
)
FOREVER = replace(KEY, id="a2", created=1001.0, expires=None, digest=b"\x01" * 32)


def test_keys_are_kept_as_they_were_added(store: Store, url: str) -> None:
    store.keys.add(FOREVER)
    store.keys.add(KEY)
    again = open_store(url)
    assert again.keys.all() == [KEY, FOREVER]
    again.close()


def test_an_id_or_digest_is_one_keys(store: Store) -> None:
    store.keys.add(KEY)
    for twin in (replace(FOREVER, id=KEY.id), replace(FOREVER, digest=KEY.digest)):
        with pytest.raises(IntegrityError):
            store.keys.add(twin)
    assert store.keys.all() == [KEY]


def test_a_key_is_revoked_once_and_stays_known(store: Store) -> None:
    store.keys.add(KEY)
    assert store.keys.revoke("a1", "bob", 1500.0)
    assert not store.keys.revoke("a1", "eve", 1600.0)
    assert not store.keys.revoke("a2", "eve", 1600.0)
    assert store.keys.all() == [replace(KEY, revoked=1500.0, revoked_by="bob")]


def test_the_state_is_another_one_after_each_change_of_a_key(store: Store) -> None:
    states = [store.keys.keys_state()]
    store.keys.add(KEY)
    states.append(store.keys.keys_state())
    store.keys.add(FOREVER)
    states.append(store.keys.keys_state())
    store.keys.revoke("a1", "bob", 1500.0)
    states.append(store.keys.keys_state())
    assert len(set(states)) == 4


def withdraw(store: Store, issuer: str, jti: str, until: float, now: float = 0.0) -> None:
    store.keys.withdraw((issuer, jti), until=until, by="ann", now=now)


def test_tokens_are_withdrawn_by_issuer_until_they_have_expired(store: Store) -> None:
    withdraw(store, "company", "7", 100.0)
    withdraw(store, "partner", "7", 50.0)
    assert store.keys.withdrawn() == {("company", "7"), ("partner", "7")}
    store.tidy(60.0, 1e9)
    assert store.keys.withdrawn() == {("company", "7")}


def test_a_token_may_be_withdrawn_again_and_never_for_less_time(store: Store) -> None:
    withdraw(store, "company", "7", 100.0)
    withdraw(store, "company", "7", 200.0)
    withdraw(store, "company", "7", 150.0)
    assert store.keys.forget(180.0) == 0
    assert store.keys.forget(201.0) == 1


def test_the_state_is_another_one_after_each_change_of_the_list(store: Store) -> None:
    states = [store.keys.withdrawn_state()]
    withdraw(store, "company", "7", 100.0, now=1.0)
    states.append(store.keys.withdrawn_state())
    store.keys.forget(101.0)
    withdraw(store, "company", "8", 200.0, now=102.0)
    states.append(store.keys.withdrawn_state())
    assert len(set(states)) == 3


def test_odd_token_ids_are_kept(store: Store) -> None:
    odd = "o'clock; drop table 🎉"
    withdraw(store, "company", odd, 100.0)
    assert store.keys.withdrawn() == {("company", odd)}
