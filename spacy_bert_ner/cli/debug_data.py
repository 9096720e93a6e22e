from pathlib import Path
from typing import TYPE_CHECKING, Any, List, Optional, Tuple

from typer import Argument, Context, Option

from ._util import read_overrides

if TYPE_CHECKING:
    from wasabi import Printer

    from ..commands.data_report import DataReport
    from ..commands.encoder_report import EncoderReport
    from ..findings import Finding

# Maximum number of labels named in a line; the number of the others follows.
N_LABELS = 20

# fmt: off


def debug_data_cli(
    ctx: Context,  # with settings that override the config's
    config_path: Path = Argument(..., readable=False, help="The config, or - for standard input"),
    code_path: Optional[Path] = Option(None, "--code", "-c", readable=False, help="Python file with registered functions that the config uses"),
    ignore_warnings: bool = Option(False, "--ignore-warnings", "-IW", help="Show counts and errors only"),
    verbose: bool = Option(False, "--verbose", "-V", help="Also print explanations"),
    no_format: bool = Option(False, "--no-format", "-NF", help="Print without colors and symbols"),
    limit: Optional[int] = Option(None, "--limit", "-n", min=1, help="Maximum number of documents to read per split; default: all, or 10,000 if the data is streamed (max_epochs = -1)"),
    json_path: Optional[Path] = Option(None, "--json", readable=False, help="Also write all counts to this JSON file"),
) -> None:
    # fmt: on
    """
    Show what the data of a config contains, and what can't be learned or read
    from it.

    Override settings of the config as in spacy train: --paths.train
    train.spacy. Exits with code 1 if an error prevents training.
    """
    from spacy.cli._util import import_code

    from ..commands.debug_data import debug_data
    from ..terminal import SafePrinter

    msg = SafePrinter(pretty=not no_format, ignore_warnings=ignore_warnings)
    overrides = read_overrides(ctx)
    import_code(code_path)
    report = debug_data(config_path, overrides, limit=limit, json_path=json_path)
    _print_size(msg, report)
    _print_labels(msg, report, verbose=verbose)
    _print_gold(msg, report)
    _print_encoders(msg, report, verbose=verbose)
    _print_overlap(msg, report, verbose=verbose)
    _print_summary(msg)


def _print_summary(msg: "Printer") -> None:
    """Print the numbers of passed checks, warnings and errors. Exits with 1 if there is an error."""
    from wasabi import MESSAGES

    from ..findings import number

    msg.divider("Summary")
    counts = msg.counts.copy()
    n_good, n_warn, n_fail = (counts[k] for k in (MESSAGES.GOOD, MESSAGES.WARN, MESSAGES.FAIL))
    if n_good:
        msg.good(f"{number(n_good, 'check')} passed")
    if n_warn:
        msg.warn(number(n_warn, "warning"))
    if n_fail:
        msg.fail(number(n_fail, "error"), exits=1)


def _print_size(msg: "Printer", report: "DataReport") -> None:
    from ..findings import number

    msg.divider("Data")
    msg.text(f"Language: {report.lang}")
    msg.text(f"Pipeline: {', '.join(report.pipeline)}")
    header = ("", "Documents", "Tokens", "Entities", "Distinct")
    rows = [
        (name, split.n_docs, split.n_tokens, split.n_ents, split.n_distinct)
        for name, split in report.splits.items()
    ]
    msg.table(rows, header=header, divider=True, aligns=("l", "r", "r", "r", "r"))
    for name, split in report.splits.items():
        if not split.is_whole:
            msg.info(f"{name}: only the first {number(split.n_docs, 'document')} were read")
        if not split.n_docs:
            msg.fail(
                f"No documents in {name}",
                f"Check [{report.readers[name]}]: {_explain_reader(report.reader_names[name])}",
            )
        elif not split.n_ents:
            msg.fail(
                f"No entities in {name}",
                f"Check that the documents of [{report.readers[name]}] have doc.ents: there is "
                f"nothing to {'learn' if name == 'train' else 'evaluate on'}.",
            )
        if split.n_missing:
            msg.warn(
                f"{name}: {_share(split.n_missing, split.n_tokens)} tokens have no entity "
                "annotation. Nothing is learned from these tokens"
            )
            if split.unannotated.n:
                msg.warn(
                    f"{name}: {split.unannotated.line()}. If a text has no entities, give it an "
                    'empty list of spans ("spans": [] in JSON)'
                )
        elif split.n_docs:
            msg.good(f"{name}: all tokens are annotated")


