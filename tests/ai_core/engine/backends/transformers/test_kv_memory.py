"""What sequences hold, against lists that are copied each time."""

from __future__ import annotations

import itertools

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_core.engine.backends.transformers.kv_memory import KvMemory, SequenceMemory

SEQUENCES, LAYERS = 4, 2
sequence = st.integers(0, SEQUENCES - 1)
operations = st.lists(
    st.one_of(
        st.tuples(st.just("write"), sequence, st.integers(1, 90)),
        st.tuples(st.just("cut"), sequence, st.floats(0, 1)),
        st.tuples(st.just("copy"), sequence, sequence, st.floats(0, 1)),
        st.tuples(st.just("drop"), sequence),
        st.tuples(st.just("settle"), sequence),
    ),
    max_size=25,
)


def write(memory: SequenceMemory, values: list[int]) -> None:
    """Positions whose keys are `values`, their negatives in the last layer; the value is twice the key."""
    for layer, sign in enumerate([1, -1]):
        keys = sign * torch.tensor(values, dtype=torch.float32)[None, :, None].expand(2, -1, 3)
        memory.write(layer, keys, 2 * keys)
    memory.commit(len(values))


def read(memory: SequenceMemory, layer: int) -> list[int]:
    parts = memory.layers(layer)
    for part in parts:
        assert torch.equal(part.values, 2 * part.keys)
    return [int(key) for part in parts for key in part.keys[1, :, 2]]


@settings(max_examples=200, deadline=None)
@given(operations)
def test_each_sequence_holds_what_was_written_and_shared(steps: list[tuple[object, ...]]) -> None:
    memory, expected = KvMemory(SEQUENCES), {number: list[int]() for number in range(SEQUENCES)}
    fresh = itertools.count(1)
    for kind, number, *rest in steps:
        assert isinstance(number, int)
        held = expected[number]
        match kind, rest:
            case "write", [int(count)]:
                added = list(itertools.islice(fresh, count))
                write(memory[number], added)
                expected[number] = held + added
            case "cut", [float(part)]:
                shared = memory[number].shared
                length = shared + int(part * (len(held) - shared))
                memory[number].cut(length)
                expected[number] = held[:length]
            case "copy", [int(target), float(part)] if not expected[target]:
                memory.copy(number, target, int(part * len(held)))
                expected[target] = held[: int(part * len(held))]
            case "settle", []:
                memory.settle([number])
            case "drop", []:
                memory.drop(number)
                expected[number] = []
        for each in range(SEQUENCES):
            assert read(memory[each], 0) == expected[each]
            assert [-key for key in read(memory[each], 1)] == expected[each]
            assert memory[each].length == len(expected[each])
        assert memory.cells == len(set().union(*expected.values()))


def test_what_is_shared_is_not_copied() -> None:
    memory = KvMemory(3)
    write(memory[0], list(range(1, 100)))
    memory.copy(0, 1, 60)
    memory.copy(1, 2, 40)
    first = [memory[number].layers(0)[0].keys.data_ptr() for number in range(3)]
    assert len(set(first)) == 1


def test_a_step_does_not_copy_the_past() -> None:
    memory = SequenceMemory()
    write(memory, list(range(1, 100)))
    before = memory.layers(0)[0].keys.data_ptr()
    for value in range(60):
        write(memory, [value])
    assert memory.layers(0)[0].keys.data_ptr() == before


def test_a_conversation_of_many_turns_stays_in_two_parts() -> None:
    slot, system, holders = 0, 1, (2, 3)
    memory = KvMemory(4)
    write(memory[slot], list(range(1, 50)))
    memory.copy(slot, system, 49)
    for turn in range(6):
        write(memory[slot], [100 * turn + place for place in range(50, 80)])
        kept, previous = holders[turn % 2], holders[1 - turn % 2]
        memory.copy(slot, kept, memory[slot].length)
        memory.drop(previous)
        memory.drop(slot)
        memory.copy(kept, slot, memory[kept].length)
        memory.drop(kept)
        memory.settle([slot])
    assert len(memory[slot].layers(0)) == 2
    assert memory.cells == 49 + 6 * 30
    assert memory[system].layers(0)[0].keys.data_ptr() == memory[slot].layers(0)[0].keys.data_ptr()
