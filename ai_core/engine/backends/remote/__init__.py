"""Any server that speaks the OpenAI API: vLLM on GPUs, llama-server, and several of them for one model."""

from ai_core.engine.backends.remote.engine import RemoteEngine
from ai_core.engine.backends.remote.servers import RemoteServers

__all__ = ["RemoteEngine", "RemoteServers"]
