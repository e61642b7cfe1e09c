"""Where a model's files are: ``--weights``, bundled in the wheel, in the user's cache, or on the Hub.

``weights/manifest.json`` has a row a model. A row names its files, their size and sha256, and what people should
know before they use them: recipe, data and its terms, metrics.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from autocrop.errors import AutocropError, UsageError

MANIFEST = "manifest.json"
PARTS = ("encoder", "head")
"""The files of a scorer: photo → features, and features with boxes → scores. A model may do without the second."""


@dataclass(frozen=True)
class WeightsFile:
    """One file of a model."""

    name: str
    bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> WeightsFile:
        """Describe a file that exists."""
        return cls(path.name, path.stat().st_size, sha256(path))


@dataclass(frozen=True)
class ModelCard:
    """A row of the manifest."""

    name: str
    """What ``--model`` takes."""
    network: str
    """The paper's model, a key of ``autocrop.models.MODELS``."""
    summary: str
    files: dict[str, WeightsFile]
    """By part, see :data:`PARTS`."""
    data: str
    """What it was trained on, and on what terms that data may be used."""
    recipe: dict[str, Any]
    metrics: dict[str, float]
    hub: dict[str, str] | None = None
    """``repo`` and ``revision`` on the Hub; None for a model that is only bundled."""

    def to_dict(self) -> dict[str, Any]:
        """The row as it stands in the manifest."""
        return {key: value for key, value in asdict(self).items() if value is not None}


FACE_DETECTOR = WeightsFile(
    "face_detection_yunet_2023mar.onnx", 232_589, "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
)
"""Of the OpenCV Zoo, bundled; no scorer, and so no row of the manifest. ``weights/README.md`` has its card."""


def face_detector() -> Path:
    """Path of the face detector's file.

    Raises:
        AutocropError: it is missing.
    """
    path = _bundled_folder() / FACE_DETECTOR.name
    if not path.is_file():
        raise AutocropError(f"{path}, a part of autocrop, is missing. Install autocrop-photo again.")
    return path


def manifest() -> dict[str, ModelCard]:
    """All models that this version knows, by name; the first is the default."""
    return dict(read_manifest(_bundled_folder()))


def default_model() -> str:
    """Name of the model that is used when none is named."""
    return next(iter(manifest()))


def card(name: str) -> ModelCard:
    """The manifest's row *name*.

    Raises:
        UsageError: there is none.
    """
    cards = manifest()
    if name not in cards:
        hint = " For weights of your own use --weights." if Path(name).exists() else ""
        raise UsageError(f"There is no model '{name}'. Use one of: {', '.join(cards)}.{hint}")
    return cards[name]


def locate(name: str) -> dict[str, Path]:
    """Paths of a model's files, downloaded if need be.

    Raises:
        UsageError: there is no such model.
        AutocropError: a file is neither bundled nor cached and cannot be downloaded, or its digest is wrong.
    """
    row = card(name)
    return {part: _locate(row, file) for part, file in row.files.items()}


def from_folder(folder: Path) -> tuple[ModelCard, dict[str, Path]]:
    """The model that ``autocrop models export`` wrote to *folder*, and the paths of its files.

    Raises:
        AutocropError: there is none, or a file is missing or damaged.
    """
    cards = list(read_manifest(folder).values())
    if len(cards) != 1:
        raise AutocropError(f"{folder} holds {len(cards)} models. Give --weights a folder with one.")
    paths = {part: folder / file.name for part, file in cards[0].files.items()}
    for part, path in paths.items():
        if not path.is_file():
            raise AutocropError(
                f"{path} is missing. Write it again with: autocrop models export CHECKPOINT -o {folder}"
            )
        verify(path, cards[0].files[part])
    return cards[0], paths


@functools.cache
def read_manifest(folder: Path) -> dict[str, ModelCard]:
    """The models that ``manifest.json`` in *folder* lists, by name.

    Raises:
        AutocropError: the file is missing or damaged.
    """
    path = folder / MANIFEST
    try:
        rows = [_card(row) for row in json.loads(path.read_text(encoding="utf-8"))["models"]]
    except FileNotFoundError as error:
        raise AutocropError(f"{path} is missing; {folder} is no folder that autocrop models export wrote.") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AutocropError(f"{path} is damaged ({error}). Write or install it again.") from error
    return {row.name: row for row in rows}


