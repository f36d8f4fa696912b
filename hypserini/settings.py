"""How texts are encoded, where the user says something else than the model's folder."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class EncodingSettings:
    """What goes before what a model's folder says; None: as the folder says.

    Attributes:
        pooling: see `pooling.pool`.
        l2_norm: document vectors, and a bi-encoder's query vectors, get length 1, or not.
        query_prefix: put before every query, as it is; "" for none.
        document_prefix: put before every document, as it is; "" for none.
    """

    pooling: str | None = None
    l2_norm: bool | None = None
    query_prefix: str | None = None
    document_prefix: str | None = None

    @classmethod
    def from_flags(
        cls,
        pooling: str | None = None,
        l2_norm: bool | None = None,
        query_prefix: str | None = None,
        document_prefix: str | None = None,
    ) -> EncodingSettings:
        """The settings of the flags, where a space stands between prefix and text, as in Pyserini.

        >>> EncodingSettings.from_flags(query_prefix="query:").query_prefix
        'query: '
        """
        return cls(pooling, l2_norm, _spaced(query_prefix), _spaced(document_prefix))

    def over(self, others: EncodingSettings) -> EncodingSettings:
        """These settings, and `others` where these say nothing."""
        ours = {f.name: getattr(self, f.name) for f in fields(self)}
        return EncodingSettings(
            **{
                name: getattr(others, name) if value is None else value
                for name, value in ours.items()
            }
        )


AS_THE_FOLDER_SAYS = EncodingSettings()
"""The settings that change nothing."""


def _spaced(prefix: str | None) -> str | None:
    return prefix + " " if prefix and not prefix[-1].isspace() else prefix
