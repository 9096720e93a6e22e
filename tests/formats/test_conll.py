import pytest
from spacy.tokens import Span

from spacy_bert_ner.formats import FormatError, Report, read_docs, write_docs

from .samples import CONLL_2003
from .util import NLP, ents_of, make_doc, sents_of, words_of

WNUT = "@x\tO\nEmpire\tB-location\nState\tI-location\n\t \nESB\tB-location\n\t \n\t \nok\tO\n"

UNER = """
# newdoc id = a1
# sent_id = a1-1
# text = Anna # 4 Oslo
1\tAnna\tB-PER\t-\tx
2\t#\tO\t-\tx
3\t4\tO\t-\tx
4\tOslo\tB-LOC\t-\tx

# sent_id = a1-2
# text = # 4
1\t#\tO\t-\tx
2\t4\tB-MISC\t-\tx

# newdoc id = a2
# sent_id = a2-1
# text = Bo
1\tBo\tB-PER\t-\tx
"""


def read(tmp_path, text):
    path = tmp_path / "corpus.iob2"
    path.write_text(text, encoding="utf-8")
    return list(read_docs(path, NLP))


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_conll_2003(tmp_path, newline):
    path = tmp_path / "eng.train"
    path.write_bytes(CONLL_2003.lstrip().replace("\n", newline).encode("utf-8"))
    first, second = read_docs(path, NLP, "conll")
    assert words_of(first) == ["EU", "rejects", "German", "call", "Peter", "Blackburn"]
    assert sents_of(first) == [4, 2]
    assert ents_of(first) == [("EU", "ORG"), ("German", "MISC"), ("Peter Blackburn", "PER")]
    assert ents_of(second) == [("BRUSSELS", "LOC")]
    assert first.has_annotation("SENT_START")


def test_wnut(tmp_path):
    """Sentences are documents; lines between them hold a tab and a space."""
    docs = read(tmp_path, WNUT)
    assert [words_of(doc) for doc in docs] == [["@x", "Empire", "State"], ["ESB"], ["ok"]]
    assert [ents_of(doc) for doc in docs] == [
        [("Empire State", "location")],
        [("ESB", "location")],
        [],
    ]
    assert not docs[0].has_annotation("SENT_START")
    assert docs[2].has_annotation("ENT_IOB")


def test_universal_ner(tmp_path):
    first, second = read(tmp_path, UNER.lstrip())
    assert words_of(first) == ["Anna", "#", "4", "Oslo", "#", "4"]
    assert sents_of(first) == [4, 2]
    assert ents_of(first) == [("Anna", "PER"), ("Oslo", "LOC"), ("4", "MISC")]
    assert ents_of(second) == [("Bo", "PER")]


def test_universal_ner_without_documents(tmp_path):
    """Comments, but no `# newdoc`: every sentence is a document."""
    lines = [line for line in UNER.lstrip().split("\n") if not line.startswith("# newdoc")]
    docs = read(tmp_path, "\n".join(lines))
    assert [len(doc) for doc in docs] == [4, 2, 1]
    assert not docs[0].has_annotation("SENT_START")


GERMEVAL = """
#\thttp://de.wikipedia.org/wiki/Manfred_Korfmann [2009-10-17]
1\tAufgrund\tO\tO
2\tTübinger\tB-LOCderiv\tB-ORG
3\t#\tO\tO

#\tn-tv.de vom 26.02.2005 [2005-02-26]
1\t#\tO\tO
2\tOslo\tB-LOC\tO
"""


def test_germeval(tmp_path):
    """Where a sentence is from is no word. Of its two tags, the outer one is read."""
    first, second = read(tmp_path, GERMEVAL.lstrip())
    assert words_of(first) == ["Aufgrund", "Tübinger", "#"]
    assert ents_of(first) == [("Tübinger", "LOCderiv")]
    assert words_of(second) == ["#", "Oslo"]


