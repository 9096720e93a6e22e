import errno
import os
import resource
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from spacy_bert_ner.formats import FormatError
from spacy_bert_ner.formats.output import check_target, open_locked, replace_file

UNLIMITED = resource.getrlimit(resource.RLIMIT_FSIZE)


@contextmanager
def small_files():
    """No file may get larger than this: writing fails as on a full disk. Not a fixture, since
    pytest's own output, which may go to a file, would be limited with it."""
    # Python leaves the signal for it to itself, and raises an error.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, UNLIMITED[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, UNLIMITED)


def names_of(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("size", [10, 100_000])  # in the buffer until it is closed, and not
def test_full_disk(tmp_path, size):
    """The device has no space left, whenever that is found out."""
    path = tmp_path / "full"
    path.symlink_to("/dev/full")
    match = "full: No space left on device. Free some space"
    with pytest.raises(FormatError, match=match), replace_file(path) as file:
        file.write(b"x" * size)


def test_file_that_grows_too_large(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"before")
    match = r"Can't write .*\.a\.new: File too large. Raise the limit"
    with small_files(), pytest.raises(FormatError, match=match), replace_file(path) as file:
        file.write(b"x" * 100_000)
    assert names_of(tmp_path) == ["a"] and path.read_bytes() == b"before"


def test_the_first_error_is_shown(tmp_path):
    """And not the one of closing what doesn't fit."""
    error = pytest.raises(KeyError, match="mine")
    with small_files(), error, replace_file(tmp_path / "a") as file:
        file.write(b"x" * 2000)
        raise KeyError("mine")
    assert names_of(tmp_path) == []


def test_what_a_killed_process_left(tmp_path):
    """It is overwritten, so that it isn't there for ever."""
    (tmp_path / ".a.new").write_bytes(b"half of what was written before")
    with replace_file(tmp_path / "a") as file:
        file.write(b"whole")
    assert names_of(tmp_path) == ["a"] and (tmp_path / "a").read_bytes() == b"whole"


def test_two_writers(tmp_path):
    with replace_file(tmp_path / "a") as file:
        file.write(b"first")
        busy = pytest.raises(FormatError, match="another process is writing it. Wait until it ends")
        with busy, replace_file(tmp_path / "a"):
            pass
    assert names_of(tmp_path) == ["a"] and (tmp_path / "a").read_bytes() == b"first"


def test_links_next_to_the_output_are_not_followed(tmp_path):
    """Somebody else may have put them there."""
    (tmp_path / "other").write_bytes(b"other")
    (tmp_path / ".a.new").symlink_to(tmp_path / "other")
    match = r"\.a\.new: Too many levels of symbolic links"
    with pytest.raises(FormatError, match=match), replace_file(tmp_path / "a"):
        pass
    assert (tmp_path / "other").read_bytes() == b"other"


def test_file_system_without_locks(tmp_path, monkeypatch):
    def flock(*args):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    open_locked(tmp_path / "a").close()


def test_reader_that_is_gone(tmp_path):
    """Commands end quietly then, as others do: it is no error of the file."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    thread = threading.Thread(target=lambda: path.open("rb").close())
    thread.start()
    with pytest.raises(BrokenPipeError), replace_file(path) as file:
        thread.join()
        file.write(b"x" * 100_000)


@pytest.mark.parametrize("way", ["name", "dot", "link", "hard link", ".part", ".journal", "target"])
def test_output_that_is_the_input(tmp_path, way):
    source = tmp_path / "a.jsonl"
    source.write_bytes(b"mine")
    target = tmp_path / "b.jsonl"
    if way == "name":
        target = source
    elif way == "dot":
        target = tmp_path / "." / ".." / tmp_path.name / "a.jsonl"
    elif way == "link":
        target.symlink_to(source)
    elif way == "hard link":
        target.hardlink_to(source)
    elif way == "target":  # the input is the link
        link, target = target, source
        link.symlink_to(source)
        source = link
    else:
        source = source.rename(f"{target}{way}")
    with pytest.raises(FormatError, match="that is the input. Choose another output"):
        check_target(target, [source])
    check_target(tmp_path / "c.jsonl", [source])


def test_a_text_of_a_folder_is_an_input(tmp_path):
    folder = tmp_path / "texts"
    (folder / "more").mkdir(parents=True)
    for name in ("more/a.TXT", "old.spacy"):
        (folder / name).write_bytes(b"x")
    (tmp_path / "link").symlink_to(folder / "more" / "a.TXT")
    for target in (folder / "more" / "a.TXT", tmp_path / "link"):
        with pytest.raises(FormatError, match="that is the input. Choose another output"):
            check_target(target, [folder])
    for name in ("old.spacy", "new.txt"):
        check_target(folder / name, [folder])


def test_a_terminal_may_be_both():
    check_target(Path("/dev/null"), [Path("/dev/null")])


@pytest.mark.parametrize("name", ["made/there/a", "a", "/dev/stdout", "/dev/null"])
def test_targets(tmp_path, name):
    """Nothing is made."""
    check_target(tmp_path / name, [tmp_path / "none"])
    assert names_of(tmp_path) == []


def test_wrong_targets(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FormatError, match="file is a file, not a folder"):
        check_target(tmp_path / "file" / "made" / "a")
    with pytest.raises(FormatError, match="it is a folder. Name a file"):
        check_target(tmp_path)
    # As for those who aren't root.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(FormatError, match="Permission denied. Name an output in a folder that you"):
        check_target(tmp_path / "made" / "a")
    with pytest.raises(FormatError, match="/dev/null: Permission denied"):
        check_target(tmp_path / "/dev/null")


def test_name_that_is_too_long(tmp_path):
    match = "File name too long. Use a shorter name"
    with pytest.raises(FormatError, match=match), replace_file(tmp_path / ("a" * 254)):
        pass
