"""Models in the Hugging Face Hub's formats (safetensors, PyTorch) through transformers, with LoRA through peft."""
