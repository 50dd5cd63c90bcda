"""gunicorn's settings for the AI core: one worker holds the model, threads carry the requests."""

from ai_core.settings import Settings

_settings = Settings.from_environment()

bind = f"{_settings.host}:{_settings.port}" if ":" not in _settings.host else f"[{_settings.host}]:{_settings.port}"
wsgi_app = "ai_core.wsgi:application"
proc_name = "ai-core"

# One worker, because a second would load the model a second time. No preload and no max_requests for the same reason.
worker_class = "gthread"
workers = 1
threads = _settings.web_threads  # a streamed answer holds one to its end

# With threads the worker's heartbeat goes on whatever an answer takes: this only bounds a worker that cannot start.
timeout = 120
graceful_timeout = 60  # no answer takes longer
keepalive = 5

# The worker's logs are JSON lines of our own; gunicorn's go the same way.
accesslog = None
errorlog = "-"
loglevel = "warning"
control_socket_disable = True
