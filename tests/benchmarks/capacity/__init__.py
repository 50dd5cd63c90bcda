"""What a machine carries, by simulation; see __main__."""
