"""LoRA adapters over one base model, loaded by peft: the base's weights are in memory once, whatever their number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ai_core.engine.backends.base import BackendError

WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
LORA = ".lora_"
"""In the name of every weight that LoRA adds."""
BASE_CHANGING = ("pissa", "olora", "corda", "loftq")
"""Ways to start a LoRA that take a part out of the base's weights, which the others share."""


class Adapters:
    """`folders` by name, as peft saves them. One is active at a time; at first none. Raises BackendError."""

    def __init__(self, model: Any, folders: Mapping[str, Path]) -> None:
        self._peft: Any = None
        self._numbers = {name: f"adapter{number}" for number, name in enumerate(folders)}  # peft allows no dot in names
        self._active: str | None = None
        for name, folder in folders.items():
            self._load(model, name, folder)
        if self._peft is not None:
            self._peft.base_model.disable_adapter_layers()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._numbers)

    def activate(self, name: str | None) -> None:
        """Let `name` take part in what the model computes from now on; None: the base alone."""
        if name == self._active:
            return
        if name is None:
            self._peft.base_model.disable_adapter_layers()
        else:
            self._peft.base_model.enable_adapter_layers()
            self._peft.base_model.set_adapter(self._numbers[name], inference_mode=True)
        self._active = name

    def _load(self, model: Any, name: str, folder: Path) -> None:
        try:
            config = _config(folder)
            found = self._add(model, config, self._numbers[name], folder)
        except BackendError as error:
            raise BackendError(f"adapter {name}: {error}") from error
        except Exception as error:
            reason = next(iter(str(error).splitlines()), "") or type(error).__name__
            raise BackendError(f"adapter {name} does not fit this model: {reason[:200]}") from error
        if found.missing_keys:
            raise BackendError(f"adapter {name} lacks weights: {found.missing_keys[0]} first")
        if found.unexpected_keys:
            raise BackendError(f"adapter {name} does not fit this model, which has no {found.unexpected_keys[0]}")

    def _add(self, model: Any, config: Any, internal: str, folder: Path) -> Any:
        import peft

        if self._peft is None:
            self._peft = peft.PeftModel(model, config, internal, autocast_adapter_dtype=False)
        else:
            self._peft.add_adapter(internal, config, autocast_adapter_dtype=False)
        return self._peft.load_adapter(str(folder), internal, torch_device=str(model.device))


def _config(folder: Path) -> Any:
    """What peft must know of the adapter, after a look at what it would do to the base."""
    import peft

    if not (folder / "adapter_config.json").exists():
        raise BackendError(f"{folder.name} holds no adapter_config.json")
    config = peft.PeftConfig.from_pretrained(str(folder))
    if config.peft_type != peft.PeftType.LORA:
        raise BackendError(f"{config.peft_type.value} is not LoRA")
    for unsupported in ("modules_to_save", "trainable_token_indices", "layer_replication"):
        if getattr(config, unsupported, None):
            raise BackendError(f"{unsupported} is not supported: it replaces parts of the base")
    if config.bias != "none" or str(config.init_lora_weights).lower().startswith(BASE_CHANGING):
        raise BackendError("it changes the base's own weights, which other adapters share")
    _refuse_whole_weights(_weight_names(folder))
    config.inference_mode = True
    return config


def _weight_names(folder: Path) -> list[str]:
    import safetensors
    import torch

    safe, pickled = (folder / name for name in WEIGHTS)
    if safe.exists():
        with safetensors.safe_open(str(safe), framework="pt") as file:
            return list(file.keys())
    if pickled.exists():
        return list(torch.load(pickled, map_location="cpu", weights_only=True))
    raise BackendError(f"{folder.name} holds no {WEIGHTS[0]}")


def _refuse_whole_weights(names: Iterable[str]) -> None:
    """peft would write these over the base's own, for every request."""
    whole = next((name for name in names if LORA not in name), None)
    if whole is not None:
        raise BackendError(f"it holds {whole}, which would replace a part of the base (resized embeddings?)")
