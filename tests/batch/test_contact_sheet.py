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
    """What a browser would make of a sheet: its articles, with what is in them."""

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

    def found(self, tag, article=0):
        """Attributes of all tags of a kind in an article."""
        return [attributes for name, attributes in self.articles[article]["tags"] if name == tag]


def result(path="photo.jpg", status=Status.CROPPED, crop=CROP, label="4x3", **fields):
    """A result as the batch yields it."""
    fields.setdefault("output", Path(path).with_name(f"{Path(path).stem}_{label}.jpg"))
    return Result(Path(path), status, crop=crop, size=(400, 300), target=Target(label, (4, 3)), **fields)


def test_a_photo_with_its_crops(tmp_path):
    """One card a photo: thumbnail, a box for each crop at its place, scores, links."""
    with ContactSheet(tmp_path / "sheet.html") as sheet:
        sheet.add(result(tmp_path / "a.jpg", thumbnail=b"picture"))
        square = Crop((0, 0, 400, 400), 3.0, (1, 1), 3.1, (600, 400))
        sheet.add(result(tmp_path / "a.jpg", label="1x1", crop=square, notes=("a note",)))
        sheet.add(result(tmp_path / "b.jpg", status=Status.FAILED, crop=None, output=None, reason="it is no photo"))
    page = Page(tmp_path / "sheet.html")
    assert [article["data-status"] for article in page.articles] == ["cropped", "failed"]
    assert page.articles[0]["data-label"] == "4x3 1x1"
    assert page.found("img")[0]["src"] == "data:image/jpeg;base64," + base64.b64encode(b"picture").decode()
    assert [box["class"] for box in page.found("i")] == ["box c0", "box c1"]
    assert page.found("i")[0]["style"] == "left:16.67%;top:12.50%;width:66.67%;height:75.00%;"
    assert [link["href"] for link in page.found("a")] == ["a_4x3.jpg", "a_1x1.jpg"]
    for text in ("a.jpg", "600 × 400", "3.46", "3.10", "a note"):
        assert text in page.articles[0]["text"]
    assert "it is no photo" in page.articles[1]["text"]
    assert not page.found("img", 1)


def test_names_are_text(tmp_path):
    """Whatever a file is called, it is shown as it is and makes no markup, and its address leads to it."""
    name = '<img src=x onerror=alert(1)> "it\'s" & 100% #1?.jpg'
    path = tmp_path / "photos" / name
    with ContactSheet(tmp_path / "sheets" / "sheet.html") as sheet:
        sheet.add(result(path, reason="<script>", thumbnail=b"x"))
        sheet.add(result(tmp_path / "caf\udce9.jpg"))
    page = Page(tmp_path / "sheets" / "sheet.html")
    assert len(page.found("img")) == 1
    assert "onerror" not in page.found("img")[0]
    assert not page.found("script")
    assert name in page.articles[0]["text"]
    assert "<script>" in page.articles[0]["text"]
    assert page.articles[0]["data-src"].startswith("../photos/%3Cimg")
    assert "#" not in page.articles[0]["data-src"]
    assert page.articles[1]["data-src"] == "../caf%E9.jpg"


def test_every_beginning_is_a_page(tmp_path):
    """A run that is killed leaves what was done; one that is interrupted leaves the last photo, too."""
    path = tmp_path / "sheet.html"
    sheet = ContactSheet(path).__enter__()
    sheet.add(result("a.jpg"))
    sheet.add(result("b.jpg"))
    assert len(Page(path).articles) == 1
    assert '<script type="module">' in path.read_text(encoding="utf-8")  # runs after the last photo
    sheet.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert len(Page(path).articles) == 2
    assert path.read_text(encoding="utf-8").endswith("</html>\n")


def test_it_needs_no_network_and_nothing_beside_it(tmp_path):
    """No address of a server, style and script inside, and a policy that allows nothing else."""
    with ContactSheet(tmp_path / "sheet.html") as sheet:
        sheet.add(result())
    text = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    assert not re.search(r"https?:|//[a-z]+\.", text)
    policy = next(a["content"] for tag, a in Page(tmp_path / "sheet.html").tags if "http-equiv" in a)
    assert "default-src 'none'" in policy


def test_a_page_of_somebody_else_is_not_replaced(tmp_path):
    """A former sheet is; other files, folders and names that are no page's are refused."""
    path = tmp_path / "sheet.html"
    for _ in range(2):
        with ContactSheet(path) as sheet:
            sheet.add(result())
    assert len(Page(path).articles) == 1
    (tmp_path / "mine.html").write_text("<p>Hello")
    with pytest.raises(UsageError, match="no contact sheet"):
        ContactSheet(tmp_path / "mine.html")
    with pytest.raises(UsageError, match=r"\.html"):
        ContactSheet(tmp_path / "sheet.jpg")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(UsageError, match="folder"):
        ContactSheet(tmp_path / "folder.html")
    (tmp_path / "file").write_text("")
    with pytest.raises(AutocropError, match="cannot be written"), ContactSheet(tmp_path / "file" / "sheet.html"):
        pass


def test_thumbnails_are_small():
    """400 pixels at most, some 20 KB, with the photo's aspect; a photo that is smaller stays as it is."""
    large = np.asarray(Image.open(SAMPLES / "coffee.jpg").convert("RGB").resize((1500, 1000)))
    encoded = thumbnail(large)
    assert len(encoded) < 30_000
    assert Image.open(io.BytesIO(encoded)).size == (400, 267)
    assert Image.open(io.BytesIO(thumbnail(large[:50, :80]))).size == (80, 50)


