import pytest

from tests.policies.pii.finding import found

# From the specifications: BIP 173, BIP 350, EIP-55, and the first block's coinbase.
ADDRESSES = [
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
    "3P14159f73E4gFr7JterCCQh9QjiTjiZrG",
    "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_addresses_are_found(address: str) -> None:
    assert found(f"send it to {address}.") == [("CRYPTO", address)]


@pytest.mark.parametrize(
    "text",
    [
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
        "bc1Qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed00",
        "1111111111111111111111111111111111",
    ],
)
def test_wrong_checksums_are_not(text: str) -> None:
    assert found(text) == []
