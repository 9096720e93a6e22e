import pytest

from spacy_bert_ner import from_huggingface
from spacy_bert_ner.hf.labels import LabelError, name_tags, read_labels
from spacy_bert_ner.tagging.schemes import SCHEMES, TagSet

from .util import make_checkpoint


# Names of the rows, and the scheme, the labels and the row of each of our tags; "-" for none.
@pytest.mark.parametrize(
    "names,scheme,labels,rows",
    [
        # In the order of the tags, and in others
        ("O B-PER I-PER B-LOC I-LOC", "BIO", "PER LOC", "0 1 2 3 4"),
        ("B-PER B-LOC I-PER I-LOC O", "BIO", "PER LOC", "4 0 2 1 3"),
        # Without an O, and without an I that is never needed
        ("B-PER I-PER", "BIO", "PER", "- 0 1"),
        ("O B-PER I-PER B-LOC", "BIO", "PER LOC", "0 1 2 3 -"),
        ("O B-PER B-LOC", "BIO", "PER LOC", "0 1 - 2 -"),
        # IOB1: B is there only for labels that have stood next to each other
        ("O I-PER I-LOC B-LOC", "IOB1", "PER LOC", "0 1 - 2 3"),
        ("O B-MISC I-MISC I-PER I-ORG", "IOB1", "MISC PER ORG", "0 2 1 3 - 4 -"),
        # IO, with prefixes and bare
        ("O I-PER I-LOC", "IO", "PER LOC", "0 1 2"),
        ("PER LOC O", "IO", "PER LOC", "2 0 1"),
        ("o person geo-loc", "IO", "person geo-loc", "0 1 2"),
        # BILUO under all its names
        ("O B-X I-X L-X U-X", "BILUO", "X", "0 1 2 3 4"),
        ("S-X E-X I-X B-X O", "BILUO", "X", "4 3 2 1 0"),
        ("O B-X M-X E-X S-X", "BILUO", "X", "0 1 2 3 4"),
        ("O B-X M-X E-X W-X", "BILUO", "X", "0 1 2 3 4"),
        ("O B-X E-X S-X B-Y I-Y E-Y S-Y", "BILUO", "X Y", "0 1 - 2 3 4 5 6 7"),
        # Hyphens and underscores, between and inside
        ("O B-geo-loc I-geo-loc", "BIO", "geo-loc", "0 1 2"),
        ("O B_PER I_PER", "BIO", "PER", "0 1 2"),
        ("O B_WORK_OF-ART I_WORK_OF-ART", "BIO", "WORK_OF-ART", "0 1 2"),
        ("O B-B-x I-B-x", "BIO", "B-x", "0 1 2"),
        # Lower case, and letters behind the label
        ("o b-per i-per", "BIO", "per", "0 1 2"),
        ("O PER-B PER-I LOC-B LOC-I", "BIO", "PER LOC", "0 1 2 3 4"),
        ("O PER_B PER_I", "BIO", "PER", "0 1 2"),
        # Special tokens
        ("[PAD] O B-PER I-PER X [CLS] [SEP]", "BIO", "PER", "1 2 3"),
        ("O B-PER I-PER PAD", "BIO", "PER", "0 1 2"),
        ("<pad> O PER", "IO", "PER", "1 2"),
        # A label that looks like a letter
        ("O B-B I-B B-I I-I", "BIO", "B I", "0 1 2 3 4"),
    ],
)
def test_in_the_wild(names, scheme, labels, rows):
    reading = read_labels(names.split())
    assert reading.scheme == scheme
    assert reading.labels == labels.split()
    assert reading.rows == [None if row == "-" else int(row) for row in rows.split()]


@pytest.mark.parametrize(
    "names,reason",
    [
        ("LABEL_0 LABEL_1 LABEL_2", "LABEL_0 doesn't name an entity"),
        ("NOUN VERB ADJ", "none of them is O"),
        ("O B I", "'B' has no label"),
        ("O B-PER I-PER LOC", "'LOC' has no prefix, but 'B-PER' has one"),
        ("O B-PER I-PER E-PER", "all prefixes together don't form a scheme"),
        ("O S-PER", "all prefixes together don't form a scheme"),
        ("O E-MAIL PHONE", "'E-MAIL' begins with a prefix"),
        ("O B-PER I-PER b-PER", "rows 1 and 3 are both B-PER"),
        ("O o B-PER I-PER", "rows 0 and 1 are both O"),
        ("O B-PER I-LOC", "some labels have no B and some no I"),
        ("O B-O I-O", "O has a prefix"),
        ("O PER X", "'X' may be an entity or a special token"),
        ("O", "no name is that of an entity"),
        ("O [PAD]", "no name is that of an entity"),
    ],
)
def test_unclear(names, reason):
    with pytest.raises(LabelError, match=reason) as error:
        read_labels(names.split())
    assert "--labels map.json of from-hf" in str(error.value)
    assert "{'0': " in str(error.value)


