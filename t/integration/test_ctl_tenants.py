# SPDX-License-Identifier: MIT
"""productgraphctl: organisations and projects."""

import json
import os
import re

import pytest

from client import event
from cluster import wait_until
from ctl import DATABASE, REFUSED, USAGE, UUID, rows_of, run


# ---- organisations, projects -------------------------------------------------


def test_org_create(ready):
    out = ready.ok("org", "create", "Acme Inc.")
    assert UUID.fullmatch(out)
    assert ready.sql("SELECT id, name, slug FROM organizations") == [
        [out.strip(), "Acme Inc.", "acme-inc"]]
    assert 'slug "acme-inc" is taken' in ready.fails(
        REFUSED, "org", "create", "ACME, inc")
    assert ready.sql("SELECT count(*) FROM organizations") == [[1]]


@pytest.mark.parametrize("name, slug", [
    ("Demo", "demo"),
    ("proj_demo", "proj_demo"),
    ("  The Big / Firm!  ", "the-big-firm"),
    ("__x__", "x__"),
    ("a" * 255, "a" * 255),
    ("ab " * 85, "ab-" * 84 + "ab"),
    ("it's \"quoted\"; DROP TABLE organizations; --",
     "it-s-quoted-drop-table-organizations"),
], ids=["lower", "kept", "trimmed", "first", "longest", "words",
        "quotes"])
def test_slug_from_name(ready, name, slug):
    ready.ok("org", "create", name)
    assert ready.sql("SELECT slug FROM organizations") == [[slug]]


@pytest.mark.parametrize("args, says", [
    ((), "needs a NAME"),
    (("",), "1 to 255 bytes"),
    (("x" * 256,), "1 to 255 bytes"),
    (("a", "b"), '"b" is one argument too many'),
    (("\u00c4\u00d6",), "give one with --slug"),
    (("Caf\u00e9 24",), "give one with --slug"),
    (("!",), "give one with --slug"),
    (("x", "--slug", "Upper"), "is not a slug"),
    (("x", "--slug", ""), "is not a slug"),
    (("x", "--slug", "-x"), "is not a slug"),
    (("x", "--slug", "a" * 256), "is not a slug"),
    (("x", "--slug", "0" * 8 + "-0000-0000-0000-" + "0" * 12), "is a UUID"),
    (("x", "--slug"), "needs a value"),
    (("x", "--keyless"), 'does not take "--keyless"'),
    (("x", "--nonsense"), 'no such option "--nonsense"'),
], ids=str.split("""none empty long two foreign partly-foreign no-slug
                    upper no-letters dash long-slug
                    uuid no-value not-its-option no-option"""))
def test_org_create_usage(ctl, args, says):
    assert says in ctl.fails(USAGE, "org", "create", *args)


@pytest.mark.parametrize("what", [("org", "create"),
                                  ("project", "create", "--org", "one")])
def test_name_is_printed_escaped(ready, what):
    ready.ok("org", "create", "One")
    done = ready(*what, "Cl\033[2Jear \u202e", "--slug", "clear")
    assert done.returncode == 0
    assert '"Cl\\x1b[2Jear \\u202e" made, slug=clear' in done.stderr


def test_name_must_be_utf8(ready):
    done = run([*map(os.fsencode, ready.command("org", "create")),
                b"caf\xe9", b"--slug", b"cafe"])
    assert done.returncode == DATABASE
    assert b"invalid byte sequence" in done.stderr


def test_project_create(ready):
    ready.ok("org", "create", "One")
    ready.ok("org", "create", "Two")
    out = ready.ok("project", "create", "--org", "one", "Web Shop")
    assert UUID.fullmatch(out)
    # The same slug in another organisation is another project.
    ready.ok("project", "create", "--org", "two", "Other", "--slug", "web-shop")
    assert ready.sql(
        "SELECT o.slug AS org, p.name, p.slug, require_api_key FROM projects p "
        "JOIN organizations o ON o.id = p.org_id ORDER BY o.slug") == [
            ["one", "Web Shop", "web-shop", True],
            ["two", "Other", "web-shop", True]]
    assert "is taken" in ready.fails(
        REFUSED, "project", "create", "--org", "one", "Web Shop")
    assert 'no organisation "three"' in ready.fails(
        REFUSED, "project", "create", "--org", "three", "X")
    assert "needs --org" in ready.fails(USAGE, "project", "create", "X")


