"""Addresses of cryptocurrencies: Base58Check, bech32 and bech32m, hexadecimal."""

from hashlib import sha256

from policies.pii.recogniser import Recogniser

_BASE58 = {
    letter: value
    for value, letter in enumerate("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")
}
_BASE32 = {letter: value for value, letter in enumerate("qpzry9x8gf2tvdw0s3jn54khce6mua7l")}
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def is_base58check(text: str) -> bool:
    """Version, 20 bytes and the first 4 bytes of a double SHA-256 of them."""
    number = 0
    for letter in text:
        number = number * 58 + _BASE58[letter]
    if number.bit_length() > 200:
        return False
    raw = number.to_bytes(25, "big")
    return sha256(sha256(raw[:21]).digest()).digest()[:4] == raw[21:]


def is_bech32(text: str) -> bool:
    """BIP 173 and BIP 350: the checksum over prefix and data is 1 or 0x2BC830A3; one case only."""
    if text not in (text.lower(), text.upper()):
        return False
    prefix, _, data = text.lower().rpartition("1")
    values = [ord(letter) >> 5 for letter in prefix] + [0]
    values += [ord(letter) & 31 for letter in prefix] + [_BASE32[letter] for letter in data]
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, factor in enumerate(_GENERATOR):
            check ^= factor if top >> bit & 1 else 0
    return check in (1, 0x2BC830A3)


RECOGNISERS = (
    # Bitcoin, its test network, Litecoin, Dogecoin, Tron, Dash and Zcash's open addresses have the
    # same form; the check digits tell them from other words.
    Recogniser(
        "CRYPTO",
        rb"[13LMDATX29mn][1-9A-HJ-NP-Za-km-z]{25,34}",
        0.95,
        check=is_base58check,
        canonical=str,
    ),
    Recogniser(
        "CRYPTO",
        rb"(?:bc|tb|ltc)1[02-9ac-hj-np-z]{11,71}|(?:BC|TB|LTC)1[02-9AC-HJ-NP-Z]{11,71}",
        0.95,
        check=is_bech32,
        canonical=str.lower,
        longest=90,
    ),
    Recogniser(
        "CRYPTO", rb"0x[0-9A-Fa-f]{40}", 0.85, canonical=str.lower
    ),
)  # fmt: skip
