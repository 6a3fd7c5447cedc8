"""Entities and their PynamoDB Models, side by side, one file a subject."""
