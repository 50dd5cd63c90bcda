"""What the Telegram service takes over from the earlier system: people, settings, conversations, logs, Redis keys."""
