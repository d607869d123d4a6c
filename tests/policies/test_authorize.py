import pytest

from policies.authorize import (
    ADMIN,
    JOIN,
    Authorize,
    check_scope,
    require_join,
    require_scope,
)
from protos.errors import Kind, PenstockError, unknown_model
from protos.principal import Principal
from protos.service import Reply
from protos.timeline import Timeline
from protos.values import Context, InferRequest, Part, Tensors

ANSWER = Reply(Part(Tensors(()), "1", {}, True))


async def service(request: InferRequest) -> Reply:
    return ANSWER


def request(model: str, *scopes: str) -> InferRequest:
    context = Context(Principal("ann", "acme", frozenset(scopes)), 1.0, Timeline(0.0))
    return InferRequest("1", model, "", Tensors(()), {}, context)


@pytest.mark.parametrize(
    ("model", "scope"),
    [
        ("fraud", "infer:fraud"),
        ("fraud", "infer:*"),
        ("fraud-eu", "infer:fraud-*"),
        ("a", "infer:a*"),
    ],
)
async def test_a_scope_opens_the_models_that_it_names(model: str, scope: str) -> None:
    assert await Authorize()(request(model, "openid", scope), service) is ANSWER


@pytest.mark.parametrize(
    "scopes",
    [
        (),
        ("admin",),
        ("infer:frau",),
        ("infer:fraudulent",),
        ("infer:",),
        ("infer",),
        ("infer:**",),
    ],
    ids=str,
)
async def test_other_models_answer_as_if_they_did_not_exist(scopes: tuple[str, ...]) -> None:
    with pytest.raises(PenstockError) as caught:
        await Authorize()(request("fraud", *scopes), service)
    nowhere = unknown_model("fraud")
    assert (caught.value.kind, caught.value.message, caught.value.retry_after) == (
        nowhere.kind,
        nowhere.message,
        nowhere.retry_after,
    )


@pytest.mark.parametrize("scope", [ADMIN, JOIN])
def test_a_missing_scope_is_named(scope: str) -> None:
    require_scope(Principal("ops", "acme", frozenset({scope})), scope)
    with pytest.raises(PenstockError, match=f"lacks the scope {scope}") as caught:
        require_scope(Principal("ops", "acme", frozenset({"infer:*"})), scope)
    assert caught.value.kind is Kind.FORBIDDEN


@pytest.mark.parametrize("scope", [JOIN, f"{JOIN}:fraud-*"])
def test_backends_join_with_a_scope_for_all_models_or_some(scope: str) -> None:
    require_join(Principal("b", "mesh", frozenset({"openid", scope})))
    check_scope(scope)


@pytest.mark.parametrize("scope", ["infer:*", "admin", "backend:joiner"])
def test_with_another_scope_nobody_joins(scope: str) -> None:
    with pytest.raises(PenstockError) as caught:
        require_join(Principal("b", "mesh", frozenset({scope})))
    assert caught.value.kind is Kind.FORBIDDEN
    assert "backend:join" in caught.value.message


@pytest.mark.parametrize(
    ("model", "joins"), [("fraud-eu", True), ("fraud", False), ("risk", True), ("risky", False)]
)
def test_a_backend_serves_the_models_that_its_scopes_name(model: str, joins: bool) -> None:
    scopes = frozenset({f"{JOIN}:fraud-*", f"{JOIN}:risk", "infer:*"})
    assert Principal("b", "mesh", scopes).may_join(model) is joins
    assert Principal("b", "mesh", frozenset({JOIN})).may_join(model)


@pytest.mark.parametrize("scope", [f"{JOIN}:", f"{JOIN}:a b", f"{JOIN}:**"])
def test_a_scope_to_join_in_vain_is_not_granted(scope: str) -> None:
    with pytest.raises(PenstockError, match="scope"):
        check_scope(scope)
