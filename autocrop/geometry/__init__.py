"""Numpy geometry: boxes, aspect ratios, candidate crops, proposals, and composition patterns."""
