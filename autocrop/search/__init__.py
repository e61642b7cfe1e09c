"""Search for the best crops of a photo: analysis, constraints, and the two-stage search."""
