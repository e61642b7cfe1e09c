"""The contact sheet in a real browser. Needs playwright and Chromium; skipped without them."""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from autocrop.batch.contact_sheet import ContactSheet
from autocrop.batch.results import Result, Status
from autocrop.batch.targets import Target
from autocrop.images.padding import Padding
from autocrop.search.crop import Crop

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
expect = sync_api.expect

RED, BLUE = (200, 40, 40), (40, 40, 200)
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 420, "height": 800}


@pytest.fixture(scope="module")
def browser():
    """Chromium: the system's, or the one that playwright has installed."""
    with sync_api.sync_playwright() as playwright:
        installed = map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
        program = next(filter(None, installed), playwright.chromium.executable_path)
        if not Path(program).exists():
            pytest.skip("needs Chromium: install it, or run playwright install chromium")
        browser = playwright.chromium.launch(executable_path=program, args=["--disable-background-networking"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser):
    """Open a file in a new window. At the end of the test, nothing must have failed or used the network."""
    contexts, problems = [], []

    def open_page(path, viewport=WIDE, color_scheme="light"):
        context = browser.new_context(viewport=viewport, color_scheme=color_scheme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if "Policy" in message.text else None)
        page.on("request", lambda request: problems.append(request.url) if _is_remote(request.url) else None)
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems


@pytest.fixture
def sheet(tmp_path):
    """Four photos: two crops; one crop that was kept; one with padding and a skipped circle; one that failed."""
    path = tmp_path / "sheet.html"
    with ContactSheet(path) as sheet:
        for result in _results(tmp_path):
            sheet.add(result)
    return path


def _results(folder):
    wide, square = Target("4x3", (4, 3)), Target("1x1", (1, 1))
    lake, tower, dog = (folder / f"{name} & <b>.jpg" for name in ("lake", "tower", "dog"))
    for photo in (lake, tower, dog):
        _half_and_half().save(photo)
    yield _cropped(lake, wide, (100, 50, 500, 350))
    yield _cropped(lake, square, (0, 0, 400, 400))
    yield Result(tower, Status.KEPT, crop=_crop((0, 0, 600, 400)), size=(600, 400), target=wide, thumbnail=_thumbnail())
    yield _cropped(dog, wide, (300, 0, 600, 400), Padding(100, 0, 133, 0))
    yield _cropped(dog, square, (200, 0, 600, 400), shape="circle", status=Status.SKIPPED)
    yield Result(folder / "broken.jpg", Status.FAILED, reason="cannot be read")


def _cropped(photo, target, box, padding=None, shape="rectangle", status=Status.CROPPED):
    crop = _crop(box, padding, shape)
    size = (400, 300)
    output = photo.with_name(f"{photo.stem}_{target.label}.png")
    Image.new("RGB", size, "green").save(output)
    return Result(photo, status, output, crop=crop, size=size, target=target, thumbnail=_thumbnail())


def _crop(box, padding=None, shape="rectangle"):
    return Crop(box, 3.5, (4, 3), 3.1, (600, 400), padding=padding, shape=shape)


def _half_and_half():
    """A photo that is red on the left and blue on the right."""
    image = Image.new("RGB", (600, 400), RED)
    image.paste(BLUE, (300, 0, 600, 400))
    return image


def _thumbnail():
    encoded = io.BytesIO()
    _half_and_half().resize((300, 200)).save(encoded, "JPEG", quality=95)
    return encoded.getvalue()


def _is_remote(url):
    return not url.startswith(("file:", "data:"))


def visible_names(page):
    """Names of the photos that the filters leave on the page."""
    # Not the inner texts: cards outside the window are not laid out and have none.
    return [name.split()[0] for name in page.locator("article:not([hidden]) h2").all_text_contents()]


def loaded(image):
    """Return True if an image shows something."""
    return image.evaluate("image => image.complete && image.naturalWidth > 0")


def test_the_page_counts_its_photos(sheet, open_page):
    """The header shows the number of photos and one filter for each status."""
    page = open_page(sheet)
    expect(page.locator("#count")).to_have_text("4 photos")
    assert page.locator("#tools label").all_text_contents() == ["cropped (2)", "kept (1)", "skipped (1)", "failed (1)"]
    assert page.get_by_label("Kind of crop").locator("option").all_text_contents() == ["all crops", "4x3", "1x1"]


def test_status_filters(sheet, open_page):
    """A photo stays if any of its statuses is checked; without any photo, the page says so."""
    page = open_page(sheet)
    expect(page.locator("#empty")).to_be_hidden()
    page.get_by_label("cropped").uncheck()
    assert visible_names(page) == ["tower", "dog", "broken.jpg"]
    expect(page.locator("#count")).to_have_text("3 of 4 photos")
    for status in ("kept", "skipped", "failed"):
        page.get_by_label(status).uncheck()
    assert visible_names(page) == []
    expect(page.get_by_text("No photos match the filter.")).to_be_visible()
    page.get_by_label("kept").check()
    assert visible_names(page) == ["tower"]
    expect(page.locator("#empty")).to_be_hidden()


def test_the_label_filter(sheet, open_page):
    """Photos without such a crop disappear; of the others, only such crops and their boxes stay."""
    page = open_page(sheet)
    page.get_by_label("Kind of crop").select_option("1x1")
    assert visible_names(page) == ["lake", "dog"]
    assert page.locator("article:not([hidden]) li:not([hidden]) b").all_text_contents() == ["1x1", "1x1"]
    boxes = page.locator("article").first.locator(".box")
    expect(boxes.nth(0)).to_be_hidden()
    expect(boxes.nth(1)).to_be_visible()
    page.get_by_label("Kind of crop").select_option("")
    assert len(visible_names(page)) == 4
    expect(boxes.nth(0)).to_be_visible()


def test_the_text_filter(sheet, open_page):
    """All words must occur on the card, in any order and case."""
    page = open_page(sheet)
    page.get_by_label("Filter by text").fill("600 LAKE")
    assert visible_names(page) == ["lake"]
    page.get_by_label("Filter by text").fill("lake tower")
    assert visible_names(page) == []
    page.get_by_label("Filter by text").fill("cannot be read")
    assert visible_names(page) == ["broken.jpg"]


def test_the_viewer_shows_photo_and_output(sheet, open_page):
    """A click on a row opens the dialog with the photo on disk, the box, the written crop, and a caption."""
    page = open_page(sheet)
    dialog = page.get_by_role("dialog", name="Photo and crop side by side")
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name=re.compile("4x3 cropped")).first.click()
    expect(dialog).to_be_visible()
    expect(page.locator("#about")).to_contain_text("lake & <b>.jpg — 4x3 cropped 400 × 300")
    whole, crop = page.get_by_alt_text("The whole photo"), page.get_by_alt_text("The crop")
    expect(whole).to_have_attribute("src", re.compile(r"^file:.*lake.*\.jpg$"))
    expect(crop).to_have_attribute("src", re.compile(r"lake.*_4x3\.png$"))
    assert loaded(whole)
    assert loaded(crop)
    photo, box = whole.bounding_box(), page.locator("#whole .box").bounding_box()
    assert box["x"] - photo["x"] == pytest.approx(photo["width"] / 6, abs=1)
    assert box["width"] == pytest.approx(photo["width"] * 4 / 6, abs=1)
    page.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()


