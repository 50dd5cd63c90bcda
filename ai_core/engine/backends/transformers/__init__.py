"""Models in the Hugging Face Hub's formats (safetensors, PyTorch) through transformers, with LoRA through peft."""

from ai_core.engine.backends.transformers.backend import TransformersBackend

__all__ = ["TransformersBackend"]
