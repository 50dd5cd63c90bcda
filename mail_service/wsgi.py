"""Entry point of gunicorn: `gunicorn -c mail_service/gunicorn.conf.py`."""

from __future__ import annotations

from flask import Flask

from common.log import configure_logging
from common.systemd import Heartbeat, Notifier, watchdog_interval
from mail_service.app import create_app
from mail_service.composition import compose
from mail_service.settings import Settings


def build() -> Flask:
    """Compose the web process: it reads and steers, the poller and the workers do the work."""
    settings = Settings.from_environment()
    configure_logging("mail_service", settings.log_level, settings.data_dir / "logs")
    app = create_app(settings, compose(settings))
    app.extensions["heartbeat"] = Heartbeat(
        Notifier(settings.notify_socket),
        interval=watchdog_interval(settings.watchdog_usec, settings.watchdog_pid),
        is_able=lambda: True,
        status=lambda: "Serves.",
    )
    return app


application = build()
