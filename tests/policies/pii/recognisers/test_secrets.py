import base64
import json

import pytest

from tests.policies.pii.finding import found, values

BODY = "16C7e42F292c6912E7710c838347Ae178B4a"


@pytest.mark.parametrize(
    "key",
    [
        "AKIA" + "IOSFODNN7EXAMPLE",
        "ghp_" + BODY,
        "glpat-" + "abcDEF123456ghiJKL78",
        "xoxb-" + "123456789012-abcDEFghiJKL",
        "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
        "AIza" + "SyDdI0hCZtE6vySjMm-WEfRq3CPzqKqqsHI",
        "sk-proj-" + "abcdefGHIJKLmnop1234567890",
        "sk-ant-api03-" + "abcdefGHIJKLmnop1234567890",
        "hf_" + "abcdEFGHijklMNOPqrst1234567890abcd",
    ],
)
def test_keys_of_services_are_found(key: str) -> None:
    assert found(f"use {key}, then") == [("API_KEY", key)]


@pytest.mark.parametrize(
    "text",
    [
        'api_key = "{}"',
        "Authorization: Bearer {}",
        '{{"client_secret": "{}"}}',
        "ACCESS-TOKEN={}",
    ],
)
def test_what_is_assigned_to_a_secrets_name_is_found(text: str) -> None:
    assert values(text.format("abcdEFGH1234ijklMNOP"), "API_KEY") == ["abcdEFGH1234ijklMNOP"]


@pytest.mark.parametrize(
    "text",
    [
        "max_token=4096",
        "the secret is in the sauce, honestly",
        "token: <your-token-here>",
        "sk-learn-is-a-library-for-machines",
        "hf_transformers_library_from_hub_xx",
        "the token embeddings_layer_normalised",
    ],
)
def test_talk_about_keys_is_not(text: str) -> None:
    assert found(text) == []


def test_passwords_in_assignments_are_found() -> None:
    assert values("password: hunter2!", "PASSWORD") == ["hunter2!"]
    assert values('{"pwd": "s3cr3t-x"}', "PASSWORD") == ["s3cr3t-x"]
    assert values("my password is Tr0ub4dor&3.", "PASSWORD") == ["Tr0ub4dor&3"]
    assert found("password: required. Then") == []
    assert found("A password is required!") == []
    assert found("password=${DB_PASSWORD}") == []


def jwt(head: object) -> str:
    raw = base64.urlsafe_b64encode(json.dumps(head).encode()).rstrip(b"=").decode()
    return f"{raw}.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"


def test_json_web_tokens_are_known_by_their_header() -> None:
    token = jwt({"alg": "HS256", "typ": "JWT"})
    assert found(f"jwt {token}") == [("JWT", token)]
    assert values(jwt({"name": "not a header"}), "JWT") == []


@pytest.mark.parametrize("line_break", ["\n", "\\n", "\r\n"])
@pytest.mark.parametrize("kind", ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "])
def test_private_keys_are_found_whole(kind: str, line_break: str) -> None:
    lines = [
        f"-----BEGIN {kind}PRIVATE KEY-----",
        *["MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfnygWyF8PbnGy0AHB7Mqs1abcdABCD12xyz"] * 12,
        "Ab12Cd==",
        f"-----END {kind}PRIVATE KEY-----",
    ]
    key = line_break.join(lines)
    assert found(f"here:{line_break}{key}{line_break}bye") == [("PRIVATE_KEY", key)]


def test_a_key_that_was_cut_off_is_found_as_far_as_it_goes() -> None:
    text = "-----BEGIN PRIVATE KEY-----\nMIIEpAIBAAKCAQEA0Z3VS5JJcds3xfnygWyF8Pbn\nMIIEpAIBAAKC"
    assert found(text) == [("PRIVATE_KEY", text)]


def test_certificates_are_no_secrets() -> None:
    assert found("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----") == []
