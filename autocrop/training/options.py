"""Options of a training run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autocrop.errors import UsageError
from autocrop.models import MODELS, Recipe

RECIPE_CHOICES = ("auto", "paper")


@dataclass(frozen=True)
class TrainingOptions:
    """What to train, on which data, and where to write the run.

    Raises:
        UsageError: a name or value is not valid, or options contradict each other.
    """

    model: str
    """Key of :data:`~autocrop.models.MODELS`."""
    data: str
    """Data set, as NAME:FOLDER."""
    output: Path
    """Folder of the run."""
    recipe: str = "auto"
    """``paper`` for the paper's recipe, or ``auto`` for ours if the model has one for the data set."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the recipe to change. A string is converted to the type of the field."""
    backbone_weights: Path | None = None
    """File of ImageNet weights. None downloads torchvision's."""
    feature_cache: Path | None = None
    """Folder that keeps the features of a frozen backbone for other runs. None keeps them in memory only."""
    init_from: Path | None = None
    """Checkpoint whose matching tensors initialize the network."""
    unlabeled: Path | None = None
    """Folder of photos without annotations to learn from."""
    amp: bool = False
    """Compute the loss in bfloat16 where torch considers that safe."""
    resume: bool = False
    """Continue the run in the output folder."""
    device: str = "auto"
    """``auto``, ``cpu`` or ``cuda``."""

    def __post_init__(self) -> None:
        """Check for invalid and conflicting options."""
        if self.model not in MODELS:
            raise UsageError(f"Unknown model '{self.model}'. Available models: {', '.join(MODELS)}.")
        if self.recipe not in RECIPE_CHOICES:
            raise UsageError(f"Unknown recipe '{self.recipe}'. Use one of: {', '.join(RECIPE_CHOICES)}.")
        if self.init_from is not None and self.resume:
            raise UsageError("--resume continues with the run's own weights. Leave out --init-from.")
        recipe = self.resolve_recipe()
        if self.feature_cache is not None and not recipe.freeze_backbone:
            raise UsageError("--feature-cache keeps the features of a frozen backbone. Add --freeze-backbone.")
        if self.unlabeled is not None:
            self._check_unlabeled(recipe)

    @property
    def data_name(self) -> str:
        """Name of the data set, without its folder."""
        return self.data.partition(":")[0]

    def resolve_recipe(self) -> Recipe:
        """Return the recipe of the run, with all overrides.

        Raises:
            UsageError: an override names an unknown field or has a value that is not valid.
        """
        network = MODELS[self.model]
        recipe = network.RECIPE()
        if self.recipe == "auto":
            recipe = network.RECIPES.get(self.data_name, recipe)
        fields = dataclasses.asdict(recipe)
        for name in self.overrides:
            if name not in fields:
                raise UsageError(_unknown_field(self.model, name))
        changes = {name: _convert(name, value, fields[name]) for name, value in self.overrides.items()}
        return dataclasses.replace(recipe, **changes)

    def _check_unlabeled(self, recipe: Recipe) -> None:
        if not MODELS[self.model].SUPPORTS_UNLABELED:
            supported = ", ".join(name for name, network in MODELS.items() if network.SUPPORTS_UNLABELED)
            raise UsageError(
                f"{self.model} cannot learn from photos without annotations. Leave out --unlabeled, or use {supported}."
            )
        if not recipe.uses_unlabeled:
            raise UsageError(
                f"With this recipe, the loss of {self.model} ignores photos without annotations. Leave out "
                "--unlabeled, or the option that sets a loss weight to 0."
            )


def _unknown_field(model: str, name: str) -> str:
    """Return the error message for a field that the recipe of a model does not have."""
    fields = {other: [field.name for field in dataclasses.fields(MODELS[other].RECIPE)] for other in MODELS}
    others = [other for other, names in fields.items() if name in names]
    hint = f"Models with this field: {', '.join(others)}." if others else f"Its fields: {', '.join(fields[model])}."
    return f"The recipe of {model} has no field '{name}'. {hint}"


def _convert(name: str, value: Any, default: Any) -> Any:
    """Convert a string to the type of a field's default; return other values unchanged."""
    if not isinstance(value, str):
        return value
    try:
        if isinstance(default, bool):
            return {"true": True, "false": False}[value.lower()]
        return type(default)(value)
    except (ValueError, KeyError) as error:
        expected = "true or false" if isinstance(default, bool) else f"a number such as {default!r}"
        raise UsageError(f"{name}={value}: the value must be {expected}.") from error