@pytest.mark.parametrize("word", ["\u3000", "\u00a0", "\u2003", "\u00a0\u00a0"])
@pytest.mark.parametrize("separator", ["\t", " "])
def test_words_of_white_space(tmp_path, word, separator):
    """Corpora of Chinese and Japanese have them; they are written as they were read."""
    text = f"a{separator}O\n{word}{separator}O\nb{separator}B-X\n"
    (doc,) = read(tmp_path, text)
    assert words_of(doc) == ["a", word, "b"]
    written, report = write(tmp_path, [doc])
    assert f"\n{word}\tO\n" in written
    assert not report.findings


@pytest.mark.parametrize("separator", ["\t", " "])
def test_words_that_look_like_comments_or_numbers(tmp_path, separator):
    rows = [("#", "O"), ("4", "B-MISC"), ("1", "I-MISC"), ("#", "B-MISC"), ("#newdoc", "O")]
    text = "\n".join(separator.join(row) for row in rows)
    (doc,) = read(tmp_path, text + "\n")
    assert words_of(doc) == ["#", "4", "1", "#", "#newdoc"]
    assert ents_of(doc) == [("4 1", "MISC"), ("#", "MISC")]


NUMBERED = """
1\tWhat\tO\t-\t-
2-3\tdu\t_\t_\t_
2\tde\tO\t-\t-
3\tle\tB-LOC\t-\t-
3.1\tnothing\t_\t_\t_

1\tOslo\tB-LOC\t-\t-
"""


@pytest.mark.parametrize("start", ["", "# global.columns = ID FORM NER\n", "# a comment\n"])
def test_numbers_without_comments(tmp_path, start):
    """Ranges of words and empty nodes, as CoNLL-U has them, are no words."""
    first, second = read(tmp_path, start + NUMBERED.lstrip())
    assert words_of(first) == ["What", "de", "le"]
    assert ents_of(first) == [("le", "LOC")]
    assert ents_of(second) == [("Oslo", "LOC")]


def test_each_sentence_tells_whether_it_is_numbered(tmp_path):
    """A 1 alone is a word where the sentence before is not numbered, and so are 1 and 2 with spaces
    behind them."""
    text = "a X O\n1 X B-X O\n\n1 X B-X O\n\n1 X O\n2 X O\n\n2-3 X O\n\n" + NUMBERED.lstrip()
    assert [words_of(doc) for doc in read(tmp_path, text)] == [
        ["a", "1"],
        ["1"],
        ["1", "2"],
        ["2-3"],
        ["What", "de", "le"],
        ["Oslo"],
    ]


@pytest.mark.parametrize(
    "text,words",
    [
        ("# id = 5\nthe\tO\nend\tO\n", ["the", "end"]),
        ("# id 6c4d-2 domain=en\nthe _ _ O\n# _ _ B-X\n", ["the", "#"]),
        ("# id = 5\n# more\n#\tO\n", ["#"]),
        ("# _ _ O\nx _ _ O\n", ["#", "x"]),
    ],
)
def test_comments(tmp_path, text, words):
    (doc,) = read(tmp_path, text)
    assert words_of(doc) == words


@pytest.mark.parametrize(
    "tags,expected",
    [
        # IOB1: B only between entities of one label
        ("I-X I-X O I-Y", [("X", 0, 2), ("Y", 3, 4)]),
        ("I-X B-X I-X", [("X", 0, 1), ("X", 1, 3)]),
        ("I-X I-Y", [("X", 0, 1), ("Y", 1, 2)]),
        # IOB2
        ("B-X I-X B-X O B-Y", [("X", 0, 2), ("X", 2, 3), ("Y", 4, 5)]),
        ("B-X I-Y", [("X", 0, 1), ("Y", 1, 2)]),
        # BILUO
        ("U-X U-X B-X L-X O B-Y I-Y L-Y", [("X", 0, 1), ("X", 1, 2), ("X", 2, 4), ("Y", 5, 8)]),
        # IOBES
        ("S-X S-X B-X E-X O B-Y I-Y E-Y", [("X", 0, 1), ("X", 1, 2), ("X", 2, 4), ("Y", 5, 8)]),
        ("B-X E-X I-X", [("X", 0, 2), ("X", 2, 3)]),
        # Missing tags
        ("B-X - I-X", [("X", 0, 1), ("X", 2, 3)]),
        ("- - O", []),
        # Labels with hyphens, and named like tags
        ("B-geo-loc I-geo-loc B-loc", [("geo-loc", 0, 2), ("loc", 2, 3)]),
        ("B-O I-O O B-O-x", [("O", 0, 2), ("O-x", 3, 4)]),
        ("B-- I--", [("-", 0, 2)]),
    ],
)
def test_schemes(tmp_path, tags, expected):
    tags = tags.split()
    (doc,) = read(tmp_path, "".join(f"w{i}\t{tag}\n" for i, tag in enumerate(tags)))
    assert [(ent.label_, ent.start, ent.end) for ent in doc.ents] == expected
    assert [token.ent_iob == 0 for token in doc] == [tag == "-" for tag in tags]


