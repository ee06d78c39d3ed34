# SPDX-License-Identifier: MIT
"""productgraphctl: API keys, and what a running daemon makes of a change."""

import datetime
import hashlib
import json
import re

import pytest

from client import event
from cluster import wait_until
from ctl import DATABASE, KEY, OS, REFUSED, USAGE, rows_of, run

SHOP = ("--org", "acme-inc", "--project", "shop")
CREATE = ("key", "create", *SHOP)
ROTATE = ("key", "rotate", *SHOP)
DEMO = ("--org", "demo", "--project", "shop")


def when(text):
    """A time as --json prints it."""
    assert text.endswith("Z") and "T" in text
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def from_now(text):
    """Seconds from now until such a time."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return (when(text) - now).total_seconds()


def test_key_create(tenant):
    done = tenant(*CREATE, "website")
    assert done.returncode == 0, done.stderr
    assert KEY.fullmatch(done.stdout)
    key = done.stdout.strip()
    assert key not in done.stderr and key[:12] in done.stderr
    assert "expires=never" in done.stderr
    assert tenant.sql(
        "SELECT k.name, prefix, encode(key_sha256, 'hex'), p.slug, "
        "k.org_id = p.org_id AS same, revoked_at IS NULL AS valid, expires_at "
        "FROM api_keys k JOIN projects p ON p.id = project_id") == [
            ["website", key[:12], hashlib.sha256(key.encode()).hexdigest(),
             "shop", True, True, None]]
    assert tenant.ok(*CREATE, "website") != done.stdout


def test_key_create_json(tenant):
    made = tenant.json(*CREATE, "website", "--expires", "90d")
    assert KEY.fullmatch(made["key"] + "\n")
    assert abs(from_now(made["expires_at"]) - 90 * 86400) < 60
    assert abs(from_now(made["created_at"])) < 60
    for name in "key", "id", "created_at", "expires_at":
        assert made.pop(name)
    assert made == {"prefix": made["prefix"], "name": "website",
                    "org": "acme-inc", "project": "shop", "state": "active",
                    "revoked_at": None, "last_used_at": None}


@pytest.mark.parametrize("given, stored", [
    ("2999-12-31T23:59:59Z", "2999-12-31T23:59:59.000000Z"),
    ("2999-12-31T23:59:59.25+02:00", "2999-12-31T21:59:59.250000Z"),
])
def test_key_expires_at_a_time(tenant, given, stored):
    done = tenant(*CREATE, "k", "--expires", given)
    assert "expires=" + stored[:19].replace("T", " ") + "Z" in done.stderr
    (key,) = tenant.json("key", "list")
    assert key["expires_at"] == stored


@pytest.mark.parametrize("given, says", [
    ("2020-01-01T00:00:00Z", "is not in the future"),
    ("0", "is not in the future"),
    ("2999-12-31T23:59:59", "is not a time: no time zone"),
    ("2999-02-30T00:00:00Z", "is not a time"),
    ("soon", "neither an RFC 3339 time nor a time: a whole number and ms"),
    ("90", "neither an RFC 3339 time nor"),
    ("-1d", "neither an RFC 3339 time nor"),
    ("9999999999999d", "is too far away"),
    ("", "neither"),
])
def test_key_expires_refused(ctl, given, says):
    for words in (CREATE, ROTATE):
        message = ctl.fails(USAGE, *words, "k", "--expires=" + given)
        assert "--expires: " in message and says in message


def test_key_create_errors(tenant):
    key = ("key", "create", "--org", "acme-inc", "--project")
    assert 'no project "nix" in organisation "acme-inc"' in tenant.fails(
        REFUSED, *key, "nix", "k")
    assert 'no organisation "nix"' in tenant.fails(
        REFUSED, "key", "create", "--org", "nix", "--project", "shop", "k")
    assert "needs a NAME" in tenant.fails(USAGE, *key, "shop")
    assert "needs --project" in tenant.fails(
        USAGE, "key", "create", "--org", "acme-inc", "k")
    assert tenant.sql("SELECT count(*) FROM api_keys") == [[0]]


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_key_that_cannot_be_shown_is_not_made(tenant, form):
    tenant.ok(*CREATE, "old")
    before = tenant.sql("SELECT id, expires_at FROM api_keys")
    for words in ((*CREATE, "k"), (*ROTATE, "old")):
        with open("/dev/full", "w") as full:
            done = run(tenant.command(*words, *form), stdout=full)
        assert done.returncode == OS
        assert b"none was made" in done.stderr
        assert tenant.sql("SELECT id, expires_at FROM api_keys") == before


AT_COMMIT = """
CREATE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN %s; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON api_keys
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION at_commit();
"""


@pytest.mark.parametrize("happens, says", [
    ("RAISE 'not today'", "the key above is not valid: not today"),
    ("PERFORM pg_terminate_backend(pg_backend_pid())",
     'the key above may not be valid, see "key list": ')])
def test_key_whose_commit_fails(tenant, happens, says):
    tenant.ok(*CREATE, "old")
    tenant.database.execute(AT_COMMIT % happens)
    for words in ((*CREATE, "k"), (*ROTATE, "old")):
        done = tenant(*words)
        assert done.returncode == DATABASE
        assert KEY.fullmatch(done.stdout)
        assert says in done.stderr


def test_key_list(tenant):
    tenant.ok("org", "create", "Other")
    tenant.ok("project", "create", "--org", "other", "P")
    assert tenant.json("key", "list") == []
    for name in "active", "expired", "revoked":
        tenant.ok(*CREATE, name)
    tenant.ok("key", "create", "--org", "other", "--project", "p", "theirs")
    tenant.database.execute(
        "UPDATE api_keys SET expires_at = '2020-01-01 00:00Z' "
        "WHERE name IN ('expired', 'revoked');"
        "UPDATE api_keys SET revoked_at = '2021-01-01 00:00Z' "
        "WHERE name = 'revoked';"
        "UPDATE api_keys SET last_used_at = '2019-05-06 07:08:09.123Z' "
        "WHERE name = 'active'")
    keys = tenant.json("key", "list")
    assert [(k["project"], k["name"], k["state"]) for k in keys] == [
        ("shop", "active", "active"), ("shop", "expired", "expired"),
        ("shop", "revoked", "revoked"), ("p", "theirs", "active")]
    assert keys[0]["last_used_at"] == "2019-05-06T07:08:09.123000Z"
    assert keys[2]["revoked_at"] == "2021-01-01T00:00:00.000000Z"
    assert all("key" not in k and "key_sha256" not in k for k in keys)

    heads, *rows = rows_of(tenant.ok("key", "list", *SHOP))
    assert heads == ["prefix", "name", "org", "project", "state", "created",
                     "expires", "revoked", "last used", "id"]
    assert [row[4] for row in rows] == ["active", "expired", "revoked"]
    assert rows[0][6:9] == ["", "", "2019-05-06 07:08:09Z"]
    assert rows[2][6:9] == ["2020-01-01 00:00:00Z", "2021-01-01 00:00:00Z", ""]
    assert len(tenant.json("key", "list", "--org", "other")) == 1
    assert 'no project "nix"' in tenant.fails(
        REFUSED, "key", "list", "--org", "other", "--project", "nix")


# ---- revoke ------------------------------------------------------------------


@pytest.mark.parametrize("by", ["id", "prefix", "name", "ID"])
def test_key_revoke(tenant, by):
    made = tenant.json(*CREATE, "website")
    tenant.ok(*CREATE, "other")
    called = made["id"].upper() if by == "ID" else made[by]
    scope = SHOP if by == "name" else ()
    assert (f'key "website" ({made["prefix"]}) of project "shop" revoked at '
            in tenant.says("key", "revoke", *scope, called))
    revoked, other = tenant.json("key", "list")
    assert (revoked["state"], other["state"]) == ("revoked", "active")
    assert abs(from_now(revoked["revoked_at"])) < 60

    again = tenant.says("key", "revoke", *scope, called)
    assert "was revoked already, at " + revoked["revoked_at"][:10] in again
    assert tenant.json("key", "revoke", *scope, called) == revoked


def test_key_revoke_none(tenant):
    tenant.ok(*CREATE, "website")
    assert ('no key "website"; by its name a key is found with --org and '
            "--project") in tenant.fails(REFUSED, "key", "revoke", "website")
    assert 'no key "nix" in that project' in tenant.fails(
        REFUSED, "key", "revoke", *SHOP, "nix")
    assert 'no organisation "nix"' in tenant.fails(
        REFUSED, "key", "revoke", "--org", "nix", "website")
    assert tenant.json("key", "list")[0]["state"] == "active"


def test_key_of_another_project_is_not_meant(tenant):
    tenant.ok("project", "create", "--org", "acme-inc", "Blog")
    made = tenant.json(*CREATE, "website")
    for called in made["prefix"], made["id"], "website":
        tenant.fails(REFUSED, "key", "revoke", "--org", "acme-inc",
                     "--project", "blog", called)
    assert tenant.json("key", "list")[0]["state"] == "active"


def test_key_called_the_same(tenant):
    """The candidates are listed, and nothing is done."""
    first, second = (tenant.json(*CREATE, "web") for _ in range(2))
    for words in "revoke", "rotate":
        message = tenant("key", words, *SHOP, "web")
        assert (message.returncode, message.stdout) == (REFUSED, "")
        table, _, reason = message.stderr.rpartition("productgraphctl: ")
        assert '2 keys are called "web"' in reason
        assert [row[0] for row in rows_of(table)[1:]] == [
            first["prefix"], second["prefix"]]
    assert [k["state"] for k in tenant.json("key", "list")] == 2 * ["active"]
    # Of one that is active and one that is not, the active one is meant.
    tenant.ok("key", "revoke", first["prefix"])
    assert second["prefix"] in tenant.says("key", "revoke", *SHOP, "web")
    assert "2 keys are called" in tenant("key", "revoke", *SHOP, "web").stderr


# ---- rotate ------------------------------------------------------------------


def test_key_rotate(tenant):
    old = tenant.json(*CREATE, "website")
    done = tenant(*ROTATE, "website")
    assert done.returncode == 0 and KEY.fullmatch(done.stdout)
    assert f'the old one, {old["prefix"]}, ends at 20' in done.stderr
    assert done.stdout.strip() not in done.stderr
    before, after = tenant.json("key", "list")
    assert before["id"] == old["id"]
    assert abs(from_now(before["expires_at"]) - 86400) < 60
    assert (after["name"], after["expires_at"]) == ("website", None)
    assert done.stdout.startswith(after["prefix"])
    assert tenant.sql(
        "SELECT encode(key_sha256, 'hex') FROM api_keys WHERE name = 'website' "
        "ORDER BY created_at DESC LIMIT 1") == [
            [hashlib.sha256(done.stdout.strip().encode()).hexdigest()]]


@pytest.mark.parametrize("by", ["id", "prefix", "name"])
def test_key_rotate_json(tenant, by):
    old = tenant.json(*CREATE, "website", "--expires", "1h")
    new = tenant.json(*ROTATE, old[by], "--grace", "2h", "--expires", "30d")
    # The old one would have ended earlier: it still does.
    assert new["replaces"] == {k: v for k, v in old.items() if k != "key"}
    assert abs(from_now(new["expires_at"]) - 30 * 86400) < 60
    assert KEY.fullmatch(new["key"] + "\n") and new["key"] != old["key"]
    assert new["prefix"] == new["key"][:12]


def test_key_rotate_without_grace(tenant):
    tenant.ok(*CREATE, "website")
    assert tenant.json(*ROTATE, "website", "--grace", "0")[
        "replaces"]["state"] == "expired"
    # Only one is active, so the name means that one.
    assert tenant.json(*ROTATE, "website", "--grace", "5m")[
        "replaces"]["state"] == "active"


def test_key_rotate_again_may_end_it_earlier(tenant):
    """The lesser of two ends holds, and whoever counted on the other hears."""
    old = tenant.json(*CREATE, "website")
    first = tenant(*ROTATE, old["id"], "--grace", "30d")
    assert "warning" not in first.stderr
    again = tenant(*ROTATE, old["id"], "--grace", "1d", "--json")
    ends = json.loads(again.stdout)["replaces"]["expires_at"]
    assert abs(from_now(ends) - 86400) < 60
    assert again.stderr.startswith(
        f'warning: the old one, {old["prefix"]}, ends at '
        + ends[:19].replace("T", " ") + "Z, earlier than at 20")
    assert again.stderr.count("\n") == 1
    # It never ends later.
    later = tenant(*ROTATE, old["id"], "--grace", "9d", "--json")
    assert (json.loads(later.stdout)["replaces"]["expires_at"],
            later.stderr) == (ends, "")


def test_key_rotate_of_an_expired_one(tenant):
    old = tenant.json(*CREATE, "website")
    tenant.database.execute(
        "UPDATE api_keys SET expires_at = '2020-01-01 00:00Z'")
    done = tenant(*ROTATE, "website")
    assert done.returncode == 0 and KEY.fullmatch(done.stdout)
    assert (f'the old one, {old["prefix"]}, ended at 2020-01-01 00:00:00Z\n'
            in done.stderr)
    assert "warning" not in done.stderr


@pytest.mark.parametrize("words", [("key", "revoke", *SHOP), ROTATE])
@pytest.mark.parametrize("length", [13, 40, None])
def test_the_key_itself_is_not_taken(tenant, words, length):
    made = tenant.json(*CREATE, "website")
    message = tenant.fails(USAGE, *words, made["key"][:length])
    assert made["key"][:13] not in message
    assert "that is the key itself" in message and made["prefix"] in message
    assert tenant.json("key", "list")[0]["state"] == "active"


@pytest.mark.parametrize("grace, says", [
    ("soon", '"soon" is not a time'),
    ("366d", "out of bounds: 0 to 365d"),
    ("", "is not a time"),
])
def test_key_rotate_usage(ctl, grace, says):
    message = ctl.fails(USAGE, *ROTATE, "k", "--grace=" + grace)
    assert "--grace: " in message and says in message


def test_key_rotate_refused(tenant):
    made = tenant.json(*CREATE, "website")
    assert 'no key "nix" in that project' in tenant.fails(
        REFUSED, *ROTATE, "nix")
    assert 'no project "nix"' in tenant.fails(
        REFUSED, *ROTATE[:-1], "nix", "website")
    tenant.ok("key", "revoke", made["id"])
    assert (f'key {made["prefix"]} is revoked: make another with "key create"'
            in tenant.fails(REFUSED, *ROTATE, "website"))
    assert len(tenant.json("key", "list")) == 1


# ---- what the workers make of it ---------------------------------------------


def test_revocation_counts_within_a_second(make_daemon, database):
    daemon = make_daemon().start()
    key = database.keys["shop"]
    assert daemon.post([event(project_id="shop")], key=key).status == 202
    database.ctl("key", "revoke", key[:12])
    wait_until(lambda: daemon.post(
        [event(project_id="shop")], key=key).status == 401, 1, "refusal")


def test_rotation_loses_nothing(make_daemon, database):
    """Both keys work during the grace, the new one at once; then one does."""
    daemon = make_daemon().start()
    old = database.keys["shop"]

    def status(key):
        return daemon.post([event(project_id="shop")], key=key).status

    new = database.ctl("key", "rotate", *DEMO, old[:12],
                       "--grace", "4s").strip()
    wait_until(lambda: status(new) == 202, 1, "the new key")
    assert status(old) == 202
    wait_until(lambda: status(old) == 401, 8, "end of the old key")
    assert status(new) == 202
    answer = daemon.post([event(project_id="shop")], key=old)
    assert re.search("expired", answer.json["error"])
