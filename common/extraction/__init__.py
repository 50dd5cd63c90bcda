"""Attachment bytes -> text, in a child process with limits: a hostile or broken file costs one child, nothing more."""

from common.extraction.extractor import extract
from common.extraction.outcome import Extracted, ExtractionRefused, Kind, Limits, Refusal

__all__ = ["Extracted", "ExtractionRefused", "Kind", "Limits", "Refusal", "extract"]