@pytest.mark.parametrize("tag", ["I-X", "B-X", "L-X"])
def test_entities_end_with_the_sentence(tmp_path, tag):
    (doc,) = read(tmp_path, f"-DOCSTART- O\n\na B-X\n\nb {tag}\n")
    assert [(ent.start, ent.end) for ent in doc.ents] == [(0, 1), (1, 2)]


@pytest.mark.parametrize(
    "text,expected",
    [
        ("", []),
        ("\n\n \t \n", []),
        ("-DOCSTART- O\n\n-DOCSTART- O\n", []),
        ("a O", [["a"]]),
        ("\n\na O\n\n\n\nb O\n\n", [["a"], ["b"]]),
        ("-DOCSTART- O\na O\n\n\nb O", [["a", "b"]]),
        ("a O\n-DOCSTART- O\nb O\n", [["a"], ["b"]]),
        ("a b\tO\n", [["a b"]]),
        ("a\u00a0b  X O\nc\u3000d O\n", [["a\u00a0b", "c\u3000d"]]),
        ("a\u2028b\x85c\tO\n", [["a\u2028b\x85c"]]),
        ("\U0001f600\tO\n", [["\U0001f600"]]),
    ],
)
def test_layouts(tmp_path, text, expected):
    assert [words_of(doc) for doc in read(tmp_path, text)] == expected


def test_byte_order_mark(tmp_path):
    """Editors on Windows write one; it is no part of the first word, or of `-DOCSTART-`."""
    assert [words_of(doc) for doc in read(tmp_path, "\ufeffa O\n")] == [["a"]]
    (doc,) = read(tmp_path, "\ufeff-DOCSTART- O\n\na O\n\nb O\n")
    assert words_of(doc) == ["a", "b"]


@pytest.mark.parametrize(
    "text,number,line",
    [
        ("a O\nb\n", 2, "'b'"),
        ("a O\n\nb\tPER\n", 3, "PER"),
        ("a B-\n", 1, "'a B-'"),
        ("a X-PER\n", 1, "X-PER"),
        ("a o\n", 1, "'a o'"),
        ("a O-PER\n", 1, "O-PER"),
        ("a\t\n", 1, r"'a\\t': its last column, for the tag, is empty"),
        ("a\tO\t\n", 1, r"'a\\tO\\t': its last column.*Remove tabs at the ends of lines"),
        ("a O\nb PER\n", 2, "'b PER': the label 'PER' has no prefix: write B-PER"),
        ("a B-first name\n", 1, "'a B-first name': a label has a space. Separate columns by tabs"),
        ("#\tO\t\n", 1, "last column"),
        ("O\n", 1, "'O'"),
        ("a O\n# b\n", 2, "'# b'"),
        ("\tO\n", 1, r"'\\tO': its word is empty"),
        (" \tO\n", 1, r"' \\tO': its word is empty"),
        ("-DOCSTART- O\n\na O\nb c\n", 4, "'b c'"),
        ("# sent_id = x\n1\tAnna\tB-PER\n2\tx\n", 3, "x"),
    ],
)
def test_bad_line(tmp_path, text, number, line):
    with pytest.raises(ValueError, match=rf"Can't read line {number} of .*corpus.iob2.*{line}"):
        read(tmp_path, text)


