"""Model files: bundled with the wheel, in a folder (``--weights``), in the user's cache, or on the Hugging Face Hub.

``weights/manifest.json`` contains a card for each model: its files with size and SHA-256 digest, its training data and
their terms of use, its recipe and its metrics.
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
"""Files of a model: the encoder computes features of a photo, and the head, if any, scores boxes with them."""


@dataclass(frozen=True)
class WeightsFile:
    """One file of a model."""

    name: str
    bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> WeightsFile:
        """Compute name, size and digest of an existing file."""
        return cls(path.name, path.stat().st_size, sha256(path))


@dataclass(frozen=True)
class ModelCard:
    """An entry of the manifest."""

    name: str
    """Name of the model for ``--model``."""
    network: str
    """Name of the network, a key of ``autocrop.models.MODELS``."""
    summary: str
    files: dict[str, WeightsFile]
    """Files by part, see :data:`PARTS`."""
    data: str
    """Training data and its terms of use."""
    recipe: dict[str, Any]
    metrics: dict[str, float]
    hub: dict[str, str] | None = None
    """``repo`` and ``revision`` on the Hub; None for models that are only bundled."""

    @classmethod
    def from_dict(cls, entry: dict[str, Any]) -> ModelCard:
        """Create a card from its entry in the manifest."""
        files = {part: WeightsFile(**file) for part, file in entry["files"].items()}
        return cls(**{**entry, "files": files})

    def to_dict(self) -> dict[str, Any]:
        """Return the entry for the manifest."""
        return {key: value for key, value in asdict(self).items() if value is not None}


FACE_DETECTOR = WeightsFile(
    "face_detection_yunet_2023mar.onnx", 232_589, "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
)
"""Face detector of the OpenCV Zoo, bundled. Not a cropping model, so its card is in ``weights/README.md``."""


def face_detector() -> Path:
    """Return the path of the face detector.

    Raises:
        AutocropError: the file is missing.
    """
    path = _bundled_folder() / FACE_DETECTOR.name
    if not path.is_file():
        raise _not_bundled(path)
    return path


def manifest() -> dict[str, ModelCard]:
    """Return the cards of all models that this version supports, by name. The first is the default model."""
    return dict(read_manifest(_bundled_folder()))


def default_model() -> str:
    """Return the name of the default model."""
    return next(iter(manifest()))


def card(name: str) -> ModelCard:
    """Return the card of a model.

    Raises:
        UsageError: the model is unknown.
    """
    cards = manifest()
    if name not in cards:
        hint = " To use your own weights, pass --weights." if Path(name).exists() else ""
        raise UsageError(f"Unknown model '{name}'. Available models: {', '.join(cards)}.{hint}")
    return cards[name]


def locate(name: str) -> dict[str, Path]:
    """Return the paths of a model's files by part, downloading them if necessary.

    Raises:
        UsageError: the model is unknown.
        AutocropError: a file is not available locally and cannot be downloaded, or its digest is wrong.
    """
    model = card(name)
    return {part: _locate(model, file) for part, file in model.files.items()}


def from_folder(folder: Path) -> tuple[ModelCard, dict[str, Path]]:
    """Return the card of a model exported to *folder*, and the paths of its files by part.

    Raises:
        AutocropError: the folder does not contain exactly one model, or a file is missing or damaged.
    """
    cards = list(read_manifest(folder).values())
    if len(cards) != 1:
        raise AutocropError(f"{folder} contains {len(cards)} models. Pass a folder with one model to --weights.")
    (model,) = cards
    paths = {part: folder / file.name for part, file in model.files.items()}
    for part, path in paths.items():
        if not path.is_file():
            raise AutocropError(f"{path} is missing. Export it again: autocrop models export CHECKPOINT -o {folder}")
        verify(path, model.files[part])
    return model, paths


@functools.cache
def read_manifest(folder: Path) -> dict[str, ModelCard]:
    """Read the cards in the ``manifest.json`` of a folder, by model name.

    Raises:
        AutocropError: the file is missing or damaged.
    """
    path = folder / MANIFEST
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["models"]
        cards = [ModelCard.from_dict(entry) for entry in entries]
    except FileNotFoundError as error:
        raise AutocropError(
            f"{path} is missing. Pass a folder written by autocrop models export, or reinstall autocrop-photo."
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AutocropError(
            f"{path} is damaged ({error}). Export the model again, or reinstall autocrop-photo."
        ) from error
    return {model.name: model for model in cards}


def write_manifest(folder: Path, cards: list[ModelCard]) -> None:
    """Write ``manifest.json`` to a folder."""
    text = json.dumps({"models": [model.to_dict() for model in cards]}, indent=2, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
    read_manifest.cache_clear()


def sha256(path: Path) -> str:
    """Return the SHA-256 digest of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_folder() -> Path:
    """Return the folder for downloads: ``AUTOCROP_CACHE``, or the user's cache folder of the platform."""
    if folder := os.environ.get("AUTOCROP_CACHE"):
        return Path(folder)
    import platformdirs

    return Path(platformdirs.user_cache_dir("autocrop"))