def test_the_viewer_needs_no_other_file(sheet, open_page, tmp_path):
    """Where photo and output are gone, the thumbnail shows the photo, and the part of it in the box, padded."""
    for path in [*tmp_path.glob("*.jpg"), *tmp_path.glob("*.png")]:
        path.unlink()
    page = open_page(sheet)
    page.locator("article", has_text="dog").get_by_role("button", name=re.compile("4x3")).click()
    expect(page.get_by_alt_text("The whole photo")).to_have_attribute("src", re.compile("^data:"))
    frame, part = page.locator("#crop").bounding_box(), page.locator("#crop > div").bounding_box()
    assert frame["width"] / frame["height"] == pytest.approx(533 / 400, abs=0.01)
    assert part["x"] - frame["x"] == pytest.approx(frame["width"] * 100 / 533, abs=1)
    assert part["width"] == pytest.approx(frame["width"] * 300 / 533, abs=1)
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    center = shot.getpixel((round(part["x"] + part["width"] / 2), round(part["y"] + part["height"] / 2)))
    assert center == pytest.approx(BLUE, abs=8)  # the box is the right half of the photo


def test_circles_are_round(sheet, open_page):
    """The box and the crop's frame of a circular crop are circles, and only those."""
    page = open_page(sheet)
    page.locator("article", has_text="dog").get_by_role("button", name=re.compile("1x1")).click()
    for shape in (page.locator("#whole .box"), page.locator("#crop")):
        expect(shape).to_have_css("border-radius", "50%")
    page.get_by_role("button", name="Previous crop").click()
    for shape in (page.locator("#whole .box"), page.locator("#crop")):
        expect(shape).to_have_css("border-radius", "0px")


def test_a_click_on_a_thumbnail_opens_its_first_visible_crop(sheet, open_page):
    """With a filter, that is the first crop which the filter shows. A click on the backdrop closes the viewer."""
    page = open_page(sheet)
    page.locator(".view").first.click()
    expect(page.locator("#about")).to_contain_text("lake & <b>.jpg — 4x3")
    page.mouse.click(2, 2)
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.get_by_label("Kind of crop").select_option("1x1")
    page.locator(".view").first.click()
    expect(page.locator("#about")).to_contain_text("lake & <b>.jpg — 1x1")