def test_keyless_slug_is_unique_in_the_installation(ready):
    for org in "One", "Two":
        ready.ok("org", "create", org)
    ready.ok("project", "create", "--org", "one", "Demo", "--keyless")
    says = ('slug "demo" is taken by a project of organisation "one" that '
            "needs no key either")
    assert says in ready.fails(
        REFUSED, "project", "create", "--org", "two", "Demo", "--keyless")
    ready.ok("project", "create", "--org", "two", "Demo")
    keyless = ("project", "set", "--project", "demo", "--require-key", "no",
               "--org")
    assert says in ready.fails(REFUSED, *keyless, "two")
    assert ready.ok(*keyless, "one") == "nothing changed: it was so already\n"
    assert ready.sql("SELECT require_api_key FROM projects p "
                     "JOIN organizations o ON o.id = org_id "
                     "ORDER BY o.slug") == [[False], [True]]


TIME = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z"


def test_org_json_and_list(ready):
    assert ready.json("org", "list") == []
    assert ready.ok("org", "list").endswith("(0 rows)\n")
    made = ready.json("org", "create", "Zo\u00eb \"Inc\"", "--slug", "zoe")
    assert UUID.fullmatch(made["id"] + "\n")
    assert re.fullmatch(TIME, made["created_at"])
    assert made == {"slug": "zoe", "name": "Zo\u00eb \"Inc\"", "projects": 0,
                    "id": made["id"], "created_at": made["created_at"]}
    ready.ok("org", "create", "Acme")
    ready.ok("project", "create", "--org", "zoe", "P")
    acme, zoe = ready.json("org", "list")
    assert (acme["slug"], zoe) == ("acme", {**made, "projects": 1})
    rows = rows_of(ready.ok("org", "list"))
    assert rows[0] == ["slug", "name", "id", "created", "projects"]
    assert [row[0] for row in rows[1:]] == ["acme", "zoe"]
    assert rows[2][4] == "1"


def test_project_json_and_list(tenant):
    tenant.ok("org", "create", "Other")
    made = tenant.json("project", "create", "--org", "other", "Web",
                       "--keyless")
    assert UUID.fullmatch(made["id"] + "\n")
    assert made == {
        "org": "other", "slug": "web", "name": "Web", "id": made["id"],
        "require_api_key": False, "allowed_origins": [],
        "session_timeout_ms": 1800000, "created_at": made["created_at"],
        "updated_at": made["updated_at"]}
    shop, web = tenant.json("project", "list")
    assert (shop["org"], shop["slug"]) == ("acme-inc", "shop")
    assert web == made
    assert tenant.json("project", "list", "--org", "other") == [made]
    assert rows_of(tenant.ok("project", "list", "--org", "other")) == [
        ["org", "slug", "name", "id", "key needed", "origins",
         "session timeout", "created"],
        ["other", "web", "Web", made["id"], "no", "any", "30m",
         made["created_at"][:19].replace("T", " ") + "Z"]]
    tenant.ok("org", "create", "Empty")
    assert tenant.json("project", "list", "--org", "empty") == []
    assert 'no organisation "nix"' in tenant.fails(
        REFUSED, "project", "list", "--org", "nix")


SET = ("project", "set", "--org", "acme-inc", "--project", "shop")


def test_project_set_each(tenant):
    """Each setting alone, and what had it before is told."""
    def only():
        (row,) = tenant.sql(
            "SELECT name, require_api_key, allowed_origins, session_timeout "
            "FROM projects")
        return row

    assert tenant.ok(*SET, "--name", "Sh\u00f6p") == "name: Shop -> Sh\u00f6p\n"
    assert only() == ["Sh\u00f6p", True, [], "00:30:00"]
    assert tenant.ok(*SET, "--require-key", "no") == "key needed: yes -> no\n"
    assert tenant.ok(*SET, "--require-key", "yes") == "key needed: no -> yes\n"
    origins = ["https://b.example", "http://localhost:3000", "null",
               "https://a.example"]
    assert tenant.ok(*SET, *(a for o in origins for a in ("--origin", o))) == (
        "origins: any -> " + " ".join(origins) + "\n")
    assert only() == ["Sh\u00f6p", True, origins, "00:30:00"]
    assert tenant.ok(*SET, "--origin", "https://c.example") == (
        "origins: " + " ".join(origins) + " -> https://c.example\n")
    assert tenant.ok(*SET, "--session-timeout", "90m") == (
        "session timeout: 30m -> 1h30m\n")
    assert tenant.ok(*SET, "--any-origin") == (
        "origins: https://c.example -> any\n")
    assert only() == ["Sh\u00f6p", True, [], "01:30:00"]
    assert tenant.ok(*SET, "--any-origin", "--name", "Sh\u00f6p") == (
        "nothing changed: it was so already\n")


