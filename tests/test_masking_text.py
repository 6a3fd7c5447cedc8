"""What a sentence, a list or a run of digits says of a secret is masked, and soon; ordinary data is shown."""

from __future__ import annotations

import re
import time
import uuid

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bluestar_store.cli.records import plain
from bluestar_store.models.digest_keys import DigestKey
from bluestar_store.redaction.masking import has_secrets, masked_digits, redacted
from bluestar_store.repositories.identifiers import new_id
from tests.machine import seconds


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("pay to 021000021 now", "pay to *****0021 now"),
        ("acct021000021", "acct*****0021"),
        ("021000022", "021000022"),
        ("4111 1111 1111 1111", "***************1111"),
        ("3782-822463-10005", "*************0005"),
        ("4111111111111112", "4111111111111112"),
        ("ssn 123-45-6789", "ssn *******6789"),
        ("2026-01-15T00:00:00", "2026-01-15T00:00:00"),
        ("0.021000021", "0.021000021"),
        ("no.021000021", "no.*****0021"),
        ("01HF7YAT4G021000021ABCDEFGH", "01HF7YAT4G021000021ABCDEFGH"),
        ("987 65 4329, 987.65.4329", "*******4329, *******4329"),
        ("0210-0002-1", "*******02-1"),
        ("2 4111\u20111111\u20111111\u20111111", "2 ***************1111"),
        ("\uff14" + "\uff11" * 15, "*" * 12 + "\uff11" * 4),
        ("PAYTOACCOUNT021000021PLAN401KFORJANEDOE", "PAYTOACCOUNT*****0021PLAN401KFORJANEDOE"),
        ("4111%201111%201111%201111", "***************1111"),
        ("/pay?ssn%3D998877665&x=1", "/pay?ssn=*****7665&x=1"),
        ('{"ssn": "998877665", "n": 1.5}', '{"ssn": "*****7665", "n": 1.5}'),
        ('[{"pay": {"acct": 998877665541}}]', '[{"pay": {"acct": "********5541"}}]'),
        ("bank account no. is 998877665541", "bank account no. is ********5541"),
        ("acctNumber=998877665541&plan=401", "acctNumber=********5541&plan=401"),
        ("SSN: must have 9 digits; 12345-6789", "SSN: must have 9 digits; 12345-6789"),
        ("from 2026-01-15 to 2026-01-31, hours 40 40 40", "from 2026-01-15 to 2026-01-31, hours 40 40 40"),
    ],
)
def test_digits_that_pass_a_check_are_masked_when_shown(text: str, shown: str) -> None:
    assert masked_digits(text) == shown
    assert redacted("note", text) == shown
    assert redacted("note", text, digits=False) == text  # what is stored goes by names only
    assert redacted("batch_id", text) == text  # nobody could ask for it


RUNS = ("021000021", "4111111111111111", "4111111111111")
"""Digits that would be masked by themselves."""


@st.composite
def made_by_the_library(draw: st.DrawFn) -> str:
    """Digests, salts, tokens and ids, in every form that the library writes; often with such a run of digits."""

    def of(alphabet: str, length: int) -> str:
        text = draw(st.text(alphabet, min_size=length, max_size=length))
        run = draw(st.sampled_from([run for run in RUNS if len(run) <= length] or [""]))
        at = draw(st.integers(0, length - len(run)))
        return text[:at] + run + text[at + len(run) :]

    def hex_of(length: int) -> str:
        return of(draw(st.sampled_from(["0123456789abcdef", "abcdef"])), length)

    ulid = "01K" + of("0123456789ABCDEFGHJKMNPQRSTVWXYZ", 23)
    uuid4 = str(uuid.UUID(hex_of(32), version=4))
    keys = (hex_of(16), f"{hex_of(16)}.{ulid}", ulid)
    keyed = f"hmac-sha256:{draw(st.sampled_from(keys))}:{hex_of(64)}"
    return draw(st.sampled_from((ulid, uuid4, keyed, hex_of(64), hex_of(32))))


@example("14111111-1111-411f-aba6-8a1b5fc79f8b")  # a part between its digits is a name of secrets
@example("dda02100-0021-4fda-aafa-cffdddcadaeb")
@example("02100002100000000000000000000dda")  # it ends like a name of an account, and another one follows
@given(made_by_the_library())
def test_what_the_library_makes_itself_is_shown_as_it_is(made: str) -> None:
    told = {
        "digest_after": made,
        "ids": [made, f"{made}, {made}"],
        made: 1,
        "text": f"released hold {made} (by {made})",
    }
    assert redacted("details", told) == {**told, "ids": tuple(told["ids"])}  # type: ignore[arg-type]
    assert plain(told) == told
    assert not has_secrets({"details": told})


