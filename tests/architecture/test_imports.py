"""Imports run one way: edges on top, the engine and `common` at the bottom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("common", "ai_core", "mail_service", "telegram_service")
COMPOSERS = {
    f"{service}.{edge}"
    for service in ("ai_core", "mail_service", "telegram_service")
    for edge in ("app", "wsgi", "cli", "legacy.cli", "person_cli", "composition", "gunicorn.conf")
}

# A package or module, and the parts of our own code that it must not import.
FORBIDDEN = {
    "common": ("ai_core", "mail_service", "telegram_service"),
    "mail_service": ("ai_core", "telegram_service"),
    "telegram_service": ("ai_core", "mail_service"),
    "telegram_service.mailbox": ("flask", "telegram_service.storage", "telegram_service.dispatcher"),
    "ai_core": ("mail_service", "telegram_service"),
    "ai_core.engine": ("ai_core.api", "ai_core.assistant", "ai_core.knowledge", "ai_core.storage", "common", "flask"),
    "ai_core.knowledge": ("ai_core.api", "ai_core.assistant", "ai_core.engine", "ai_core.prompts", "flask"),
    "ai_core.prompts": ("ai_core.api", "ai_core.engine", "ai_core.knowledge", "ai_core.storage", "flask"),
    "ai_core.assistant": ("ai_core.api", "ai_core.storage", "ai_core.keys", "flask"),
    "ai_core.storage": ("ai_core.api", "ai_core.engine", "ai_core.knowledge", "flask"),
    "ai_core.api": ("ai_core.engine.engine", "ai_core.engine.backends", "llama_cpp"),
}


def modules() -> Iterator[tuple[str, Path]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def inside(name: str, parent: str) -> bool:
    return name == parent or name.startswith(parent + ".")


@pytest.mark.parametrize("part", sorted(FORBIDDEN))
def test_a_part_imports_nothing_above_it(part: str) -> None:
    checked = [(name, path) for name, path in modules() if inside(name, part)]
    assert checked, f"{part} is gone: change this test with it"
    for name, path in checked:
        for target in imported(path):
            for forbidden in FORBIDDEN[part]:
                assert not inside(target, forbidden), f"{name} imports {target}"


def test_composers_are_imported_by_composers_only() -> None:
    for name, path in modules():
        if name in COMPOSERS or name.endswith(".__main__"):
            continue
        for target in imported(path):
            assert target not in COMPOSERS, f"{name} imports {target}"


def test_only_settings_read_the_environment() -> None:
    # The registry's address is npm's setting, not ours; the client's `environ` is WSGI's.
    allowed = {
        "ai_core.settings",
        "mail_service.settings",
        "telegram_service.settings",
        "ai_core.knowledge.registry",
        "ai_core.api.client",
    }
    for name, path in modules():
        if name in allowed or inside(name, "ai_core.demo_model"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")), name


def test_a_backend_imports_its_library_lazily_and_nothing_else_imports_it() -> None:
    for name, path in modules():
        if inside(name, "ai_core.engine.backends.llama_cpp") or inside(name, "ai_core.demo_model"):
            continue
        assert not any(inside(target, "llama_cpp") for target in imported(path)), f"{name} imports llama_cpp"
