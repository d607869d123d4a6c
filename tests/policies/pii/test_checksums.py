from policies.pii.checksums import luhn, mod11_10, mod97, verhoeff, weighted


def test_published_examples_hold() -> None:
    assert luhn("79927398713")
    assert verhoeff("2363")
    assert mod11_10("86095742719")
    assert mod97("3214282912345698765432161182") == 1
    assert weighted("123", (1, 2, 3)) == 14


def test_one_check_digit_fits_any_number() -> None:
    for check in (luhn, verhoeff, mod11_10):
        for number in ("0", "12", "794", "86095742", "123456789012"):
            assert sum(check(f"{number}{digit}") for digit in range(10)) == 1


def test_verhoeff_notices_neighbours_that_changed_places() -> None:
    number = "312345678909"
    for at in range(len(number) - 1):
        if number[at] != number[at + 1]:
            swapped = number[:at] + number[at + 1] + number[at] + number[at + 2 :]
            assert not verhoeff(swapped)
