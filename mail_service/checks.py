"""The parts of the mail service that readiness and `doctor` look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

import peewee

from common.database import connection
from common.health import Check, Status, remembered
from mail_service.ai_answerer import AiAnswerer
from mail_service.imap_server import ImapServer, MailAway
from mail_service.mail_queue import MailQueue
from mail_service.scanning import Scanner, ScannerAway
from mail_service.smtp_client import SendFailed, SmtpClient
from mail_service.storage import Mailbox, utc_now

QUIET_POLLS = 4  # polls that may be missed before the poller counts as down
LEAST_QUIET = timedelta(minutes=3)


def component_checks(
    *,
    database: peewee.Database,
    imap: ImapServer,
    smtp: SmtpClient,
    ai: AiAnswerer,
    queue: MailQueue,
    scanner: Scanner | None,
    poll_every: float,
) -> Mapping[str, Callable[[], Check]]:
    """The checks by name. The service takes in and answers later whatever is away, so only the database is DOWN's
    business: without it nothing can be kept."""
    return {
        "database": lambda: check_database(database),
        "imap": remembered(lambda: check_imap(imap)),
        "poller": lambda: check_poller(database, poll_every),
        "smtp": remembered(lambda: check_smtp(smtp)),
        "ai_core": remembered(lambda: check_ai(ai)),
        "queue": lambda: check_queue(queue),
        "scanner": remembered(lambda: check_scanner(scanner)),
    }


def check_database(database: peewee.Database) -> Check:
    """Whether the database answers."""
    with connection(database):
        database.execute_sql("SELECT 1")
    return Check(Status.OK, "Answers.")


def check_imap(imap: ImapServer) -> Check:
    """Whether the mailbox lets us in."""
    try:
        with imap.session() as client:
            client.noop()
    except MailAway as away:
        return Check(Status.DEGRADED, f"New mail is not seen: {away.reason}.")
    return Check(Status.OK, "The mailbox is open.")


def check_poller(database: peewee.Database, poll_every: float) -> Check:
    """Whether somebody polls."""
    with connection(database):
        row = Mailbox.select().order_by(Mailbox.polled_at.desc()).first()
    if row is None:
        return Check(Status.DEGRADED, "The inbox was never polled.")
    quiet = utc_now() - row.polled_at
    if quiet > max(LEAST_QUIET, timedelta(seconds=QUIET_POLLS * poll_every)):
        return Check(Status.DEGRADED, f"The last poll was {quiet.total_seconds():.0f} s ago.")
    return Check(Status.OK, f"The last poll was {quiet.total_seconds():.0f} s ago.")


def check_smtp(smtp: SmtpClient) -> Check:
    """Whether the submission server lets us in."""
    try:
        smtp.check()
    except SendFailed as failed:
        return Check(Status.DEGRADED, f"Replies wait: {failed.reason}.")
    return Check(Status.OK, "Takes our login.")


def check_ai(ai: AiAnswerer) -> Check:
    """Whether the AI core answers."""
    reason = ai.why_away()
    if reason is not None:
        return Check(Status.DEGRADED, f"Questions wait: {reason}.")
    return Check(Status.OK, "Ready.")


def check_queue(queue: MailQueue) -> Check:
    """Whether Redis answers; without it the database is the queue."""
    lengths = queue.lengths()
    if lengths is None:
        return Check(Status.DEGRADED, "Redis is away: workers look into the database.")
    return Check(Status.OK, f"{lengths['pending']} pending, {lengths['processing']} in work.")


def check_scanner(scanner: Scanner | None) -> Check:
    """Whether attachments can be opened."""
    if scanner is None:
        return Check(Status.DEGRADED, "CLAMAV_ADDRESS is not set: attachments are not opened.")
    try:
        scanner.check()
    except ScannerAway as away:
        return Check(Status.DEGRADED, f"Mail with attachments waits: {away}.")
    return Check(Status.OK, "Answers.")
