"""What is wanted of a resident field; told by the flags, without torch."""

from __future__ import annotations

from dataclasses import dataclass

FORMATS = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
"""What `--resident-format` takes, and what torch calls it."""


@dataclass(frozen=True, slots=True)
class Residence:
    """Whether the dense field is kept on the device, and how.

    Attributes:
        wanted: Keep it, or do not; None: on a GPU, if it fits.
        format: A name of `FORMATS`; None: bf16 on a GPU, fp32 elsewhere.
        memory: Bytes that it may take on all devices together; None: most of what is free.

    Raises:
        ValueError: There is no such format.
    """

    wanted: bool | None = None
    format: str | None = None
    memory: int | None = None

    def __post_init__(self) -> None:
        if self.format not in (None, *FORMATS):
            raise ValueError(f"resident format {self.format!r}: choose from {', '.join(FORMATS)}")


ANYWHERE = Residence()
"""On a GPU if it fits, else nowhere."""
