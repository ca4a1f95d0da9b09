"""What can go wrong, as one tree.

PushliftError
├── ConfigError            settings are missing, contradictory or of the wrong kind
├── DataError              what a source returned is not what was declared
│   └── NothingSent        no push was sent in the period asked for
└── SourceError            a source could not be read
    ├── DatabaseError      the push database
    ├── ExportError        exported Parquet files
    └── PostHogError       PostHog's query API
        ├── PostHogDenied  asked wrongly or not allowed (4xx): asking again will not help
        ├── PostHogBusy    limits or faults that outlasted every retry
        └── QueryTooBig    the answer does not fit: ask for a smaller slice

Every message is a sentence or two: what, where, what to do. None holds a secret or an e-mail.
Expected shortfalls ("too few users") are result statuses, not errors.
"""


class PushliftError(Exception):
    """Base of everything Pushlift raises on purpose; its text may be shown to people."""


class ConfigError(PushliftError):
    """Settings are missing, contradictory or of the wrong kind."""


class DataError(PushliftError):
    """A table does not have the declared columns, types or keys."""


class NothingSent(DataError):  # noqa: N818 - reads as the state it is
    """No push was sent in the period asked for."""


class SourceError(PushliftError):
    """A source could not be read."""


class DatabaseError(SourceError):
    """The push database could not be read."""


class ExportError(SourceError):
    """Exported Parquet files could not be read."""


class PostHogError(SourceError):
    """PostHog's query API did not answer as needed."""


class PostHogDenied(PostHogError):  # noqa: N818 - reads as the state it is
    """PostHog refused the request for a reason that asking again does not change."""


class PostHogBusy(PostHogError):  # noqa: N818
    """Limits or faults outlasted every retry."""


class QueryTooBig(PostHogError):  # noqa: N818
    """The answer is cut or too costly: the slice has to be made smaller."""
