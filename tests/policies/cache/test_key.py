"""No two requests that could have different answers have the same name."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.cache.key import Keys, _common_head
from protos.values import Chat, Tensor, Tensors
from tests.policies.cache.kept import ROUTE, SECRET, request

KEYS = Keys(SECRET)


def key(asked, keys=KEYS, revision="rev"):
    context = asked.context
    return keys.of(asked, ROUTE, ROUTE.spec.cache, context.target, revision)


NAMES = st.text(alphabet="ab0:|", max_size=3)
TENSORS = st.lists(
    st.builds(
        Tensor,
        NAMES,
        st.just("BYTES"),
        st.just((1,)),
        st.text("ab0:|", max_size=3).map(lambda t: len(t).to_bytes(4, "little") + t.encode()),
    ),
    max_size=3,
    unique_by=lambda tensor: tensor.name,
)
PARAMETERS = st.dictionaries(NAMES, st.one_of(NAMES, st.booleans(), st.integers(0, 1)), max_size=2)
ASKED = st.tuples(TENSORS, st.lists(NAMES, max_size=2), PARAMETERS, NAMES, st.booleans())


def made(asked):
    tensors, wanted, parameters, tenant, streaming = asked
    payload = Tensors(tuple(tensors), tuple(wanted))
    return request(payload=payload, parameters=parameters, tenant=tenant, streaming=streaming)


def meant(asked):
    """What must be told apart."""
    tensors, wanted, parameters, tenant, streaming = asked
    return (
        sorted((t.name, t.datatype, t.shape, t.data) for t in tensors),
        wanted,
        sorted((name, repr(value)) for name, value in parameters.items()),
        tenant,
        streaming,
    )


@settings(max_examples=100, deadline=None)
@given(ASKED, ASKED)
def test_names_are_equal_exactly_where_requests_are(one, other):
    assert (key(made(one)) == key(made(other))) == (meant(one) == meant(other))


def test_a_name_is_a_secrets_own():
    assert key(request()) != key(request(), Keys(b"another secret....."))
    assert key(request()) == key(request(), Keys(SECRET))


def test_a_short_secret_is_refused():
    with pytest.raises(ValueError, match="15 bytes, 16 are needed"):
        Keys(bytes(15))


def test_the_order_of_a_jsons_keys_is_the_clients():
    # Templates write tools into the prompt as they come.
    one, other = Chat({"a": 1, "b": 2}), Chat({"b": 2, "a": 1})
    assert key(request(payload=one)) != key(request(payload=other))


def test_nan_and_large_integers_have_names():
    for value in (float("nan"), float("inf"), 1 << 70):
        assert key(request(parameters={"p": value})) == key(request(parameters={"p": value}))


def test_long_names_are_not_remembered():
    before = _common_head.cache_info().currsize
    tensor = Tensor("n" * 1000, "UINT8", (1,), b"x")
    assert key(request(payload=Tensors((tensor,)))) == key(request(payload=Tensors((tensor,))))
    assert _common_head.cache_info().currsize == before


def test_nothing_of_the_secret_is_shown():
    assert repr(KEYS) == "<Keys>"
