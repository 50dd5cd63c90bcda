"""The engine against its rivals; see __main__."""
