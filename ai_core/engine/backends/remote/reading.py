"""One attempt at an answer: ask a server, hand on what it streams."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ai_core.engine.backends.remote.answer import RemoteAnswer
from ai_core.engine.backends.remote.completion import Completion
from ai_core.engine.backends.remote.connection import Connection
from ai_core.engine.backends.remote.dialect import body as said
from ai_core.engine.backends.remote.errors import ServerFailed
from ai_core.engine.backends.remote.event_stream import EventStream
from ai_core.engine.backends.remote.server import Server
from ai_core.engine.request import FinishReason


def read(
    answer: RemoteAnswer, server: Server, connection: Connection, context_length: int, progress: Callable[[], None]
) -> FinishReason:
    """Stream the answer from `server` until it ends, and tell why. `progress` is called for everything that arrives.
    Raises RemoteError."""
    body = _body(answer, server, context_length)
    completion = Completion(server.address, answer.request.sampling)
    try:
        _stream(answer, completion, connection.stream(f"{server.address.api}/chat/completions", body), progress)
    except ServerFailed:
        if completion.reason is None:
            raise  # else the answer is whole, and only what follows it is missing
    if answer.request.cancelled:
        return FinishReason.CANCELLED
    if completion.reason is None:
        raise ServerFailed(f"{server.address}: broke off in the middle of an answer")
    return completion.reason


def _stream(
    answer: RemoteAnswer, completion: Completion, stream: Iterator[bytes], progress: Callable[[], None]
) -> None:
    """Up to the end of the answer, or a little after it was cancelled."""
    events = EventStream()
    for received in stream:
        progress()
        for data in events.feed(received):
            chunk = completion.take(data)
            answer.note(completion)
            if chunk is not None:
                answer.deliver(chunk)
            if completion.done or answer.request.cancelled:
                return


def _body(answer: RemoteAnswer, server: Server, context_length: int) -> dict[str, object]:
    facts, request = server.facts, answer.request
    assert facts is not None  # else its slot could not have been claimed
    # vLLM refuses what cannot fit; as with our own engine, the answer gets what the prompt leaves.
    room = context_length - len(request.prompt)
    most = min(request.sampling.max_tokens, room)
    return said(request, facts.kind, model=facts.model, max_tokens=most, system_role=facts.system_role)
