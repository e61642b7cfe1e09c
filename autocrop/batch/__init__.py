"""Batches: from the files that a user names to cropped files, one result per crop."""
