"""Describes the states of DynamoDB tables in words."""

from __future__ import annotations

_STATES = {
    "CREATING": ("is being made", "wait a moment"),
    "UPDATING": ("is being changed", "nothing is needed: it can be used meanwhile"),
    "DELETING": ("is being deleted", "bluestar-store create waits until it is gone, and makes it anew"),
    "INACCESSIBLE_ENCRYPTION_CREDENTIALS": (
        "cannot be decrypted by DynamoDB",
        "enable its AWS KMS key again, and give DynamoDB back what the key's policy and grants allowed",
    ),
    "ARCHIVING": ("is being archived", "its AWS KMS key was out of reach for a week: restore DynamoDB's backup of it"),
    "ARCHIVED": ("is archived", "its AWS KMS key was out of reach for a week: restore DynamoDB's backup of it"),
}


def describe_state(state: str) -> tuple[str, str]:
    """What a table in this state is, with the state's own name; and what mends that."""
    what, mend = _STATES.get(state, ("is in another state", "look at it in the AWS console"))
    return f"{what} ({state})", mend
