"""Answers requests with the servers of one model: waits for a free one, retries, ends every request with a reason.

submit, stop, stats, is_stalled and a request's cancel are safe from any thread. One thread hands waiting requests to
servers and ends those that are cancelled or late; each running answer is read by a thread of its own. The condition
guards the answers at hand, the meter and the stop time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields

from ai_core.engine.backends.remote.answer import RemoteAnswer
from ai_core.engine.backends.remote.errors import RemoteError, RequestRefused, ServerBusy
from ai_core.engine.backends.remote.reading import read
from ai_core.engine.backends.remote.server import Server
from ai_core.engine.backends.remote.servers import RemoteServers
from ai_core.engine.errors import EngineBusy, EngineStopped, InvalidRequest, PromptTooLong
from ai_core.engine.request import FinishReason, GenerationRequest, Priority
from ai_core.engine.sampling import SamplingParameters
from ai_core.engine.scheduler import TURN_SECONDS, rank
from ai_core.engine.stats import EngineStats, Meter

logger = logging.getLogger(__name__)

TICK = 0.1  # seconds: how long a cancelled or late request may go unseen
ATTEMPTS = 3  # servers that may fail a request before its first token
BUSY_ATTEMPTS = 20  # servers that may turn it away for now
AWAY_SECONDS = 10.0  # without any server, after which those who wait are told
MOST_THREADS = 1024

SERVER_FAILED = "the server failed while computing this answer"
NO_SERVER = "no server of this model answers"
_DEFAULTS = {field.name: field.default for field in fields(SamplingParameters)}


class RemoteEngine:
    """Call start() once. The servers are the caller's to close after stop()."""

    def __init__(self, servers: RemoteServers, *, max_waiting: int = 64) -> None:
        self._servers = servers
        self._max_waiting = max_waiting
        self._meter = Meter()
        self._condition = threading.Condition()
        self._waiting: list[RemoteAnswer] = []
        self._running: list[RemoteAnswer] = []
        self._stop_at: float | None = None
        self._stop_reason = FinishReason.MODEL_UNLOADED
        self._last_tick = self._last_progress = self._last_seen = time.monotonic()
        self._readers = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="remote-answer")
        self._thread = threading.Thread(target=self._loop, name="remote-engine", daemon=True)

    # -- from any thread ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._thread.start()

    def submit(self, request: GenerationRequest) -> None:
        """Queue `request`, which must have `messages`; its answer arrives on request.events().
        Raises InvalidRequest, PromptTooLong, EngineBusy, EngineStopped."""
        self._check(request)
        with self._condition:
            now = time.monotonic()
            self._refuse_if_unable(request, now)
            if not self._outstanding:
                self._last_tick = self._last_progress = self._last_seen = now
            self._waiting.append(RemoteAnswer(request, rank(request.priority, now)))
            self._condition.notify_all()

    def stop(self, *, grace_seconds: float = 0.0, reason: FinishReason = FinishReason.MODEL_UNLOADED) -> None:
        """Take no more requests, let those at hand end within `grace_seconds`, end the rest with `reason`; returns
        when all have ended."""
        with self._condition:
            self._stop_at = time.monotonic() + grace_seconds
            self._stop_reason = reason
            self._condition.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        else:
            self._end_all(reason)
        self._readers.shutdown(wait=False)

    def stats(self) -> EngineStats:
        """slots_total counts the servers that work: 0 when none does. Steps are reads from them; their KV cells are
        their own business."""
        with self._condition:
            return EngineStats(
                slots_total=self._servers.slots,
                slots_busy=len(self._running),
                waiting=len(self._waiting),
                waiting_by_priority={
                    priority.name.lower(): sum(one.request.priority is priority for one in self._waiting)
                    for priority in Priority
                },
                kv_cells_used=0,
                kv_cells_total=0,
                prompt_tokens_total=self._meter.prompt_tokens,
                completion_tokens_total=self._meter.completion_tokens,
                reused_tokens_total=self._meter.reused_tokens,
                steps_total=self._meter.steps,
                seconds_since_last_step=time.monotonic() - self._last_progress,
            )

    def is_stalled(self, seconds: float) -> bool:
        """Whether our own thread is stuck or gone. Servers that fall silent are not our stall: a restart of this
        process would not help them, deadlines end their answers, and stats() tells when none is left."""
        if self._thread.ident is not None and not self._thread.is_alive():
            return True
        return self._outstanding > 0 and time.monotonic() - self._last_tick > seconds

    @property
    def _outstanding(self) -> int:
        return len(self._waiting) + len(self._running)

    def _check(self, request: GenerationRequest) -> None:
        info = self._servers.info
        if not request.messages or not request.prompt:
            raise InvalidRequest("a remote model needs the messages of the prompt")
        if request.adapter is not None:
            raise InvalidRequest("a remote model has no adapters")
        for name, default in _DEFAULTS.items():
            if name not in info.honours and getattr(request.sampling, name) != default:
                raise InvalidRequest(f"the servers of this model do not honour {name}")
        if len(request.prompt) >= info.context_length:
            raise PromptTooLong(len(request.prompt), info.context_length - 1)

    def _refuse_if_unable(self, request: GenerationRequest, now: float) -> None:
        if self._stop_at is not None:
            raise EngineStopped
        slots = self._servers.slots
        if not slots:
            raise EngineBusy(retry_after=self._servers.pace.interval)
        at_hand = [*self._waiting, *self._running]
        ahead = sum(answer.request.priority <= request.priority for answer in at_hand)
        wait = self._meter.expected_wait(ahead, slots)
        late = request.deadline is not None and now + wait >= request.deadline
        if late or ahead >= slots + self._max_waiting:
            raise EngineBusy(retry_after=max(1.0, wait))

    # -- the engine's thread ------------------------------------------------------------------------------------------

    def _loop(self) -> None:
        while self._wait_for_work():
            try:
                self._end_cancelled_and_late()
                self._start_waiting()
            except Exception:
                logger.exception("the remote engine failed")
                self._end_all(FinishReason.ERROR, SERVER_FAILED)
            self._last_tick = time.monotonic()
        self._end_all(self._stop_reason)

    def _wait_for_work(self) -> bool:
        """Until something changed, or a tick while there is work; False when it is time to stop."""
        with self._condition:
            if self._outstanding:
                self._condition.wait(TICK)
            else:
                self._condition.wait_for(lambda: self._outstanding or self._stop_at is not None)
            if self._stop_at is None:
                return True
            return self._outstanding > 0 and time.monotonic() < self._stop_at

    def _end_cancelled_and_late(self) -> None:
        now = time.monotonic()
        if self._servers.slots:
            self._last_seen = now
        with self._condition:
            at_hand = [*self._waiting, *self._running]
        for answer in at_hand:
            request = answer.request
            if request.cancelled:
                self._end(answer, FinishReason.CANCELLED)
            elif request.deadline is not None and now >= request.deadline:
                self._end(answer, FinishReason.DEADLINE)
            elif now - self._last_seen >= AWAY_SECONDS and answer in self._waiting:
                self._end(answer, FinishReason.ERROR, NO_SERVER)

    def _start_waiting(self) -> None:
        while True:
            with self._condition:
                if not self._waiting:
                    return
                answer = self._first()
            server = self._servers.claim(answer.tried)
            if server is None:
                return
            with self._condition:
                self._waiting.remove(answer)
                self._running.append(answer)
            answer.started = answer.started or time.monotonic()
            self._readers.submit(self._read, answer, server)

    def _first(self) -> RemoteAnswer:
        """By rank, and by turns of the owners, as the scheduler of our own engine has it."""
        running = Counter(answer.request.owner for answer in self._running)
        return min(self._waiting, key=lambda one: one.rank + TURN_SECONDS * running[one.request.owner])

    def _end_all(self, reason: FinishReason, error: str | None = None) -> None:
        with self._condition:
            at_hand = [*self._waiting, *self._running]
        for answer in at_hand:
            self._end(answer, reason, error)

    def _end(self, answer: RemoteAnswer, reason: FinishReason, error: str | None = None) -> None:
        """Every request leaves through here; only the first call counts."""
        if not answer.claim_end():
            return
        with self._condition:
            for place in (self._waiting, self._running):
                if answer in place:
                    place.remove(answer)
            if answer.started is not None:
                usage, seconds = answer.usage, time.monotonic() - answer.started
                self._meter.count(usage.prompt, usage.completion, usage.reused, seconds)
            self._last_progress = time.monotonic()
            self._condition.notify_all()
        answer.finish(reason, error)

    # -- the threads that read ----------------------------------------------------------------------------------------

    def _read(self, answer: RemoteAnswer, server: Server) -> None:
        """One attempt of `answer` on `server`, whose slot is claimed."""
        connection = server.connect()
        try:
            if answer.attach(connection):
                reason = read(answer, server, connection, self._servers.info.context_length, self._progress)
                server.answered()
                self._end(answer, reason)
        except RequestRefused as error:
            server.answered()  # to refuse is an answer too
            logger.info("remote request refused: %s", error)
            self._end(answer, FinishReason.ERROR, str(error))
        except RemoteError as error:
            self._try_again(answer, server, error)
        except Exception:
            logger.exception("remote answer failed")
            self._end(answer, FinishReason.ERROR, SERVER_FAILED)
        finally:
            connection.close()
            server.leave()
            with self._condition:
                self._condition.notify_all()

    def _progress(self) -> None:
        with self._condition:
            self._meter.steps += 1
            self._last_progress = time.monotonic()

    def _try_again(self, answer: RemoteAnswer, server: Server, error: RemoteError) -> None:
        """Back to its place in the queue, while nothing of the answer has been shown and there is hope."""
        if answer.ended:
            return  # it is we who broke off
        server.failed(error)
        if isinstance(error, ServerBusy):
            answer.turned_away += 1
        else:
            answer.tried.append(server)
        if answer.begun or len(answer.tried) >= ATTEMPTS or answer.turned_away >= BUSY_ATTEMPTS:
            logger.warning("remote answer failed: %s", error)
            self._end(answer, FinishReason.ERROR, SERVER_FAILED)
            return
        with self._condition:
            if answer in self._running:
                self._running.remove(answer)
                self._waiting.append(answer)
