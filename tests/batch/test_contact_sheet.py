import base64
import io
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autocrop.batch.contact_sheet import ContactSheet
from autocrop.batch.options import Options
from autocrop.batch.plan import Plan
from autocrop.batch.results import Result, Status
from autocrop.batch.runner import run
from autocrop.batch.targets import Target
from autocrop.errors import AutocropError, UsageError
from autocrop.images.thumbnail import thumbnail
from autocrop.search.crop import Crop
from tests.helpers.command import autocrop
from tests.helpers.samples import SAMPLES

CROP = Crop((100, 50, 500, 350), 3.456, (4, 3), 3.1, (600, 400))


class Page(HTMLParser):
    """A sheet as a browser sees it: its articles with their tags and text."""

    def __init__(self, path):
        super().__init__()
        self.articles, self.tags = [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag == "article":
            self.articles.append({**dict(attributes), "text": "", "tags": []})
        elif self.articles:
            self.articles[-1]["tags"].append((tag, dict(attributes)))

    def handle_data(self, data):
        if self.articles:
            self.articles[-1]["text"] += data

    def find(self, tag, article=0):
        """Return the attributes of all tags of that name in an article."""
        return [attributes for name, attributes in self.articles[article]["tags"] if name == tag]


def result(path="photo.jpg", status=Status.CROPPED, crop=CROP, label="4x3", **fields):
    """Make a result like those of a batch."""
    fields.setdefault("output", Path(path).with_name(f"{Path(path).stem}_{label}.jpg"))
    return Result(Path(path), status, crop=crop, size=(400, 300), target=Target(label, (4, 3)), **fields)


def test_card_shows_a_photo_and_its_crops(tmp_path):
    """Each photo has a card with its thumbnail, a box for each crop, scores, and links."""
    with ContactSheet(tmp_path / "sheet.html") as sheet:
        sheet.add(result(tmp_path / "a.jpg", thumbnail=b"picture"))
        square = Crop((0, 0, 400, 400), 3.0, (1, 1), 3.1, (600, 400))
        sheet.add(result(tmp_path / "a.jpg", label="1x1", crop=square, notes=("a note",)))
        sheet.add(result(tmp_path / "b.jpg", status=Status.FAILED, crop=None, output=None, reason="not a photo"))
    page = Page(tmp_path / "sheet.html")
    assert [article["data-status"] for article in page.articles] == ["cropped", "failed"]
    assert page.articles[0]["data-label"] == "4x3 1x1"
    assert page.find("img")[0]["src"] == "data:image/jpeg;base64," + base64.b64encode(b"picture").decode()
    assert [box["class"] for box in page.find("i")] == ["box c0", "box c1"]
    assert page.find("i")[0]["style"] == "left:16.67%;top:12.50%;width:66.67%;height:75.00%;"
    assert [link["href"] for link in page.find("a")] == ["a_4x3.jpg", "a_1x1.jpg"]
    for text in ("a.jpg", "600 × 400", "3.46", "3.10", "a note"):
        assert text in page.articles[0]["text"]
    assert "not a photo" in page.articles[1]["text"]
    assert not page.find("img", 1)


def test_names_are_escaped(tmp_path):
    """File names and reasons are shown as text, and addresses are encoded."""
    name = '<img src=x onerror=alert(1)> "it\'s" & 100% #1?.jpg'
    path = tmp_path / "photos" / name
    with ContactSheet(tmp_path / "sheets" / "sheet.html") as sheet:
        sheet.add(result(path, reason="<script>", thumbnail=b"x"))
        sheet.add(result(tmp_path / "caf\udce9.jpg"))
    page = Page(tmp_path / "sheets" / "sheet.html")
    assert len(page.find("img")) == 1
    assert "onerror" not in page.find("img")[0]
    assert not page.find("script")
    assert name in page.articles[0]["text"]
    assert "<script>" in page.articles[0]["text"]
    assert page.articles[0]["data-src"].startswith("../photos/%3Cimg")
    assert "#" not in page.articles[0]["data-src"]
    assert page.articles[1]["data-src"] == "../caf%E9.jpg"


def test_every_prefix_is_a_valid_page(tmp_path):
    """A killed run leaves the cards of finished photos; an interrupted run also leaves that of the last photo."""
    path = tmp_path / "sheet.html"
    sheet = ContactSheet(path).__enter__()
    sheet.add(result("a.jpg"))
    sheet.add(result("b.jpg"))
    assert len(Page(path).articles) == 1
    assert '<script type="module">' in path.read_text(encoding="utf-8")  # runs after the last photo
    sheet.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert len(Page(path).articles) == 2
    assert path.read_text(encoding="utf-8").endswith("</html>\n")


def test_page_is_self_contained(tmp_path):
    """The page has no external addresses, and its security policy allows nothing else."""
    with ContactSheet(tmp_path / "sheet.html") as sheet:
        sheet.add(result())
    text = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    assert not re.search(r"https?:|//[a-z]+\.", text)
    policy = next(a["content"] for tag, a in Page(tmp_path / "sheet.html").tags if "http-equiv" in a)
    assert "default-src 'none'" in policy


def test_only_contact_sheets_are_replaced(tmp_path):
    """A previous sheet is replaced; other pages, folders, and names that do not end in .html are rejected."""
    path = tmp_path / "sheet.html"
    for _ in range(2):
        with ContactSheet(path) as sheet:
            sheet.add(result())
    assert len(Page(path).articles) == 1
    (tmp_path / "mine.html").write_text("<p>Hello")
    with pytest.raises(UsageError, match="not a contact sheet"):
        ContactSheet(tmp_path / "mine.html")
    with pytest.raises(UsageError, match=r"\.html"):
        ContactSheet(tmp_path / "sheet.jpg")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(UsageError, match="folder"):
        ContactSheet(tmp_path / "folder.html")
    (tmp_path / "file").write_text("")
    with pytest.raises(AutocropError, match="Cannot write"), ContactSheet(tmp_path / "file" / "sheet.html"):
        pass


def test_thumbnails_are_small():
    """A thumbnail has up to 400 pixels a side, about 20 KB, and the photo's aspect; a small photo is not enlarged."""
    large = np.asarray(Image.open(SAMPLES / "coffee.jpg").convert("RGB").resize((1500, 1000)))
    encoded = thumbnail(large)
    assert len(encoded) < 30_000
    assert Image.open(io.BytesIO(encoded)).size == (400, 267)
    assert Image.open(io.BytesIO(thumbnail(large[:50, :80]))).size == (80, 50)


def test_each_photo_has_one_thumbnail(engine, photo, tmp_path):
    """The first result of a photo has a thumbnail, even if it is skipped; an unreadable photo has none."""
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    options = Options([Target("1x1", (1, 1)), Target("4x3", (4, 3))], thumbnails=True)
    for status in (Status.CROPPED, Status.SKIPPED):
        results = list(run(engine, Plan.from_photos([photo, tmp_path / "bad.jpg"], options)))
        assert [result.status for result in results] == [status, status, Status.FAILED]
        assert [bool(result.thumbnail) for result in results] == [True, False, False]


def test_command_writes_a_sheet(samples, tmp_path):
    """A sheet of crop or apply has all photos; it is rejected for streams, for --watch, and over a photo."""
    for path in samples:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    names = [path.name for path in samples]
    done = autocrop(*names, "missing.jpg", "-o", "out", "--ratio", "9:16", "--contact-sheet", "s.html", cwd=tmp_path)
    assert done.returncode == 1
    page = Page(tmp_path / "s.html")
    assert len(page.articles) == len(samples) + 1
    assert page.find("a")[0]["href"] == f"out/{samples[0].stem}_9x16.jpg"
    dry = autocrop(*names, "--ratio", "1:1", "--dry-run", "--json", cwd=tmp_path)
    (tmp_path / "crops.jsonl").write_text(dry.stdout)
    applied = autocrop("apply", "crops.jsonl", "-o", "out", "--contact-sheet", "t.html", cwd=tmp_path)
    assert applied.returncode == 0, applied.stderr
    page = Page(tmp_path / "t.html")
    assert all(page.find("img", index) and page.find("i", index) for index in range(len(samples)))
    for arguments in (["-", "-o", "-"], ["--watch", "."]):
        rejected = autocrop(*arguments, "--contact-sheet", "s.html", cwd=tmp_path)
        assert rejected.returncode == 2
        assert "--contact-sheet" in rejected.stderr
    rejected = autocrop(names[0], "--contact-sheet", names[0], cwd=tmp_path)
    assert rejected.returncode == 2


def test_markup_is_well_formed(tmp_path):
    """A card can be parsed as XML, which allows no mistakes."""
    with ContactSheet(tmp_path / "sheet.html") as sheet:
        sheet.add(result("a&b.jpg", notes=("x < y", '"z"'), thumbnail=b"x"))
    text = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    card = text[text.index("<article") : text.index("</article>") + 10].replace('src="data', 'src="data')
    ET.fromstring(re.sub(r"(<img [^>]*)>", r"\1/>", card))


def run_with_sheet(engine, photos, path, **options):
    """Run a batch with a contact sheet, and return the page."""
    targets = [Target("1x1", (1, 1)), Target("4x3", (4, 3))]
    with ContactSheet(path) as sheet:
        for one in run(engine, Plan.from_photos(photos, Options(targets, thumbnails=True, **options))):
            sheet.add(one)
    return Page(path)


def crops_shown(page, article=0):
    """Return everything that a card shows about its crops, except for their status."""
    rows = [
        {key: row[key] for key in row if key.startswith("data-") and key != "data-entry"}
        for row in page.find("li", article)
    ]
    scores = re.findall(r"\d+ × \d+|score [\d.]+, whole photo [\d.]+", page.articles[article]["text"])
    return page.find("i", article), rows, scores


def test_skipped_crops_are_taken_from_the_previous_sheet(engine, photo, tmp_path):
    """The card of a skipped crop has the box, scores and notes from the run that made it."""
    path = tmp_path / "sheets" / "sheet.html"
    odd = photo.rename(tmp_path / 'it\'s <a> "photo" & more.jpg')
    first = run_with_sheet(engine, [odd], path, carry=[".txt"])
    assert "no .txt file next to the photo" in first.articles[0]["text"]
    for _ in range(2):  # a sheet passes on what it took from the previous one
        again = run_with_sheet(engine, [odd], path)
        assert again.articles[0]["data-status"] == "skipped"
        assert crops_shown(again) == crops_shown(first)
        assert len(again.find("i")) == 2
        assert "no .txt file next to the photo" in again.articles[0]["text"]
        assert "already exists" in again.articles[0]["text"]
    assert engine.encoded == 1


def test_killed_run_keeps_previous_entries(engine, photo, tmp_path):
    """If a run is killed before it reaches a photo, the next sheet still knows that photo's crops."""
    path = tmp_path / "sheet.html"
    first = run_with_sheet(engine, [photo], path)
    ContactSheet(path).__enter__()
    assert not Page(path).articles
    assert crops_shown(run_with_sheet(engine, [photo], path)) == crops_shown(first)


@pytest.mark.parametrize("changed", ["photo.jpg", "photo_1x1.jpg"])
def test_changed_files_are_forgotten(engine, photo, tmp_path, changed):
    """Nothing is taken from the previous sheet for a photo or an output that has changed since."""
    run_with_sheet(engine, [photo], tmp_path / "sheet.html")
    with (tmp_path / changed).open("ab") as file:
        file.write(b"edited")
    page = run_with_sheet(engine, [photo], tmp_path / "sheet.html")
    assert len(page.find("i")) == (0 if changed == "photo.jpg" else 1)


def test_damaged_sheet_is_replaced(engine, photo, tmp_path):
    """A sheet that was truncated or edited is replaced by a valid page with the entries that could be read."""
    path = tmp_path / "sheet.html"
    run_with_sheet(engine, [photo], path, carry=[".txt"])
    whole = path.read_text(encoding="utf-8")
    edits = [
        whole[: whole.rindex(" data-entry=") + 90],
        re.sub(r"data-entry=\"[^\"]*", 'data-entry="[[]', whole),
        re.sub(r"data-entry=\"[^\"]*", 'data-entry="{}', whole),
        whole.replace("&quot;crop&quot;: {", "&quot;crop&quot;: {&quot;x&quot;: {").replace("}}", "}}}"),
        re.sub("&quot;box&quot;: [^]]*", "&quot;box&quot;: [0, 0, 9, 99999", whole),
        re.sub(r"&quot;photo&quot;: \[[^]]*", "&quot;photo&quot;: [0, 5", whole),
        re.sub("&quot;width&quot;: [0-9]*", "&quot;width&quot;: null", whole),
        re.sub("&quot;notes&quot;: [^]]*", "&quot;notes&quot;: 5", whole),
    ]
    for text, boxes in zip(edits, (1, 0, 0, 0, 0, 0, 0, 0), strict=True):
        path.write_text(text, encoding="utf-8")
        page = run_with_sheet(engine, [photo], path)
        assert len(page.articles) == 1
        assert len(page.find("i")) == boxes, text
    path.write_bytes(whole.encode()[:5000] + b"\xff\x00" * 99)
    assert len(run_with_sheet(engine, [photo], path).articles) == 1
