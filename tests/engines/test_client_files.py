"""The files of a botocore client read sparingly: the client is the same, and no file is needed in AWS's layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from tests.engines import botocore_files

ENDPOINTS = Path(botocore.session.__file__).parent / "data" / "endpoints.json"


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> botocore.session.Session:
    """Reads a folder before botocore's own."""
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))
    return botocore_files.sparing()


def loaded(session: botocore.session.Session) -> Any:
    return session.get_component("data_loader").load_data("endpoints")


def test_every_file_says_the_same_and_endpoints_of_other_services_are_left_out() -> None:
    botocore_files.check_reads_alike()


@pytest.mark.usefixtures("credentials")
def test_a_client_has_the_same_endpoint_and_signs_alike_in_every_region() -> None:
    sessions = botocore.session.get_session(), botocore_files.sparing()
    plain = sessions[0]
    regions = [
        region
        for partition in plain.get_available_partitions()
        for region in plain.get_available_regions("dynamodb", partition, allow_non_regional=True)
    ]
    assert len(regions) > 30
    for region in [*regions, "us-east-9", "mars-north-1"]:
        clients = [one.create_client("dynamodb", region_name=region) for one in sessions]
        told = [(c.meta.endpoint_url, c.meta.region_name, c.meta.partition) for c in clients]
        assert told[0] == told[1]


@pytest.mark.usefixtures("credentials")
def test_the_services_that_give_credentials_have_the_same_endpoints() -> None:
    for service in ("sts", "sso", "sso-oidc"):
        for region in ("us-east-1", "eu-west-1", "cn-north-1", "us-gov-west-1"):
            urls = {
                one.create_client(service, region_name=region).meta.endpoint_url
                for one in (botocore.session.get_session(), botocore_files.sparing())
            }
            assert len(urls) == 1


def test_endpoints_in_another_layout_are_read_whole(tmp_path: Path, session: botocore.session.Session) -> None:
    whole = json.loads(ENDPOINTS.read_bytes())
    (tmp_path / "endpoints.json").write_text(json.dumps(whole), encoding="utf-8")
    assert loaded(session) == whole


def test_endpoints_without_dynamodb_are_read_whole(tmp_path: Path, session: botocore.session.Session) -> None:
    text = ENDPOINTS.read_text(encoding="utf-8").replace('      "dynamodb" : {', '      "dynamo" : {')
    (tmp_path / "endpoints.json").write_text(text, encoding="utf-8")
    assert loaded(session) == json.loads(text)


@pytest.mark.parametrize("damage", ["", '{"partitions": [', "[]"])
def test_a_damaged_file_ends_as_it_does_with_botocore(
    damage: str, tmp_path: Path, session: botocore.session.Session
) -> None:
    (tmp_path / "endpoints.json").write_text(damage, encoding="utf-8")
    outcomes = []
    for one in (botocore.session.get_session(), session):
        try:
            outcomes.append(loaded(one))
        except ValueError as error:
            outcomes.append(type(error))
    assert outcomes[0] == outcomes[1]
