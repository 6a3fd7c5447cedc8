"""Base classes of all kinds: entities, their mappers, and what turns values into DynamoDB's wire form and back."""
