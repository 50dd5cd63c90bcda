"""What the AI core takes over from the earlier system: its models, keys and figures."""
