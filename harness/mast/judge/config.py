"""Configuration of the judge. The model's own fields are those of `conf/model`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class JudgeConfig(BaseModel):
    """How traces are judged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    samples: int = Field(default=3, ge=1, le=9)
    """Independent answers per question; with a second model, so many from each."""
    window_chars: int = Field(default=60_000, ge=2_000)
    """Characters of events that one request shows; longer traces are read in several with a running ledger."""
    max_positives: int = Field(default=9, ge=1)
    """More modes than this in one trace are not believed (docs/sources M2): all answers count as missing."""
    max_output_tokens: int = Field(default=4096, ge=256)
    concurrency: int = Field(default=8, ge=1)
    """Requests at a time."""
