"""International telephone numbers: ITU-T E.164 and the ways to dial them."""

from policies.pii.checksums import digits
from policies.pii.numbering import is_international
from policies.pii.recogniser import WORD, Recogniser

CONTEXT = (
    rb"phones?|tel|telephone|telefono?n?|mobile|mob|cell|cellphone|calls?|fax|whatsapp|sms"
    rb"|text me|ring|dial|handy|mobil|movil|celular|cellulare|portable|contact|hotline|reach"
    rb"|landline"
)
EXTENSION = rb"(?:,? ?(?:ext\.?|x|#) ?[0-9]{1,6})?"
RIGHT = rb"(?:$|[^" + WORD + rb".\-/]|[./\-](?:$|[^0-9]))"

RECOGNISERS = (
    Recogniser(
        "PHONE",
        rb"\+ ?[1-9][0-9]{0,2}(?:[ ./-]?\(?[0-9]{1,5}\)?){1,6}" + EXTENSION,
        0.85,
        context=CONTEXT,
        check=is_international,
        canonical=lambda text: f"+{digits(text)}",
        left=rb"(?:\\[nrt]|^|[^" + WORD + rb"+])",
        right=RIGHT,
    ),
    Recogniser(
        "PHONE",
        rb"00[1-9](?:[ ./-]?[0-9]){7,13}|011[ -]?[1-9](?:[ ./-]?[0-9]){7,13}",
        0.3,
        context=CONTEXT,
        check=is_international,
        canonical=digits,
        right=RIGHT,
    ),
)
