"""`bluestar-store iam-policy`: what AWS has to allow."""

from __future__ import annotations

from typing import Annotated

import typer

from bluestar_store.cli.errors import BadUsage, reporting
from bluestar_store.cli.options import AsJson, Invocation
from bluestar_store.cli.output import Output


def iam_policy(
    ctx: typer.Context,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="reader, writer or operator.", show_default=False)],
    account: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="The AWS account; else the word ACCOUNT.", show_default=False)
    ] = None,
    partition: Annotated[str, typer.Option(metavar="NAME", help="aws, aws-us-gov or aws-cn.")] = "aws",
    as_json: AsJson = False,
) -> None:
    """Print the IAM policy of a role for these tables.

    It allows the calls that the library makes, on these tables and their indexes; the operator's, to move data, also on
    the other layout's tables, and reading of bluestar-processing-results and bluestar-audit-log. The region is that of
    --region, given before the command (or BLUESTAR_AWS_REGION), else the word REGION. It is JSON with and without
    --json.
    """
    invocation: Invocation = ctx.obj
    with reporting(invocation.debug):
        from bluestar_store.iam import ACCOUNT, REGION, Role, policy
        from bluestar_store.store import tables_of

        if role not in list(Role):
            raise BadUsage(f"ROLE is {', '.join(Role)}, not {role!r}")
        if account is not None and not (account.isascii() and account.isdecimal() and len(account) == 12):
            raise BadUsage("--account: an AWS account is a number of 12 digits")
        if partition not in ("aws", "aws-us-gov", "aws-cn"):
            raise BadUsage("--partition is aws, aws-us-gov or aws-cn")
        settings = invocation.given.settings()
        tables = tables_of(settings)
        found = policy(
            tables,
            Role(role),
            region=settings.aws_region or REGION,
            account=account or ACCOUNT,
            partition=partition,
        )
        Output(as_json=True).show(found)
