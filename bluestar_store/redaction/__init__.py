"""Redaction: what is never shown whole, in values, logs and tracebacks."""
