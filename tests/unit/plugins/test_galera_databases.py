"""galera_databases against a server that understands its few statements."""

import json
import re
from contextlib import contextmanager

import pytest
from ansible_collections.skywright.cloud.plugins.modules import galera_databases

from .conftest import predicted

USER = {"name": "skywright", "password": "secret", "privileges": {"sky_wright.*": ["ALL PRIVILEGES"]}}
WANTED = {"databases": ["sky_wright"], "users": [USER]}


class Server:
    """Databases, and users with their account and rights; refuses statements that name the word C(refused)."""

    def __init__(self):
        self.databases, self.users, self.sent, self.refused, self.away = {"mysql"}, {}, [], None, False

    @contextmanager
    def administrator(self, _seconds):
        if self.away:
            raise OSError("no such file or directory")
        yield self

    def execute(self, statement, arguments=()):
        text = statement % tuple(f"'{argument}'" for argument in arguments)
        self.rows = []
        if text.startswith("SELECT schema_name"):
            self.rows = [(name,) for name in self.databases]
        elif text.startswith("SELECT user"):
            self.rows = [(*key, json.dumps(account)) for key, (account, _rights) in self.users.items()]
        elif text.startswith("SHOW GRANTS"):
            self.rows = self._grants(arguments)
        else:
            self._change(text, arguments)

    def fetchall(self):
        return self.rows

    def _grants(self, key):
        account, rights = self.users[tuple(key)]
        end = f"TO `{key[0]}`@`{key[1]}`"
        known = f" IDENTIFIED BY PASSWORD '{account['authentication_string']}'"
        lines = [f"GRANT USAGE ON *.* {end}{known}"] if "*.*" not in rights else []
        return [
            (line,)
            for line in lines
            + [f"GRANT {', '.join(sorted(some))} ON {level} {end}" for level, some in rights.items() if some]
        ]

    def _change(self, text, arguments):
        if self.refused and self.refused in text:
            raise OSError(f"{self.refused} is refused")
        self.sent.append(text)
        if match := re.match(r"CREATE DATABASE IF NOT EXISTS `(\w+)`", text):
            self.databases.add(match[1])
        elif match := re.match(r"(CREATE USER IF NOT EXISTS|ALTER USER) .* '(\*\w+)' REQUIRE (SSL|NONE)", text):
            account = {"authentication_string": match[2], "ssl_type": int(match[3] == "SSL")}
            self.users[arguments[:2]] = (account, self.users.get(arguments[:2], (None, {}))[1])
        elif match := re.match(r"(GRANT|REVOKE) (.+) ON (.+) (TO|FROM) ", text):
            rights = self.users[arguments][1].setdefault(match[3], set())
            some = set(match[2].split(", "))
            rights.update(some) if match[1] == "GRANT" else rights.difference_update(some)
            if "ALL PRIVILEGES" in rights:  # all others are part of them
                rights.intersection_update({"ALL PRIVILEGES"})
        elif text.startswith("DROP USER"):
            del self.users[arguments]
        else:
            raise AssertionError(f"nobody expected {text}")


@pytest.fixture
def server(monkeypatch):
    there = Server()
    monkeypatch.setattr(galera_databases, "administrator", there.administrator)
    return there


def test_databases_and_users_are_made_and_a_second_run_changes_nothing(run_module, server):
    assert run_module(galera_databases.main, WANTED)["changed"]
    assert "sky_wright" in server.databases
    account, rights = server.users["skywright", "%"]
    assert account == {"authentication_string": galera_databases.hashed("secret"), "ssl_type": 1}
    assert rights == {r"`sky\_wright`.*": {"ALL PRIVILEGES"}}
    server.sent.clear()
    assert not run_module(galera_databases.main, WANTED)["changed"]
    assert server.sent == []


def test_the_hash_is_the_servers():
    assert galera_databases.hashed("password") == "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19"


