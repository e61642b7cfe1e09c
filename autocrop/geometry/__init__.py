"""Geometry of boxes in numpy: boxes, aspect ratios, candidate crops, proposals, and composition patterns."""
