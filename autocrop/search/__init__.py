"""From the preview of a photo to its best crops: subjects, constraints, and the two-stage search."""
