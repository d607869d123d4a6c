"""However a model cuts its reply, the requester gets the same: through the filter, in every form.

`python -m benchmarks.pii_streams` does this 10,000 times.
"""

import random

import pytest

from tests.policies.streamed import FORMS, Form, differences, filtering, losses

forms = pytest.mark.parametrize("form", FORMS, ids=lambda form: type(form).__name__)


@forms
async def test_every_cutting_gives_what_the_uncut_reply_gives(form: Form) -> None:
    rng, filter_ = random.Random(7), filtering()
    for _ in range(12):
        assert await differences(form, rng, filter_, 4) == 0
    assert sum(filter_.found["fraud", "enforce"].values()) > 50


@forms
async def test_what_the_requester_sent_comes_back_exactly(form: Form) -> None:
    rng, filter_ = random.Random(8), filtering()
    for _ in range(12):
        assert await losses(form, rng, filter_, 4) == 0
