"""Make texts safe to print in a terminal."""

import re
from typing import Any

from wasabi import Printer

# Control characters and line breaks other than "\n", characters that change the writing direction,
# and halves of surrogate pairs. Joiners (U+200C, U+200D) are parts of words, and stay.
UNPRINTED = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: Any) -> str:
    """RETURNS (str): A text whose control characters are escaped as in Python, such as "\\x1b". A
    terminal would execute them.

    text (Any): The text; anything else is converted to a string.
    """
    return UNPRINTED.sub(lambda match: ascii(match[0])[1:-1], str(text))


class SafePrinter(Printer):
    """wasabi's printer, for texts and tables that may contain control characters."""

    def text(self, title: Any = "", text: Any = "", *args: Any, **settings: Any) -> Any:
        """See `wasabi.Printer.text`."""
        return super().text(printable(title), printable(text), *args, **settings)

    def table(self, data: Any, **settings: Any) -> Any:
        """See `wasabi.Printer.table`."""
        return super().table([[printable(cell) for cell in row] for row in data], **settings)
