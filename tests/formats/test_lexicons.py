import gzip
import string
import struct

import pytest

from spacy_bert_ner.errors import UserError
from spacy_bert_ner.formats import Report, lexicons
from spacy_bert_ner.formats.lexicons import read_lexicon

DIGITS = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
# As FreeDict writes Danish-English: headword, pronunciation and part of speech, translations.
ENTRIES = {
    "00databaseshort": "Danish-English FreeDict Dictionary\n",
    "abe": "abe /ˈabə/ <n>\nape, monkey\n",
    "abbed": "abbed /ˈabʔeð/ <n>\nabbot [forstander for et (større) kloster]\n",
    "bank": "bank /bˈaŋk/ <n>\n [penge] bank\n",
    "lave": "lave\n1. make, do\n2. cook (food); prepare\n",
    "gøre": "gøre <v>\ndo\n see: {lave}\n      \"do it\"  - gør det\n",
    "rigtig": "rigtig\n<adj> proper, right\n",
    "ret": "ret\nright\n",
    "siden": "siden\n... ago\n",
    "god dag": "god dag\nhello\n",
    "velhavende": "velhavende\nwell off\n",
}  # fmt: skip


def to_base64(number):
    digits = DIGITS[number % 64]
    return to_base64(number // 64) + digits if number >= 64 else digits


def save_dictd(path, entries=ENTRIES, pack=gzip.compress):
    """A dictionary of dictd and its index."""
    text, lines = b"", []
    for word, entry in entries.items():
        data = entry.encode("utf-8")
        lines.append(f"{word}\t{to_base64(len(text))}\t{to_base64(len(data))}\n")
        text += data
    path.write_bytes(pack(text))
    index = path.with_name(path.name.split(".")[0] + ".index")
    index.write_text("".join(sorted(lines)), encoding="utf-8")
    return path


def dictzip(data):
    """As the program of that name: gzip with the places of its chunks in an extra field."""
    packed = gzip.compress(data, mtime=0)
    extra = b"RA" + struct.pack("<HHHHH", 8, 1, len(data), 1, len(packed))
    head = packed[:3] + bytes([4]) + packed[4:10]
    return head + struct.pack("<H", len(extra)) + extra + packed[10:]


def save(path, text):
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name,pack", [("a.dict.dz", dictzip), ("a.dict", lambda data: data)])
def test_dictd_forwards(tmp_path, name, pack):
    report = Report()
    lexicon = read_lexicon([save_dictd(tmp_path / name, pack=pack)], report=report)
    assert lexicon.look_up("abe") == ["ape", "monkey"]
    assert lexicon.look_up("abbed") == ["abbot"]  # notes aren't translations
    assert lexicon.look_up("bank") == ["bank"]
    assert lexicon.look_up("lave") == ["make", "do", "cook", "prepare"]
    assert lexicon.look_up("gøre") == ["do"]  # nor are references and examples
    assert lexicon.look_up("siden") == ["ago"]
    assert lexicon.look_up("00databaseshort") == []
    assert "2 records of the lexicon have no translation of one word" in report.message()
    assert "'god dag' (a.dict" in report.message()


def test_dictd_backwards(tmp_path):
    """What has a word as its main translation comes first, then the order of the index."""
    lexicon = read_lexicon([], [save_dictd(tmp_path / "a.dict.dz")])
    assert lexicon.look_up("monkey") == ["abe"]
    assert lexicon.look_up("do") == ["gøre", "lave"]
    assert lexicon.look_up("right") == ["ret", "rigtig"]
    assert lexicon.look_up("off") == lexicon.look_up("hello") == []


@pytest.mark.parametrize("separator", ["\t", " ", "  "])
def test_lines(tmp_path, separator):
    """MUSE has both tabs and spaces."""
    lines = ["the den", "the det", "of af", "", "Turkey Tyrkiet", "turkey kalkun"]
    text = "\n".join(line.replace(" ", separator) for line in lines) + "\r\n"
    lexicon = read_lexicon([save(tmp_path / "en-da.txt", "\ufeff" + text)])
    assert lexicon.look_up("the") == lexicon.look_up("THE") == ["den", "det"]
    assert lexicon.look_up("Turkey") == ["Tyrkiet"]
    assert lexicon.look_up("turkey") == ["kalkun"]
    assert lexicon.look_up("TURKEY") == ["Tyrkiet", "kalkun"]
    assert lexicon.n_words == 3
    assert read_lexicon([], [tmp_path / "en-da.txt"]).look_up("det") == ["the"]


def test_the_first_file_counts_first(tmp_path):
    first, second = save(tmp_path / "1.tsv", "a\tx\n"), save(tmp_path / "2.tsv", "y\ta\nz\tb\n")
    lexicon = read_lexicon([first], [second])
    assert lexicon.look_up("a") == ["x", "y"]
    assert lexicon.look_up("b") == ["z"]


def test_lines_that_are_no_pair_are_left_out(tmp_path):
    lines = [
        "one en",
        "alone",
        "three small words",
        "a b\tc",
        "tab\t",
        "two\tto\tand more",
        "nul\0\tx",
        "bell\tx\x07",
        "long\t" + "x" * lexicons.MOST_CHARS,
        "y" * (3 * lexicons.MOST_CHARS),
        "last\tsidst",
    ]
    report = Report()
    lexicon = read_lexicon([save(tmp_path / "a.tsv", "\n".join(lines))], report=report)
    assert lexicon.n_words == 3
    assert [lexicon.look_up(w)[0] for w in ("one", "two", "last")] == ["en", "to", "sidst"]
    assert "8 rows of the lexicon aren't one word" in report.message()
    assert "line 2 of a.tsv" in report.message()


@pytest.mark.parametrize(
    "name,data,match",
    [
        ("a.tsv", b"", "contains no word with its translation"),
        ("a.tsv", b"\n\n  \n", "contains no word with its translation"),
        ("a.tsv", "år\tår\n".encode("latin-1"), r"line 1 of .*a.tsv: .* Convert the file to UTF-8"),
        ("a.tsv", "a\tb\n".encode("utf-16"), "Convert the file to UTF-8"),
        ("a.tsv.gz", gzip.compress(b"a\tb\n", mtime=0), "a gzip file. Unpack it"),
        ("a.xlsx", b"PK\x03\x04", "an Excel, Word or ZIP file"),
        ("a.dict", b"abe\nape\n", r"without its index: there is no .*a.index"),
        ("a.dict.dz", b"abe\nape\n", "it isn't a complete .dz file"),
        (
            "a.dict.dz",
            gzip.compress(b"abe\nape\n" * 999, mtime=0)[:-20],
            "it isn't a complete .dz file",
        ),
    ],
)
def test_files_that_cannot_be_read(tmp_path, name, data, match):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(UserError, match=match):
        read_lexicon([path])


@pytest.mark.parametrize(
    "line,match",
    [
        ("abe\tA\tZZZZ", "its entry ends at byte 6657625"),
        ("abe\tA", "isn't a word, its place"),
        ("abe\tA\t%", "isn't a word, its place"),
        ("abe\tA\tAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "isn't a word, its place"),
        ("abe\tA\tC\n\udcff\tA\tC", "line 2 of .*a.index"),
        ("abe\tA\tG", "isn't UTF-8"),
        ("", "contains no word with its translation"),
    ],
)
def test_an_index_that_does_not_fit(tmp_path, line, match):
    (tmp_path / "a.dict").write_bytes("abe\nå".encode("latin-1") + b" " * 99)
    index = tmp_path / "a.index"
    index.write_text(line + "\n", encoding="utf-8", errors="surrogateescape")
    with pytest.raises(UserError, match=match):
        read_lexicon([tmp_path / "a.dict"])


def test_an_entry_as_long_as_the_file_is_left_out(tmp_path):
    """An index could name it a million times."""
    text = "a\n" + "b, " * lexicons.MOST_CHARS
    report = Report()
    path = save_dictd(tmp_path / "a.dict", {"a": text, "c": "c\nd\n"}, pack=lambda data: data)
    lexicon = read_lexicon([path], report=report)
    assert (lexicon.look_up("a"), lexicon.look_up("c")) == ([], ["d"])
    assert "1 record of the lexicon has" in report.message()


def test_what_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    path = save_dictd(tmp_path / "a.dict.dz", {"a": "a\nb\n", "c": " " * 100_000})
    assert path.stat().st_size < 1000
    assert read_lexicon([path]).look_up("a") == ["b"]
    monkeypatch.setattr(lexicons, "MOST_BYTES", 50_000)
    with pytest.raises(UserError, match="has more than 50000 bytes when unpacked"):
        read_lexicon([path])
