"""/stats, /broadcast, /block, /unblock: for ADMIN_USERS."""

from __future__ import annotations

import logging
from collections.abc import Callable

from common.database import connection
from telegram_service.bot import Visit
from telegram_service.claim import Claim, RetryLater
from telegram_service.formatting import parts
from telegram_service.storage import Broadcast, Person
from telegram_service.telegram_api import Address
from telegram_service.telegram_errors import Blocked, Flooded, TelegramAway, TelegramRefused

logger = logging.getLogger(__name__)

AT_ONCE = 200  # people that a broadcast reaches before other updates of the administrator's chat get their turn


def for_admins(command: Callable[[Visit, Claim, str], None]) -> Callable[[Visit, Claim, str], None]:
    """Refuses everybody else."""

    def run(visit: Visit, claim: Claim, argument: str) -> None:
        if visit.is_admin:
            command(visit, claim, argument)
        else:
            visit.tell("admin_only")

    return run


@for_admins
def stats(visit: Visit, _: Claim, __: str) -> None:
    """Figures, without anybody in them."""
    people, active = visit.bot.people.figures()
    figures, queue = visit.bot.usage.figures(), visit.bot.mailbox.lengths()
    visit.tell(
        "stats",
        people=people,
        active=active,
        questions=figures.questions,
        today=figures.today,
        failed=figures.failed,
        seconds=f"{figures.seconds:.1f}",
        good=figures.good,
        bad=figures.bad,
        waiting=queue["waiting"],
        dead=queue["dead"],
        models="\n".join(f"• `{model or '–'}` : {number}" for model, number in figures.models.items()),
    )


@for_admins
def broadcast(visit: Visit, _: Claim, text: str) -> None:
    """Send a message to everybody who can be reached, at most once to each, some at a time. Raises RetryLater until it
    is done."""
    if not text:
        visit.tell("broadcast_what")
        return
    number = visit.incoming.update_id
    with connection(visit.bot.database):
        Broadcast.insert(update_id=number, text=text).on_conflict_ignore().execute()
        row = Broadcast.get_by_id(number)
        people = (
            Person.select()
            .where((Person.id > row.done_to) & ~Person.unreachable & ~Person.blocked)
            .order_by(Person.id)
            .limit(AT_ONCE)
        )
        reached = list(people)
        for person in reached:
            _send_one(visit, row.update_id, row.text, person)
        if len(reached) == AT_ONCE:
            raise RetryLater(1.0, "broadcast goes on")
        sent = Broadcast.get_by_id(number).sent
    visit.tell("broadcast_done", sent=sent)


def _send_one(visit: Visit, number: int, text: str, person: Person) -> None:
    # Noted first: a message too few is better than one too many to everybody.
    Broadcast.update(done_to=person.id).where(Broadcast.update_id == number).execute()
    user = int(person.telegram_id)
    try:
        for part in parts(text):
            visit.bot.telegram.send(Address(user), part)
    except Blocked:
        visit.bot.people.set_unreachable(user)
    except Flooded as flooded:
        Broadcast.update(done_to=person.id - 1).where(Broadcast.update_id == number).execute()
        raise RetryLater(flooded.retry_after, "telegram_flooded") from None
    except (TelegramAway, TelegramRefused) as error:
        logger.warning("broadcast not delivered", extra={"person": person.person, "reason": type(error).__name__})
    else:
        Broadcast.update(sent=Broadcast.sent + 1).where(Broadcast.update_id == number).execute()


@for_admins
def block(visit: Visit, _: Claim, user: str) -> None:
    """Ignore a person from now on."""
    _block(visit, user, blocked=True)


@for_admins
def unblock(visit: Visit, _: Claim, user: str) -> None:
    """Answer a person again."""
    _block(visit, user, blocked=False)


def _block(visit: Visit, user: str, *, blocked: bool) -> None:
    if not user.isdecimal() or len(user) > 16:
        visit.tell("block_whom")
    elif visit.bot.people.set_blocked(int(user), blocked):
        visit.tell("blocked" if blocked else "unblocked", user=user)
    else:
        visit.tell("block_unknown", user=user)