def test_a_click_on_a_link_follows_the_link(sheet, open_page):
    """The output opens, here in a new tab, and the viewer does not."""
    page = open_page(sheet)
    with page.context.expect_page() as tab:
        page.get_by_role("link").first.click(modifiers=["ControlOrMeta"])
    tab.value.wait_for_url(re.compile(r"lake.*_4x3\.png$"))
    expect(page.locator("dialog")).to_be_hidden()


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_keys_open_a_crop(sheet, open_page, key):
    """Crops are buttons: Tab reaches them, Enter and Space open them, Esc closes the viewer."""
    page = open_page(sheet)
    page.get_by_label("Filter by text").focus()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name=re.compile("4x3 cropped")).first).to_be_focused()
    page.keyboard.press(key)
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_arrow_keys_step_through_visible_crops(sheet, open_page):
    """They skip crops that are filtered out, stop at both ends, and the last crop gets the focus on closing."""
    page = open_page(sheet)
    page.get_by_label("Kind of crop").select_option("4x3")
    page.locator(".view").first.click()
    seen = []
    for key in ("ArrowLeft", "ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
        seen.append(page.locator("#about").inner_text().split()[0])
    assert seen == ["lake", "tower", "dog", "dog", "tower"]
    page.keyboard.press("Escape")
    row = page.locator("article", has_text="tower").get_by_role("button")
    expect(row).to_be_focused()
    expect(row).to_be_in_viewport()


def test_a_late_output_does_not_replace_another_crop(sheet, open_page):
    """Stepping on before an image has loaded leaves the crop that is shown now."""
    page = open_page(sheet)
    page.locator(".view").first.click()
    next_button = page.locator("#next")
    next_button.evaluate("button => { button.click(); button.click(); }")  # faster than any image loads
    expect(page.locator("#about")).to_contain_text("tower")
    page.wait_for_timeout(300)
    expect(page.locator("#crop .clip")).to_be_visible()  # a photo that was kept has no output


@pytest.mark.parametrize(
    ("end", "photos"),
    [
        pytest.param("<main>\n", 0, id="before the first photo"),
        pytest.param("</article>\n", 1, id="after a photo"),
        pytest.param('data-status="kept"', 1, id="within a photo's tag"),
        pytest.param('data-status="kept".*?<ul>', 2, id="within a photo"),
    ],
)
def test_every_prefix_works(sheet, open_page, end, photos):
    """A page without its end works with the photos that it has: scripts run once the file has been read."""
    text = sheet.read_text(encoding="utf-8")
    sheet.write_text(text[: re.search(end, text, re.DOTALL).end()], encoding="utf-8")
    page = open_page(sheet)
    expect(page.locator("#count")).to_have_text("1 photo" if photos == 1 else f"{photos} photos")
    expect(page.get_by_label("Filter by text")).to_be_visible()
    expect(page.locator("#empty")).to_be_hidden()
    if photos:
        page.locator(".view").first.click()
        expect(page.get_by_role("dialog")).to_be_visible()


def test_a_single_label_needs_no_filter(tmp_path, open_page):
    """With one kind of crop there is nothing to choose from."""
    with ContactSheet(tmp_path / "sheet.html") as sheet:
        sheet.add(next(_results(tmp_path)))
    page = open_page(tmp_path / "sheet.html")
    expect(page.locator("#count")).to_have_text("1 photo")
    expect(page.get_by_label("Filter by text")).to_be_visible()
    expect(page.get_by_label("Kind of crop")).to_have_count(0)


def test_light_and_dark(sheet, open_page):
    """The page follows the system's color scheme; colors of crops stay."""
    light, dark = (open_page(sheet, color_scheme=scheme) for scheme in ("light", "dark"))
    expect(light.locator("body")).to_have_css("background-color", "rgb(244, 244, 242)")
    expect(dark.locator("body")).to_have_css("background-color", "rgb(22, 22, 21)")
    for page in (light, dark):
        expect(page.locator(".box.c0").first).to_have_css("border-top-color", "rgb(255, 77, 61)")


def test_narrow_windows_stack_the_viewer(sheet, open_page):
    """Photo and crop are side by side in a wide window, below each other in a narrow one, and fit in both."""
    for viewport in (WIDE, NARROW):
        page = open_page(sheet, viewport)
        page.locator("article", has_text="dog").get_by_role("button", name=re.compile("1x1")).click()
        whole, crop = page.locator("#whole").bounding_box(), page.locator("#crop").bounding_box()
        assert (whole["x"] + whole["width"] <= crop["x"]) == (viewport is WIDE)
        assert (whole["y"] + whole["height"] <= crop["y"]) == (viewport is NARROW)
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        assert page.locator("dialog").evaluate("dialog => dialog.scrollHeight <= dialog.clientHeight")
