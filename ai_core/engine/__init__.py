"""Continuous batching: one thread decodes the answers of many requests together.

`engine` is the thread, `scheduler` the policy, `prefix_cache` the accounting of shared memory, `sequence` the state of
one request, `text_stream` the way from token bytes to text, `backends` the libraries that compute. This package knows
neither HTTP, nor users, nor the database.
"""
