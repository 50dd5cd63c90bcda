"""What can go wrong with the Code du travail. Messages are for the operator: they name the file and what to do."""

from __future__ import annotations


class KnowledgeError(Exception):
    """The import failed; what was active before still is."""


class KnowledgeMissing(KnowledgeError):
    """No revision is active, or its articles are gone."""


class PackageInvalid(KnowledgeError):
    """The file is not the legi-data package or its JSON file."""


class RegistryUnreachable(KnowledgeError):
    """The package could not be brought, or what came is not what the registry announced."""


class UpdateRunning(KnowledgeError):
    """Another process is importing into the same directory."""
