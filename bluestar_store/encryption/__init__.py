"""Encryption at rest: sensitive attributes, and on demand whole results and audit details, each with its plan's key.

A plan's data key lies in agent-config, wrapped by the key of the settings or by AWS KMS. Without it what it encrypted
is unreadable, for ever: dropping it is how a plan's data is made unreadable everywhere at once.
"""
