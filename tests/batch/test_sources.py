import os
from pathlib import Path

import pytest

from autocrop.batch.sources import Sources, describe_ignored, read_list
from autocrop.errors import AutocropError


@pytest.fixture
def tree(tmp_path):
    """A folder with photos, subfolders, and files that are not photos."""
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


def test_folder_yields_its_own_photos(tree):
    """Without -r, subfolders are ignored, and counted like everything else that is ignored."""
    sources = Sources()
    assert names(sources, tree) == ["a.PNG", "b.jpg"]
    assert describe_ignored(sources.ignored) == "2 × hidden, 1 × not a photo, 2 × subfolder (-r searches it)"


def test_companions_are_not_counted_as_ignored(tree):
    """Captions that --carry copies belong to their photos."""
    (tree / "b.caption").touch()
    sources = Sources(companion_extensions=[".caption"])
    assert names(sources, tree) == ["a.PNG", "b.jpg"]
    assert "1 × not a photo" in describe_ignored(sources.ignored)


def test_recursive_search_mirrors_the_tree(tree):
    """Each photo knows its folder below the searched one; the output folder is not searched."""
    photos = list(Sources(recursive=True, output=tree / "out").find([tree]))
    assert [(source.folder.as_posix(), source.path.name) for source in photos] == [
        (".", "a.PNG"),
        (".", "b.jpg"),
        ("sub", "c.heic"),
        ("sub/deep", "d.webp"),
    ]


def test_several_folders_keep_their_names(tree):
    """The photos of several folders do not mix in the output folder."""
    photos = Sources().find([tree / "sub", tree / "out"])
    assert [source.folder.as_posix() for source in photos] == ["sub", "out"]


@pytest.mark.skipif(os.name == "nt", reason="creating symbolic links needs privileges on Windows")
def test_circular_links_end(tree):
    """A symbolic link to the searched folder does not cause an endless search."""
    (tree / "sub" / "loop").symlink_to(tree)
    (tree / "nowhere").symlink_to("nowhere")
    assert names(Sources(recursive=True), tree) == ["a.PNG", "b.jpg", "x.jpg", "c.heic", "d.webp"]


def test_globs_are_expanded(tree, monkeypatch):
    """A glob matches photos only, sorted; ** crosses folders; a file whose name has brackets is found by its name."""
    monkeypatch.chdir(tree)
    assert names(Sources(), Path("*")) == ["a.PNG", "b.jpg"]
    assert names(Sources(), Path("**/*.webp")) == ["d.webp"]
    (tree / "b[1].jpg").touch()
    assert names(Sources(), Path("b[1].jpg")) == ["b[1].jpg"]
    assert names(Sources(), Path("*.none")) == ["*.none"]


def test_list_of_files_is_parsed():
    """Paths are separated by either kind of line ending, or ended by a NUL."""
    assert read_list(b"a.jpg\r\n\nb c.jpg\n") == [Path("a.jpg"), Path("b c.jpg")]
    assert read_list(b"a\nb.jpg\0c.jpg\0") == [Path("a\nb.jpg"), Path("c.jpg")]
    with pytest.raises(AutocropError, match="empty"):
        read_list(b"\n")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_list_of_files_from_windows_is_decoded(encoding):
    """A byte order mark is not part of a name."""
    assert read_list("é.jpg\r\nb c.jpg\r\n".encode(encoding)) == [Path("é.jpg"), Path("b c.jpg")]
