"""Evaluation of models and of other programs' crops on the data sets, with the papers' metrics."""
