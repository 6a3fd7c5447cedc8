"""The second tier: encoded values in Redis, which all processes share."""
