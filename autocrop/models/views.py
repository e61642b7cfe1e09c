"""Training examples: one photo, its candidate crops and their labels."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from autocrop.models.backbones import Pyramid


@dataclass(frozen=True)
class Views:
    """One training photo with candidate crops, which the papers call views, and their labels.

    N is the number of crops; S <= N of them are scored.
    """

    image: Tensor
    """``[1, 3, H, W]``, ImageNet-normalized."""
    boxes: Tensor
    """``[N, 4]``, xyxy in [0, 1]: the S scored crops, followed by crops that only occur in *pairs*."""
    scores: Tensor
    """``[S]``: MOS of the scored crops, or the substitute that ``training/targets.py`` computes."""
    pairs: Tensor
    """``[P, 2]``: indices into *boxes* of crops that annotators compared."""
    preference: Tensor
    """``[P]`` in [0, 1]: share of the votes that preferred the first crop of each pair."""
    maps: Pyramid | None = None
    """Cached features of the frozen backbone; None to compute them from *image*."""
    saliency: Tensor | None = None
    """``[H, W]`` in [0, 1]: saliency map, for models with :attr:`~autocrop.models.base.CroppingModel.uses_saliency`."""
    unlabeled: Views | None = None
    """A second photo without scores and pairs, for models that learn from unlabeled photos."""
    targets: Tensor | None = None
    """``[G, 4]``, G >= 1: ground-truth crops of the photo, best first, for models that propose crops."""


def require_targets(views: Views) -> Tensor:
    """Return the ground-truth crops ``[G, 4]`` of a photo, best first.

    Raises:
        ValueError: the views have no targets.
    """
    if views.targets is None:
        raise ValueError("Models that propose crops learn from target crops, but these views have none.")
    return views.targets
