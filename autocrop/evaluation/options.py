"""Options of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from autocrop.errors import UsageError


@dataclass(frozen=True)
class EvaluationOptions:
    """What to measure, on which data, and which files to write.

    Raises:
        UsageError: options contradict each other.
    """

    data: str
    """Data set, as NAME:FOLDER."""
    model: str | None = None
    """Name of the model. None selects the default model."""
    split: str | None = None
    """``train``, ``val`` or ``test``. None selects the usual split of the data set."""
    given_ratio: bool = False
    """Search only for crops with the aspect ratio of the annotated crop."""
    top: int | None = None
    """Number of boxes to search for; see :func:`~autocrop.evaluation.evaluate.predict`."""
    save: Path | None = None
    """File to write the predictions to, as JSON lines."""
    predictions: Path | None = None
    """File of predictions to measure instead of a model."""
    plots: Path | None = None
    """Folder to draw plots in."""
    weights: Path | None = None
    """Exported folder or checkpoint to use instead of the files of a model."""
    device: str = "auto"
    """``auto``, ``cpu`` or ``cuda``."""
    engine: str = "auto"
    """``auto``, ``opencv`` or ``torch``."""

    def __post_init__(self) -> None:
        """Check for conflicting options."""
        runs_model = self.model is not None or self.weights is not None or self.save is not None
        if self.predictions is not None and runs_model:
            raise UsageError("--predictions measures a file. Leave out the model, --weights and --save.")
