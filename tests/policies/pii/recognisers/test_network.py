import pytest

from tests.policies.pii.finding import found


@pytest.mark.parametrize(
    "address",
    [
        "192.168.0.1",
        "203.0.113.195",
        "10.0.0.1",
        "2001:db8::1",
        "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
        "684D:1111:222:3333:4444:5555:6:77",
        "fe80::1ff:fe23:4567:890a",
        "::ffff:192.0.2.128",
        "64:ff9b::198.51.100.1",
        "fe80::1%eth0",
        "2001:db8::/32",
        "10.0.0.0/8",
        "127.0.0.1",
        "0.0.0.0",
        "::1",
    ],
)
def test_addresses_are_found(address: str) -> None:
    assert found(f"from {address}, port 80") == [("IP_ADDRESS", address)]


@pytest.mark.parametrize(
    "text",
    [
        "192.168.0",
        "192.168.0.256",
        "1.3.6.1.4.1.311",
        "255.255.255.0",
        "0.1.2.3",
        "2001::db8::1",
        "::ffff:192.168.1",
        "a[::1]",
        "1.2.3.4",
        "version 192.168.0.1",
        "std::vector",
        "a::b",
        "12:30:45",
        "::",
    ],
)
def test_other_things_with_dots_and_colons_are_not(text: str) -> None:
    assert found(text) == []


def test_small_numbers_are_an_address_where_a_word_says_so() -> None:
    assert found("server 8.8.8.8") == [("IP_ADDRESS", "8.8.8.8")]


@pytest.mark.parametrize("address", ["00:1A:2B:3C:4D:5E", "00-1a-2b-3c-4d-5e", "001A.2B3C.4D5E"])
def test_hardware_addresses_are_found(address: str) -> None:
    assert found(f"MAC:{address}") == [("MAC_ADDRESS", address)]


@pytest.mark.parametrize(
    "text",
    [
        "ff:ff:ff:ff:ff:ff",
        "00:00:00:00:00:00",
        "00:1A:2B:3C:4D",
        "00:1A:2B:3C:4D:5G",
        "a1:b2:c3:d4:e5:f6:07:18:29:3a:4b:5c:6d:7e:8f:90",
    ],
)
def test_nobodys_and_longer_ones_are_not(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    "url",
    [
        "postgres://user:secret@db.example.com:5432/shop",
        "https://bob:hunter2@example.com/a?b=c",
        "redis://:pa55@10.0.0.5:6379/0",
    ],
)
def test_urls_with_credentials_are_found_whole(url: str) -> None:
    assert found(f"connect to {url}.") == [("URL_WITH_CREDENTIALS", url)]


def test_urls_without_are_not() -> None:
    assert found("https://example.com:8080/a@b?c=d") == []
