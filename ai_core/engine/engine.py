"""The one thread that owns the model: takes requests in, runs step after step, ends every request with a reason.

submit, stop, stats, is_stalled and a request's cancel are safe from any thread. Everything else belongs to the engine's
thread; the condition guards what both sides touch: the inbox, the counts of outstanding requests, the stop time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable

from ai_core.engine.backends.base import Backend, Chosen, OutOfCells
from ai_core.engine.errors import EngineBusy, EngineStopped, InvalidRequest, PromptTooLong
from ai_core.engine.pacing import PrefillPace
from ai_core.engine.request import FinishReason, GenerationRequest, Priority, TokenLogprob
from ai_core.engine.scheduler import Copy, Drop, Plan, Scheduler, rank
from ai_core.engine.sequence import SequenceState
from ai_core.engine.stats import EngineStats, Meter

__all__ = ["Engine", "EngineBusy", "EngineStats", "EngineStopped", "InvalidRequest", "PromptTooLong"]

logger = logging.getLogger(__name__)

COMPUTATION_FAILED = "the model failed while computing this answer"
OUT_OF_MEMORY = "not enough memory to compute this answer"


class Engine:
    """Call start() to run the thread, or step() by hand in tests. The backend is the caller's to close after stop()."""

    def __init__(self, backend: Backend, *, max_waiting: int = 64, clock: Callable[[], float] = time.monotonic) -> None:
        self._backend = backend
        self._limits = backend.limits
        self._scheduler = Scheduler(backend.limits, costs=backend.costs)
        self._pace = PrefillPace(backend.costs)
        self._max_waiting = max_waiting
        self._clock = clock
        self._meter = Meter()
        self._condition = threading.Condition()
        self._inbox: list[SequenceState] = []
        self._outstanding = Counter(dict.fromkeys(Priority, 0))  # never changes size: read without the lock
        self._stop_at: float | None = None
        self._stop_reason = FinishReason.MODEL_UNLOADED
        self._last_progress = clock()
        self._thread = threading.Thread(target=self._loop, name="engine", daemon=True)

    # -- from any thread ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._thread.start()

    def submit(self, request: GenerationRequest) -> None:
        """Queue `request`; its answer arrives on request.events().
        Raises InvalidRequest, PromptTooLong, EngineBusy, EngineStopped."""
        max_length = self._checked_length(request)
        sampler = self._backend.sampler(request.sampling, request.prompt)
        lookup = self._backend.costs is not None and not request.sampling.choices and request.sampling.num_beams == 1
        sequence = SequenceState(request, sampler, max_length=max_length, lookup=lookup)
        with self._condition:
            now = self._clock()
            self._refuse_if_unable(request, now)
            sequence.rank = rank(request.priority, now)
            self._inbox.append(sequence)
            if not self._outstanding.total():
                self._last_progress = now
            self._outstanding[request.priority] += 1
            self._condition.notify()

    def stop(self, *, grace_seconds: float = 0.0, reason: FinishReason = FinishReason.MODEL_UNLOADED) -> None:
        """Take no more requests, let those at hand end within `grace_seconds`, end the rest with `reason`. Returns when
        the thread has ended, at the latest one step after the grace."""
        with self._condition:
            self._stop_at = self._clock() + grace_seconds
            self._stop_reason = reason
            self._condition.notify()
        if self._thread.is_alive():
            self._thread.join()
        else:
            self._end_all(reason)

    def stats(self) -> EngineStats:
        running = Counter(sequence.request.priority for sequence in list(self._scheduler.running))
        busy = running.total()
        return EngineStats(
            slots_total=self._limits.slots,
            slots_busy=busy,
            waiting=max(0, self._outstanding.total() - busy),
            waiting_by_priority={
                priority.name.lower(): max(0, count - running[priority])
                for priority, count in self._outstanding.items()
            },
            kv_cells_used=self._scheduler.cells_used,
            kv_cells_total=self._limits.cells,
            prompt_tokens_total=self._meter.prompt_tokens,
            completion_tokens_total=self._meter.completion_tokens,
            reused_tokens_total=self._meter.reused_tokens,
            steps_total=self._meter.steps,
            seconds_since_last_step=self._clock() - self._last_progress,
        )

    def is_stalled(self, seconds: float) -> bool:
        """Whether requests have been there for `seconds` without a step ending, or the thread is gone."""
        if self._thread.ident is not None and not self._thread.is_alive():
            return True
        return self._outstanding.total() > 0 and self._clock() - self._last_progress > seconds

    def _checked_length(self, request: GenerationRequest) -> int:
        """The greatest length, in tokens, that prompt and answer may reach together."""
        longest = min(self._limits.context_length, self._limits.cells)
        if not request.prompt:
            raise InvalidRequest("empty prompt")
        if len(request.prompt) >= longest:
            raise PromptTooLong(len(request.prompt), longest - 1)
        if not 0 <= min(request.prompt) <= max(request.prompt) < self._limits.vocabulary:
            raise InvalidRequest("token outside the vocabulary")
        return min(len(request.prompt) + request.sampling.max_tokens, longest)

    def _refuse_if_unable(self, request: GenerationRequest, now: float) -> None:
        if self._stop_at is not None:
            raise EngineStopped
        ahead = sum(self._outstanding[priority] for priority in Priority if priority <= request.priority)
        wait = self._meter.expected_wait(ahead, self._limits.slots)
        late = request.deadline is not None and now + wait >= request.deadline
        if late or ahead >= self._limits.slots + self._max_waiting:
            raise EngineBusy(retry_after=max(1.0, wait))

    # -- the engine's thread ------------------------------------------------------------------------------------------

    def step(self) -> bool:
        """Compute one batch; whether there was anything to compute."""
        self._take_in()
        self._end_cancelled_and_late()
        self._scheduler.prefill_tokens = self._pace.tokens
        plan = self._scheduler.schedule()
        self._prepare_memory(plan)
        began = self._clock()
        self._post_process(plan, self._compute(plan))
        self._last_progress = self._clock()
        self._pace.took(self._last_progress - began, plan.load)
        return bool(plan.batch)

    def _loop(self) -> None:
        while self._wait_for_work():
            try:
                if not self.step():
                    time.sleep(0.01)  # every request at hand ended, or none can start: never spin
            except Exception:
                logger.exception("engine step failed")
                self._start_over()
        self._end_all(self._stop_reason)

    def _wait_for_work(self) -> bool:
        """False when it is time to stop."""
        with self._condition:
            self._condition.wait_for(lambda: self._outstanding.total() or self._stop_at is not None)
            if self._stop_at is None:
                return True
            return self._outstanding.total() > 0 and self._clock() < self._stop_at

    def _take_in(self) -> None:
        with self._condition:
            arrived, self._inbox = self._inbox, []
        for sequence in arrived:
            self._scheduler.add(sequence)

    def _end_cancelled_and_late(self) -> None:
        now = self._clock()
        for sequence in [*self._scheduler.waiting, *self._scheduler.running]:
            if sequence.request.cancelled:
                self._end(sequence, FinishReason.CANCELLED)
            elif sequence.request.deadline is not None and now >= sequence.request.deadline:
                self._end(sequence, FinishReason.DEADLINE)

    def _prepare_memory(self, plan: Plan) -> None:
        for sequence in plan.started:
            sequence.started = self._clock()
        self._change_memory(plan.memory)

    def _change_memory(self, changes: list[Copy | Drop]) -> None:
        for change in changes:
            if isinstance(change, Copy):
                self._backend.copy(change.source, change.target, change.length)
            else:
                self._backend.drop(change.sequence)

    def _compute(self, plan: Plan) -> list[list[Chosen]]:
        """The tokens chosen, one place for each chunk of the batch; nothing when the batch failed."""
        if not plan.batch:
            return []
        self._meter.steps += 1
        try:
            return self._backend.decode([chunk for _, chunk in plan.batch])
        except OutOfCells:
            self._free_memory()
        except Exception:
            logger.exception("batch failed", extra={"sequences": len(plan.batch)})
            self._fail_batch(plan)
        return []

    def _post_process(self, plan: Plan, tokens: list[list[Chosen]]) -> None:
        for (sequence, chunk), chosen in zip(plan.batch, tokens, strict=False):
            refused = chunk.drafted - (len(chosen) - 1) if chunk.drafted else 0
            self._change_memory(self._scheduler.advance(sequence, len(chunk.tokens) - refused))
            self._take_tokens(sequence, chosen)

    def _take_tokens(self, sequence: SequenceState, chosen: list[Chosen]) -> None:
        try:
            reason = next(filter(None, (self._take_token(sequence, each) for each in chosen)), None)
        except Exception:
            logger.exception("request failed")
            self._end(sequence, FinishReason.ERROR, COMPUTATION_FAILED)
        else:
            if reason is not None:
                self._end(sequence, reason)

    def _take_token(self, sequence: SequenceState, chosen: Chosen) -> FinishReason | None:
        """Why the answer ends with this token, if it does."""
        if self._backend.is_end(chosen.token):
            return FinishReason.STOP
        return sequence.append(chosen.token, self._backend.piece(chosen.token), self._logprob(chosen))

    def _logprob(self, chosen: Chosen) -> TokenLogprob | None:
        if chosen.logprob is None:
            return None
        top = tuple((self._backend.piece(token), logprob) for token, logprob in chosen.top)
        return TokenLogprob(self._backend.piece(chosen.token), chosen.logprob, top)

    def _end(self, sequence: SequenceState, reason: FinishReason, error: str | None = None) -> None:
        """Every request leaves through here, once."""
        memory = self._scheduler.release(sequence, keep=reason is not FinishReason.ERROR)
        with self._condition:
            self._outstanding[sequence.request.priority] -= 1
        if sequence.started is not None:
            seconds = self._clock() - sequence.started
            self._meter.count(len(sequence.request.prompt), sequence.generated, sequence.reused, seconds)
        sequence.finish(reason, error)
        self._change_memory(memory)

    def _end_all(self, reason: FinishReason, error: str | None = None) -> None:
        self._take_in()
        for sequence in [*self._scheduler.waiting, *self._scheduler.running]:
            self._end(sequence, reason, error)

    # -- when computing fails -----------------------------------------------------------------------------------------

    def _fail_batch(self, plan: Plan) -> None:
        """Fail the requests of the batch; the other running ones, whose memory goes too, are computed again."""
        for sequence, _ in plan.batch:
            self._end(sequence, FinishReason.ERROR, COMPUTATION_FAILED)
        for sequence in list(self._scheduler.running):
            self._scheduler.preempt(sequence)
        self._scheduler.forget_prefixes()
        self._backend.clear()

    def _start_over(self) -> None:
        """Something unforeseen: end every request, forget what memory may hold, be ready for the next."""
        self._end_all(FinishReason.ERROR, COMPUTATION_FAILED)
        self._scheduler.forget_prefixes()
        self._backend.clear()

    def _free_memory(self) -> None:
        """The cache had less room than accounted for: give up an idle prefix, else the request that started last."""
        logger.warning("KV cache full", extra={"cells": self._scheduler.cells_used, "total": self._limits.cells})
        pinned = self._scheduler.prefixes.evict_one()
        if pinned is not None:
            self._backend.drop(pinned)
        elif len(self._scheduler.running) > 1:
            self._change_memory(self._scheduler.preempt(self._scheduler.running[-1]))
        else:
            self._end(self._scheduler.running[0], FinishReason.ERROR, OUT_OF_MEMORY)