def write_manifest(folder: Path, cards: list[ModelCard]) -> None:
    """Write ``manifest.json`` to *folder*."""
    text = json.dumps({"models": [card.to_dict() for card in cards]}, indent=2, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
    read_manifest.cache_clear()


def sha256(path: Path) -> str:
    """Digest of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_folder() -> Path:
    """Where downloads are kept: ``AUTOCROP_CACHE``, else the platform's place for a user's caches."""
    if chosen := os.environ.get("AUTOCROP_CACHE"):
        return Path(chosen)
    import platformdirs

    return Path(platformdirs.user_cache_dir("autocrop"))


def verify(path: Path, file: WeightsFile) -> None:
    """Check a file against the manifest.

    Raises:
        AutocropError: it is not what the manifest describes.
    """
    found = sha256(path)
    if found != file.sha256:
        raise AutocropError(
            f"{path} is not the file that this version of autocrop expects (sha256 {found[:12]}…, "
            f"not {file.sha256[:12]}…). Delete it, or install autocrop-photo again."
        )


def verify_all() -> dict[Path, str]:
    """Check the face detector and every file of every model that is on this machine; downloads nothing.

    Returns:
        The files checked, and what is wrong with each; nothing, usually.
    """
    here = {path: file for row in manifest().values() for path, file in on_this_machine(row).items()}
    problems = {}
    for path, file in {**here, face_detector(): FACE_DETECTOR}.items():
        try:
            verify(path, file)
            problems[path] = ""
        except AutocropError as error:
            problems[path] = str(error)
    return problems


def on_this_machine(row: ModelCard) -> dict[Path, WeightsFile]:
    """The files of a model that need no download: bundled or cached."""
    found = {}
    for file in row.files.values():
        bundled = _bundled_folder() / file.name
        path = bundled if bundled.is_file() else _cached(row, file)
        if path is not None:
            found[path] = file
    return found


def _locate(row: ModelCard, file: WeightsFile) -> Path:
    bundled = _bundled_folder() / file.name
    if bundled.is_file():
        # The installer checked the wheel's digests; hashing 12 MB again would cost every start-up.
        return bundled
    if row.hub is None:
        raise AutocropError(f"{bundled}, a part of autocrop, is missing. Install autocrop-photo again.")
    return _download(row, file)


def _download(row: ModelCard, file: WeightsFile) -> Path:
    """Get a file from the Hub, or from the cache if it is there."""
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    assert row.hub is not None
    repo, revision, cache = row.hub["repo"], row.hub["revision"], cache_folder()
    what = f"{file.name} of {row.name} ({file.bytes / 1e6:.0f} MB)"
    if _cached(row, file) is None and not constants.HF_HUB_OFFLINE:
        # A warning, since that is what Python shows where nobody has set up logging.
        logging.getLogger(__name__).warning(f"Fetching {what} from {constants.ENDPOINT}/{repo} to {cache}")
    try:
        path = Path(hf_hub_download(repo, file.name, revision=revision, cache_dir=cache))
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise AutocropError(
            f"{what} is not on this machine and could not be downloaded ({error.__class__.__name__}). "
            f"Go online and run: autocrop models pull {row.name}"
        ) from error
    try:
        verify(path, file)
    except AutocropError as error:
        # Otherwise it would be found in the cache for ever after.
        path.resolve().unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        raise AutocropError(
            f"{what} came from {constants.ENDPOINT}/{repo} with another sha256 than this version of autocrop expects, "
            f"and was deleted. Try again with: autocrop models pull {row.name}"
        ) from error
    return path


def _cached(row: ModelCard, file: WeightsFile) -> Path | None:
    """A file that was downloaded before."""
    if row.hub is None:
        return None
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(row.hub["repo"], file.name, cache_folder(), row.hub["revision"])
    return Path(found) if isinstance(found, str) else None


def _bundled_folder() -> Path:
    """``autocrop/bundled`` of an installed wheel, or ``weights/`` of a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "bundled"
    return installed if installed.is_dir() else package.parent / "weights"


def _card(row: dict[str, Any]) -> ModelCard:
    files = {part: WeightsFile(**file) for part, file in row["files"].items()}
    return ModelCard(**{**row, "files": files})
