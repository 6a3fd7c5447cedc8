"""The debug logs of the libraries beneath show no data, whenever an application configures logging."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest
import sqlalchemy

from bluestar_store.persistence import SQLClient
from bluestar_store.redaction.logs import HIDDEN, HideData, hide_data

ACCOUNT, SSN = "998877665541", "987-65-4329"
SCRIPT = f"""
import logging.config, sys

def configure():
    logging.config.dictConfig({{
        "version": 1, "disable_existing_loggers": False,
        "handlers": {{"all": {{"class": "logging.StreamHandler", "stream": "ext://sys.stdout"}}}},
        "root": {{"level": "DEBUG", "handlers": ["all"]}}, "loggers": {{"botocore.parsers": {{"level": "DEBUG"}}}},
    }})

if sys.argv[1] == "before":
    configure()
import boto3
from moto import mock_aws
from bluestar_store import AchConfig, Settings, Store
from bluestar_store.models.config import ACH_CONFIG

with mock_aws():
    store = Store.open(Settings(persistence_mode="dynamo", aws_region="us-east-1", max_attempts=int(sys.argv[2])))
    store.create_tables()
    if sys.argv[1] == "after":
        configure()
    plain = AchConfig(plan_id="ACME", pay_freq="Weekly", account_number="{ACCOUNT}")
    store.ach_configs.put(plain)
    store.ach_configs.put(plain.model_copy(update={{"routing_number": "021000021"}}))
    store.audit.append("b1", action="pay", details={{"employee_ssn": "{SSN}"}})
    store.audit.entries("b1")
    assert store.ach_configs.get("ACME", "Weekly", fresh=True).account_number == "{ACCOUNT}"
    list(store.bind(ACH_CONFIG.model).scan())
    table = boto3.resource("dynamodb", "us-east-1").Table("bluestar-agent-config")
    table.put_item(Item={{"PK": "X", "SK": "Y", "ssn": "{SSN}", "account_number": "{ACCOUNT}"}})
    table.scan()
    boto3.client("s3", "us-east-1").create_bucket(Bucket="files")
    files = Store.open(Settings(persistence_mode="memory", files_url="s3://files/x", aws_region="us-east-1")).files
    files.write("a.csv", b"{ACCOUNT},{SSN}")
    files.read("a.csv")
"""


@pytest.mark.parametrize(("when", "tries"), [("before", 4), ("after", 1)])
def test_nothing_of_an_item_is_in_the_logs_of_botocore_pynamodb_and_urllib3(when: str, tries: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, when, str(tries)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    for logger in ("Making request for OperationModel(name=PutItem)", "Response body:", "CanonicalRequest:"):
        assert logger in done.stdout
    for secret in (ACCOUNT, SSN, "021000021"):
        assert secret not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "message", "args", "told"),
    [
        ("botocore.endpoint", "Making request for %s with params: %s", ("PutItem", {"body": ACCOUNT}), "PutItem"),
        ("botocore.parsers", "Response body:\n%r", (f'{{"S": "{ACCOUNT}"}}'.encode(),), "Response body"),
        ("botocore.auth", "Signature:\n%s", ("abcdef",), "Signature"),
        ("push_response", f"Push response: ['message', '{ACCOUNT}']", (), HIDDEN),
        ("urllib3.connectionpool", '%s "%s" %s', ("host", f"/x?sig={ACCOUNT}", 200), 'host "/x" 200'),
        ("redis.client", "Executing %s with %s", ("SET", ["key", ACCOUNT]), "Executing SET"),
        ("boto3.resources.action", "Response: %r", ({"Item": ACCOUNT},), "Item"),
    ],
)
def test_a_record_keeps_what_it_is_about(name: str, message: str, args: tuple[object, ...], told: str) -> None:
    record = logging.LogRecord(name, logging.DEBUG, __file__, 1, message, args, None)
    assert HideData().filter(record)
    assert told in record.getMessage()
    assert ACCOUNT not in record.getMessage()
    assert "abcdef" not in record.getMessage()


def test_a_warning_keeps_all_but_signatures() -> None:
    args = ("Retry(2)", "ConnectTimeoutError('slow')", "/x?sig=secret")
    record = logging.LogRecord("urllib3.connectionpool", logging.WARNING, __file__, 1, "%r after %r: %s", args, None)
    HideData().filter(record)
    assert record.getMessage() == """'Retry(2)' after "ConnectTimeoutError('slow')": /x"""


def test_the_filter_is_there_once_and_survives_a_configuration() -> None:
    hide_data()
    hide_data()
    assert sum(isinstance(one, HideData) for one in logging.getLogger("botocore.parsers").filters) == 1


@pytest.fixture
def sql_logs(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Those of SQLAlchemy, which asks for them by its own logger."""
    with caplog.at_level(logging.DEBUG, "sqlalchemy"), caplog.at_level(logging.DEBUG):
        yield caplog


def test_no_row_and_no_value_is_in_the_logs_of_sqlalchemy(sql_logs: pytest.LogCaptureFixture) -> None:
    with SQLClient("sqlite://") as client:
        client.execute("CREATE TABLE pay (ssn TEXT, account TEXT)")
        client.execute("INSERT INTO pay VALUES (:ssn, :account)", {"ssn": SSN, "account": ACCOUNT})
        client.execute(f"INSERT INTO pay VALUES ('{SSN}', NULL)")  # noqa: S608  # as an agent might
        assert client.fetch_all("SELECT ssn FROM pay WHERE account = :account", {"account": ACCOUNT}) == [{"ssn": SSN}]
    assert "SELECT ssn" in sql_logs.text
    assert [line for line in sql_logs.text.splitlines() if SSN in line or ACCOUNT in line] == []


def test_the_logs_of_an_applications_own_sqlalchemy_stay(sql_logs: pytest.LogCaptureFixture) -> None:
    with SQLClient("sqlite://"), sqlalchemy.create_engine("sqlite://").connect() as connection:
        connection.execute(sqlalchemy.text(f"SELECT '{SSN}'")).all()
    assert SSN in sql_logs.text
