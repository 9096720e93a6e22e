"""Texts of others in Markdown, as GitHub and the Hugging Face hub read it."""

import re
from typing import Any
from urllib.parse import quote, urlsplit

# What begins or ends something within a line. An underscore between letters is none.
SPECIAL = re.compile(r"[\\`*{}\[\]<>|~]|&(?=[\w#]+;)|(?<![^\W_])_|_(?![^\W_])")
# What makes a block of a line that begins with it.
START = re.compile(r"\A(\d{0,9})([#=+.)-])")
LINKED = ("http", "https", "mailto")


def escape(text: Any) -> str:
    """RETURNS (str): A text in one line that is shown as it is: no markup, no link, no cell.

    text (Any): The text; what is no string becomes one.
    """
    return START.sub(r"\1\\\2", SPECIAL.sub(r"\\\g<0>", _flatten(text)), count=1)


def code(text: Any, *, in_table: bool = False) -> str:
    """RETURNS (str): A text in one line as code, with as many marks around it as it takes.

    text (Any): The text; what is no string becomes one.
    in_table (bool): Whether it is in a table, where bars end a cell in code as well.
    """
    text = _flatten(text)
    if not text:
        return ""
    marks = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    if text.startswith("`") or text.endswith("`"):
        text = f" {text} "
    return marks + (text.replace("|", r"\|") if in_table else text) + marks


def link(text: Any, url: Any) -> str:
    """RETURNS (str): A link, if it leads to a page; else the text, and the URL as code.

    text (Any): What is shown.
    url (Any): Where it leads.
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
    """A text in one line, without control characters, which show nothing."""
    text = "".join(char if char.isprintable() else " " for char in str(text))
    return " ".join(text.split())
