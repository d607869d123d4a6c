import random
from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from protos.principal import Principal
from protos.values import Headers
from routing.rollout.identity import rollout_id
from routing.rules import table as table_module
from routing.rules.effect import Effect
from routing.rules.rule import rules_of
from tests.routing.rules.written_routes import STEPS, principal, route, table


class Untouchable(list[tuple[bytes, bytes]]):
    def __iter__(self):  # type: ignore[no-untyped-def]
        raise AssertionError("nobody may look at the headers")


def test_the_most_specific_rule_that_holds_wins() -> None:
    found = table(
        route("all", match=[{"model": "*"}]),
        route("fraud", match=[{"model": "fraud"}]),
        route("bank", match=[{"model": "fraud", "tenants": ["bank"]}]),
        route("beta", match=[{"model": "fraud", "headers": {"x-beta": "1"}}]),
    )

    def name(model: str, tenant: str, headers: Headers = ()) -> str:
        return found.match(model, principal(tenant=tenant), headers).name

    assert name("fraud", "acme") == "fraud"
    assert name("fraud", "acme", [(b"x-beta", b"1")]) == "beta"
    assert name("fraud", "bank", [(b"x-beta", b"1")]) == "bank"
    assert name("other", "bank") == "all"


def test_a_model_that_no_rule_takes_has_a_route_of_its_own() -> None:
    found = table(route(match=[{"model": "fraud", "tenants": ["bank"]}]))

    other = found.match("fraud", principal(tenant="acme"), ())

    assert other.implicit
    assert other.revision == found.revision
    assert found.match("fraud", principal(tenant="acme"), ()) is other
    assert not found.match("fraud", principal(tenant="bank"), ()).implicit


def test_headers_are_looked_at_only_where_a_rule_wants_one() -> None:
    found = table(route(), route("x", match=[{"model": "x", "headers": {"a": "*"}}]))

    assert found.match("fraud", principal(), Untouchable()).name == "fraud"


def test_claims_of_the_one_who_asks_decide_for_each_request_anew() -> None:
    found = table(route("gold", match=[{"model": "fraud", "claims": {"tier": "gold"}}]))

    assert found.match("fraud", principal(tier="gold"), ()).name == "gold"
    assert found.match("fraud", principal(tier="tin"), ()).implicit
    assert found.match("fraud", principal(tier="gold"), ()).name == "gold"


def test_the_order_of_documents_makes_no_difference() -> None:
    documents = [
        route("a", match=[{"model": "fraud", "claims": {"role": "x"}}]),
        route("b", match=[{"model": "fraud", "claims": {"role": "y"}}]),
        route("c", match=[{"model": "f*"}]),
    ]
    both = principal(role=["y", "x"])

    tables = [table(*order) for order in permutations(documents)]

    assert {each.match("fraud", both, ()).name for each in tables} == {"a"}
    assert len({each.revision for each in tables}) == 1


def test_an_effect_is_that_of_its_route() -> None:
    documents = route("one", rollout=STEPS), route("two", match=[{"model": "two"}], rollout=STEPS)
    id_ = rollout_id(documents[0].route)

    found = table(*documents, effects=(Effect("one", id_, "canary", 50.0),))

    assert found.match("fraud", principal(), ()).rollout == id_
    assert found.match("two", principal(), ()).rollout == ""


def test_what_is_remembered_of_strangers_names_is_bounded() -> None:
    found = table(route())
    for number in range(table_module.REMEMBERED + 50):
        found.match(f"made-up-{number}", principal(), ())
    found.match("x" * 5000, principal(), ())

    assert len(found._remembered) <= table_module.REMEMBERED
    assert all(len(model) <= table_module.LONGEST for model, _ in found._remembered)
    assert found.match("fraud", principal(), ()).name == "fraud"


words = st.sampled_from(["a", "ab", "b", "abc"])
globs = st.sampled_from(["a", "ab", "a*", "*b", "*", "ab*", "b*c"])
conditions = st.dictionaries(st.sampled_from(["x", "y"]), globs, max_size=2)
matches = st.fixed_dictionaries(
    {"model": globs},
    optional={
        "tenants": st.lists(globs, min_size=1, max_size=2),
        "claims": conditions,
        "headers": conditions,
    },
)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(matches, min_size=1, max_size=5),
    st.lists(
        st.tuples(words, words, st.dictionaries(st.sampled_from(["x", "y"]), words)),
        min_size=1,
        max_size=6,
    ),
)
def test_the_winner_is_that_of_asking_every_rule(
    documents: list[dict[str, object]], asked: list[tuple[str, str, dict[str, str]]]
) -> None:
    loaded = [route(f"r{i}", match=[match]) for i, match in enumerate(documents)]
    found = table(*loaded)

    for model, tenant, values in asked:
        who = Principal("s", tenant, frozenset(), "", values)
        headers = [(name.encode(), value.encode()) for name, value in values.items()]
        holding = [
            rule
            for each in loaded
            for rule in rules_of(each)
            if rule.model.matches(model)
            and rule.of_tenant(tenant)
            and rule.unmet(who, headers) is None
        ]
        best = max((rule.specificity for rule in holding), default=None)
        names = sorted(rule.route for rule in holding if rule.specificity == best)
        for _ in range(2):  # found, then remembered
            assert found.match(model, who, headers).name == (names[0] if names else "")


def test_many_routes_are_found_by_their_models() -> None:
    documents = [route(f"r{i}", match=[{"model": f"m{i}"}]) for i in range(100)]
    random.Random(7).shuffle(documents)

    found = table(*documents)

    assert [found.match(f"m{i}", principal(), ()).name for i in range(100)] == [
        f"r{i}" for i in range(100)
    ]
