"""ONNX models through onnxruntime."""

from ai_core.engine.backends.onnx.backend import OnnxBackend

__all__ = ["OnnxBackend"]
