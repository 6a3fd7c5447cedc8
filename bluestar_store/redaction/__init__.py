"""Redaction of secrets in values, logs and tracebacks."""
