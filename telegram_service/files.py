"""Documents, photos and recordings that people send become text, or a reason why not."""

from __future__ import annotations

from dataclasses import dataclass

from common.ai_client import AiClient, AiRefused
from common.extraction import ExtractionRefused, Limits, Refusal, extract
from telegram_service.incoming import SentFile
from telegram_service.telegram_api import TelegramApi

MAX_TEXT = 12_000  # characters: the AI core takes 20,000, and its models hold less
SECONDS = 40.0


@dataclass(frozen=True, slots=True)
class ReadFile:
    """What a file says; `truncated`: there is more."""

    text: str
    truncated: bool = False


class FileRefused(Exception):
    """A file that cannot be used; `text` names what the person is told."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


_REFUSALS = {
    Refusal.TOO_LARGE: "file_too_large",
    Refusal.UNSUPPORTED: "file_unsupported",
    Refusal.ENCRYPTED: "file_encrypted",
    Refusal.UNREADABLE: "file_unreadable",
    Refusal.EMPTY: "file_empty",
    Refusal.TOO_COSTLY: "file_too_costly",
    Refusal.UNAVAILABLE: "file_unreadable",
}


class Files:
    """Reads files up to `max_size` bytes."""

    def __init__(self, telegram: TelegramApi, ai: AiClient, *, max_size: int) -> None:
        self._telegram = telegram
        self._ai = ai
        self._max_size = max_size

    @property
    def megabytes(self) -> int:
        """The largest file that is taken, for people."""
        return self._max_size // 1_048_576

    def read(self, file: SentFile, request_id: str, language: str) -> ReadFile:
        """What the file says. Raises FileRefused, TelegramAway, AiAway."""
        if file.size > self._max_size:
            raise FileRefused("file_too_large")
        try:
            data = self._telegram.download(file.file_id, self._max_size)
        except ValueError:
            raise FileRefused("file_too_large") from None
        return (
            self._heard(data, file, request_id, language) if file.kind == "recording" else self._extracted(data, file)
        )

    def _heard(self, data: bytes, file: SentFile, request_id: str, language: str) -> ReadFile:
        try:
            text = self._ai.transcribe(data, file.name, request_id, language=language)
        except AiRefused as refused:
            raise FileRefused("no_speech" if refused.code == "no_speech_model" else "speech_unclear") from None
        if not text.strip():
            raise FileRefused("speech_unclear")
        return ReadFile(text.strip()[:MAX_TEXT], len(text) > MAX_TEXT)

    def _extracted(self, data: bytes, file: SentFile) -> ReadFile:
        try:
            read = extract(data, file.name, Limits(bytes=self._max_size, seconds=SECONDS))
        except ExtractionRefused as refused:
            raise FileRefused(_REFUSALS[refused.reason]) from None
        return ReadFile(read.text[:MAX_TEXT], read.truncated or len(read.text) > MAX_TEXT)
