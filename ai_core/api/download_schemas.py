"""Downloads, as they are asked for and shown."""

from __future__ import annotations

import re

from marshmallow import Schema, fields, validate

from ai_core.api.schemas import Strict, UtcDateTime
from ai_core.catalog.downloads import records
from ai_core.catalog.downloads import request as wanted


def _matching(pattern: str, longest: int, problem: str) -> list[validate.Validator]:
    return [validate.Length(1, longest), validate.Regexp(re.compile(pattern), error=problem)]


class NewDownloadSchema(Strict):
    """A model to fetch from the Hub."""

    model_name = fields.String(
        required=True,
        validate=_matching(wanted.MODEL_NAME, wanted.LONGEST_NAME, "Must be owner/name."),
        metadata={"description": "`owner/name` on the Hub."},
    )
    model_format = fields.String(
        validate=validate.OneOf(wanted.FORMATS),
        metadata={"description": "By default the first there is of gguf, safetensors, pytorch, onnx, lora."},
    )
    filename = fields.String(
        validate=_matching(wanted.FILENAME, wanted.LONGEST_FILENAME, "Must be a file of the repository."),
        metadata={
            "description": "A file of the repository, or a quantisation such as Q4_K_M. By default the largest "
            "quantisation that fits in this machine's memory."
        },
    )
    revision = fields.String(
        load_default=wanted.DEFAULT_REVISION,
        validate=_matching(wanted.REVISION, wanted.LONGEST_REVISION, "Must be a branch, a tag or a commit."),
        metadata={
            "description": "A branch, a tag or a commit; pinned to the commit it is at when the download begins."
        },
    )
    auth_token = fields.String(
        load_only=True,
        validate=_matching(wanted.TOKEN, wanted.LONGEST_TOKEN, "Must be a token."),
        metadata={"description": "For a private or gated model. Used for this download only; neither kept nor logged."},
    )


class DownloadSchema(Schema):
    """A download. Sizes in bytes, times in seconds."""

    id = fields.String(required=True)
    model_name = fields.String(required=True)
    model_format = fields.String(allow_none=True, required=True, metadata={"description": "As asked for."})
    filename = fields.String(allow_none=True, required=True)
    revision = fields.String(required=True)
    commit = fields.String(allow_none=True, required=True, metadata={"description": "What the revision is pinned to."})
    model_id = fields.String(
        allow_none=True, required=True, metadata={"description": "The model's id once it is done."}
    )
    format = fields.String(allow_none=True, required=True)
    status = fields.String(required=True, validate=validate.OneOf(records.STATUSES))
    progress = fields.Integer(required=True, metadata={"description": "0 to 100; 100 only when it is done."})
    bytes_done = fields.Integer(required=True)
    bytes_total = fields.Integer(allow_none=True, required=True)
    bytes_per_second = fields.Integer(allow_none=True, required=True)
    estimated_seconds = fields.Integer(allow_none=True, required=True)
    message = fields.String(
        allow_none=True, required=True, metadata={"description": "Why these files, or what it waits for."}
    )
    error_code = fields.String(
        allow_none=True, required=True, metadata={"description": "For programs: gated_model, checksum_mismatch, ..."}
    )
    error = fields.String(allow_none=True, required=True)
    created_at = UtcDateTime(required=True)
    started_at = UtcDateTime(allow_none=True, required=True)
    finished_at = UtcDateTime(allow_none=True, required=True)


class DownloadListSchema(Schema):
    """The newest downloads first."""

    downloads = fields.List(fields.Nested(DownloadSchema), required=True)
