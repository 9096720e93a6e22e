"""What the site has besides the pages of docs/: the README as its first page, the changelog, and
the reference that is made from the code. Links from a page to a file of the repository lead to the
repository, if mkdocs.yml has its address (`repo_url`); without one, they are plain text."""

import posixpath
import re
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!\w+:|#)([^)#\s]+)(#[^)]*)?\)")
CODE = re.compile(r"(^```.*?^```$)", re.M | re.S)
# Files of the repository that are pages of the site, by name.
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}
SOURCES = {page: source for source, page in PAGES.items()}
# Groups of registered names, as the reference has them.
TITLES = {
    "spacy_factories": "Components",
    "spacy_architectures": "Models",
    "thinc_layers": "Layers",
    "thinc_losses": "Losses",
    "thinc_optimizers": "Optimizers",
    "spacy_readers": "Corpus readers",
    "spacy_batchers": "Batchers",
    "spacy_scorers": "Scorers",
    "spacy_loggers": "Loggers",
    "spacy_callbacks": "Callbacks",
    "spacy_misc": "Others",
}


def on_files(files, config):
    """Add the pages that aren't in docs/, and images that pages show from elsewhere."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text("utf-8")))
    files.append(File.generated(config, "reference/commands.md", content=make_commands()))
    files.append(File.generated(config, "reference/names.md", content=make_names()))
    for file in list(files.documentation_pages()):
        for image, _, target, _ in LINK.findall(file.content_string):
            path = find_target(file.src_uri, target)
            uri = get_image_uri(path)
            if image and not path.startswith("docs/") and files.get_file_from_path(uri) is None:
                files.append(File.generated(config, uri, content=(ROOT / path).read_bytes()))
    return files


def on_page_markdown(markdown, page, config, files):
    """Make links work on the site. What is in blocks of code stays as it is."""
    uri = page.file.src_uri

    def replace(match):
        image, text, target, anchor = match.groups(default="")
        path = find_target(uri, target)
        if path.startswith("docs/"):
            inside = path.removeprefix("docs/")
        else:
            inside = get_image_uri(path) if image else PAGES.get(path, "")
        if files.get_file_from_path(inside) is not None:
            relative = posixpath.relpath(inside, posixpath.dirname(uri) or ".")
            return f"{image}[{text}]({relative}{anchor})"
        if not (ROOT / path).exists():
            return match[0]  # which mkdocs reports
        return f"[{text}]({config.repo_url}/blob/main/{path})" if config.repo_url else text

    parts = CODE.split(markdown)
    return "".join(part if i % 2 else LINK.sub(replace, part) for i, part in enumerate(parts))


def find_target(uri, target):
    """RETURNS (str): The path from the root of the repository that a link of a page leads to."""
    source = SOURCES.get(uri, f"docs/{uri}")
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), target))


def get_image_uri(path):
    """RETURNS (str): Where the site has an image that isn't in docs/."""
    return f"images/{path.replace('/', '-')}"


def make_commands():
    """RETURNS (str): A page of all commands with their options, by Typer's own generator. Its list
    of the commands cuts their descriptions, which are put in whole."""
    command = [sys.executable, "-m", "typer", "spacy_bert_ner.cli", "utils", "docs"]
    options = ["--name", "spacy bert-ner", "--title", "Commands"]
    done = subprocess.run(command + options, check=True, capture_output=True, text=True)
    page = done.stdout
    for name, text in re.findall(r"^## `spacy bert-ner (.+)`\n\n((?:.+\n)+)", page, re.M):
        item = f"* [`{name}`](#spacy-bert-ner-{name}): {' '.join(text.split())}"
        page = re.sub(rf"^\* `{name}`: .*$", lambda _, item=item: item, page, flags=re.M)
    return page


def make_names():
    """RETURNS (str): A page of all names that a config can use, each with its docstring."""
    table = ConfigParser()
    table.optionxform = str
    table.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = ["# Registered names", "", "Every name that a config can use.", ""]
    for group, title in TITLES.items():
        lines += [f"## {title}", ""]
        for entry in table["options.entry_points"][group].strip().splitlines():
            name, place = entry.split(" = ")
            lines += [f"### `{name}`", "", f"::: {place.replace(':', '.')}"]
            lines += ["    options:", "      show_root_heading: false"]
            lines += ["      show_root_toc_entry: false", "      members: false", ""]
    return "\n".join(lines)
