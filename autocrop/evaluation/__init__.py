"""Evaluation of models, and of predictions by other programs, on data sets with the papers' metrics."""
