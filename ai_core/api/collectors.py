"""Figures that are read at the moment of a scrape. Names mirror llama.cpp's server where it has one."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from ai_core.answer_cache import CacheStats
from ai_core.model_host import ModelHost
from ai_core.operations import Operations


class EngineCollector(Collector):
    """The engine: slots, queue, KV cells, tokens."""

    def __init__(self, host: ModelHost) -> None:
        self._host = host

    def collect(self) -> Iterable[Metric]:
        """Metrics of the engine, none while no model is loaded."""
        model = self._host.current_or_none()
        if model is None:
            return
        stats = model.engine.stats()
        loaded = InfoMetricFamily("ai_core_model", "The model that serves.")
        loaded.add_metric((), {"model": model.id, "format": model.form.format.value})
        yield loaded
        yield GaugeMetricFamily("ai_core_requests_processing", "Requests in a slot.", value=stats.slots_busy)
        yield GaugeMetricFamily("ai_core_requests_deferred", "Requests that wait for a slot.", value=stats.waiting)
        queue = GaugeMetricFamily("ai_core_queue", "Requests that wait for a slot, by priority.", labels=("priority",))
        for priority, count in stats.waiting_by_priority.items():
            queue.add_metric((priority,), count)
        yield queue
        yield GaugeMetricFamily("ai_core_slots", "Slots there are.", value=stats.slots_total)
        yield GaugeMetricFamily("ai_core_kv_cache_tokens", "KV cells in use.", value=stats.kv_cells_used)
        used = stats.kv_cells_used / stats.kv_cells_total if stats.kv_cells_total else 0.0
        yield GaugeMetricFamily("ai_core_kv_cache_usage_ratio", "Part of the KV cells in use, 0 to 1.", value=used)
        yield GaugeMetricFamily("ai_core_kv_cache_size", "KV cells there are.", value=stats.kv_cells_total)
        yield CounterMetricFamily("ai_core_prompt_tokens", "Prompt tokens taken in.", value=stats.prompt_tokens_total)
        yield CounterMetricFamily("ai_core_tokens_predicted", "Tokens generated.", value=stats.completion_tokens_total)
        yield CounterMetricFamily(
            "ai_core_prompt_tokens_reused", "Prompt tokens shared instead of computed.", value=stats.reused_tokens_total
        )
        yield CounterMetricFamily("ai_core_steps", "Batches computed.", value=stats.steps_total)
        yield GaugeMetricFamily(
            "ai_core_seconds_since_last_step",
            "Time since the last batch; long while requests wait means a stalled engine.",
            value=stats.seconds_since_last_step,
        )


class CacheCollector(Collector):
    """Answers that were not computed again. Joins shared one that was being written for somebody else."""

    def __init__(self, stats: Callable[[], CacheStats]) -> None:
        self._stats = stats

    def collect(self) -> Iterable[Metric]:
        """Figures of this process."""
        stats = self._stats()
        questions = CounterMetricFamily(
            "ai_core_answer_cache_requests", "Questions by what the cache made of them.", labels=("result",)
        )
        for result, count in (("hit", stats.hits), ("miss", stats.misses), ("join", stats.joins)):
            questions.add_metric((result,), count)
        yield questions
        yield GaugeMetricFamily("ai_core_answer_cache_entries", "Answers kept in this process.", value=stats.entries)
        yield GaugeMetricFamily("ai_core_answer_cache_bytes", "Bytes that they take.", value=stats.bytes)


class OperationsCollector(Collector):
    """What works behind the answers."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    def collect(self) -> Iterable[Metric]:
        """Figures of the usage log."""
        usage = self._operations.usage
        yield GaugeMetricFamily("ai_core_usage_rows_waiting", "Rows not in the database yet.", value=usage.waiting)
        yield CounterMetricFamily(
            "ai_core_usage_rows_dropped", "Rows lost because the database was away for long.", value=usage.dropped
        )
