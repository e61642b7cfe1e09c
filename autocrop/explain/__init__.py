"""Explanation of a crop: one picture with the crop, the runners-up with their scores, and the model's heat maps."""

from autocrop.explain.drawing import draw
from autocrop.explain.explanation import Explanation, check_output, explain_photo
from autocrop.explain.heat_maps import heat_maps

__all__ = ["Explanation", "check_output", "draw", "explain_photo", "heat_maps"]
