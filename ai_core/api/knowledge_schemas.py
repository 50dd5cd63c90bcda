"""Searches in the Code, and its articles."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from ai_core.api.schemas import Strict, Text
from ai_core.grounding import ARTICLE, SHEET

ANY = "any"


class SearchSchema(Strict):
    """What to search for."""

    q = Text(required=True, validate=validate.Length(max=1000), metadata={"example": "préavis de démission"})
    limit = fields.Integer(load_default=10, validate=validate.Range(1, 50))
    kind = fields.String(
        load_default=ANY,
        validate=validate.OneOf((ARTICLE, SHEET, ANY)),
        metadata={"description": "What to search; practical sheets are found where PRACTICAL_SHEETS is true."},
    )


class SearchResultSchema(Schema):
    """One hit. `section` runs from the part of the code to the section, or from a sheet's theme down."""

    kind = fields.String(required=True, validate=validate.OneOf((ARTICLE, SHEET)))
    number = fields.String(required=True)
    title = fields.String(required=True)
    section = fields.List(fields.String(), required=True)
    excerpt = fields.String(required=True)
    url = fields.Url(required=True)
    score = fields.Float(required=True)
    updated = fields.String(
        required=True,
        allow_none=True,
        metadata={"example": "2020-08-21", "description": "Of a sheet: last changed."},
    )
    articles = fields.List(
        fields.String(), required=True, metadata={"description": "Of a sheet: the articles that it names."}
    )
    changed = fields.List(
        fields.String(), required=True, metadata={"description": "Of a sheet: those that changed since."}
    )


class SearchResultsSchema(Schema):
    """The hits, best first."""

    results = fields.List(fields.Nested(SearchResultSchema), required=True)


class ArticleSchema(Schema):
    """One article of the revision in use."""

    number = fields.String(required=True)
    title = fields.String(required=True)
    section = fields.List(fields.String(), required=True)
    text = fields.String(required=True)
    nota = fields.String(required=True)
    url = fields.Url(required=True)
    state = fields.String(required=True)
    in_force_from = fields.Date(allow_none=True, required=True)
    in_force_until = fields.Date(
        allow_none=True, required=True, metadata={"description": "First day on which it no longer applies."}
    )
    revision = fields.String(required=True, metadata={"description": "Of the imported Code."})
