"""Docstrings in spaCy's form, for mkdocstrings: parameters as `name (type): text`, then RETURNS,
YIELDS and RAISES. They become Google's form, which Griffe knows."""

import re

import griffe

FIELD = re.compile(r"(\*{0,2}\w+) \((.+)\):(?: (.*)|$)")
SECTIONS = {"RETURNS": "Returns", "YIELDS": "Yields", "RAISES": "Raises"}


class SpacyDocstrings(griffe.Extension):
    """Rewrite each docstring as it is read."""

    def on_instance(self, *, obj, **kwargs):
        """obj (griffe.Object): What may have a docstring."""
        if obj.docstring is not None:
            obj.docstring.value = to_google(obj.docstring.value)


def to_google(text):
    """RETURNS (str): A docstring in Google's form."""
    lines, section = [], None
    for line in text.splitlines():
        match = FIELD.match(line)
        if match is None:
            if line and not line.startswith(" "):
                section = None
            lines.append(f"    {line}" if section and line else line)
            continue
        name, annotation, description = match.groups(default="")
        title = SECTIONS.get(name, "Args")
        if title != section:
            lines += ["", f"{title}:"]
            section = title
        if title == "Args":
            lines.append(f"    {name} ({annotation}): {description}")
        else:
            lines.append(f"    {annotation}: {description}")
    return "\n".join(lines)
