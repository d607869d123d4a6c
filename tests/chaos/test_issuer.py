"""Issuers of experiments: a gateway's own code fetches their keys and knows their tokens."""

import time
from pathlib import Path

import pytest
import yaml

from chaos.issuer import Issuer, publishing, reply
from policies.authenticate import Authenticator
from policies.issuers import Issuer as Settings
from protos.errors import PenstockError


async def test_tokens_of_published_keys_count_and_others_do_not(tmp_path: Path) -> None:
    issuer = Issuer("some")
    issuer.publish("key")
    async with publishing(tmp_path, issuer) as text:
        (given,) = yaml.safe_load(text)
        verify = Authenticator([Settings.model_validate(given, strict=False)], time.time)
        await verify.start()
        try:
            assert len(issuer.asked) == 1
            principal = verify(f"Bearer {issuer.token('key', tenant='ant')}")
            with pytest.raises(PenstockError):
                verify(f"Bearer {issuer.token('nobody')}")
        finally:
            await verify.close()
    assert principal.tenant == "ant"


def test_what_it_is_told_to_say_is_said_instead_of_keys() -> None:
    issuer = Issuer("some")
    issuer.publish("one", "two")
    assert all(kid in issuer.reply() for kid in (b'"kid": "one"', b'"kid": "two"'))
    issuer.says = reply("500 Internal Server Error")
    assert issuer.reply().startswith(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n")
