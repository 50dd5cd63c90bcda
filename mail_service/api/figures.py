"""The service's figures for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable

import peewee
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from common.database import connection
from mail_service.counters import ANSWER_BUCKETS, figures
from mail_service.mail_queue import MailQueue
from mail_service.states import State
from mail_service.storage import Message


class MailCollector(Collector):
    """The figures of all processes of the service, read from the database at the moment of the scrape."""

    def __init__(self, database: peewee.Database, queue: MailQueue) -> None:
        self._database = database
        self._queue = queue

    def collect(self) -> Iterable[Metric]:
        """Nothing while the database is away: the scrape says so by what is missing."""
        with connection(self._database):
            yield from self._counters()
            yield self._durations()
            states = GaugeMetricFamily("mail_messages", "Messages by state.", labels=("state",))
            for state in State:
                states.add_metric((state.value,), Message.select().where(Message.state == state).count())
            yield states
        lengths = self._queue.lengths()
        if lengths is not None:
            queue = GaugeMetricFamily("mail_queue_length", "Messages in Redis' queues.", labels=("queue",))
            for name, length in lengths.items():
                queue.add_metric((name,), length)
            yield queue

    def _counters(self) -> Iterable[Metric]:
        for name, text, label in (
            ("received", "Mails taken in.", None),
            ("completed", "Messages answered.", None),
            ("refused", "Mails that get no answer, by reason.", "reason"),
            ("held", "Times that a message had to wait, by reason.", "reason"),
            ("failed", "Messages that failed, by reason.", "reason"),
            ("sent", "Replies sent, by kind.", "kind"),
            ("smtp_failed", "Replies that the server did not take, by reason.", "reason"),
            ("processing_errors", "Unexpected errors.", None),
        ):
            family = CounterMetricFamily(f"mail_{name}", text, labels=(label,) if label else ())
            found = figures(name)
            for value in found if label else ("",):
                family.add_metric((value,) if label else (), found.get(value, 0.0))
            yield family

    def _durations(self) -> Metric:
        found, total, buckets = figures("answer_seconds_bucket"), 0.0, []
        for bound in (*map(str, ANSWER_BUCKETS), "+Inf"):
            total += found.get(bound, 0.0)
            buckets.append((bound, total))
        family = HistogramMetricFamily("mail_answer_seconds", "From arrival to the answer sent.")
        family.add_metric((), buckets, figures("answer_seconds_sum").get("", 0.0))
        return family
