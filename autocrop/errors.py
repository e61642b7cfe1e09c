"""Exceptions whose messages are meant for users."""


class AutocropError(Exception):
    """An error that the user can fix. The message says what is wrong and what to do."""


class UsageError(AutocropError):
    """An invalid request, whatever the photo: a ratio of 0:3, or an unknown model."""


class PhotoError(AutocropError):
    """A photo that cannot be read or written. The message names the photo."""
