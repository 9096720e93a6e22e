"""What the benchmarks share: systems in turn, medians and ratios, and three kinds of output."""

import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path

import numpy

RESULTS = Path(__file__).parent / "results"


def measure(systems, repeats, clock=time.perf_counter):
    """Run systems in turn, so that what else the machine does hits all of them alike.

    systems (dict): Functions without arguments, by name. Each was run before, to warm up.
    clock (Callable): The time in seconds; `time.process_time` counts that of this process alone.
    RETURNS (dict): Seconds of each round, by name.
    """
    seconds = {name: [] for name in systems}
    for _ in range(repeats):
        for name, run in systems.items():
            start = clock()
            run()
            seconds[name].append(clock() - start)
    return seconds


def name_corpus(path):
    """RETURNS (str): What to call a file of a corpus in a title: wnut17/test.spacy."""
    path = path.resolve()
    return f"{path.parent.name}/{path.name}"


def fastest(variants):
    """Run each of several variants once, which warms up as well.

    variants (dict): Functions without arguments.
    RETURNS: The key of the fastest.
    """
    times = measure(variants, 1)
    return min(times, key=lambda key: times[key][0])


def to_rows(seconds, n_words, reference):
    """Medians, and ratios to one of the systems: the median of the ratios within a round, which
    what slows a whole round down leaves alone.

    seconds (dict): As `measure` gives them.
    n_words (int): Words that each read in a round.
    reference (str): Name of the system to compare with.
    RETURNS (list): A dict for each system.
    """
    rows = []
    for name, times in seconds.items():
        ratio = statistics.median(ref / t for ref, t in zip(seconds[reference], times))
        median = statistics.median(times)
        rows.append(
            {
                "system": name,
                "words_per_second": round(n_words / median),
                f"of_{reference.replace(' ', '_')}": round(ratio, 2),
                "median_s": round(median, 3),
                "min_s": round(min(times), 3),
                "max_s": round(max(times), 3),
            }
        )
    return rows


def fit_exponent(sizes, values):
    """RETURNS (float): The b of a power law values = a * sizes ** b, by least squares of logs."""
    return float(numpy.polyfit(numpy.log(sizes), numpy.log(values), 1)[0])


def machine():
    """RETURNS (dict): What figures depend on."""
    import torch
    import transformers

    from spacy_bert_ner.model.encoder.precision import get_cpu

    vendor, flags = get_cpu()
    return {
        "processor": vendor or platform.processor(),
        "bf16": bool({"avx512_bf16", "amx_bf16", "bf16"} & set(flags)),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def to_markdown(title, rows, notes=()):
    """RETURNS (str): A table of dicts with the same keys, with a title above and notes below."""
    keys = list(rows[0])
    lines = [f"# {title}", "", "| " + " | ".join(key.replace("_", " ") for key in keys) + " |"]
    lines.append("| " + " | ".join("---:" if i else "---" for i in range(len(keys))) + " |")
    lines += ["| " + " | ".join(_show(row.get(key)) for key in keys) + " |" for row in rows]
    return "\n".join([*lines, "", *notes, ""])


def _show(value):
    if isinstance(value, (int, float)) and abs(value) >= 100:
        return f"{value:,.0f}"
    return "" if value is None else str(value)


def report(name, title, rows, *, notes=(), plot=None, folder=RESULTS):
    """Print a table, and write it as markdown, JSON and a plot.

    name (str): Of the files.
    rows (list): Dicts with the same keys.
    notes (Iterable[str]): Lines below the table.
    plot (Optional[Callable]): Draws into the axes of matplotlib; bars of words per second, if
        None.
    """
    facts = machine()
    notes = [*notes, ", ".join(f"{key} {value}" for key, value in facts.items())]
    text = to_markdown(title, rows, notes)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.md").write_text(text, encoding="utf-8")
    data = {"title": title, "machine": facts, "rows": rows, "notes": notes}
    (folder / f"{name}.json").write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    draw(folder / f"{name}.png", title, plot or (lambda axes: plot_bars(axes, rows)))
    sys.stdout.write(text)


def draw(path, title, plot):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    axes.set_title(title)
    plot(axes)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def plot_bars(axes, rows, key="words_per_second"):
    names = [row["system"] for row in rows][::-1]
    values = [row[key] for row in rows][::-1]
    bars = axes.barh(names, values)
    axes.bar_label(bars, [_show(value) for value in values], padding=3)
    axes.set_xlabel(key.replace("_", " "))
    axes.margins(x=0.12, y=0.01)
    axes.figure.set_figheight(max(4.5, 1.0 + 0.22 * len(rows)))  # a line for each name
