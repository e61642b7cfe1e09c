"""The one exception that users are meant to read."""


class AutocropError(Exception):
    """Something the user can put right. The message is a sentence that says what to do next."""


class UsageError(AutocropError):
    """The request itself makes no sense, whatever the photo: a ratio of 0:3, an unknown model."""


class PhotoError(AutocropError):
    """A photo that cannot be read or written; the message names it."""
