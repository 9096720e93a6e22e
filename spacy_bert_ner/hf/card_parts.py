"""Parts of model cards, from the meta.json of a pipeline. All texts of this file are escaped."""

from typing import Any, Dict, List, Tuple

import srsly

from ..pages.markdown import code, escape, link

METRICS = {"ents_p": "precision", "ents_r": "recall", "ents_f": "f1"}
# The hub refuses other names of licences (https://huggingface.co/docs/hub/repositories-licenses):
# of its list, those of software, texts and data.
# fmt: off
LICENCES = {
    "afl-3.0", "agpl-3.0", "apache-2.0", "artistic-2.0", "bsd-2-clause", "bsd-3-clause",
    "bsd-3-clause-clear", "bsl-1.0", "cc-by-2.0", "cc-by-3.0", "cc-by-4.0", "cc-by-nc-2.0",
    "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0",
    "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0",
    "cc0-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0", "cdla-sharing-1.0", "ecl-2.0",
    "epl-1.0", "epl-2.0", "etalab-2.0", "eupl-1.1", "gpl-2.0", "gpl-3.0", "isc", "lgpl-2.1",
    "lgpl-3.0", "lgpl-lr", "mit", "mpl-2.0", "ms-pl", "ncsa", "odbl", "odc-by", "openrail",
    "osl-3.0", "pddl", "unlicense", "zlib",
}
# fmt: on
Meta = Dict[str, Any]


def get_title(meta: Meta) -> str:
    """RETURNS (str): The name of a pipeline, with its language.

    meta (Dict[str, Any]): The meta of the pipeline.
    """
    name = str(meta.get("name") or "pipeline")
    return name if name.startswith(f"{meta['lang']}_") else f"{meta['lang']}_{name}"


def join_card(front: Dict[str, Any], sections: List[str]) -> str:
    """RETURNS (str): A model card in Markdown.

    front (Dict[str, Any]): What the Hugging Face hub reads.
    sections (List[str]): What people read, in Markdown.
    """
    return f"---\n{srsly.yaml_dumps(front).strip()}\n---\n\n" + "\n\n".join(sections) + "\n"


def make_front(meta: Meta, library: str, tags: List[str]) -> Dict[str, Any]:
    """Make the part of a card that the Hugging Face hub reads: language, licence, scores.

    meta (Dict[str, Any]): The meta of the pipeline.
    library (str): Name of the library that loads the model.
    tags (List[str]): Tags of the model.
    RETURNS (Dict[str, Any]): The front matter.
    """
    front: Dict[str, Any] = {
        "library_name": library,
        "pipeline_tag": "token-classification",
        "tags": tags,
    }
    if meta["lang"] != "xx":
        front["language"] = [meta["lang"]]
    front.update(_name_licence(meta))
    scores = _get_scores(meta)
    metrics = [
        {"type": name, "name": name, "value": float(scores[key])}
        for key, name in METRICS.items()
        if _is_score(scores.get(key))
    ]
    if metrics:
        task = {"type": "token-classification", "name": "Named entity recognition"}
        results = {"task": task, "metrics": metrics}
        front["model-index"] = [{"name": get_title(meta), "results": [results]}]
    return front


def make_scores(meta: Meta) -> str:
    """RETURNS (str): A table of precision, recall and F1, in percent, for each label; empty if they
    are unknown.

    meta (Dict[str, Any]): The meta of the pipeline.
    """
    scores = _get_scores(meta)
    rows: List[Tuple[Any, ...]] = [("all", *(scores.get(key) for key in METRICS))]
    for label, values in _as_dict(scores.get("ents_per_type")).items():
        rows.append((code(label, in_table=True), *(_as_dict(values).get(key) for key in "prf")))
    lines = [
        f"| {label} | {' | '.join(f'{100 * float(value):.1f}' for value in values)} |"
        for label, *values in rows
        if all(map(_is_score, values))
    ]
    if not lines:
        return ""
    head = ["| entities | precision | recall | F1 |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *lines])


def make_end(meta: Meta) -> List[str]:
    """RETURNS (List[str]): The last sections: data and sources, licence, author.

    meta (Dict[str, Any]): The meta of the pipeline.
    """
    author = ", ".join(escape(meta[key]) for key in ("author", "email", "url") if meta.get(key))
    return [
        *make_section("## Data and sources", _make_sources(meta)),
        *make_section("## Licence", escape(meta.get("license") or "")),
        *make_section("## Author", author),
    ]


def make_section(head: str, text: str) -> List[str]:
    """RETURNS (List[str]): A heading and its text; nothing without a text.

    head (str): The heading, in Markdown.
    text (str): The text, in Markdown.
    """
    return [head, text] if text else []


def _name_licence(meta: Meta) -> Dict[str, str]:
    licence = " ".join(str(meta.get("license") or "").split())
    name = licence.lower().removeprefix("gnu ").replace(" ", "-")
    if name in LICENCES:
        return {"license": name}
    return {"license": "other", "license_name": licence} if licence else {}


def _make_sources(meta: Meta) -> str:
    lines = []
    sources = meta.get("sources")
    for source in sources if isinstance(sources, list) else []:
        entry = source if isinstance(source, dict) else {"name": source}
        name, url = entry.get("name") or "", entry.get("url")
        text = link(name, url) if url else escape(name)
        extra = [escape(entry[key]) for key in ("author", "license") if entry.get(key)]
        lines.append(f"- {text} ({', '.join(extra)})" if extra else f"- {text}")
    return "\n".join(lines)


def _get_scores(meta: Meta) -> Dict[str, Any]:
    return _as_dict(meta.get("performance"))


def _as_dict(value: Any) -> Dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_score(value: Any) -> bool:
    return isinstance(value, (int, float)) and 0 <= value <= 1
