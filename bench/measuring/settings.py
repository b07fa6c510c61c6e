"""How a comparison is taken."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """How long and how patiently to measure, and where the uploaded files are."""

    seconds: int
    transfers: int
    """Transfers in one sample of a big download."""
    patience_seconds: float
    directory: Path
