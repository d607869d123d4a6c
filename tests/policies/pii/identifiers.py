"""Identifiers made by their rules, in the ways in which people write them. All are invented."""

import random
from collections.abc import Mapping

import phonenumbers

from policies.pii.checksums import digits, luhn, mod11_10
from policies.pii.recognisers.australia import is_abn, is_acn, is_medicare, is_tfn
from policies.pii.recognisers.de import is_pension_number, is_tax_id
from policies.pii.recognisers.es import is_nie, is_nif
from policies.pii.recognisers.fr import is_nir
from policies.pii.recognisers.iban import LENGTHS, is_iban
from policies.pii.recognisers.india import is_aadhaar
from policies.pii.recognisers.it import is_fiscal_code, is_vat_code
from policies.pii.recognisers.singapore import is_nric
from policies.pii.recognisers.uk import is_nhs
from policies.pii.recognisers.us import is_itin, is_routing, is_ssn
from tests.policies.pii.forms import FIRST, Maker, fitting, formed, grouped, pattern
from tests.policies.pii.machine_identifiers import (
    api_key,
    crypto,
    ip,
    jwt,
    mac,
    private_key,
    token,
    url,
)

LAST = ["smith", "mueller", "garcia", "rossi", "dubois", "khan", "nguyen", "o'neill", "larsen"]
DOMAINS = ["example.com", "mail.example.org", "example.co.uk", "corp.example.technology"]
REGIONS = ["US", "GB", "DE", "FR", "IN", "AU"]
MONTHS = "January February March April May June July August September October November December"


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
