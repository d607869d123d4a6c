"""Identifiers made by their rules, in the ways in which people write them. All are invented."""

import base64
import hashlib
import json
import random
import string
from collections.abc import Callable, Mapping

import phonenumbers

from policies.pii.checksums import digits, luhn, mod11_10
from policies.pii.recognisers.australia import is_abn, is_acn, is_medicare, is_tfn
from policies.pii.recognisers.crypto import is_bech32
from policies.pii.recognisers.de import is_pension_number, is_tax_id
from policies.pii.recognisers.es import is_nie, is_nif
from policies.pii.recognisers.fr import is_nir
from policies.pii.recognisers.iban import LENGTHS, is_iban
from policies.pii.recognisers.india import is_aadhaar
from policies.pii.recognisers.it import is_fiscal_code, is_vat_code
from policies.pii.recognisers.singapore import is_nric
from policies.pii.recognisers.uk import is_nhs
from policies.pii.recognisers.us import is_itin, is_routing, is_ssn

Maker = Callable[[random.Random], str]

FIRST = ["anna", "ben", "chloe", "dmitri", "elif", "farid", "greta", "hiro", "ines", "jorge"]
LAST = ["smith", "mueller", "garcia", "rossi", "dubois", "khan", "nguyen", "o'neill", "larsen"]
DOMAINS = ["example.com", "mail.example.org", "example.co.uk", "corp.example.technology"]
REGIONS = ["US", "GB", "DE", "FR", "IN", "AU"]
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
LETTERS = string.ascii_uppercase
MONTHS = "January February March April May June July August September October November December"


def pattern(rng: random.Random, form: str) -> str:
    """`#` is a digit, `@` a capital letter, anything else itself."""
    kinds = {"#": string.digits, "@": LETTERS}
    return "".join(rng.choice(kinds[sign]) if sign in kinds else sign for sign in form)


def fitting(check: Callable[[str], bool], make: Callable[[], str]) -> str:
    """The first value that passes."""
    return next(value for _ in iter(int, 1) if check(value := make()))


def formed(check: Callable[[str], bool], *forms: str) -> Maker:
    """One of the forms, filled so that the check passes."""

    def make(rng: random.Random) -> str:
        form = rng.choice(forms)
        return fitting(check, lambda: pattern(rng, form))

    return make


def grouped(text: str, size: int, sign: str) -> str:
    return sign.join(text[at : at + size] for at in range(0, len(text), size))


def email(rng: random.Random) -> str:
    first, last = rng.choice(FIRST), rng.choice(LAST)
    local = rng.choice(
        (
            f"{first}.{last}",
            f"{first}_{last}{rng.randrange(100)}",
            f"{first}+{rng.choice(('news', 'shop'))}",
            f"{first[0]}{last}",
            f"{first.title()}.{last.title()}",
        )
    ).replace("'", rng.choice(("'", "")))
    return f"{local}@{rng.choice(DOMAINS)}"


def card(rng: random.Random) -> str:
    prefix, size = rng.choice(
        (("4", 16), ("51", 16), ("2221", 16), ("6011", 16), ("3530", 16), ("37", 15), ("36", 14))
    )
    number = fitting(luhn, lambda: prefix + pattern(rng, "#" * (size - len(prefix))))
    sign = rng.choice(("", " ", "-"))
    if size == 16:
        return grouped(number, 4, sign)
    return f"{number[:4]}{sign}{number[4:10]}{sign}{number[10:]}"


def iban(rng: random.Random) -> str:
    country = rng.choice(sorted(LENGTHS))
    body = pattern(rng, "#" * (LENGTHS[country] - 4))
    made = next(made for check in range(2, 99) if is_iban(made := f"{country}{check:02d}{body}"))
    return rng.choice((made, grouped(made, 4, " "), grouped(made, 4, "-"), made.lower()))


def international(rng: random.Random) -> str:
    region = rng.choice(sorted(phonenumbers.SUPPORTED_REGIONS))
    example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    number = example or phonenumbers.example_number(region)
    forms = phonenumbers.PhoneNumberFormat
    return phonenumbers.format_number(number, rng.choice((forms.E164, forms.INTERNATIONAL)))


def national(rng: random.Random) -> str:
    region = rng.choice(REGIONS)
    kinds = phonenumbers.PhoneNumberType
    kind = rng.choice((kinds.MOBILE, kinds.FIXED_LINE))
    number = phonenumbers.example_number_for_type(region, kind)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)


def american(rng: random.Random) -> str:
    form = rng.choice(
        ("({}) {}-####", "({}){}-####", "{}-{}-####", "{}.{}.####", "1-{}-{}-####", "{} {} ####")
    )
    area, exchange = rng.choice((212, 415, 617, 303, 512)), rng.randrange(200, 999)
    while exchange % 100 == 11:
        exchange += 1
    return pattern(rng, form.format(area, exchange))


