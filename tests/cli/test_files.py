"""`bluestar-store files` on a folder, as a shell sees it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bluestar_store.files.local import LocalFileStore
from tests.cli.conftest import Run, invoke, on_a_terminal

COMMAND = [sys.executable, "-c", "from bluestar_store.cli import main; main()"]


@pytest.fixture
def files(tmp_path: Path) -> LocalFileStore:
    return LocalFileStore(tmp_path / "store")


@pytest.fixture
def run(files: LocalFileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command on that folder, from a folder of its own."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def on_folder(*arguments: str, env: dict[str, str] | None = None, stdin: str | None = None) -> Any:
        return invoke("--files-url", files.folder.as_uri(), "files", *arguments, env=env)

    return on_folder


@pytest.fixture
def hours(run: Run) -> Path:
    found = Path("hours.csv")
    found.write_bytes(b"employee,hours\n7,80\n")
    return found


def test_a_file_that_was_put_is_listed_shown_and_got(run: Run, hours: Path, files: LocalFileStore) -> None:
    done = run("put", "hours.csv", "in/ACME/")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "Brought in/ACME/hours.csv: 20 bytes.\n", "")
    assert files.read("in/ACME/hours.csv") == hours.read_bytes()
    assert run("ls").stdout == run("ls", "in/A").stdout == "in/ACME/hours.csv\n"
    assert run("ls", "out/").stdout == ""
    assert json.loads(run("stat", "in/ACME/hours.csv", "--json").stdout)["size_bytes"] == 20
    (row,) = json.loads(run("ls", "-l", "--json").stdout)
    assert (row["path"], row["size_bytes"]) == ("in/ACME/hours.csv", 20)
    done = run("get", "in/ACME/hours.csv", "copy.csv", "--json")
    assert json.loads(done.stdout) == {"path": "in/ACME/hours.csv", "file": "copy.csv", "size_bytes": 20}
    assert Path("copy.csv").read_bytes() == hours.read_bytes()
    assert run("cat", "in/ACME/hours.csv").stdout == run("get", "in/ACME/hours.csv", "-").stdout == hours.read_text()


def test_without_a_name_a_file_keeps_its_own(run: Run, files: LocalFileStore) -> None:
    files.write("in/a.txt", b"x")
    assert run("get", "in/a.txt").exit_code == 0
    Path("folder").mkdir()
    assert run("get", "in/a.txt", "folder").exit_code == 0
    assert Path("a.txt").read_bytes() == Path("folder/a.txt").read_bytes() == b"x"
    assert run("mv", "in/a.txt", "done/").stdout == "Moved in/a.txt to done/a.txt.\n"
    assert run("cp", "done/a.txt", "out/").stdout == "Copied done/a.txt to out/a.txt.\n"
    assert files.list_files() == ["done/a.txt", "out/a.txt"]


def test_what_is_there_already_is_replaced_by_force_alone(run: Run, hours: Path, files: LocalFileStore) -> None:
    files.write("a", b"as it was")
    files.write("b", b"other")
    Path("b").write_bytes(b"here as it was")
    for arguments in (["put", "hours.csv", "a"], ["mv", "b", "a"], ["cp", "b", "a"], ["get", "b"]):
        refused = run(*arguments)
        assert refused.exit_code == 1
        assert refused.stderr.count("\n") == 1
        assert "is there already; --force replaces it" in refused.stderr
    assert files.read("a") == b"as it was"
    assert Path("b").read_bytes() == b"here as it was"
    assert run("get", "b", "--force").exit_code == run("mv", "b", "a", "-f").exit_code == 0
    assert (files.read("a"), files.list_files(), Path("b").read_bytes()) == (b"other", ["a"], b"other")
    assert run("put", "hours.csv", "a", "--force").exit_code == 0
    assert files.read("a") == hours.read_bytes()


def test_a_file_that_is_not_there_changes_nothing_here(run: Run, files: LocalFileStore) -> None:
    Path("a").write_bytes(b"as it was")
    for arguments in (["get", "a", "--force"], ["cat", "a"], ["stat", "a"], ["mv", "a", "b"], ["cp", "a", "b"]):
        missing = run(*arguments)
        assert (missing.exit_code, missing.stdout) == (1, "")
        assert "a is not there" in missing.stderr
    assert Path("a").read_bytes() == b"as it was"
    assert os.listdir() == ["a"]


def test_a_transfer_that_breaks_off_leaves_neither_half(
    run: Run, files: LocalFileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bluestar_store.cli import files as command

    files.write("a", b"x" * 10)
    Path("b").write_bytes(b"as it was")
    Path("c").write_bytes(b"y" * 10)

    def broken(what: str, source: Any, target: Any, total: int | None) -> int:
        target.write(source.read(5))
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "_carried", broken)
    assert run("get", "a", "b", "--force").exit_code == 130
    assert run("put", "c", "d").exit_code == 130
    assert Path("b").read_bytes() == b"as it was"
    assert sorted(os.listdir()) == ["b", "c"]
    assert os.listdir(files.folder) == ["a"]


def test_deleting_asks_or_takes_yes_and_wants_every_path_there(run: Run, files: LocalFileStore) -> None:
    for path in ("a", "b", "c"):
        files.write(path, b"x")
    declined = run("rm", "a", "b")
    assert (declined.exit_code, files.list_files()) == (1, ["a", "b", "c"])
    assert "--yes" in declined.stderr
    assert run("rm", "a", "nowhere", "--yes").exit_code == 1
    assert files.list_files() == ["a", "b", "c"]
    assert json.loads(run("rm", "a", "b", "a", "--yes", "--json").stdout) == {"deleted": ["a", "b"]}
    assert files.list_files() == ["c"]


@pytest.mark.parametrize(
    "arguments",
    [
        *(["put", "nowhere", "a"], ["put", ".", "a"], ["put", "-", "in/"], ["get", "a", "-", "--json"]),
        *(["cat", "a", "--json"], ["link", "a", "--expires", "0"], ["link", "a", "--expires", "soon"], ["rm"]),
    ],
    ids=" ".join,
)
def test_what_cannot_be_right_is_bad_usage(arguments: list[str], run: Run, files: LocalFileStore) -> None:
    files.write("a", b"x")
    assert run(*arguments).exit_code == 2


def test_a_path_that_leads_out_is_refused_in_one_line(run: Run, hours: Path) -> None:
    for arguments in (["ls", "../x"], ["get", "../x"], ["put", "hours.csv", "/etc/x"], ["rm", "a/../../x", "-y"]):
        refused = run(*arguments)
        assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1)
        assert "is no path in a file store" in refused.stderr


def test_the_url_is_an_option_or_a_variable_and_its_fault_is_named_by_what_was_used(tmp_path: Path) -> None:
    there = (tmp_path / "store").as_uri()
    assert invoke("files", "ls", env={"BLUESTAR_FILES_URL": there}).exit_code == 0
    assert invoke("--files-url", there, "files", "ls", env={"BLUESTAR_FILES_URL": "ftp://x"}).exit_code == 0
    wrong = invoke("--files-url", "ftp://x", "files", "ls")
    assert (wrong.exit_code, "--files-url: there is no file store 'ftp'" in wrong.stderr) == (2, True)
    wrong = invoke("files", "ls", env={"BLUESTAR_FILES_URL": "ftp://x"})
    assert (wrong.exit_code, "BLUESTAR_FILES_URL: there is no file store 'ftp'" in wrong.stderr) == (1, True)
    none = invoke("files", "ls")
    assert (none.exit_code, "--files-url" in none.stderr) == (1, True)
    secret = invoke("--files-url", "s3://AKIA:topsecret@bucket", "files", "ls")
    assert (secret.exit_code, "topsecret" in secret.stderr) == (2, False)
    assert "warning: memory://" in invoke("--files-url", "memory://", "files", "ls").stderr


def test_a_link_is_one_line_that_can_be_used(run: Run, files: LocalFileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write("a", b"x")
    refused = run("link", "a")
    assert (refused.exit_code, "no links" in refused.stderr) == (1, True)
    url = "https://bucket/a?" + "X-Amz-Signature=" + "0" * 300

    def link(self: LocalFileStore, path: str, expires_seconds: int = 3600) -> str:
        return f"{url}&{expires_seconds}"

    monkeypatch.setattr(LocalFileStore, "link", link)
    assert run("link", "a", "--expires", "60").stdout == f"{url}&60\n"
    assert json.loads(run("link", "a", "--json").stdout) == {
        "path": "a",
        "url": f"{url}&3600",
        "expires_seconds": 3600,
    }


def test_bytes_go_through_a_pipe_as_they_are(tmp_path: Path) -> None:
    content = bytes(range(256)) * 1000
    store = ["--files-url", (tmp_path / "store").as_uri(), "files"]
    put = subprocess.run([*COMMAND, *store, "put", "-", "a.bin"], input=content, capture_output=True, check=True)
    got = subprocess.run([*COMMAND, *store, "get", "a.bin", "-"], capture_output=True, check=True)
    assert (put.stderr, got.stdout, got.stderr) == (b"", content, b"")


@pytest.mark.parametrize("columns", [80, 120])
def test_a_transfer_shows_a_bar_on_a_terminal(tmp_path: Path, columns: int) -> None:
    name = f"a {{long}} name {'on and ' * 20}.bin"
    (tmp_path / name).write_bytes(bytes(3 * 1024 * 1024))
    store = ["--files-url", (tmp_path / "store").as_uri(), "files"]
    printed, shown = on_a_terminal([*COMMAND, *store, "put", name, "a/"], tmp_path, columns)
    assert "Bringing a {long}" in shown
    assert "3.1/3.1 MB" in shown
    assert printed == f"Brought a/{name}: 3145728 bytes.\n"


def test_a_file_is_got_into_folders_that_exist(run: Run, hours: Path, tmp_path: Path) -> None:
    run("put", str(hours), "in/hours.csv")
    result = run("get", "in/hours.csv", f"{tmp_path}/nowhere/out.csv")
    assert result.exit_code == 2
    assert "there is no such folder" in result.stderr
    assert not (tmp_path / "nowhere").exists()


def test_a_move_of_what_is_missing_says_that_first(run: Run, hours: Path) -> None:
    run("put", str(hours), "there.csv")
    result = run("mv", "missing.csv", "there.csv")
    assert result.exit_code == 1
    assert "missing.csv is not there" in result.stderr
