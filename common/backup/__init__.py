"""One encrypted archive of everything on this host that cannot be made again, and the way back from it.

Standard library only, so that the system's own python3 runs it on a host whose services are not installed yet. The
encryption is age's (https://age-encryption.org/v1): a host holds the public half only, and cannot read its archives.
"""
