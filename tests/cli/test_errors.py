"""What goes wrong: an exit code and one line on stderr, nothing on stdout."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from filelock import FileLock

from bluestar_store.cli import inspect
from bluestar_store.cli.errors import BadUsage, reporting
from tests.cli.conftest import Run, on
from tests.servers import free_port

COMMAND = [sys.executable, "-c", "from bluestar_store.cli import main; main()"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["inspect", "rule", "A#B", "match"], 1, "plan_id 'A#B' contains '#'"),
        (["inspect", "rule", "", "match"], 1, "plan_id is empty"),
        (["inspect", "rule", "a\nb", "match"], 1, "contains a control character"),
        (["inspect", "rule", "x" * 3000, "match"], 1, "is over 2048 bytes"),
        (["inspect", "rule", "ACME", "nope"], 1, "no calculation rule 'nope' for plan 'ACME' nor GLOBAL"),
        (["inspect", "pipeline", "GLOBAL", "Weekly"], 1, "GLOBAL is reserved"),
        (["inspect", "pipeline", "ACME", "Wee_kly"], 1, "contains '_'"),
        (["inspect", "pipeline", "ACME", "Never"], 1, "no pipeline for plan 'ACME' nor DEFAULT, 'Never'"),
        (["inspect", "limits", "1999"], 1, "no limits for 1999"),
        (["inspect", "batch", "b1"], 1, "no batch 'b1'"),
        (["inspect", "schema", "PAYWELL", "nope"], 1, "no schema 'nope' of vendor 'PAYWELL'"),
        (["inspect", "snapshot", "ACME", "BiWeeklyFri", "1999"], 1, "no limits for 1999"),
        (["--layout", "nine", "create"], 2, "--layout: "),
        (["--mode", "disk", "create"], 2, "--mode: "),
        (["--suffix", "a b", "create"], 2, "--suffix: "),
        (["--prefix", "a/b", "create"], 2, "--prefix: "),
        (["--endpoint-url", "http://127.0.0.1:9", "create"], 2, "--endpoint-url is for --mode dynamo"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_one_line(arguments: list[str], code: int, said: str, seeded_run: Run) -> None:
    for flags in ([], ["--json"]):
        done = seeded_run(*arguments, *flags)
        assert (done.exit_code, done.stdout) == (code, "")
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
        assert said in done.stderr


@pytest.mark.parametrize(
    ("arguments", "env", "code", "said"),
    [
        (["inspect"], {"BLUESTAR_TABLE_LAYOUT": "nine"}, 1, "BLUESTAR_TABLE_LAYOUT: "),
        (["--region", "EU West", "inspect"], {}, 2, "--region: "),
        (["--endpoint-url", "localhost:8000", "inspect"], {}, 2, "--endpoint-url: "),
        (["--dir", "x", "inspect"], {}, 2, "--dir is for --mode file; the mode is dynamo"),
        (["--mode", "file", "inspect"], {}, 1, "file mode needs a folder"),
        (["--region", "us-east-1", "inspect"], {"AWS_ACCESS_KEY_ID": None}, 1, "no AWS credentials found"),
        (["inspect"], {"AWS_DEFAULT_REGION": None}, 1, "no AWS region"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_one_line_about_settings(
    arguments: list[str],
    env: dict[str, str | None],
    code: int,
    said: str,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in env.items():
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)
    done = run(*arguments)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (code, "", 1)
    assert done.stderr.startswith("error: ")
    assert said in done.stderr


def test_one_line_when_nothing_answers_at_the_endpoint(run: Run) -> None:
    done = run("--endpoint-url", f"http://127.0.0.1:{free_port()}", "inspect", "rules", "ACME")
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "cannot be reached" in done.stderr


def test_one_line_without_tables(tmp_path: Path) -> None:
    for command in (["seed"], ["inspect", "rules", "ACME"], ["inspect", "plans", "--json"]):
        done = on(tmp_path / "empty")(*command)
        assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert "does not exist" in done.stderr
        assert "`bluestar-store create` makes it" in done.stderr


def test_one_line_for_a_store_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = on(tmp_path / "file")("create")
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "is not a folder" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "limits", "abc"],
        ["inspect", "limits", "-1"],
        ["inspect", "nosuch"],
        ["inspect", "rule", "ACME"],
        ["inspect", "batch"],
        ["inspect", "batch", "b1", "--plan", "ACME"],
        ["seed", "--from", "/no/such/folder"],
        ["seed", "--from", __file__],
        ["--nosuch", "create"],
        ["nosuch"],
    ],
    ids=" ".join,
)
def test_bad_usage_is_2_and_says_what_is_bad(arguments: list[str], seeded_run: Run) -> None:
    done = seeded_run(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: bluestar-store")
    assert done.stderr.splitlines()[-1].startswith("Error: ")


def test_an_unknown_variable_is_a_warning_of_one_line(seeded_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLUESTAR_TABLE_SUFIX", "x")
    done = seeded_run("inspect", "plans", "--json")
    assert done.exit_code == 0
    assert done.stderr == (
        "warning: BLUESTAR_TABLE_SUFIX is no setting of bluestar-store; did you mean BLUESTAR_TABLE_SUFFIX?\n"
    )


def test_options_win_over_the_environment(seeded_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLUESTAR_PERSISTENCE_MODE", "dynamo")
    monkeypatch.setenv("FILE_PERSISTENCE_DIR", "/nowhere")
    monkeypatch.setenv("BLUESTAR_TABLE_LAYOUT", "single")
    assert seeded_run("--layout", "per_table", "inspect", "vendors").exit_code == 0
    assert seeded_run("--layout", "eight", "inspect", "vendors").exit_code == 0


def test_memory_mode_warns_that_it_keeps_nothing(run: Run) -> None:
    done = run("--mode", "memory", "create")
    assert done.exit_code == 0
    assert done.stderr.startswith("warning: mode memory")


def test_what_nobody_expected_names_its_type_and_not_its_text(seeded_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(store: object) -> None:
        raise ZeroDivisionError("account 123456789")

    monkeypatch.setattr(inspect, "table_records", fail)
    done = seeded_run("inspect")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "error: unexpected ZeroDivisionError; `bluestar-store --debug ...` shows where\n"
    done = seeded_run("--debug", "inspect")
    assert done.exit_code == 1
    assert done.stderr.startswith("Traceback")
    assert done.stderr.endswith("error: unexpected ZeroDivisionError\n")


def test_debug_shows_the_traceback_of_an_expected_error(seeded_run: Run) -> None:
    done = seeded_run("--debug", "inspect", "limits", "1999")
    assert "RuleNotFoundError" in done.stderr or "LimitsNotFoundError" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: no limits for 1999")


def test_bad_usage_inside_a_command_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    import typer

    with pytest.raises(typer.Exit) as end, reporting(debug=False):
        raise BadUsage("--x is not y")
    assert end.value.exit_code == 2
    assert capsys.readouterr().err == "error: --x is not y\n"


def _command(folder: Path, *arguments: str) -> list[str]:
    return [*COMMAND, "--mode", "file", "--dir", str(folder), *arguments]


def test_ctrl_c_is_130_and_silent(seeded: Path) -> None:
    environment = os.environ | {"BLUESTAR_BEGUN": "its warning says that the command has begun"}
    with FileLock(seeded / ".lock"):  # so that the command waits
        process = subprocess.Popen(
            _command(seeded, "create"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            # A shell that runs these tests in the background has them, and all their children, ignore Ctrl-C.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )
        assert process.stderr is not None
        assert process.stderr.readline().startswith("warning: BLUESTAR_BEGUN")
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout, stderr) == (130, "", "")


def test_a_reader_who_goes_away_is_no_error_to_tell(seeded: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            _command(seeded, "inspect", "rules", "ACME"), stdout=write, stderr=subprocess.PIPE, text=True, timeout=60
        )
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_terminal_that_lacks_letters_is_no_error(encoding: str, seeded: Path) -> None:
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    plan = "Zoë 😀"
    done = subprocess.run(
        _command(seeded, "inspect", "rule", plan, "match"), capture_output=True, timeout=60, env=environment
    )
    assert (done.returncode, done.stderr) == (0, b"")
    title = done.stdout.splitlines()[0]
    assert title == f"Rule match for {plan}".encode(encoding, "backslashreplace")
