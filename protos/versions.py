"""The order of a model's versions."""


def version_order(version: str) -> tuple[int, int, str]:
    """A sort key, the newest last: numbers by their value, then names by their letters."""
    # isdecimal alone would take other scripts' digits, and endless numbers take endless time.
    number = version.isascii() and version.isdecimal() and len(version) <= 18
    return (0, int(version), "") if number else (1, 0, version)
