"""What a model needs is estimated from headers; what the machine has counts control groups too."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from ai_core.catalog import stored_weights
from ai_core.catalog.formats import Format
from ai_core.catalog.machine_memory import MARGIN, available_bytes
from ai_core.catalog.memory import (
    GIB,
    SCORES_BYTES,
    Load,
    NotEnoughMemory,
    needs,
    require,
    with_separate_slots,
)
from ai_core.catalog.model_shape import ModelShape
from ai_core.engine.backends.llama_cpp import LlamaCppBackend, tuning
from tests.ai_core.engine.tiny_model import CONTEXT, write_tiny_mamba

MIB = 2**20


@pytest.mark.parametrize("slots", [4, 16])
def test_the_estimate_covers_what_llama_cpp_allocates(
    tiny_gguf: Path, slots: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    backend = LlamaCppBackend(tiny_gguf, slots=slots, threads=1)
    cells = backend.limits.cells - backend.limits.held  # these are allocated as they come
    backend.close()
    allocated = {
        name: float(size) for name, size in re.findall(r"CPU\s+(\w+) buffer size = +([\d.]+) MiB", caplog.text)
    }
    assert Load(slots=slots).tokens(CONTEXT) == cells
    estimate = needs(tiny_gguf, Format.GGUF, Load(slots=slots))
    assert estimate.cache / MIB == pytest.approx(allocated["KV"], abs=0.01)
    assert estimate.compute / MIB > allocated["compute"] + allocated["output"]
    assert estimate.weights == sum(array.nbytes for array in tensors(tiny_gguf))


def tensors(path: Path) -> list[np.ndarray]:
    import gguf

    return [tensor.data for tensor in gguf.GGUFReader(path).tensors]


def test_a_recurrent_model_needs_a_state_for_each_sequence_and_no_cache(tmp_path: Path) -> None:
    path = write_tiny_mamba(tmp_path / "mamba.gguf")
    few, many = (needs(path, Format.GGUF, Load(slots=slots)).cache for slots in (8, 24))
    assert many == 2 * few > 0
    assert needs(path, Format.GGUF, Load(slots=8, context_length=64)).cache == few


def test_a_longer_context_and_more_slots_need_more(tiny_gguf: Path) -> None:
    small = needs(tiny_gguf, Format.GGUF, Load(slots=1, context_length=128)).total
    assert needs(tiny_gguf, Format.GGUF, Load(slots=1, context_length=2048)).total > small
    assert needs(tiny_gguf, Format.GGUF, Load(slots=8, context_length=128)).total > small


def test_what_attention_may_take_is_what_is_left_for_it() -> None:
    assert SCORES_BYTES == tuning.MOST_SCORES_BYTES


def test_slots_get_caches_of_their_own_where_memory_is_plenty() -> None:
    shape = ModelShape(layers=1, width=8, feed_forward=8, vocabulary=8, context_length=32_768, cached_values=512)
    open_length, given = Load(slots=4), Load(slots=4, context_length=6000)
    of_token = int(shape.cached_values * open_length.cached_bytes)

    def tokens(load: Load, spare_tokens: int) -> tuple[int | None, int | None]:
        roomy = with_separate_slots(load, shape, 2 * SCORES_BYTES + spare_tokens * of_token)
        return roomy.context_length, roomy.cells

    already = open_length.tokens(shape.context_length)
    assert tokens(open_length, 2 * (2 * 4 * 8192 - already)) == (8192, 4 * 8192)
    assert tokens(open_length, 2 * (2 * 4 * 8192 - already) - 1) == (4096, 4 * 4096)
    assert tokens(open_length, 0) == (None, None)
    assert tokens(given, 2 * 2 * 4 * 6000) == (6000, 4 * 6000)
    assert tokens(given, 2 * 4 * 6000) == (6000, None)


def test_adapters_count(tiny_gguf: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.write_bytes(bytes(1000))
    alone, both = (needs(tiny_gguf, Format.GGUF, Load(), files).weights for files in ([], [adapter]))
    assert both == alone + 1000


@pytest.mark.parametrize(("flags", "size"), [("fpu avx512_bf16", 2), ("fpu avx2", 4)])
def test_sixteen_bit_weights_grow_on_a_processor_without_bfloat16(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, size: int
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"flags : {flags}\n")
    monkeypatch.setattr(stored_weights, "CPUINFO", cpuinfo)
    (tmp_path / "config.json").write_text(json.dumps({"dtype": "bfloat16", "hidden_size": 8}))
    save_file({"a": np.ones((10, 10), np.float16)}, tmp_path / "model.safetensors")
    assert needs(tmp_path, Format.SAFETENSORS, Load()).weights == 100 * size


def test_the_config_of_the_hub_gives_the_shape(tmp_path: Path) -> None:
    config = {"num_hidden_layers": 3, "hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2}
    (tmp_path / "config.json").write_text(json.dumps({"text_config": config | {"max_position_embeddings": 512}}))
    save_file({"a": np.ones((10, 10), np.float32)}, tmp_path / "model.safetensors")
    expected = 2 * 3 * 2 * 16 * 4 * (2 * 512)  # key and value, layers, heads, their width, f32, tokens of two slots
    assert needs(tmp_path, Format.SAFETENSORS, Load(slots=2)).cache == expected


def test_the_refusal_has_both_figures_and_says_what_helps() -> None:
    with pytest.raises(
        NotEnoughMemory, match=r"needs 6\.5 GiB of memory, 512 MiB are available; .* fewer slots"
    ) as caught:
        require(int(6.5 * GIB), 512 * MIB)
    assert (caught.value.needed, caught.value.available) == (int(6.5 * GIB), 512 * MIB)
    require(512 * MIB, 512 * MIB)


class Machine:
    """/proc and /sys/fs/cgroup as files of the test."""

    def __init__(self, root: Path, *, available: int, membership: str) -> None:
        self.proc, self.cgroups = root / "proc", root / "cgroup"
        (self.proc / "self").mkdir(parents=True)
        (self.proc / "meminfo").write_text(f"MemTotal: 9 kB\nMemAvailable: {available // 1024} kB\n")
        (self.proc / "self" / "cgroup").write_text(membership)

    def group(self, path: str, **files: object) -> None:
        folder = self.cgroups / path
        folder.mkdir(parents=True, exist_ok=True)
        for name, value in files.items():
            (folder / name.replace("__", ".")).write_text(f"{value}\n")

    def available(self) -> int:
        return available_bytes(proc=self.proc, cgroups=self.cgroups)


def test_without_limits_the_machine_decides(tmp_path: Path) -> None:
    machine = Machine(tmp_path, available=8 * GIB, membership="0::/system.slice/ai-core.service\n")
    machine.group("system.slice/ai-core.service", memory__max="max", memory__current=GIB)
    assert machine.available() == 8 * GIB - MARGIN


def test_the_limit_of_a_group_or_of_one_around_it_counts(tmp_path: Path) -> None:
    machine = Machine(tmp_path, available=8 * GIB, membership="0::/system.slice/ai-core.service\n")
    machine.group("system.slice/ai-core.service", memory__max="max", memory__high=3 * GIB, memory__current=GIB)
    assert machine.available() == 2 * GIB - MARGIN
    machine.group("system.slice", memory__max=2 * GIB, memory__current=GIB)
    assert machine.available() == GIB - MARGIN


def test_cached_files_of_a_group_can_make_room(tmp_path: Path) -> None:
    machine = Machine(tmp_path, available=8 * GIB, membership="0::/\n")
    machine.group("", memory__max=4 * GIB, memory__current=4 * GIB)
    assert machine.available() == 0
    machine.group("", memory__stat=f"anon 5\ninactive_file {2 * GIB}\nactive_file {GIB}")
    assert machine.available() == 3 * GIB - MARGIN


def test_the_first_version_of_control_groups(tmp_path: Path) -> None:
    machine = Machine(tmp_path, available=8 * GIB, membership="9:cpu:/x\n5:memory:/box\n0::/\n")
    machine.group("memory/box", memory__limit_in_bytes=2 * GIB, memory__usage_in_bytes=GIB)
    assert machine.available() == GIB - MARGIN


def test_a_kernel_without_control_groups_limits_nothing(tmp_path: Path) -> None:
    machine = Machine(tmp_path, available=GIB, membership="")
    (machine.proc / "self" / "cgroup").unlink()
    assert machine.available() == GIB - MARGIN
