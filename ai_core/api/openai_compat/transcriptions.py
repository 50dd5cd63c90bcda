"""POST /v1/audio/transcriptions."""

from __future__ import annotations

from typing import Any

from flask import Response, g, request
from flask_smorest.fields import Upload
from marshmallow import RAISE, Schema, fields, validate
from werkzeug.datastructures import FileStorage

from ai_core.api.access import SECURITY, requires
from ai_core.api.answer_metrics import AnswerMetrics
from ai_core.api.client import ClientConnection
from ai_core.api.media_types import FORM, accepts
from ai_core.api.openai_compat.blueprint import OpenAiBlueprint
from ai_core.api.openai_compat.errors import documented
from ai_core.api.openai_compat.fields import NOT_SUPPORTED
from ai_core.api.schemas import Strict
from ai_core.engine.speech import Transcript
from ai_core.speech_model import SpeechModel
from common.errors import InvalidFields, ServiceError

ROOM_FOR_FIELDS = 65_536  # bytes of the form beside the file
EVERYBODYS_NAME = "whisper-1"
"""What many clients ask for, whatever the server has."""


class TranscriptionRequestSchema(Strict):
    """A recording, and how its text is wanted."""

    file = Upload(required=True, metadata={"description": "WAV, FLAC, OGG (Opus, Vorbis) or MP3."})
    model = fields.String(required=True, validate=validate.Length(1, 200))
    language = fields.String(
        validate=validate.Regexp(r"^[a-z]{2,3}\Z"), metadata={"description": "ISO 639-1; without it the model listens."}
    )
    response_format = fields.String(load_default="json", validate=validate.OneOf(("json", "text", "verbose_json")))
    temperature = fields.Float(validate=validate.Equal(0, error=NOT_SUPPORTED))
    prompt = fields.String(validate=validate.Equal("", error=NOT_SUPPORTED))
    stream = fields.Boolean(validate=validate.Equal(False, error=NOT_SUPPORTED))
    timestamp_granularities = fields.List(
        fields.String(validate=validate.OneOf(("segment",), error=NOT_SUPPORTED)),
        data_key="timestamp_granularities[]",
    )


class TranscriptSegmentSchema(Schema):
    """Up to half a minute."""

    id = fields.Integer(required=True)
    start = fields.Float(required=True, metadata={"description": "Seconds."})
    end = fields.Float(required=True, metadata={"description": "Seconds."})
    text = fields.String(required=True)


class TranscriptionSchema(Schema):
    """What is said. All but the text comes with verbose_json only."""

    text = fields.String(required=True)
    task = fields.String()
    language = fields.String(allow_none=True, metadata={"description": "ISO 639-1; null where nothing is said."})
    duration = fields.Float(metadata={"description": "Seconds."})
    segments = fields.List(fields.Nested(TranscriptSegmentSchema))


def transcriptions_blueprint(model: SpeechModel | None, metrics: AnswerMetrics) -> OpenAiBlueprint:
    """The route, bound to `model`; None: there is none."""
    blueprint = OpenAiBlueprint("audio", __name__)

    @blueprint.route("/audio/transcriptions", methods=["POST"])
    @requires("chat")
    @accepts(FORM)
    @documented(blueprint, 400, 404, 413, 415, 503)
    @blueprint.doc(security=SECURITY)
    @blueprint.alt_response(
        200, schema={"type": "string"}, content_type="text/plain", description="With `text`", success=True
    )
    @blueprint.arguments(TranscriptionRequestSchema, location="files", unknown=RAISE)
    @blueprint.response(200, TranscriptionSchema, example={"text": "Quel est mon préavis ?"})
    def transcribe(form: dict[str, Any]) -> Response | dict[str, Any]:
        """Turn a recording into text

        As in OpenAI's API, multipart/form-data. 404 with the code `no_speech_model` where the server has none
        (SPEECH_MODEL_DIR). MAX_AUDIO_LENGTH and MAX_AUDIO_SECONDS bound a recording.
        """
        chosen = _chosen(model, form["model"])
        if "timestamp_granularities" in form and form["response_format"] != "verbose_json":
            raise InvalidFields({"timestamp_granularities[]": ["Needs the response_format verbose_json."]})
        client, upload = ClientConnection(), form["file"]
        if not isinstance(upload, FileStorage):
            raise InvalidFields({"file": ["Must be a file."]})
        transcript = chosen.transcribe(
            upload.read(), language=form.get("language"), is_wanted=lambda: not client.is_gone()
        )
        metrics.note_computed(chosen.id, 0, g.arrived)
        if form["response_format"] == "text":
            return Response(transcript.text + "\n", mimetype="text/plain")
        return {"text": transcript.text} if form["response_format"] == "json" else _verbose(transcript)

    @blueprint.before_request
    def allow_recordings() -> None:
        """Of a body, before it is read; others stay within MAX_CONTENT_LENGTH."""
        if model is not None:
            request.max_content_length = model.most_bytes + ROOM_FOR_FIELDS

    return blueprint


def _chosen(model: SpeechModel | None, name: str) -> SpeechModel:
    if model is None:
        raise ServiceError(404, "no_speech_model", "This server has no speech model (SPEECH_MODEL_DIR).")
    if name not in (model.id, EVERYBODYS_NAME):
        message = f"The speech model of this server is {model.id}."
        raise ServiceError(404, "unknown_model", message, errors={"model": ["Unknown model."]})
    return model


def _verbose(transcript: Transcript) -> dict[str, Any]:
    return {
        "task": "transcribe",
        "language": transcript.language,
        "duration": transcript.duration_s,
        "text": transcript.text,
        "segments": [
            {"id": place, "start": segment.start_s, "end": segment.end_s, "text": segment.text}
            for place, segment in enumerate(transcript.segments)
        ],
    }