def test_check_mode_predicts_and_sends_nothing(run_module, server):
    foretold = run_module(galera_databases.main, WANTED, check=True)
    assert server.sent == []
    assert predicted(foretold) == predicted(run_module(galera_databases.main, WANTED))


def test_check_mode_needs_no_server(run_module, server):
    server.away = True
    assert run_module(galera_databases.main, WANTED, check=True)["changed"]
    assert "does not answer" in run_module(galera_databases.main, WANTED)["msg"]


def test_no_password_and_no_hash_is_told(run_module, server):
    answer = json.dumps(run_module(galera_databases.main, WANTED))
    again = json.dumps(run_module(galera_databases.main, {"users": [dict(USER, password="other-secret")]}))
    for text in (answer, again):
        assert "secret" not in text
        assert galera_databases.hashed("secret") not in text
        assert galera_databases.hashed("other-secret") not in text
    assert "another one" in again


@pytest.mark.parametrize("change", [{"password": "new"}, {"require_tls": False}])
def test_an_account_is_changed_in_place(run_module, server, change):
    run_module(galera_databases.main, WANTED)
    server.sent.clear()
    wanted = {"users": [{**USER, **change}]}
    assert run_module(galera_databases.main, wanted)["changed"]
    (sent,) = server.sent
    assert sent.startswith("ALTER USER")
    assert not run_module(galera_databases.main, wanted)["changed"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"a.*": ["SELECT", "INSERT"]}, {"a.*": ["SELECT"]}),
        ({"a.*": ["SELECT"]}, {"a.*": ["SELECT", "INSERT"], "*.*": ["PROCESS", "BINLOG MONITOR"]}),
        ({"a.*": ["ALL PRIVILEGES"]}, {"a.*": ["SELECT"]}),
        ({"a.*": ["SELECT"]}, {"a.*": ["ALL PRIVILEGES"]}),
        ({"a.*": ["ALL PRIVILEGES"], "b.t": ["SELECT"]}, {"b.t": ["SELECT"]}),
        ({"a.*": ["SELECT"]}, {}),
    ],
)
def test_rights_are_exactly_those_that_are_listed(run_module, server, before, after):
    for privileges in (before, after):
        assert run_module(galera_databases.main, {"users": [dict(USER, privileges=privileges)]})["changed"]
        assert not run_module(galera_databases.main, {"users": [dict(USER, privileges=privileges)]})["changed"]


def test_the_right_to_grant_is_taken_away():
    lines = ["GRANT ALL PRIVILEGES ON *.* TO `a`@`%` IDENTIFIED BY PASSWORD '*1' REQUIRE SSL WITH GRANT OPTION"]
    assert galera_databases.granted(lines) == {"*.*": ["ALL PRIVILEGES", "GRANT OPTION"]}


def test_absent(run_module, server):
    run_module(galera_databases.main, WANTED)
    gone = {"users": [{"name": "skywright", "state": "absent"}]}
    assert run_module(galera_databases.main, gone)["changed"]
    assert server.users == {}
    assert not run_module(galera_databases.main, gone)["changed"]


def test_one_bad_user_never_stops_the_others(run_module, server):
    server.refused = "'bad'"
    users = [dict(USER, name="bad"), dict(USER, name="worse", privileges={"x": ["SELECT"]}), USER]
    answer = run_module(galera_databases.main, {"users": users})
    assert answer["failed"]
    assert answer["by_id"]["user bad@%"]["error"] == "'bad' is refused"
    assert "is not a level" in answer["by_id"]["user worse@%"]["error"]
    assert list(server.users) == [("skywright", "%")]


@pytest.mark.parametrize("privilege", ["SELECT, INSERT", "SELECT ON *.* TO root --", "select"])
def test_privileges_are_words_of_the_server(run_module, server, privilege):
    answer = run_module(galera_databases.main, {"users": [dict(USER, privileges={"a.*": [privilege]})]})
    assert "is not a privilege" in answer["msg"]
    assert server.sent == []