def test_each_photo_brings_one_picture(engine, photo, tmp_path):
    """Also those that are skipped; those that cannot be read have none."""
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    options = Options([Target("1x1", (1, 1)), Target("4x3", (4, 3))], thumbnails=True)
    for status in (Status.CROPPED, Status.SKIPPED):
        results = list(run(engine, Plan.make([photo, tmp_path / "bad.jpg"], options)))
        assert [r.status for r in results] == [status, status, Status.FAILED]
        assert [bool(r.thumbnail) for r in results] == [True, False, False]


def test_from_the_command_line(samples, tmp_path):
    """--contact-sheet shows every photo of the run; not where there would be nothing to show."""
    for path in samples:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    names = [path.name for path in samples]
    done = autocrop(*names, "missing.jpg", "-o", "out", "--ratio", "9:16", "--contact-sheet", "s.html", cwd=tmp_path)
    assert done.returncode == 1
    page = Page(tmp_path / "s.html")
    assert len(page.articles) == len(samples) + 1
    assert page.found("a")[0]["href"] == f"out/{samples[0].stem}_9x16.jpg"
    found = autocrop(*names, "--ratio", "1:1", "--dry-run", "--json", cwd=tmp_path)
    (tmp_path / "crops.jsonl").write_text(found.stdout)
    applied = autocrop("apply", "crops.jsonl", "-o", "out", "--contact-sheet", "t.html", cwd=tmp_path)
    assert applied.returncode == 0, applied.stderr
    page = Page(tmp_path / "t.html")
    assert all(page.found("img", index) and page.found("i", index) for index in range(len(samples)))
    for arguments in (["-", "-o", "-"], ["--watch", "."]):
        refused = autocrop(*arguments, "--contact-sheet", "s.html", cwd=tmp_path)
        assert refused.returncode == 2
        assert "--contact-sheet" in refused.stderr
    refused = autocrop(names[0], "--contact-sheet", names[0], cwd=tmp_path)
    assert refused.returncode == 2


def test_the_markup_is_well_formed(tmp_path):
    """The cards, read as XML, which forgives nothing."""
    with ContactSheet(tmp_path / "sheet.html") as sheet:
        sheet.add(result("a&b.jpg", notes=("x < y", '"z"'), thumbnail=b"x"))
    text = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    card = text[text.index("<article") : text.index("</article>") + 10].replace('src="data', 'src="data')
    ET.fromstring(re.sub(r"(<img [^>]*)>", r"\1/>", card))


def run_with_sheet(engine, photos, path, **options):
    """Run a batch with a contact sheet; the page."""
    targets = [Target("1x1", (1, 1)), Target("4x3", (4, 3))]
    with ContactSheet(path) as sheet:
        for one in run(engine, Plan.make(photos, Options(targets, thumbnails=True, **options))):
            sheet.add(one)
    return Page(path)


def told(page, article=0):
    """What a card shows of its crops, but for their status."""
    rows = [
        {key: row[key] for key in row if key.startswith("data-") and key != "data-entry"}
        for row in page.found("li", article)
    ]
    scores = re.findall(r"\d+ × \d+|score [\d.]+, whole photo [\d.]+", page.articles[article]["text"])
    return page.found("i", article), rows, scores


def test_going_on_keeps_what_was_known(engine, photo, tmp_path):
    """The card of a crop that is skipped has the box, the scores and the notes of the run that made it."""
    path = tmp_path / "sheets" / "sheet.html"
    odd = photo.rename(tmp_path / 'it\'s <a> "photo" & more.jpg')
    first = run_with_sheet(engine, [odd], path, carry=[".txt"])
    assert "no .txt beside the photo" in first.articles[0]["text"]
    for _ in range(2):  # a sheet that took it over passes it on
        again = run_with_sheet(engine, [odd], path)
        assert again.articles[0]["data-status"] == "skipped"
        assert told(again) == told(first)
        assert len(again.found("i")) == 2
        assert "no .txt beside the photo" in again.articles[0]["text"]
        assert "it exists" in again.articles[0]["text"]
    assert engine.encoded == 1


def test_a_run_that_ends_early_loses_nothing_for_the_next(engine, photo, tmp_path):
    """Killed before it came to a photo: the next sheet knows that photo's crops all the same."""
    path = tmp_path / "sheet.html"
    first = run_with_sheet(engine, [photo], path)
    ContactSheet(path).__enter__()
    assert not Page(path).articles
    assert told(run_with_sheet(engine, [photo], path)) == told(first)


@pytest.mark.parametrize("changed", ["photo.jpg", "photo_1x1.jpg"])
def test_what_has_changed_is_not_known(engine, photo, tmp_path, changed):
    """Of a photo or an output that is another one by now, the former sheet says nothing true."""
    run_with_sheet(engine, [photo], tmp_path / "sheet.html")
    with (tmp_path / changed).open("ab") as file:
        file.write(b"edited")
    page = run_with_sheet(engine, [photo], tmp_path / "sheet.html")
    assert len(page.found("i")) == (0 if changed == "photo.jpg" else 1)


def test_a_damaged_sheet_is_replaced(engine, photo, tmp_path):
    """Cut short, or edited to nonsense anywhere: the next sheet is a page, with what could be read."""
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
        assert len(page.found("i")) == boxes, text
    path.write_bytes(whole.encode()[:5000] + b"\xff\x00" * 99)
    assert len(run_with_sheet(engine, [photo], path).articles) == 1
