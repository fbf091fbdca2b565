"""The Australian Business Number: eleven digits that check themselves.

checked_abn("51 824 753 556")  # "51824753556"
"""

from typing import Annotated

from pydantic import AfterValidator, Field

WEIGHTS = (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)
"""The tax office's rule: less one in the first digit, the weighted digits sum to a multiple of 89."""


def checked_abn(text: str) -> str:
    """The eleven digits, without the spaces that people write between them. Raises ValueError."""
    digits = "".join(text.split())
    if len(digits) != len(WEIGHTS) or not (digits.isascii() and digits.isdigit()):
        raise ValueError("an ABN has 11 digits")
    first, *rest = (int(digit) for digit in digits)
    if sum(weight * digit for weight, digit in zip(WEIGHTS, [first - 1, *rest], strict=True)) % 89:
        raise ValueError("this is no ABN: its check digits do not fit; look for a mistyped digit")
    return digits


Abn = Annotated[str, Field(max_length=20, examples=["51 824 753 556"]), AfterValidator(checked_abn)]
