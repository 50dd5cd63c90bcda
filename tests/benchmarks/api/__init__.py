"""The AI core's API under load; see __main__."""
