"""Below redaction: what is kept holds nothing of anybody, and each gets their own back."""

from dataclasses import replace

from policies.pii.settings import PrivacyDocument
from policies.privacy import Privacy
from protos.arrays import join_bytes, split_bytes
from protos.service import Reply, stack
from protos.strict_yaml import load
from protos.values import Part, Tensor, Tensors
from routing.rules.snapshot import snapshot
from tests.policies.cache.kept import Cache, request
from tests.policies.pii.finding import KEY
from tests.routing.rules.written_routes import privacy as written
from tests.routing.rules.written_routes import route as route_of

EMAIL = "bob@example.com"
ROUTE = snapshot(
    route_of(privacy={"policy": "bank"}, cache={"ttl": "60s", "verify": "0%"}).route,
    "r1",
    None,
    {("Privacy", "bank"): load(written("bank"), "bank.yaml", PrivacyDocument)},
)


class Echo:
    """Says what it was asked."""

    def __init__(self):
        self.asked = []

    async def __call__(self, asked):
        self.asked.append(words(asked.payload))
        return Reply(Part(asked.payload, "1", {}, True))


def words(payload):
    return [each.decode() for tensor in payload.tensors for each in split_bytes(tensor.data)]


def says(text, tenant="acme"):
    payload = Tensors((Tensor("text", "BYTES", (1,), join_bytes([text.encode()])),))
    return replace(request(by=ROUTE, tenant=tenant), payload=payload)


class Gate:
    def __init__(self):
        self.cache, self.model = Cache(), Echo()
        self.service = stack([Privacy(lambda: KEY, lambda: 0.0), self.cache.filter], self.model)

    async def __call__(self, text, **who):
        (answer,) = words((await self.service(says(text, **who))).first.payload)
        return answer


async def test_a_kept_answer_is_restored_for_whoever_has_the_value():
    gate = Gate()
    text = f"I am {EMAIL}."
    assert [await gate(text), await gate(text)] == [text, text]
    assert len(gate.model.asked) == 1
    assert EMAIL not in gate.model.asked[0][0]


async def test_no_entry_holds_what_was_hidden():
    gate = Gate()
    await gate(f"I am {EMAIL}.")
    (entry,) = [gate.cache.memory.find(key) for key in gate.cache.memory.entries._small]
    assert b"bob" not in entry
    assert b"[EMAIL_" in entry


async def test_who_only_has_the_placeholder_gets_no_more_than_that():
    gate = Gate()
    await gate(f"I am {EMAIL}.")
    (hidden,) = gate.model.asked[0]
    assert EMAIL not in await gate(hidden)


async def test_other_values_and_other_tenants_are_other_requests():
    gate = Gate()
    for text, tenant in ((EMAIL, "acme"), ("eve@example.com", "acme"), (EMAIL, "other")):
        assert await gate(f"I am {text}.", tenant=tenant) == f"I am {text}."
    assert len(gate.model.asked) == 3