def _explain_reader(name: str) -> str:
    if name == "spacy.Corpus.v1":
        return (
            f"{name} reads .spacy files only. Convert others with 'python -m spacy bert-ner "
            "convert'."
        )
    return f"its reader {name} returns no document with words."


def _print_labels(msg: "Printer", report: "DataReport", *, verbose: bool) -> None:
    train, dev = report.train.labels, report.dev.labels
    msg.divider("Labels")
    labels = sorted({*train, *dev}, key=lambda label: (-train[label], label))
    rows = [(label, train[label], dev[label]) for label in labels]
    if rows:
        msg.table(rows, header=("", "train", "dev"), divider=True, aligns=("l", "r", "r"))
    if not train:  # already reported as an error
        return
    for label in sorted(set(dev) - set(train)):
        msg.warn(f"Label '{label}' is in dev only ({dev[label]}): it can't be learned")
    for label in sorted(set(train) - set(dev)):
        msg.warn(f"Label '{label}' is in train only ({train[label]}): it isn't evaluated")
    if set(train) == set(dev):
        msg.good("Both splits have the same labels")
    if report.misspelled.n:
        msg.warn(report.misspelled.line())
    for label, n in report.rare_labels.items():
        msg.warn(f"Low number of examples for label '{label}' ({n})")
    if not report.rare_labels:
        msg.good("Good amount of examples for all labels")
    msg.text(
        "A label needs a few dozen examples to be learned, and a few hundred to be learned well. "
        "Entities with a label that is only in dev count as missed.",
        show=verbose,
    )
    for name, given in report.labels.items():
        lacking = [f"'{label}'" for label in given or [] if not train[label]]
        if lacking:
            more = f", and {len(lacking) - N_LABELS} more" if len(lacking) > N_LABELS else ""
            msg.warn(
                f"'{name}' has labels without examples: {', '.join(lacking[:N_LABELS])}{more}"
            )


def _print_gold(msg: "Printer", report: "DataReport") -> None:
    for name, split in report.splits.items():
        for finding in (*split.reading.findings.values(), split.unread):
            if finding.n:
                msg.warn(f"{name}: {finding.line()}")
    for component in report.labels:
        msg.divider(f"Entities, as '{component}' learns them")
        for name, split in report.splits.items():
            gold = split.gold[component]
            for finding in gold.findings:
                if finding.n:
                    msg.warn(f"{name}: {_line(finding, gold.n_ents)}")
            if gold.incorrect.n:
                msg.warn(f"{name}: {gold.incorrect.line()}")
            if not gold.message() and split.n_ents:
                msg.good(f"{name}: all entities fit")


