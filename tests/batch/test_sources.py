import os
from pathlib import Path

import pytest

from autocrop.batch.sources import Sources, read_list
from autocrop.errors import AutocropError


@pytest.fixture
def tree(tmp_path):
    """A folder as people have it: photos, subfolders, and much that is no photo."""
    for name in (
        "b.jpg",
        "a.PNG",
        "notes.txt",
        ".hidden.jpg",
        "sub/c.heic",
        "sub/deep/d.webp",
        ".git/e.jpg",
        "out/x.jpg",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def names(sources, *paths):
    return [source.path.name for source in sources.find(paths)]


def test_a_folder_is_its_own_photos(tree):
    """Without -r the subfolders are left out, and counted like all else that is."""
    sources = Sources()
    assert names(sources, tree) == ["a.PNG", "b.jpg"]
    assert sources.describe_left_out() == "2 × hidden, 1 × no photo, 2 × subfolder (-r includes it)"


def test_what_is_carried_along_is_not_left_out(tree):
    """Captions that --carry copies belong to their photos."""
    (tree / "b.caption").touch()
    sources = Sources(carried=[".caption"])
    assert names(sources, tree) == ["a.PNG", "b.jpg"]
    assert "1 × no photo" in sources.describe_left_out()


def test_recursion_mirrors_the_tree(tree):
    """Each photo knows its place below the folder; the output folder in it is not entered."""
    found = list(Sources(recursive=True, output=tree / "out").find([tree]))
    assert [(source.folder.as_posix(), source.path.name) for source in found] == [
        (".", "a.PNG"),
        (".", "b.jpg"),
        ("sub", "c.heic"),
        ("sub/deep", "d.webp"),
    ]


def test_several_folders_keep_their_names(tree):
    """Their photos would mix otherwise."""
    found = Sources().find([tree / "sub", tree / "out"])
    assert [source.folder.as_posix() for source in found] == ["sub", "out"]


@pytest.mark.skipif(os.name == "nt", reason="links need privileges there")
def test_links_that_lead_back_end(tree):
    """A link to the folder itself does not go round for ever."""
    (tree / "sub" / "loop").symlink_to(tree)
    (tree / "nowhere").symlink_to("nowhere")
    assert names(Sources(recursive=True), tree) == ["a.PNG", "b.jpg", "x.jpg", "c.heic", "d.webp"]


def test_globs_that_no_shell_expanded(tree, monkeypatch):
    """Photos only, by name; ** crosses folders; a name with brackets is a name where such a file exists."""
    monkeypatch.chdir(tree)
    assert names(Sources(), Path("*")) == ["a.PNG", "b.jpg"]
    assert names(Sources(), Path("**/*.webp")) == ["d.webp"]
    (tree / "b[1].jpg").touch()
    assert names(Sources(), Path("b[1].jpg")) == ["b[1].jpg"]
    assert names(Sources(), Path("*.none")) == ["*.none"]


def test_lists_of_files():
    """One a line, with either kind of line ending, or each ended by a NUL."""
    assert read_list(b"a.jpg\r\n\nb c.jpg\n") == [Path("a.jpg"), Path("b c.jpg")]
    assert read_list(b"a\nb.jpg\0c.jpg\0") == [Path("a\nb.jpg"), Path("c.jpg")]
    with pytest.raises(AutocropError, match="empty"):
        read_list(b"\n")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_lists_that_windows_writes(encoding):
    """A byte order mark is no part of a name."""
    assert read_list("é.jpg\r\nb c.jpg\r\n".encode(encoding)) == [Path("é.jpg"), Path("b c.jpg")]
