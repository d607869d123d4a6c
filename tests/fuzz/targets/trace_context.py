"""W3C's trace headers, in two lines: what is taken is what may be sent on."""

from protos import trace_context
from protos.trace_context import MOST_MEMBERS, MOST_STATE, accepted, accepted_state


def one(data: bytes) -> None:
    parent, _, state = data.decode("latin-1").partition("\n")
    taken = accepted(parent)
    if taken:
        assert len(taken) == 55
        assert accepted(taken) == taken
        found = trace_context.read(taken)
        assert 0 < found.trace_id < 1 << 128
        assert 0 < found.span_id < 1 << 64
        child = trace_context.begin(taken, sampled=False)
        assert trace_context.read(child)[::2] == found[::2]
    kept = accepted_state(state.split("\n"))
    assert len(kept) <= MOST_STATE
    assert kept.count(",") < MOST_MEMBERS
    assert accepted_state([kept]) == kept
    assert kept.isprintable()