def _print_encoders(msg: "Printer", report: "DataReport", *, verbose: bool) -> None:
    for component in report.train.encoders:
        encoders = {
            name: split.encoders[component]
            for name, split in report.splits.items()
            if split.n_docs
        }
        msg.divider(f"Wordpieces, as '{component}' reads them")
        first = report.train.encoders[component]
        msg.text(
            f"The encoder can read up to {first.limit} wordpieces at once. Windows of whole "
            f"sentences have up to {first.window} wordpieces."
            if first.window
            else f"The encoder can read up to {first.limit} wordpieces at once. Each sentence is a "
            "window."
        )
        msg.table(
            [row for name, encoder in encoders.items() for row in _length_rows(name, encoder)],
            header=("", "number", "min", "median", "95 %", "max"),
            divider=True,
            aligns=("l", "r", "r", "r", "r", "r"),
        )
        msg.text(
            "The counts of windows include special tokens, those of documents don't. Windows that "
            "are much longer than the others cost memory; the number of windows per document is "
            "not limited.",
            show=verbose,
        )
        for name, encoder in encoders.items():
            _print_encoder(msg, name, encoder)
        if first.has_slow_heads:
            msg.warn(
                f"The encoder's vectors are nearly parallel (mean cosine {first.similarity:.2f}), "
                "so a new head learns slowly: use spacy-bert-ner.LayeredAdam.v1 as "
                "[training.optimizer], with head_factor = 50. init-config with --encoder and "
                "--train writes this setting"
            )
    for component, architecture in report.others.items():
        msg.divider(f"Wordpieces of '{component}'")
        msg.info(
            "Windows are only counted for spacy-bert-ner.TransformerModel.v1. "
            f"[components.{component}.model] is {architecture}."
        )
    if not report.train.encoders and not report.others:
        msg.divider("Wordpieces")
        msg.info(
            "Windows aren't counted: no component uses the model "
            "spacy-bert-ner.TransformerModel.v1."
        )


def _length_rows(name: str, encoder: "EncoderReport") -> List[Tuple[Any, ...]]:
    return [
        (f"{name}: {what}", *numbers.as_dict().values())
        for what, numbers in (
            ("wordpieces per document", encoder.docs),
            ("wordpieces per window", encoder.windows),
            ("windows per document", encoder.doc_windows),
        )
    ]


def _print_encoder(msg: "Printer", name: str, encoder: "EncoderReport") -> None:
    from ..findings import number

    n_pieces = encoder.docs.total
    msg.info(f"{name}: {n_pieces / encoder.n_tokens:.2f} wordpieces per token")
    if encoder.n_unknown:
        msg.warn(
            f"{name}: {_share(encoder.n_unknown, n_pieces)} wordpieces are unknown: the encoder's "
            "vocabulary doesn't have their characters"
        )
    if encoder.n_unmarked:
        msg.warn(
            f"{name}: {number(encoder.n_unmarked, 'document')} without sentence boundaries, cut "
            "wherever a window is full: add a sentencizer before the encoder, and to [training] "
            "annotating_components"
        )
    for finding in (encoder.long_sents, encoder.no_pieces):
        if finding.n:
            msg.warn(f"{name}: {finding.line()}")
    if encoder.blank.n:
        msg.info(f"{name}: {encoder.blank.line()}")
    if not encoder.long_sents.n:
        msg.good(f"{name}: no sentence is longer than the encoder can read")
    if not encoder.no_pieces.n:
        msg.good(f"{name}: all visible tokens have wordpieces")


def _print_overlap(msg: "Printer", report: "DataReport", *, verbose: bool) -> None:
    msg.divider("Overlap")
    dev = report.dev
    for name, finding in (
        ("train", report.train.repeated),
        ("dev", dev.repeated),
        ("dev", dev.in_train),
    ):
        if finding.n:
            msg.warn(f"{name}: {_line(finding, report.splits[name].n_docs)}")
    if not dev.in_train.n and dev.n_docs and report.train.n_docs:
        msg.good("No document is in both splits")
    if dev.unseen.n:
        msg.info(f"dev: {_line(dev.unseen, dev.n_distinct)}")
    msg.text(
        "Documents in both splits make the scores too high. Entities that are only in dev show how "
        "well the pipeline generalizes: if their share is near 0 %, dev says little about new "
        "texts.",
        show=verbose and dev.n_docs > 0,
    )


def _line(finding: "Finding", total: int) -> str:
    """The line of a finding, with its share in percent."""
    return finding.line(total).replace(f"{finding.n} of {total}", _share(finding.n, total), 1)


def _share(n: int, total: int) -> str:
    return f"{n} of {total} ({100 * n / max(total, 1):.1f} %)"
