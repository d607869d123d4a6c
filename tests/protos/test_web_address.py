"""Addresses of servers hold no secrets, since command lines and logs show them."""

import pytest

from protos.web_address import web_address


@pytest.mark.parametrize(
    "text", ["http://vllm:8000/v1", "https://models.example/v1", "http://[::1]:4317"]
)
def test_servers_are_addressed_by_http(text: str) -> None:
    assert web_address(text) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("https://user:hunter2@models.example/v1", "holds a user or password"),
        ("http://token@vllm:8000/v1", "holds a user or password"),
        ("http://:@vllm:8000/v1", "holds a user or password"),
        ("http://", "and a host"),
        ("vllm:8000", "begins with http"),
        ("http://vllm:eighty/v1", "is not a URL"),
        ("http://[::1/v1", "is not a URL"),
    ],
)
def test_a_secret_or_no_address_is_refused_without_repeating_it(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        web_address(text)
    assert "hunter2" not in str(caught.value)