def test_project_set_all_at_once_as_json(tenant):
    (before,) = tenant.json("project", "list")
    after = tenant.json(*SET, "--name", "New", "--require-key", "no",
                        "--origin", "https://a.example",
                        "--session-timeout", "1500ms")
    assert after.pop("updated_at") > before.pop("updated_at")
    assert after == {
        **before, "name": "New", "require_api_key": False,
        "allowed_origins": ["https://a.example"], "session_timeout_ms": 1500}


@pytest.mark.parametrize("args, says", [
    ((), "nothing to set"),
    (("--name", ""), "a name has 1 to 255 bytes"),
    (("--require-key", "maybe"), '--require-key is yes or no, not "maybe"'),
    (("--session-timeout", "soon"), '--session-timeout: "soon" is not a time'),
    (("--session-timeout", "999ms"), "out of bounds: 1s to 30d"),
    (("--session-timeout", "31d"), "out of bounds: 1s to 30d"),
    (("--session-timeout", "99999999999999999999d"), "out of bounds"),
    (("--origin", "https://a.example", "--any-origin"), "exclude each other"),
    (("--origin", ""), "it is empty"),
    (("--origin", "https://a.example/"), 'without "/" or path'),
    (("--origin", "shop.example"), "it has no scheme"),
    (("--origin", "https://A.example"), "small letters"),
    (("--origin", "https://a.example:443"), "leaves out the port"),
    (("--name", "a", "--name", "b"), '"--name" is given twice'),
    (("--origin", "null") * 101, "more than 100 origins"),
])
def test_project_set_usage(ctl, args, says):
    assert says in ctl.fails(USAGE, *SET, *args)


def test_project_set_of_none(tenant):
    args = ("--name", "x")
    assert 'no project "nix" in organisation "acme-inc"' in tenant.fails(
        REFUSED, *SET[:-1], "nix", *args)
    assert 'no organisation "nix"' in tenant.fails(
        REFUSED, "project", "set", "--org", "nix", "--project", "shop", *args)


def test_settings_reach_the_workers(make_daemon, database):
    """Within a second, without a reload."""
    daemon = make_daemon().start()
    set_shop = ("project", "set", "--org", "demo", "--project", "shop")
    mine = {"Origin": "https://shop.example"}

    def status(headers):
        return daemon.post([event(project_id="shop")], headers=headers,
                           key=database.keys["shop"]).status

    assert status(mine) == 202
    database.ctl(*set_shop, "--origin", "https://other.example")
    wait_until(lambda: status(mine) == 403, 1, "refusal of the origin")
    assert status({"Origin": "https://other.example"}) == 202
    database.ctl(*set_shop, "--any-origin", "--require-key", "no")
    wait_until(lambda: daemon.post(
        [event(project_id="shop")], headers=mine).status == 202, 1,
               "events without a key")


def test_name_cannot_act_on_the_terminal(tenant):
    """Whoever wrote it into the database."""
    tenant.database.execute(
        "UPDATE projects SET name = E'\\x1b]0;x\\x07\\u202e\\n\\u009b2J'")
    assert ("\\x1b]0;x\\x07\\u202e\\n\\u009b2J"
            in tenant.ok("project", "list"))
    done = tenant("project", "list", "--json")
    assert "\x9b" not in done.stdout and "\u202e" not in done.stdout
    (project,) = json.loads(done.stdout)
    assert project["name"] == "\x1b]0;x\x07\u202e\n\u009b2J"
