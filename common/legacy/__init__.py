"""Readers of what the earlier system left: its .env, its logs, exports of its tables. What becomes of it is decided by
the service that imports it."""