@pytest.mark.parametrize(
    "names,label_map,scheme,labels,rows",
    [
        (
            "LABEL_0 LABEL_1 LABEL_2",
            {"LABEL_0": "O", "LABEL_1": "B-PER", "LABEL_2": "I-PER"},
            "BIO",
            "PER",
            [0, 1, 2],
        ),
        ("LABEL_0 LABEL_1", {"0": "PER", "1": "O"}, "IO", "PER", [1, 0]),
        ("LABEL_0 LABEL_1", {0: "PER", 1: "O"}, "IO", "PER", [1, 0]),
        ("NOUN VERB PROPN", {"NOUN": "O", "VERB": None}, "IO", "PROPN", [0, 2]),
        ("O B-PER I-PER LOC", {"LOC": None}, "BIO", "PER", [0, 1, 2]),
        ("O E-MAIL PHONE", {"E-MAIL": "EMAIL"}, "IO", "EMAIL PHONE", [0, 1, 2]),
    ],
)
def test_map(names, label_map, scheme, labels, rows):
    reading = read_labels(names.split(), label_map=label_map)
    assert (reading.scheme, reading.labels, reading.rows) == (scheme, labels.split(), rows)


@pytest.mark.parametrize(
    "label_map,message",
    [
        ({"LABEL_7": "O"}, r"has \['LABEL_7'\], which the checkpoint doesn't have"),
        ({7: "O", "LABEL_0": "O"}, r"has \['7'\], which the checkpoint doesn't have"),
        ({"LABEL_0": 1}, "has 1 for 'LABEL_0': use a name such as B-PER"),
        ({"LABEL_0": "O"}, "LABEL_1 doesn't name an entity"),
    ],
)
def test_map_error(label_map, message):
    with pytest.raises(LabelError, match=message):
        read_labels(["LABEL_0", "LABEL_1"], label_map=label_map)


def test_scheme_of_b_and_i():
    assert read_labels(["O", "B-X", "I-X"]).scheme == "BIO"
    reading = read_labels(["O", "B-X", "I-X"], scheme="IOB1")
    assert reading == ("IOB1", ["X"], [0, 2, 1])
    with pytest.raises(LabelError, match="are tags of the scheme IO, not of BIO"):
        read_labels(["O", "I-X"], scheme="BIO")
    with pytest.raises(LabelError, match="some labels lack a tag that BIO needs"):
        read_labels(["O", "I-X", "B-Y", "I-Y"], scheme="BIO")


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_names_for_hugging_face(scheme):
    names = name_tags(TagSet(scheme, ["X", "a-b"]), scheme)
    assert names[0] == "O"
    assert {name[:2] for name in names[1:]} <= {"B-", "I-"}
    assert {name[2:] for name in names[1:]} == {"X", "a-b"}


def test_tags_without_a_row(tmp_path):
    """They are never the best, count for nothing among the others, and can be learned."""
    path = make_checkpoint(tmp_path, names=["I-PER", "B-LOC", "I-LOC", "O", "[PAD]"])
    nlp = from_huggingface(path)
    ner = nlp.get_pipe("bert_ner")
    assert ner.cfg["scheme"] == "IOB1"
    assert ner.tag_set.tags == ["O", "I-PER", "B-PER", "I-LOC", "B-LOC"]
    doc = nlp.get_pipe("transformer")(nlp.make_doc("Anna lives in Oslo ."))
    (probs,) = ner.predict([doc])
    assert probs[:, 2].max() < 1e-6
    assert probs[:, 2].min() > 0.0


def test_map_reaches_the_pipeline(tmp_path):
    path = make_checkpoint(tmp_path, names=["LABEL_0", "LABEL_1", "LABEL_2"])
    with pytest.raises(ValueError, match=r"Can't understand the labels .*LABEL_0"):
        from_huggingface(path)
    nlp = from_huggingface(path, labels={"LABEL_0": "B-X", "LABEL_1": "I-X", "LABEL_2": "O"})
    assert nlp.get_pipe("bert_ner").labels == ("X",)
    with pytest.raises(ValueError, match="give a map from them to new names, not the list"):
        from_huggingface(path, labels=["X"])
