"""Encryption at rest: sensitive attributes, and optionally whole results and audit details, by a key for each plan.

A plan's data key is an item of agent-config, wrapped by a key of the settings or by AWS KMS. Without it what it
encrypted cannot be read again: dropping the key makes a plan's data unreadable everywhere at once.
"""
