"""What the mail service takes over from the earlier system: its mailbox, logs, conversations and templates. None of it
is ever answered."""
