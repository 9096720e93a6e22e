"""Escape texts for Markdown, as GitHub and the Hugging Face hub render it."""

import re
from typing import Any
from urllib.parse import quote, urlsplit

# Characters that begin or end markup within a line. An underscore between letters doesn't.
SPECIAL = re.compile(r"[\\`*{}\[\]<>|~]|&(?=[\w#]+;)|(?<![^\W_])_|_(?![^\W_])")
# Characters at the beginning of a line that make it a block.
START = re.compile(r"\A(\d{0,9})([#=+.)-])")
LINKED = ("http", "https", "mailto")


def escape(text: Any) -> str:
    """RETURNS (str): A text in one line, escaped so that it is shown as it is: no markup, link or
    table cell.

    text (Any): The text; anything else is converted to a string.
    """
    return START.sub(r"\1\\\2", SPECIAL.sub(r"\\\g<0>", _flatten(text)), count=1)


def code(text: Any, *, in_table: bool = False) -> str:
    """RETURNS (str): A text in one line as code, between as many backticks as it needs.

    text (Any): The text; anything else is converted to a string.
    in_table (bool): Whether it is in a table, where `|` ends a cell even in code.
    """
    text = _flatten(text)
    if not text:
        return ""
    marks = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    if text.startswith("`") or text.endswith("`"):
        text = f" {text} "
    return marks + (text.replace("|", r"\|") if in_table else text) + marks


def link(text: Any, url: Any) -> str:
    """RETURNS (str): A link, if the URL has a scheme in LINKED; else the text, and the URL as code.

    text (Any): The text of the link.
    url (Any): Its address.
    """
    address = re.sub(r"[\t\r\n]", "", str(url)).strip()
    try:
        scheme = urlsplit(address).scheme.lower()
    except ValueError:  # such as an unclosed [
        scheme = ""
    if scheme not in LINKED:
        return f"{escape(text)} {code(url)}".strip()
    return f"[{escape(text or url)}]({quote(address, safe=':/?#@!$&=+,;%~*')})"


def _flatten(text: Any) -> str:
    """A text in one line, without control characters."""
    text = "".join(char if char.isprintable() else " " for char in str(text))
    return " ".join(text.split())