def verify(path: Path, file: WeightsFile) -> None:
    """Check the digest of a file.

    Raises:
        AutocropError: the digest differs from the manifest's.
    """
    digest = sha256(path)
    if digest != file.sha256:
        raise AutocropError(
            f"{path} is not the file that this version of autocrop expects (sha256 {digest[:12]}… instead of "
            f"{file.sha256[:12]}…). Delete it, or reinstall autocrop-photo."
        )


def verify_all() -> dict[Path, str]:
    """Check the face detector and all model files that are available locally. Downloads nothing.

    Returns:
        The problem with each file; empty if it is intact.
    """
    files = {path: file for model in manifest().values() for path, file in local_files(model).items()}
    problems = {}
    for path, file in {**files, face_detector(): FACE_DETECTOR}.items():
        try:
            verify(path, file)
            problems[path] = ""
        except AutocropError as error:
            problems[path] = str(error)
    return problems


def local_files(model: ModelCard) -> dict[Path, WeightsFile]:
    """Return the files of a model that are bundled or cached, and so need no download."""
    files = {}
    for file in model.files.values():
        bundled = _bundled_folder() / file.name
        path = bundled if bundled.is_file() else _cached(model, file)
        if path is not None:
            files[path] = file
    return files


def _locate(model: ModelCard, file: WeightsFile) -> Path:
    bundled = _bundled_folder() / file.name
    if bundled.is_file():
        # The installer has verified the wheel. Hashing 12 MB again would slow down every start.
        return bundled
    if model.hub is None:
        raise _not_bundled(bundled)
    return _download(model, file)


def _download(model: ModelCard, file: WeightsFile) -> Path:
    """Return a file from the cache, or download it from the Hub."""
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    assert model.hub is not None
    repo, revision, cache = model.hub["repo"], model.hub["revision"], cache_folder()
    description = f"{file.name} of {model.name} ({file.bytes / 1e6:.0f} MB)"
    if _cached(model, file) is None and not constants.HF_HUB_OFFLINE:
        # A warning, because Python shows warnings even if logging is not configured.
        logging.getLogger(__name__).warning(f"Downloading {description} from {constants.ENDPOINT}/{repo} to {cache}")
    try:
        path = Path(hf_hub_download(repo, file.name, revision=revision, cache_dir=cache))
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise AutocropError(
            f"Could not download {description} ({error.__class__.__name__}). "
            f"Connect to the internet and run: autocrop models pull {model.name}"
        ) from error
    try:
        verify(path, file)
    except AutocropError as error:
        # Delete it, or the cache would return it forever.
        path.resolve().unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        raise AutocropError(
            f"{description} was downloaded from {constants.ENDPOINT}/{repo}, but does not match the sha256 that this "
            f"version of autocrop expects. It was deleted. To try again, run: autocrop models pull {model.name}"
        ) from error
    return path


def _cached(model: ModelCard, file: WeightsFile) -> Path | None:
    """Return the path of a file in the cache, or None if it was never downloaded."""
    if model.hub is None:
        return None
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(model.hub["repo"], file.name, cache_folder(), model.hub["revision"])
    return Path(path) if isinstance(path, str) else None


def _bundled_folder() -> Path:
    """Return ``autocrop/bundled`` of an installed wheel, or ``weights/`` of a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "bundled"
    return installed if installed.is_dir() else package.parent / "weights"


def _not_bundled(path: Path) -> AutocropError:
    """Create the exception for a missing bundled file."""
    return AutocropError(f"{path}, a part of autocrop, is missing. Reinstall autocrop-photo.")
