"""GGUF models through llama.cpp's low-level API."""

from ai_core.engine.backends.llama_cpp.backend import LlamaCppBackend

__all__ = ["LlamaCppBackend"]
