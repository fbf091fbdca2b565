"""The Australian Business Number."""

_WEIGHTS = (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)


def is_abn(text: str) -> bool:
    """Whether `text` is eleven digits whose checksum holds: the first less one, weighted, divisible by 89."""
    if len(text) != 11 or not (text.isascii() and text.isdigit()):
        return False
    digits = [int(digit) for digit in text]
    digits[0] -= 1
    return sum(weight * digit for weight, digit in zip(_WEIGHTS, digits, strict=True)) % 89 == 0