def test_ids_and_digests_that_are_made_now_have_those_forms() -> None:
    key = DigestKey("4111111111111111", b"0" * 32)
    for digest_key in (key, key.mixed("01K4111111111111111ABCDEFG", b"1" * 32)):
        made = digest_key.digest("x")
        assert masked_digits(made) == made
        assert redacted("accounts", {"account": made}) == {
            "account": made
        }  # by its name, too: nobody can guess from it
    assert re.fullmatch("01[A-Z].{23}", new_id())


@pytest.mark.parametrize(
    "text",
    [
        "hmac-sha256:021000021:0",
        "01K4111111111111111 ABCDEFG",
        "x 021000021 " + "0a" * 32,
        "hmac-sha256:021000021",
        "021000021a",
    ],
)
def test_what_only_looks_a_little_like_it_is_masked(text: str) -> None:
    assert masked_digits(text) != text
    assert redacted("account", "0a" * 32) != "0a" * 32  # a digest without a key tells the number


SECRETS = [
    "900012345678",
    "900087654321",
    "123456789",
    "987654321",
    "111223333",
    "021000021",
    "1980-01-02",
    "1981-02-03",
]


@pytest.mark.parametrize(
    "text",
    [
        "accounts: 900012345678, 900087654321",
        "accounts [900012345678, 900087654321, 900012345678]",
        "SSNs 123456789, 987654321 and 111223333",
        "SSNs '123456789'; '987654321'",
        "SSNs 123-45-6789, 987654321",
        "021000021/900012345678",
        "900012345678 | 021000021",
        "bank 021000021-900012345678",
        "routing/account 021000021/900012345678",
        "routing 021000021, account 900012345678",
        "SSN value: 123456789",
        "invalid SSN value 123456789",
        "SSN (employee): 123456789",
        "ssn changed from 123456789 to 987654321",
        "ssn: 123456789 -> 987654321",
        "SSN expected 123456789, got 987654321",
        "row 5: SSN must be numeric; got '123456789'",
        "account_number must match: 900012345678 != 900087654321",
        "account mismatch 900012345678",
        "account number for ACME: 900012345678",
        "account number for plan ACME: 900012345678",
        "account of Bob Smith is 900012345678",
        "ssn of employee 77 was 123456789",
        "dob changed from 1980-01-02 to 1981-02-03",
        "dda 900012345678",
        "payrollaccount=900012345678",
        "123 - 45 - 6789",
        "123--45--6789",
        "v1.123-45-6789",
        "1.123-45-6789",
        "123\u200b-45-6789",
        "SSN 1234\u200b56789",
        "1\ufeff23\u00ad-45-67\u206089",
        "4111 - 1111 - 1111 - 1111",
        "account%20number%20for%20ACME%3A%20900012345678",
    ],
)
def test_what_a_sentence_or_a_list_says_of_a_secret_is_masked(text: str) -> None:
    shown = masked_digits(text)
    assert shown != text
    assert not [secret for secret in (*SECRETS, "123-45", "45-6789", "123 - 45", "4111 - 1111") if secret in shown]


@pytest.mark.parametrize(
    "text",
    [
        "accounts: 12",
        "accounts: 12, 13 and 14",
        "ssn rule 12",
        "SSN rules 1, 2, 3 of 2026",
        "account type: 1234",
        "accounting 2026",
        "accounting period 20260115",
        "account opened 2026-01-15",
        "account changed from 2026-01-15 to 2026-01-31",
        "account updated 2026-01-15T10:30:00Z",
        "account for ACME, hired 20260115",
        "account for ACME: 1234567.89",
        "account of plan 40100123",
        "accounts of plan 401000123 and batch 202601150001",
        "account for ACME, phone: 6175551212",
        "account for 01HF7YAT4G021000023ABCDEFGH",
        "hired 01/15/2026, paid 2026-01-31, 1,234,567.89 in 2,080 hours",
        "hours 40.5 40 40 40 and amounts 1234567.89, 98765.43",
        "plan 40112345, plan 40112346",
        "10.123.45.6789",
        "0.123456789, 1.021000021",
        "2026-01-15 / 2026-01-31",
        "20260115-20260131",
        "batch 20260115-093000 of 12345-12349",
        "process number 12345678",
        "access number 12345678",
        "SSN: 9 digits, see notice 2025-67",
    ],
)
def test_ordinary_data_beside_such_names_is_shown(text: str) -> None:
    assert masked_digits(text) == text


@pytest.mark.parametrize(
    "part",
    [
        "021000021 ",
        "1 ",
        "1a",
        "%25",
        "{",
        '[{"a":',
        "acct ",
        "acct for ",
        "account is ",
        "account 900012345678, ",
        "900012345678, ",
        "1\u200b",
        "1 - ",
        "xaccount",
        "123456789 and ",
        "987-65-",
        "9" * 50 + " ",
        "4111 1111 ",
        "a1" * 20 + "021000021",
    ],
)
def test_no_text_takes_long_to_be_masked(part: str) -> None:
    text = (part * 50_000)[:50_000]
    begun = time.process_time()
    masked_digits(text)
    redacted("note", {"%" + text: [text]})
    assert time.process_time() - begun < seconds(5)
