"""Batches: from the files that a user names to cropped files, with one result for each crop."""
