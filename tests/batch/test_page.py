import re
from html.parser import HTMLParser

import pytest

from autocrop.batch import page
from autocrop.batch.page import ASSETS, MODULES, join_modules, page_foot, page_head

POLICY = "default-src 'none'; img-src data: file: 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def source(module):
    return (ASSETS / module).read_text(encoding="utf-8")


def imports(module):
    """What a module imports: a list of names for each file."""
    statements = re.findall(r'^import \{([^}]*)\} from "\./([^"]+)";$', source(module), re.MULTILINE)
    assert len(statements) == len(re.findall(r"^import\b", source(module), re.MULTILINE)), "an import of another form"
    return {file: [name.strip() for name in names.split(",") if name.strip()] for names, file in statements}


def declarations(module, prefix=""):
    pattern = rf"^{prefix}(?:async function|function|class|const|let) (\w+)"
    return re.findall(pattern, source(module), re.MULTILINE)


class Tags(HTMLParser):
    """The start tags of a page with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))


def test_the_head_is_self_contained():
    """One inline style, one inline module script, no links to other files, and a policy that allows no others."""
    tags = Tags(page_head()).tags
    assert [attributes for tag, attributes in tags if tag == "script"] == [{"type": "module"}]
    assert [attributes for tag, attributes in tags if tag == "style"] == [{}]
    assert not any({"src", "href"} & attributes.keys() for _, attributes in tags)
    assert not re.search(r"https?:", page_head())
    policies = [attributes for _, attributes in tags if "http-equiv" in attributes]
    assert policies == [{"http-equiv": "Content-Security-Policy", "content": POLICY}]


def test_the_head_contains_every_asset():
    """The style and all modules replace the template's placeholders."""
    head = page_head()
    assert source("contact_sheet.css") in head
    assert join_modules(map(source, MODULES)) in head
    assert not re.search(r"/\* (style|script) \*/|<!--", head)


def test_no_asset_closes_its_own_element():
    """Browsers end an inline script or style at these strings, even inside comments and literals."""
    assert not re.search(r"</script|<script|<!--", "".join(map(source, MODULES)), re.IGNORECASE)
    assert "</style" not in source("contact_sheet.css").lower()


def test_the_foot_only_closes_elements():
    """A page without it is valid: end tags can be left out."""
    assert re.fullmatch(r"(</[a-z]+>\n)+", page_foot())


def test_every_module_is_listed_after_its_imports():
    """The order in which modules are joined gives each one what it needs."""
    assert sorted(MODULES) == sorted(path.name for path in ASSETS.glob("*.js"))
    for index, module in enumerate(MODULES):
        for file, names in imports(module).items():
            assert file in MODULES[:index], f"{module} imports {file}"
            assert set(names) <= set(declarations(file, "export ")), f"{module} imports from {file}"


def test_modules_share_no_top_level_names():
    """Joined modules are one scope, in which a second declaration is a syntax error."""
    names = [name for module in MODULES for name in declarations(module, "(?:export )?")]
    assert len(names) > 20
    assert len(names) == len(set(names))


def test_joining_leaves_no_import_or_export():
    """Neither would work in an inline script without addresses."""
    assert not re.search(r"^\s*(import|export)\b", join_modules(map(source, MODULES)), re.MULTILINE)


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ('import { a } from "./a.js";\n\na();\n', "a();\n"),
        ('import {\n  a,\n  b,\n} from "./a.js";\nimport { c } from "./c.js";\na(b, c);\n', "a(b, c);\n"),
        ("export function a() {}\n", "function a() {}\n"),
        ("export async function a() {}\n", "async function a() {}\n"),
        ("export const A = 1;\nexport let b;\nexport class C {}\n", "const A = 1;\nlet b;\nclass C {}\n"),
        ("/**\n * import and\n * export\n */\nexported();\nimportant();\n", None),
        ('const text = "export function";\n', None),
    ],
)
def test_join_modules_drops_only_import_and_export(module, expected):
    """Import statements go, exported declarations stay, and other text is left alone."""
    assert join_modules([module]) == (module if expected is None else expected)


def test_join_modules_keeps_the_order():
    """Modules follow one another, separated by a blank line."""
    assert join_modules(["first();\n", "second();\n"]) == "first();\n\nsecond();\n"


def test_missing_assets_are_errors(monkeypatch, tmp_path):
    """A broken installation fails instead of writing a page without a script."""
    monkeypatch.setattr(page, "ASSETS", tmp_path)
    with pytest.raises(FileNotFoundError):
        page_head()
