"""What texts of others may do to a terminal: nothing."""

import re
from typing import Any

from wasabi import Printer

# Control characters but line ends, what turns the direction of writing, breaks of lines other than
# "\n", and halves of surrogate pairs. Joiners (U+200C, U+200D) are parts of words.
UNPRINTED = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: Any) -> str:
    """RETURNS (str): A text whose control characters are written as in Python, such as "\\x1b": a
    terminal would obey them.

    text (Any): The text; what is no string becomes one.
    """
    return UNPRINTED.sub(lambda match: ascii(match[0])[1:-1], str(text))


class SafePrinter(Printer):
    """wasabi's printer, for texts and tables that may have anything in them."""

    def text(self, title: Any = "", text: Any = "", *args: Any, **settings: Any) -> Any:
        """See `wasabi.Printer.text`."""
        return super().text(printable(title), printable(text), *args, **settings)

    def table(self, data: Any, **settings: Any) -> Any:
        """See `wasabi.Printer.table`."""
        return super().table([[printable(cell) for cell in row] for row in data], **settings)