def write(tmp_path, docs, name="conll"):
    path, report = tmp_path / "written", Report()
    write_docs(path, docs, name, report)
    return path.read_text(encoding="utf-8"), report


@pytest.mark.parametrize(
    "name,tags",
    [
        ("conll", "B-X I-X I-X B-X B-Y O B-a-b I-a-b - O"),
        ("biluo", "B-X I-X L-X U-X U-Y O B-a-b L-a-b - O"),
    ],
)
def test_written_tags(tmp_path, name, tags):
    words = [f"w{i}" for i in range(10)]
    doc = make_doc(words, ["B-X", "I-X", "I-X", "B-X", "B-Y", "O", "B-a-b", "I-a-b", "-", "O"])
    text, report = write(tmp_path, [doc], name)
    lines = "".join(f"{word}\t{tag}\n" for word, tag in zip(words, tags.split()))
    assert text == "-DOCSTART-\tO\n\n" + lines + "\n"
    assert not report.findings


def test_written_sentences_and_documents(tmp_path):
    first = make_doc(["a", "b", "c"], ["O", "B-X", "O"], sent_starts=[True, False, True])
    text, _ = write(tmp_path, [first, make_doc(["d"], ["O"])])
    assert text == "-DOCSTART-\tO\n\na\tO\nb\tB-X\n\nc\tO\n\n-DOCSTART-\tO\n\nd\tO\n\n"
    docs = list(read_docs(tmp_path / "written", NLP, "conll"))
    assert [sents_of(doc) for doc in docs] == [[2, 1], [1]]


def test_sentence_starts_within_entities_are_left_out(tmp_path):
    """A blank line would make two entities of one."""
    tags = ["B-X", "I-X", "B-X", "B-X"]
    starts = [True, True, False, True]
    text, report = write(tmp_path, [make_doc(["St.", "Ives", "b", "c"], tags, sent_starts=starts)])
    assert text == "-DOCSTART-\tO\n\nSt.\tB-X\nIves\tI-X\nb\tB-X\n\nc\tB-X\n\n"
    assert "1 sentence starts are within entities" in report.message()
    assert "'Ives' in 'St. Ives'" in report.message()


def test_tokens_that_lines_cannot_have(tmp_path):
    """They are counted; what is left of an entity begins and ends where it should, and so do
    sentences that begin with such a token."""
    words = [" ", "a", "\n", "b", " ", "c\td", "# newdoc", "-DOCSTART-", "# id = x", "e"]
    tags = ["B-X", "I-X", "I-X", "I-X", "I-X", "I-X", "O", "O", "O", "B-X"]
    starts = [True, False, False, False, False, False, False, False, True, False]
    doc = make_doc(words, tags, sent_starts=starts)
    text, report = write(tmp_path, [doc, make_doc([" "], ["O"])], "biluo")
    assert text == "-DOCSTART-\tO\n\na\tB-X\nb\tL-X\n\ne\tU-X\n\n"
    left_out, empty = report.findings.values()
    assert left_out.n == 8
    assert left_out.shown[:4] == ["' '", "'\\n'", "' '", "'c\\td'"]
    assert empty.n == 1 and "no tokens to write" in empty.what


def test_label_that_lines_cannot_have(tmp_path):
    doc = make_doc(["a"], ["O"])
    doc.ents = [Span(doc, 0, 1, label="A\tB")]
    with pytest.raises(FormatError, match=r"Can't write the label 'A\\tB'.*Rename it"):
        write(tmp_path, [doc])
    assert list(tmp_path.iterdir()) == []


def test_incorrect_spans_are_counted(tmp_path):
    doc = make_doc(["a"], ["-"])
    doc.spans["incorrect_spans"] = [Span(doc, 0, 1, label="X")]
    text, report = write(tmp_path, [doc])
    assert "a\t-\n" in text
    assert "1 spans are known to be wrong" in report.message()
