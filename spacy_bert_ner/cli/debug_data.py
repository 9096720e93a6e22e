from pathlib import Path
from typing import TYPE_CHECKING, Any, List, Optional, Tuple

from typer import Argument, BadParameter, Context, Option

if TYPE_CHECKING:
    from wasabi import Printer

    from ..commands.data_report import DataReport
    from ..commands.encoder_report import EncoderReport
    from ..findings import Finding

# Labels that a line names, before it tells how many more there are.
N_LABELS = 20

# fmt: off


def debug_data_cli(
    ctx: Context,  # the settings of the config
    config_path: Path = Argument(..., readable=False, help="The config, or - for standard input"),
    code_path: Optional[Path] = Option(None, "--code", "-c", readable=False, help="Python file with functions that the config names"),
    ignore_warnings: bool = Option(False, "--ignore-warnings", "-IW", help="Show counts and errors only"),
    verbose: bool = Option(False, "--verbose", "-V", help="Explain, and show what to do"),
    no_format: bool = Option(False, "--no-format", "-NF", help="Print without colors and signs"),
    limit: Optional[int] = Option(None, "--limit", "-n", min=1, help="Most documents to read of a split. Else all, but 10,000 of a stream (max_epochs = -1)"),
    json_path: Optional[Path] = Option(None, "--json", readable=False, help="File to write all counts to"),
) -> None:
    # fmt: on
    """
    Show what the data of a config holds, and what of it can't be learned or read as it is.

    Settings of the config are given as for spacy train: --paths.train train.spacy. Ends with 1 if
    there is an error that keeps the pipeline from learning.
    """
    from click import NoSuchOption
    from spacy.cli._util import import_code, parse_config_overrides

    from ..commands.debug_data import debug_data
    from ..terminal import SafePrinter

    msg = SafePrinter(pretty=not no_format, ignore_warnings=ignore_warnings)
    try:
        overrides = parse_config_overrides(ctx.args)
    except NoSuchOption as error:  # not of the click that typer has of its own
        raise BadParameter(str(error)) from error
    import_code(code_path)
    report = debug_data(config_path, overrides, limit=limit, json_path=json_path)
    _print_size(msg, report)
    _print_labels(msg, report, verbose=verbose)
    _print_gold(msg, report)
    _print_encoders(msg, report, verbose=verbose)
    _print_overlap(msg, report, verbose=verbose)
    _print_summary(msg)


def _print_summary(msg: "Printer") -> None:
    """The checks by what they have found. Ends with 1 if there is an error."""
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
                f"{name}: {_share(split.n_missing, split.n_tokens)} tokens have no annotation of "
                f"entities, {number(split.n_unannotated, 'document')} without any: nothing is "
                "learned from them"
            )
        elif split.n_docs:
            msg.good(f"{name}: all tokens are annotated")


def _explain_reader(name: str) -> str:
    if name == "spacy.Corpus.v1":
        return (
            f"{name} reads .spacy files only. Convert others with 'python -m spacy bert-ner "
            "convert'."
        )
    return f"its reader {name} gives no document with words."


def _print_labels(msg: "Printer", report: "DataReport", *, verbose: bool) -> None:
    train, dev = report.train.labels, report.dev.labels
    msg.divider("Labels")
    labels = sorted({*train, *dev}, key=lambda label: (-train[label], label))
    rows = [(label, train[label], dev[label]) for label in labels]
    if rows:
        msg.table(rows, header=("", "train", "dev"), divider=True, aligns=("l", "r", "r"))
    if not train:  # an error that was reported
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
        "A label takes some dozens of examples to be learned, and a few hundreds to be learned "
        "well. One that is in dev only counts as missed there.",
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
            f"The encoder reads up to {first.limit} wordpieces at once, and windows of whole "
            f"sentences of up to {first.window}."
            if first.window
            else f"The encoder reads up to {first.limit} wordpieces at once, a sentence each."
        )
        msg.table(
            [row for name, encoder in encoders.items() for row in _length_rows(name, encoder)],
            header=("", "number", "min", "median", "95 %", "max"),
            divider=True,
            aligns=("l", "r", "r", "r", "r", "r"),
        )
        msg.text(
            "Windows are counted with their special tokens, documents without. Much longer windows "
            "cost memory; documents of many windows are read as well as short ones.",
            show=verbose,
        )
        for name, encoder in encoders.items():
            _print_encoder(msg, name, encoder)
        if first.has_slow_heads:
            msg.warn(
                f"The encoder's vectors all point one way (mean cosine {first.similarity:.2f}), "
                "from which a new head learns slowly: use spacy-bert-ner.LayeredAdam.v1 as "
                "[training.optimizer], with head_factor = 50. init-config with --encoder and "
                "--train writes that"
            )
    for component, architecture in report.others.items():
        msg.divider(f"Wordpieces of '{component}'")
        msg.info(
            "Windows aren't counted, but for spacy-bert-ner.TransformerModel.v1. "
            f"[components.{component}.model] is {architecture}."
        )
    if not report.train.encoders and not report.others:
        msg.divider("Wordpieces")
        msg.info(
            "Windows aren't counted: no component has a model "
            "spacy-bert-ner.TransformerModel.v1."
        )


def _length_rows(name: str, encoder: "EncoderReport") -> List[Tuple[Any, ...]]:
    return [
        (f"{name}: {what}", *numbers.as_dict().values())
        for what, numbers in (
            ("wordpieces a document", encoder.docs),
            ("wordpieces a window", encoder.windows),
            ("windows a document", encoder.doc_windows),
        )
    ]


def _print_encoder(msg: "Printer", name: str, encoder: "EncoderReport") -> None:
    from ..findings import number

    n_pieces = encoder.docs.total
    msg.info(f"{name}: {n_pieces / encoder.n_tokens:.2f} wordpieces a token")
    if encoder.n_unknown:
        msg.warn(
            f"{name}: {_share(encoder.n_unknown, n_pieces)} wordpieces are unknown: the encoder's "
            "vocabulary doesn't have their characters"
        )
    if encoder.n_unmarked:
        msg.warn(
            f"{name}: {number(encoder.n_unmarked, 'document')} without sentence marks, cut "
            "wherever a window is full: put a sentencizer before the encoder, and into [training] "
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
        "Documents in both splits make the scores better than they are. Entities that only dev has "
        "show what is learned beyond the names themselves: near 0 %, dev says little of new texts.",
        show=verbose and dev.n_docs > 0,
    )


def _line(finding: "Finding", total: int) -> str:
    """The line of a finding, with its share."""
    return finding.line(total).replace(f"{finding.n} of {total}", _share(finding.n, total), 1)


def _share(n: int, total: int) -> str:
    return f"{n} of {total} ({100 * n / max(total, 1):.1f} %)"
