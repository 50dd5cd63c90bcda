"""Entry point of gunicorn: `gunicorn -c telegram_service/gunicorn.conf.py`."""

from __future__ import annotations

from flask import Flask

from common.log import configure_logging
from common.systemd import Heartbeat, Notifier, watchdog_interval
from telegram_service.app import create_app
from telegram_service.composition import compose
from telegram_service.settings import Settings


def build() -> Flask:
    """Compose the web process: it takes updates in, the workers answer them."""
    settings = Settings.from_environment()
    configure_logging("telegram_service", settings.log_level, settings.data_dir / "logs")
    app = create_app(settings, compose(settings))
    app.extensions["heartbeat"] = Heartbeat(
        Notifier(settings.notify_socket),
        interval=watchdog_interval(settings.watchdog_usec, settings.watchdog_pid),
        is_able=lambda: True,
        status=lambda: "Serves.",
    )
    return app


application = build()
