"""Whole tables on the move: exports to files, imports from them, migrations to another engine or layout."""
