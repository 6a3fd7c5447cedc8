"""Bank numbers at a terminal: from a file or typed, never from the command line, and never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run


def test_bank_numbers_are_masked_and_no_mistake_shows_one(seeded_run: Run) -> None:
    config = ["config", "set", "ACME", "BiWeeklyFri", "--ach"]
    done = seeded_run(*config, "account_number=@-", "routing_number=null", "--yes", stdin="123456789\n")
    assert "    account_number: ********1001 -> *****6789\n    routing_number: *****0013 -> (none)\n" in done.stdout
    for wrong in (["account_number", "123456789"], ["acount_number=123456789"], ["account_number=\ud800123456789"]):
        done = seeded_run(*config, *wrong, "--yes")
        assert done.exit_code in (1, 2)
        assert "123456789" not in done.stdout + done.stderr


def test_a_bank_number_is_taken_from_a_file_or_from_whoever_types_it_and_never_from_the_command_line(
    seeded_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = ["config", "set", "ACME", "BiWeeklyFri", "--ach"]
    for plain in ("account_number=123456789", "routing_number=123456789", "account_number="):
        done = seeded_run(*config, plain, "--yes")
        assert done.exit_code == 2
        assert "is not taken from a command line, which others can read" in done.stderr
        assert "123456789" not in done.stdout + done.stderr
    file = tmp_path / "number"
    file.write_text("123456789\nand more\n")
    done = seeded_run(*config, f"account_number=@{file}", "bank_id=@B7", "--yes")
    assert (done.exit_code, done.stderr, "-> *****6789" in done.stdout) == (0, "", True)
    assert "bank_id: B7 -> @B7" in done.stdout or "-> @B7" in done.stdout
    done = seeded_run(*config, "account_number", "--yes")
    assert (done.exit_code, "no terminal to ask for account_number" in done.stderr) == (2, True)
    monkeypatch.setattr("bluestar_store.cli.secrets.is_terminal", lambda: True)
    monkeypatch.setattr("getpass.getpass", lambda prompt: "987654321")
    done = seeded_run(*config, "account_number", "--yes")
    assert (done.exit_code, "-> *****4321" in done.stdout) == (0, True)


@pytest.mark.parametrize("content", [b"", b"\n", b"null\n", b"\xff\n", b"9" * 5000])
def test_a_file_that_holds_no_bank_number_is_told(seeded_run: Run, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "number").write_bytes(content)
    for path in (tmp_path / "number", tmp_path, tmp_path / "gone", "/dev/zero"):
        done = seeded_run("config", "set", "ACME", "BiWeeklyFri", "--ach", f"account_number=@{path}", "--yes")
        assert (done.exit_code, done.stdout) == (2, "")
        assert "account_number: " in done.stderr
