"""What /metrics tells of all processes together, read from Redis and the database at the moment of the scrape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import peewee
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from common.redis_store import RedisAway
from telegram_service.mailbox import AGE_BUCKETS, Mailbox
from telegram_service.people import People
from telegram_service.usage import UsageBook

COUNTERS = {
    "received": "Updates that came in.",
    "duplicates": "Updates that came in again.",
    "done": "Updates that were dealt with.",
    "later": "Times that an update had to wait for another attempt.",
    "reclaimed": "Updates taken from workers that died.",
    "given_back": "Updates given back by workers that were stopped.",
    "buried": "Updates that were given up.",
}


class QueueCollector(Collector):
    """The queue."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    def collect(self) -> Iterable[Metric]:
        """Nothing while Redis is away: the scrape says so by what is missing."""
        try:
            lengths, figures = self._mailbox.lengths(), self._mailbox.figures()
        except RedisAway:
            return
        for name, text in COUNTERS.items():
            yield CounterMetricFamily(f"telegram_updates_{name}", text, value=figures.get(name, 0))
        yield _ages(figures)
        queue = GaugeMetricFamily("telegram_queue_length", "Updates by where they are.", labels=("place",))
        for place in ("waiting", "working", "dead"):
            queue.add_metric((place,), lengths[place])
        yield queue
        yield GaugeMetricFamily(
            "telegram_queue_suspects", "Chats whose next update killed workers.", value=lengths["suspects"]
        )
        yield GaugeMetricFamily(
            "telegram_queue_oldest_seconds", "Age of what has been here longest.", value=lengths["oldest"]
        )


class BotCollector(Collector):
    """People, questions, models, ratings."""

    def __init__(self, people: People, usage: UsageBook) -> None:
        self._people = people
        self._usage = usage

    def collect(self) -> Iterable[Metric]:
        """Nothing while the database is away."""
        try:
            (people, active), figures = self._people.figures(), self._usage.figures()
        except peewee.PeeweeException:
            return
        yield GaugeMetricFamily("telegram_people", "People known.", value=people)
        yield GaugeMetricFamily("telegram_people_active", "People who wrote within a day.", value=active)
        # Gauges: what is old is forgotten, and so are people who want it.
        yield GaugeMetricFamily("telegram_questions", "Questions that are kept.", value=figures.questions)
        yield GaugeMetricFamily("telegram_questions_unanswered", "Of them, those without answer.", value=figures.failed)
        yield GaugeMetricFamily(
            "telegram_answer_seconds_mean", "Of the AI core, for one answer.", value=figures.seconds
        )
        answers = GaugeMetricFamily("telegram_answers", "Answers that are kept, by model.", labels=("model",))
        for model, number in figures.models.items():
            answers.add_metric((model,), number)
        yield answers
        ratings = GaugeMetricFamily("telegram_ratings", "What people think of answers.", labels=("rating",))
        ratings.add_metric(("good",), figures.good)
        ratings.add_metric(("bad",), figures.bad)
        yield ratings


def _ages(figures: Mapping[str, int]) -> Metric:
    total, buckets = 0, []
    for bound, label in (*((bound, str(bound / 1000)) for bound in AGE_BUCKETS), ("inf", "+Inf")):
        total += figures.get(f"age_ms:{bound}", 0)
        buckets.append((label, total))
    family = HistogramMetricFamily("telegram_update_seconds", "From arrival to the end of an update.")
    family.add_metric((), buckets, figures.get("age_ms:sum", 0) / 1000)
    return family
