"""SQLClient: one suite on SQLite in memory, SQLite in a file and PostgreSQL."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestar_store.errors import BlueStarError, ConflictError, SqlConstraintError, SqlError
from bluestar_store.persistence import ISQLClient, SQLClient


@contextmanager
def failing(client: SQLClient, failure: BaseException | None = None) -> Iterator[None]:
    """A transaction whose block ends in a failure, which has to come out of it as it is."""
    failure = failure or ValueError("out")
    with pytest.raises(type(failure)) as raised, client.transaction():  # noqa: PT012 a block that fails is the point
        yield
        raise failure
    assert raised.value is failure


class SqlSuite:
    """Subclasses give the fixture `url`."""

    @pytest.fixture
    def client(self, url: str) -> Iterator[SQLClient]:
        with SQLClient(url) as client:
            yield client

    @pytest.fixture(autouse=True)
    def people(self, client: SQLClient) -> Iterator[None]:
        """The table of the tests, empty."""
        client.execute("CREATE TABLE people (ssn VARCHAR(50) PRIMARY KEY, pay NUMERIC(12, 2), name TEXT)")
        yield
        client.execute("DROP TABLE people")

    def names(self, client: ISQLClient) -> list[Any]:
        return [row["ssn"] for row in client.fetch_all("SELECT ssn FROM people ORDER BY ssn")]

    def add(self, client: ISQLClient, *names: str) -> int:
        return client.execute("INSERT INTO people (ssn) VALUES (:ssn)", [{"ssn": name} for name in names])

    def test_it_is_a_client(self, client: SQLClient) -> None:
        assert isinstance(client, ISQLClient)

    def test_rows_are_dicts_in_order_by_the_names_of_their_columns(self, client: SQLClient) -> None:
        assert client.fetch_all("SELECT * FROM people") == []
        insert = "INSERT INTO people (ssn, pay, name) VALUES (:ssn, :pay, :name)"
        assert client.execute(insert, {"ssn": "2", "pay": Decimal("10.15"), "name": None}) == 1
        assert client.execute(insert, {"ssn": "1", "pay": Decimal("9999999999.99"), "name": "Zoë ☕"}) == 1
        rows = client.fetch_all("SELECT ssn, pay AS amount, name FROM people ORDER BY ssn")
        assert rows == [
            {"ssn": "1", "amount": Decimal("9999999999.99"), "name": "Zoë ☕"},
            {"ssn": "2", "amount": Decimal("10.15"), "name": None},
        ]
        assert list(rows[0]) == ["ssn", "amount", "name"]

    def test_money_can_be_reckoned_with(self, client: SQLClient) -> None:
        insert = "INSERT INTO people (ssn, pay) VALUES (:ssn, :pay)"
        client.execute(insert, [{"ssn": str(number), "pay": Decimal("0.10")} for number in range(3)])
        [row] = client.fetch_all("SELECT SUM(pay) AS total FROM people")
        assert row["total"] * Decimal("1.5") == Decimal("0.45")
        found = client.fetch_all("SELECT ssn FROM people WHERE pay < :limit", {"limit": Decimal("0.11")})
        assert len(found) == 3
        by_sum = "SELECT COUNT(*) AS n FROM people HAVING SUM(pay) > :limit AND :limit < SUM(pay)"
        assert client.fetch_all(by_sum, {"limit": Decimal("0.25")}) == [{"n": 3}]
        assert client.fetch_all(by_sum, {"limit": Decimal("0.35")}) == []

    def test_the_rows_that_were_affected_are_counted(self, client: SQLClient) -> None:
        assert self.add(client, "a", "b", "c") == 3
        assert client.execute("UPDATE people SET name = :name", {"name": "x"}) == 3
        assert client.execute("DELETE FROM people WHERE ssn > :ssn", {"ssn": "a"}) == 2
        assert client.execute("DELETE FROM people WHERE ssn > :ssn", {"ssn": "a"}) == 0
        assert client.execute("INSERT INTO people (ssn) VALUES ('d'), ('e') RETURNING ssn") == 2
        assert client.execute("CREATE INDEX by_name_people ON people (name)") == 0
        assert client.execute("SELECT 1 AS one") == 1
        assert self.names(client) == ["a", "d", "e"]

    def test_a_sequence_of_parameters_is_carried_out_whole_or_not_at_all(self, client: SQLClient) -> None:
        with pytest.raises(SqlConstraintError):
            self.add(client, "a", "b", "a")
        assert self.names(client) == []
        assert self.add(client) == 0
        assert client.execute("INSERT INTO people (ssn) VALUES ('x')", []) == 0
        assert self.names(client) == []

    @pytest.mark.parametrize(
        "value",
        ["'; DROP TABLE people; --", "x' OR '1'='1", "%", ":ssn", "%(ssn)s", "\\", '"', "?", "$1", "{ssn}", "ü\n\t"],
    )
    def test_a_parameter_is_never_part_of_the_statement(self, client: SQLClient, value: str) -> None:
        client.execute("INSERT INTO people (ssn, name) VALUES (:ssn, :name)", {"ssn": "1", "name": value})
        rows = client.fetch_all("SELECT name FROM people WHERE name = :name", {"name": value})
        assert rows == [{"name": value}]
        assert client.fetch_all("SELECT name FROM people WHERE name = :name", {"name": value + "x"}) == []

    def test_what_a_statement_has_besides_parameters_stays_as_it_is(self, client: SQLClient) -> None:
        self.add(client, "12:30", "100%", "a:b")
        assert client.fetch_all("SELECT ssn FROM people WHERE ssn LIKE '%2:30'") == [{"ssn": "12:30"}]
        assert client.fetch_all("SELECT ssn FROM people WHERE ssn = 'a\\:b'") == [{"ssn": "a:b"}]
        assert client.fetch_all("SELECT ssn FROM people WHERE ssn = '100%'") == [{"ssn": "100%"}]

    @pytest.mark.parametrize(
        "wrong",
        [5, "text", b"bytes", ("a",), [("a",)], [{"ssn": "1"}, None], {5: "a"}, {"ssn"}, iter([{"ssn": "1"}])],
        ids=lambda wrong: type(wrong).__name__,
    )
    def test_parameters_that_are_no_mappings_are_refused(self, client: SQLClient, wrong: Any) -> None:
        with pytest.raises(SqlError, match=r"mapping|named by text"):
            client.execute("INSERT INTO people (ssn) VALUES (:ssn)", wrong)
        with pytest.raises(SqlError, match=r"mapping|named by text"):
            client.fetch_all("SELECT :ssn AS ssn", wrong)
        assert self.names(client) == []

    @pytest.mark.parametrize("wrong", [None, 5, b"SELECT 1", ["SELECT 1"], "SELECT 1 \0 + 1"], ids=repr)
    def test_a_statement_that_is_no_text_is_refused(self, client: SQLClient, wrong: Any) -> None:
        for call in (client.execute, client.fetch_all):
            with pytest.raises(SqlError, match="a statement"):
                call(wrong)

    def test_a_parameter_that_is_missing_is_named(self, client: SQLClient) -> None:
        with pytest.raises(SqlError, match="'plan_id'"):
            client.fetch_all("SELECT :plan_id AS plan, :other AS other", {"other": "1"})

    def test_a_statement_without_rows_is_not_carried_out_by_fetch_all(self, client: SQLClient) -> None:
        self.add(client, "a")
        with pytest.raises(SqlError, match="use execute"):
            client.fetch_all("DELETE FROM people")
        assert self.names(client) == ["a"]

    def test_rows_that_a_write_gives_are_written(self, client: SQLClient) -> None:
        rows = client.fetch_all("INSERT INTO people (ssn) VALUES (:ssn) RETURNING ssn", {"ssn": "a"})
        assert rows == [{"ssn": "a"}] == client.fetch_all("SELECT ssn FROM people")

    def test_two_columns_of_one_name_lose_nothing_in_silence(self, client: SQLClient) -> None:
        with pytest.raises(SqlError, match="several columns have the name 'id'"):
            client.fetch_all("SELECT 1 AS id, 2 AS id")

    def test_a_transaction_is_committed_when_its_block_ends_well(self, client: SQLClient) -> None:
        with client.transaction() as same:
            assert same is client
            self.add(client, "a")
            assert self.names(client) == ["a"]
        assert self.names(client) == ["a"]

    @pytest.mark.parametrize("failure", [ValueError("theirs"), KeyboardInterrupt(), ConflictError("ours")], ids=repr)
    def test_a_transaction_whose_block_fails_is_rolled_back(self, client: SQLClient, failure: BaseException) -> None:
        with failing(client, failure):
            self.add(client, "a")
        assert self.names(client) == []

    def test_tables_made_in_a_transaction_are_rolled_back_too(self, client: SQLClient) -> None:
        with failing(client):
            client.execute("CREATE TABLE other_people (a INTEGER)")
        with pytest.raises(SqlError):
            client.fetch_all("SELECT * FROM other_people")

    def test_of_nested_transactions_only_the_failed_one_is_rolled_back(self, client: SQLClient) -> None:
        with client.transaction():
            self.add(client, "a")
            with failing(client):
                self.add(client, "b")
            with client.transaction():
                self.add(client, "c")
            with pytest.raises(SqlConstraintError), client.transaction():
                self.add(client, "a")
            self.add(client, "d")
        assert self.names(client) == ["a", "c", "d"]

    def test_what_a_nested_transaction_did_goes_with_the_outer_one(self, client: SQLClient) -> None:
        with failing(client), client.transaction():
            self.add(client, "a")
        assert self.names(client) == []

    def test_a_failed_statement_dooms_its_transaction_even_where_it_was_caught(self, client: SQLClient) -> None:
        self.add(client, "there")

        def run() -> None:
            with client.transaction():
                self.add(client, "a")
                with pytest.raises(SqlConstraintError):
                    self.add(client, "b", "there")
                with pytest.raises(SqlError, match="all of it is rolled back"):
                    self.add(client, "c")
                with pytest.raises(SqlError, match="all of it is rolled back"), client.transaction():
                    pass

        with pytest.raises(SqlError, match="all of it is rolled back"):
            run()
        assert self.names(client) == ["there"]

    def test_what_is_refused_before_it_is_sent_dooms_nothing(self, client: SQLClient) -> None:
        with client.transaction():
            with pytest.raises(SqlError):
                client.execute("INSERT INTO people (ssn) VALUES (:ssn)", "a")  # type: ignore[arg-type]  # the point
            self.add(client, "a")
        assert self.names(client) == ["a"]

    def test_other_threads_are_not_in_the_transaction(self, client: SQLClient) -> None:
        with ThreadPoolExecutor(1) as pool:
            with failing(client):
                self.add(client, "a")
                other = pool.submit(self.names, client)  # in SQLite's memory it waits for the end
            assert other.result(10) == []

    def test_threads_share_a_client(self, client: SQLClient) -> None:
        self.add(client, "counter")
        client.execute("UPDATE people SET pay = 0")
        barrier = threading.Barrier(4)

        def work(thread: int) -> None:
            barrier.wait(10)
            for number in range(10):
                with client.transaction():
                    self.add(client, f"{thread}-{number}")
                    client.execute("UPDATE people SET pay = pay + 1 WHERE ssn = 'counter'")

        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(work, thread) for thread in range(4)]:
                done.result(60)
        assert client.fetch_all("SELECT pay FROM people WHERE ssn = 'counter'") == [{"pay": 40}]
        assert len(self.names(client)) == 41

    def test_a_client_that_was_closed_opens_again(self, url: str) -> None:
        client = SQLClient(url)
        client.close()
        client.close()
        assert client.fetch_all("SELECT 1 AS one") == [{"one": 1}]
        client.close()


class TestSqliteInMemory(SqlSuite):
    @pytest.fixture
    def url(self) -> str:
        return "sqlite://"

    @given(st.decimals())
    def test_a_number_is_kept_as_it_is_or_refused(self, number: Decimal) -> None:
        with SQLClient("sqlite:///:memory:") as client:
            client.execute("CREATE TABLE kept (number NUMERIC, text TEXT)")
            try:
                client.execute("INSERT INTO kept VALUES (:number, :number)", {"number": number})
            except SqlError:
                assert not number.is_finite() or len(number.normalize().as_tuple().digits) > 15 or abs(number) > 2**63
                return
            [row] = client.fetch_all("SELECT * FROM kept")
        assert row["number"] == Decimal(row["text"]) == number
        assert not isinstance(row["number"], float)

    @given(st.integers(-(10**15) + 1, 10**15 - 1), st.integers(0, 6))
    def test_numbers_of_15_digits_are_kept(self, digits: int, places: int) -> None:
        number = Decimal(digits).scaleb(-places)
        with SQLClient("sqlite://") as client:
            [row] = client.fetch_all("SELECT :number AS number", {"number": number})
        assert row["number"] == number

    @pytest.mark.parametrize("number", ["NaN", "sNaN", "-Infinity", "1E+1000", "1E-1000", "1234567890.1234567"])
    def test_a_number_that_sqlite_would_change_is_refused(self, client: SQLClient, number: str) -> None:
        with pytest.raises(SqlError, match="as text"):
            client.execute("INSERT INTO people (ssn) VALUES (:number)", {"number": Decimal(number)})


class TestSqliteInAFile(SqlSuite):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/payroll.db"

    def test_it_is_there_for_the_next_client(self, url: str) -> None:
        with SQLClient(url) as client:
            client.execute("CREATE TABLE kept (a INTEGER)")
        with SQLClient(url) as client:
            assert client.fetch_all("SELECT * FROM kept") == []

    def test_transactions_that_read_and_then_write_wait_for_each_other(self, url: str) -> None:
        with SQLClient(url) as client, SQLClient(url) as other, ThreadPoolExecutor(2) as pool:
            client.execute("CREATE TABLE counter (n INTEGER)")
            client.execute("INSERT INTO counter VALUES (0)")

            def count(one: SQLClient) -> None:
                for _ in range(20):
                    with one.transaction():
                        [row] = one.fetch_all("SELECT n FROM counter")
                        one.execute("UPDATE counter SET n = :n", {"n": row["n"] + 1})

            for done in [pool.submit(count, one) for one in (client, other)]:
                done.result(60)
            assert client.fetch_all("SELECT n FROM counter") == [{"n": 40}]


class TestPostgres(SqlSuite):
    @pytest.fixture
    def url(self, postgres_url: str) -> str:
        return postgres_url

    def test_its_own_types_come_back_as_they_are(self, client: SQLClient) -> None:
        [row] = client.fetch_all(
            "SELECT CAST(:n AS NUMERIC) AS n, ARRAY[1, 2] AS a, now()::date IS NULL AS t", {"n": 1}
        )
        assert row == {"n": Decimal(1), "a": [1, 2], "t": False}
        assert isinstance(row["n"], Decimal)

    def test_other_tasks_are_not_in_the_transaction_and_those_begun_within_are(self, client: SQLClient) -> None:
        async def look() -> list[Any]:
            return self.names(client)

        async def book(begun: asyncio.Event, looked: asyncio.Event) -> list[Any]:
            with client.transaction():
                self.add(client, "a")
                within = await asyncio.create_task(look())
                begun.set()
                await looked.wait()
                with pytest.raises(SqlConstraintError), client.transaction():
                    self.add(client, "a")
            return within

        async def both() -> tuple[list[Any], list[Any]]:
            begun, looked = asyncio.Event(), asyncio.Event()
            booking = asyncio.create_task(book(begun, looked))
            await begun.wait()
            outside = await look()
            looked.set()
            return outside, await booking

        assert asyncio.run(both()) == ([], ["a"])
        assert self.names(client) == ["a"]

    def test_a_connection_that_died_while_idle_is_replaced(self, client: SQLClient, url: str) -> None:
        [row] = client.fetch_all("SELECT pg_backend_pid() AS pid")
        with SQLClient(url) as other:
            other.execute("SELECT pg_terminate_backend(:pid)", row)
        assert client.fetch_all("SELECT 1 AS one") == [{"one": 1}]

    def test_a_connection_that_dies_within_a_transaction_is_an_error(self, client: SQLClient, url: str) -> None:
        def run() -> None:
            with client.transaction():
                self.add(client, "a")
                [row] = client.fetch_all("SELECT pg_backend_pid() AS pid")
                with SQLClient(url) as other:
                    other.execute("SELECT pg_terminate_backend(:pid)", row)
                self.add(client, "b")

        with pytest.raises(BlueStarError):
            run()
        assert self.names(client) == []