def birth(rng: random.Random) -> str:
    year, month, day = rng.randrange(1930, 2012), rng.randrange(1, 13), rng.randrange(1, 29)
    name = MONTHS.split()[month - 1]
    return rng.choice(
        (
            f"{year}-{month:02d}-{day:02d}",
            f"{month:02d}/{day:02d}/{year}",
            f"{day}.{month}.{year}",
            f"{day:02d}-{month:02d}-{year}",
            f"{name} {day}, {year}",
            f"{day} {name[:3]} {year}",
            f"{day}th of {name} {year}",
        )
    )


def bitcoin(rng: random.Random) -> str:
    raw = bytes((rng.choice((0, 5)),)) + rng.randbytes(20)
    number = int.from_bytes(raw + hashlib.sha256(hashlib.sha256(raw).digest()).digest()[:4], "big")
    text = ""
    while number:
        number, rest = divmod(number, 58)
        text = BASE58[rest] + text
    return "1" * (raw[0] == 0) + text


def segwit(rng: random.Random) -> str:
    signs = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    body = "bc1q" + "".join(rng.choice(signs) for _ in range(32))
    values = [3, 3, 0, 2, 3] + [signs.index(letter) for letter in body[3:]] + [0] * 6
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, factor in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= factor if top >> bit & 1 else 0
    check ^= 1
    made = body + "".join(signs[check >> 5 * (5 - place) & 31] for place in range(6))
    return made if is_bech32(made) else segwit(rng)


def crypto(rng: random.Random) -> str:
    return rng.choice((bitcoin, segwit, lambda rng: "0x" + rng.randbytes(20).hex()))(rng)


def ip(rng: random.Random) -> str:
    four = ".".join(str(rng.randrange(1, 255)) for _ in range(4))
    six = ":".join(f"{rng.randrange(4096, 65536):x}" for _ in range(8))
    one = f"{rng.choice(('203', '192', '89', '172', '10'))}.{four.split('.', 1)[1]}"
    return rng.choice((one, six, f"2001:db8:{six[:4]}::{six[5:9]}", f"fe80::{six[:19]}"))


def mac(rng: random.Random) -> str:
    raw = rng.randbytes(6)
    return rng.choice((raw.hex(":"), raw.hex("-").upper(), raw.hex(".", 2), raw.hex(":").upper()))


def token(rng: random.Random, size: int, signs: str = string.ascii_letters + string.digits) -> str:
    return "".join(rng.choice(signs) for _ in range(size - 2)) + "a7"


def api_key(rng: random.Random) -> str:
    return rng.choice(
        (
            f"sk-{token(rng, 48)}",
            f"sk-proj-{token(rng, 60)}",
            f"ghp_{token(rng, 36)}",
            f"AKIA{token(rng, 16, LETTERS + string.digits).upper()}",
            f"xoxb-{pattern(rng, '###########')}-{token(rng, 24)}",
            f"glpat-{token(rng, 20)}",
            f"sk_live_{token(rng, 24)}",
            f"AIza{token(rng, 35)}",
            f"hf_{token(rng, 34)}",
        )
    )


def jwt(rng: random.Random) -> str:
    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    head = part(json.dumps({"alg": "RS256", "typ": "JWT"}).encode())
    body = part(json.dumps({"sub": rng.choice(FIRST), "iat": rng.randrange(10**9)}).encode())
    return f"{head}.{body}.{part(rng.randbytes(64))}"


def private_key(rng: random.Random) -> str:
    body = grouped(base64.b64encode(rng.randbytes(160)).decode(), 64, "\n")
    kind = rng.choice(("RSA ", "EC ", "", "OPENSSH "))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{body}\n-----END {kind}PRIVATE KEY-----"


def url(rng: random.Random) -> str:
    scheme = rng.choice(("postgres", "https", "redis", "mongodb+srv", "amqp"))
    return f"{scheme}://{rng.choice(FIRST)}:{token(rng, 9)}@db.example.com:5432/shop"


def fiscal_code(rng: random.Random) -> str:
    day = rng.randrange(1, 29) + rng.choice((0, 40))
    form = f"@@@@@@##{rng.choice('ABCDEHLMPRST')}{day:02d}@###@"
    return fitting(is_fiscal_code, lambda: pattern(rng, form))


def nir(rng: random.Random) -> str:
    head = f"{rng.choice('12')}{rng.randrange(30, 99)}{rng.randrange(1, 13):02d}"
    body = (
        head + f"{rng.randrange(1, 95):02d}{rng.randrange(1, 990):03d}{rng.randrange(1, 999):03d}"
    )
    made = f"{body}{97 - int(body) % 97:02d}"
    parts = (made[0], made[1:3], made[3:5], made[5:7], made[7:10], made[10:13], made[13:])
    return made if not is_nir(made) or rng.random() < 0.5 else " ".join(parts)


