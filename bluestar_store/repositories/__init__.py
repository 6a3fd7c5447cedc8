"""Typed access to the tables: keys, fallback and overlay, cached reads, versioned writes."""
