"""Contact sheet: one HTML file for reviewing a batch. It opens from disk and needs no network.

The sheet is written photo by photo, so that memory use does not grow, and every prefix of the file is a valid page:
an interrupted run leaves a sheet of the photos that it finished.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import IO

from autocrop.batch.page import page_foot, page_head
from autocrop.batch.results import Result
from autocrop.batch.sheet_card import CardMaker
from autocrop.batch.sheet_entries import SheetEntries, entry_attribute
from autocrop.errors import AutocropError, UsageError

MARK = '<meta name="generator" content="autocrop contact sheet">'
"""Marks a page as a contact sheet. Only contact sheets may be replaced."""


class ContactSheet:
    """Writes a contact sheet. Use it as a context manager; the results of one photo must be added consecutively.

    Args:
        path: path of the HTML file. An existing contact sheet is replaced.

    Raises:
        UsageError: the path does not end in .html or .htm, or another file exists there.
        AutocropError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        if path.suffix.lower() not in (".html", ".htm"):
            raise UsageError(f"--contact-sheet {path}: give a file name that ends in .html.")
        _check_replaceable(path)
        self.path = path
        self._results: list[Result] = []
        """Results of the last photo, which are not written yet."""
        self._cards = CardMaker(path.parent)

    def __enter__(self) -> ContactSheet:
        self._entries = SheetEntries(self.path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[str] = self.path.open("w", encoding="utf-8", newline="\n")
        except OSError as error:
            raise self._not_writable(error) from error
        self._write(page_head())
        if (
            previous := self._entries.former
        ):  # written first, so that the next run finds them even if this one is killed
            lines = "".join(f"<i{entry_attribute(entry)}></i>\n" for entry in previous)
            self._write(f"<template>\n{lines}</template>\n")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._write_card()
            self._write(page_foot())
        finally:
            self._file.close()

    def add(self, result: Result) -> None:
        """Add a result. For a skipped output, show the crop recorded in the previous sheet.

        Raises:
            AutocropError: the file cannot be written.
        """
        if self._results and self._results[-1].path != result.path:
            self._write_card()
        self._results.append(result)

    def _write_card(self) -> None:
        results, self._results = self._results, []
        if results:
            completed = [self._entries.complete(result) for result in results]
            self._write(self._cards.card([result for result, _ in completed], [entry for _, entry in completed]))

    def _write(self, text: str) -> None:
        try:
            self._file.write(text.encode("utf-8", "replace").decode("utf-8"))  # file names may not be valid UTF-8
            self._file.flush()
        except OSError as error:
            raise self._not_writable(error) from error

    def _not_writable(self, error: OSError) -> AutocropError:
        return AutocropError(f"Cannot write the contact sheet {self.path} ({error.strerror}).")


def _check_replaceable(path: Path) -> None:
    if path.is_dir():
        raise UsageError(f"--contact-sheet {path} is a folder. Give a file name.")
    if path.exists():
        with path.open("rb") as file:
            if MARK.encode() not in file.read(1000):
                raise UsageError(f"{path} exists and is not a contact sheet. Choose another name.")
