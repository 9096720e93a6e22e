"""How fast are long documents read, beside the encoder's raw forward and other systems?

    python benchmarks/long_documents.py [--docs 8] [--sentences 100] [--repeats 3] [--quick]
        [--corpus assets/wnut17/test.conll]

Writes results/long_documents_DOCS.md, .json and .png, with the name of the corpus before the
number, if there is one: a file to draw sentences from. --quick leaves out the slowest system.
"""

import argparse
from pathlib import Path

from systems import make_texts
from throughput import SLOW, compare


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--docs", type=int, default=8)
    parser.add_argument("--sentences", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--corpus", type=Path)
    args = parser.parse_args()
    corpus = "" if args.corpus is None else f"{args.corpus.parent.name}_"
    compare(
        f"long_documents_{corpus}{args.docs}",
        f"Documents of {args.sentences} sentences",
        make_texts(args.docs, args.sentences, path=args.corpus),
        repeats=args.repeats,
        batch_size=64,
        without=(SLOW,) if args.quick else (),
    )


if __name__ == "__main__":
    main()