def tax_id(rng: random.Random) -> str:
    made = fitting(
        lambda text: is_tax_id(text) and mod11_10(digits(text)),
        lambda: pattern(rng, f"{rng.randrange(1, 10)}{'#' * 10}"),
    )
    return rng.choice((made, f"{made[:2]} {made[2:5]} {made[5:8]} {made[8:]}"))


def pension(rng: random.Random) -> str:
    born = f"{rng.randrange(1, 29):02d}{rng.randrange(1, 13):02d}{rng.randrange(40, 99)}"
    form = f"{rng.randrange(10, 90)}{born}@###"
    made = fitting(is_pension_number, lambda: pattern(rng, form))
    return rng.choice((made, f"{made[:2]} {made[2:8]} {made[8]} {made[9:]}"))


def nino(rng: random.Random) -> str:
    prefix = rng.choice("ACEHJLMPRSWXY") + rng.choice("ACEHJLMPRSWXY")
    return pattern(rng, rng.choice((f"{prefix}######", f"{prefix} ## ## ## "))) + rng.choice("ABCD")


def licence(rng: random.Random) -> str:
    name = rng.choice(LAST).upper().replace("'", "")[:5].ljust(5, "9")
    born = f"{rng.randrange(1, 13):02d}{rng.randrange(1, 29):02d}"
    return pattern(rng, f"{name}#{born}#@9#@@")


def voter(rng: random.Random) -> str:
    return pattern(rng, "@@@#######")


IDENTIFIERS: Mapping[str, Maker] = {
    "EMAIL": email,
    "CREDIT_CARD": card,
    "IBAN": iban,
    "PHONE": lambda rng: rng.choice((international, national, american))(rng),
    "DATE_OF_BIRTH": birth,
    "CRYPTO": crypto,
    "IP_ADDRESS": ip,
    "MAC_ADDRESS": mac,
    "API_KEY": api_key,
    "JWT": jwt,
    "PRIVATE_KEY": private_key,
    "URL_WITH_CREDENTIALS": url,
    "PASSWORD": lambda rng: token(rng, rng.randrange(8, 20)),
    "US_SSN": formed(is_ssn, "###-##-####", "### ## ####", "#########"),
    "US_ITIN": formed(is_itin, "9##-##-####", "9########"),
    "US_PASSPORT": lambda rng: pattern(rng, rng.choice(("#########", "@########"))),
    "US_DRIVER_LICENSE": lambda rng: pattern(
        rng, rng.choice(("@#######", "@############", "########", "@###-####-####", "@@######"))
    ),
    "US_BANK_ACCOUNT": lambda rng: pattern(rng, "1" + "#" * rng.randrange(7, 12)),
    "US_ROUTING_NUMBER": formed(is_routing, "#########"),
    "UK_NHS": formed(is_nhs, "### ### ####", "##########", "###-###-####"),
    "UK_NINO": nino,
    "UK_PASSPORT": lambda rng: pattern(rng, "#########"),
    "UK_DRIVING_LICENCE": licence,
    "ES_NIF": formed(is_nif, "########@", "########-@"),
    "ES_NIE": formed(is_nie, "X#######@", "Y-#######-@"),
    "ES_PASSPORT": lambda rng: pattern(rng, "@@@######"),
    "IT_FISCAL_CODE": fiscal_code,
    "IT_VAT_CODE": formed(is_vat_code, "0##########"),
    "IT_DRIVER_LICENSE": lambda rng: pattern(rng, "@@#######@"),
    "IT_PASSPORT": lambda rng: pattern(rng, "Y@#######"),
    "IT_IDENTITY_CARD": lambda rng: pattern(rng, "CA#####@@"),
    "FR_NIR": nir,
    "DE_TAX_ID": tax_id,
    "DE_SOCIAL_SECURITY": pension,
    "DE_PASSPORT": lambda rng: pattern(rng, "C##X##T##"),
    "DE_ID_CARD": lambda rng: pattern(rng, "L##X##T##"),
    "IN_AADHAAR": formed(is_aadhaar, "3### #### ####", "5###########", "7###-####-####"),
    "IN_PAN": lambda rng: pattern(rng, "@@@P@####@"),
    "IN_PASSPORT": lambda rng: pattern(rng, "@2######"),
    "IN_VOTER": voter,
    "AU_ABN": formed(is_abn, "## ### ### ###", "5##########"),
    "AU_ACN": formed(is_acn, "### ### ###", "#########"),
    "AU_TFN": formed(is_tfn, "### ### ###", "#########"),
    "AU_MEDICARE": formed(is_medicare, "3### ##### 1", "2########1"),
    "SG_NRIC": formed(is_nric, "S#######@", "T#######@", "F#######@"),
}
