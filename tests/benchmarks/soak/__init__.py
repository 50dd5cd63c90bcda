"""The whole system under steady load for long; see __main__."""
