"""Exceptions whose messages are meant for users."""


class AutocropError(Exception):
    """An error that the user can fix. The message says what is wrong and what to do."""


class UsageError(AutocropError):
    """A request that is invalid for every photo, such as a ratio of 0:3 or an unknown model."""


class PhotoError(AutocropError):
    """A photo that cannot be read or written. The message names the photo."""
