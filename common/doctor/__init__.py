"""`python -m common.doctor`: looks at a host from the host itself, as the world and its services see it.

Needs nothing but the system's Python: it has to work when a release does not.
"""
