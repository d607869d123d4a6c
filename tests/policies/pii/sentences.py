"""What people write around identifiers: half a dozen languages, forms, logs and chats."""

import random
from collections.abc import Mapping

from tests.policies.pii.identifiers import IDENTIFIERS

# Around what speaks for itself.
ANYWHERE = (
    "{}",
    "It is {}.",
    "Please update our records to {} as of today",
    "Hi, I think you still have {} on file, could you change that?",
    "es {}, gracias",
    "Das ist {}, oder?",
    "C'est {} depuis hier.",
    "ecco: {}",
    "Here you go: {}\nBest, Anna",
    '{{"value": "{}", "ok": true}}',
    "a;{};b",
    "| name | {} |",
    "<td>{}</td>",
    "({})",
    "value={} status=ok",
    "- {}\n- something else",
)
LABELS: Mapping[str, tuple[str, ...]] = {
    "PHONE": ("call me at", "phone:", "my mobile is", "Tel.", "Telefonnummer:", "mon portable:"),
    "PASSWORD": ("password:", "my password is", "Passwort:", "pwd:"),
    "DATE_OF_BIRTH": (
        "born on",
        "DOB:",
        "date of birth:",
        "geboren am",
        "né le",
        "fecha de nacimiento:",
    ),
    "US_SSN": ("my SSN is", "social security number:", "SSN", "Social Security #"),
    "US_ITIN": ("my ITIN is", "taxpayer id", "Individual Taxpayer Identification Number:"),
    "US_PASSPORT": ("my passport number is", "US passport", "Passport No.", "passport:"),
    "US_DRIVER_LICENSE": ("driver's license", "driver license number:", "my DL is", "license no."),
    "US_BANK_ACCOUNT": ("bank account", "account number:", "checking account", "my acct is"),
    "US_ROUTING_NUMBER": ("routing number", "ABA:", "ABA routing number is", "bank routing"),
    "UK_NHS": ("NHS number", "NHS no.", "the patient's NHS number is"),
    "UK_NINO": ("NI number", "National Insurance number:", "NINO"),
    "UK_PASSPORT": ("UK passport", "British passport number:", "my passport number is"),
    "UK_DRIVING_LICENCE": ("driving licence", "DVLA number:", "licence no."),
    "ES_NIF": ("DNI", "mi NIF es", "documento nacional de identidad:"),
    "ES_NIE": ("NIE", "mi NIE es", "número de identidad de extranjero:"),
    "ES_PASSPORT": ("pasaporte", "mi pasaporte es", "número de pasaporte:"),
    "IT_FISCAL_CODE": ("codice fiscale", "CF:", "il mio codice fiscale è"),
    "IT_VAT_CODE": ("partita IVA", "P.IVA", "VAT:"),
    "IT_DRIVER_LICENSE": ("patente di guida", "patente:", "la mia patente è"),
    "IT_PASSPORT": ("passaporto", "numero di passaporto:", "il mio passaporto è"),
    "IT_IDENTITY_CARD": ("carta d'identità", "carta di identità n.", "CIE:"),
    "FR_NIR": ("numéro de sécurité sociale :", "NIR", "mon numéro de sécu est"),
    "DE_TAX_ID": (
        "Steuer-ID",
        "meine Steueridentifikationsnummer ist",
        "IdNr.",
        "Steuer-IdNr.:",
        "Steuernummer",
    ),
    "DE_SOCIAL_SECURITY": ("Sozialversicherungsnummer", "Rentenversicherungsnummer:", "SV-Nummer"),
    "DE_PASSPORT": ("Reisepass", "Reisepassnummer:", "mein Reisepass hat die Nummer"),
    "DE_ID_CARD": ("Personalausweis", "Ausweisnummer:", "Personalausweis-Nr."),
    "IN_AADHAAR": ("Aadhaar", "my Aadhaar number is", "UIDAI:"),
    "IN_PAN": ("PAN", "PAN card number", "permanent account number:"),
    "IN_PASSPORT": ("passport", "Indian passport no.", "my passport number is"),
    "IN_VOTER": ("voter id", "EPIC no.", "voter card"),
    "AU_ABN": ("ABN", "our ABN is", "business number:"),
    "AU_ACN": ("ACN", "Australian company number:"),
    "AU_TFN": ("TFN", "tax file number:", "my TFN is"),
    "AU_MEDICARE": ("Medicare", "Medicare card", "my medicare number is"),
    "SG_NRIC": ("NRIC", "my NRIC is", "FIN:"),
    "CREDIT_CARD": ("card", "charge my visa", "Kreditkartennummer:", "tarjeta de crédito"),
    "IBAN": ("IBAN", "please wire it to", "Kontonummer"),
    "IP_ADDRESS": ("client", "from ip", "IP address:"),
}
CLEAR = frozenset(("CREDIT_CARD", "FR_NIR", "IBAN", "IP_ADDRESS", "IT_FISCAL_CODE"))
# Around what needs a word: `{0}` is the label, `{1}` the identifier.
LABELLED = (
    "{0} {1}",
    "{0} {1}.",
    "Hello, {0} {1} and I would like to know more.",
    "The file says {0} {1}, please check.",
    "{0} {1}\nthanks",
    "name: Anna Smith, {0} {1}, city: Leeds",
    "> {0} {1}",
    "Customer wrote: {0} {1}!",
)


def person(entity: str, rng: random.Random) -> tuple[str, str]:
    """A sentence, and the value in it."""
    value = IDENTIFIERS[entity](rng)
    return around(entity, value, rng), value


def around(entity: str, value: str, rng: random.Random) -> str:
    """A sentence about a value, which says what it is where that is needed."""
    labels = LABELS.get(entity)
    if labels is None or (entity in CLEAR and rng.random() < 0.6):
        return rng.choice(ANYWHERE).format(value)
    return rng.choice(LABELLED).format(rng.choice(labels), value)
