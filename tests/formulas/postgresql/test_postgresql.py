"""One PostgreSQL server, with a user, a database, an environment's tuning, and the archive of its write-ahead log."""

import json

import pytest

pytestmark = pytest.mark.e2e
AS_POSTGRES = "cd / && runuser -u postgres -- "
PSQL = f"{AS_POSTGRES} psql -XAtq "
ARCHIVE = "/var/lib/postgresql/saltlick-archive"


def test_service(host):
    assert host.service("postgresql@15-main").is_running
    assert host.service("postgresql@15-main").is_enabled
    assert host.socket("tcp://0.0.0.0:5432").is_listening


def test_settings_of_the_pillar_are_in_force(host):
    asked = "select name, setting from pg_settings where name in ('work_mem', 'max_connections', 'data_checksums')"
    assert host.check_output(f'{PSQL} -c "{asked} order by 1"').split() == [
        "data_checksums|on",
        "max_connections|60",
        "work_mem|8192",
    ]


def test_text_is_utf8_and_sorted_the_same_on_every_server(host):
    asked = "select pg_encoding_to_char(encoding), datcollate from pg_database where datname = 'shop'"
    assert host.check_output(f'{PSQL} -c "{asked}"') == "UTF8|C.UTF-8"


def test_a_user_gets_in_by_password_only(host):
    """The password has what needs quoting: in YAML, in SQL and in a shell."""
    ask = "psql -XAtq -h 127.0.0.1 -U shop -w -d shop -c 'create table t(); select current_user'"
    assert host.check_output(f'PGPASSWORD="it\'s: a \\\\ secret" {ask}') == "shop"
    assert "password authentication failed" in host.run(f"PGPASSWORD=other {ask}").stderr
    assert host.run(f"runuser -u nobody -- {ask.replace('-h 127.0.0.1', '')}").rc != 0


def test_facts_for_modules(host):
    facts = json.loads(host.file("/etc/saltlick/postgresql.json").content_string)
    assert host.file("/etc/saltlick/postgresql.json").mode == 0o644
    assert facts["members"] == {"postgresql-1": "127.0.0.1"}
    assert (facts["slot"], facts["archive_dir"]) == ("postgresql_1", ARCHIVE)
    assert host.file(f"{facts['bin_dir']}/pg_receivewal").exists
    assert (
        host.check_output(f'{PSQL} -h {facts["socket_dir"]} -p {facts["port"]} -c "show data_directory"')
        == (facts["data_dir"])
    )
    assert host.service(facts["service"]).is_running
    assert host.service(facts["receiver"]).is_running


def test_the_write_ahead_log_is_received_as_it_is_written(host):
    """What was committed is in the archive a moment later, in a segment that is not full yet."""
    before = host.check_output(f'{PSQL} -c "select pg_walfile_name(pg_current_wal_lsn())"')
    host.check_output(f"{PSQL} -c \"select pg_logical_emit_message(true, 'test', 'mark-of-this-test')\"")
    host.check_output(
        f"for i in $(seq 50); do grep -q mark-of-this-test {ARCHIVE}/{before}* && exit 0; sleep 0.1; done; exit 1"
    )
    host.check_output(f'{PSQL} -c "select pg_switch_wal()"')
    host.check_output(f"for i in $(seq 50); do test -e {ARCHIVE}/{before} && exit 0; sleep 0.1; done; exit 1")
    assert (host.file(ARCHIVE).user, host.file(ARCHIVE).mode) == ("postgres", 0o700)


def test_the_receiver_comes_back_after_the_server_and_misses_nothing(host):
    host.check_output("systemctl restart postgresql@15-main")
    wait_for_receiver(host)
    segments = host.check_output(f"ls {ARCHIVE}").split()
    numbers = sorted(int(name[16:24], 16) for name in segments)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_an_archive_that_cannot_be_continued_is_put_aside(host):
    """As after a restore: what the server writes next does not follow what was received before."""
    host.check_output("systemctl stop saltlick-receivewal")
    host.check_output(f"{PSQL} -c \"select pg_drop_replication_slot('saltlick_backup')\"")
    host.check_output(f"{AS_POSTGRES} touch {ARCHIVE}/00000001000000FF00000001")  # further than the server has got
    host.check_output("systemctl start saltlick-receivewal")
    wait_for_receiver(host)
    assert host.check_output(f"ls {ARCHIVE}/before-*").split()[-1] == "00000001000000FF00000001"
    assert "00000001000000FF00000001" not in host.check_output(f"ls {ARCHIVE}").split()


def test_old_segments_are_removed_and_what_is_being_written_is_not(host):
    host.check_output(
        f"cd {ARCHIVE} && for name in before-1/a before-1/a.partial 0.history 0.partial; do mkdir -p before-1; touch $name; done"
    )
    host.check_output(f"chown -R postgres {ARCHIVE}; find {ARCHIVE} -exec touch -d '80 hours ago' {{}} +")
    host.check_output(f"touch {ARCHIVE}/new")
    host.check_output("systemctl start saltlick-receivewal-prune.service")
    left = host.check_output(f"find {ARCHIVE} -mindepth 1 -printf '%P\\n'").split()
    assert [name for name in left if not name.endswith((".partial", ".history"))] == ["new"]
    assert {"0.partial", "0.history"} < set(left)
    host.check_output(f"rm {ARCHIVE}/0.* {ARCHIVE}/new")
    assert host.service("saltlick-receivewal-prune.timer").is_running


def test_a_setting_that_wants_a_restart_gets_one_and_any_other_does_not(server, host):
    postgresql = server.suite.pillar["postgresql"]
    started = host.check_output(f'{PSQL} -c "select pg_postmaster_start_time()"')
    server.apply(postgresql={**postgresql, "settings": {"work_mem": "9MB", "max_connections": 60}})
    assert host.check_output(f'{PSQL} -c "show work_mem"') == "9MB"
    assert host.check_output(f'{PSQL} -c "select pg_postmaster_start_time()"') == started
    server.apply(postgresql={**postgresql, "settings": {"work_mem": "9MB", "max_connections": 70}})
    assert host.check_output(f'{PSQL} -c "show max_connections"') == "70"
    server.apply()
    wait_for_receiver(host)


def test_a_new_password_of_the_pillar_is_the_new_password(server, host):
    postgresql = server.suite.pillar["postgresql"]
    changed = server.apply(postgresql={**postgresql, "users": {"shop": {"password": "new"}}})
    assert [name.split()[0] for name, state in changed.items() if state["changes"]] == [
        "postgresql-databases-user-shop"
    ]
    host.check_output("PGPASSWORD=new psql -XAtq -h 127.0.0.1 -U shop -w -d shop -c 'select 1'")
    server.apply()


def test_without_an_archive_nothing_keeps_the_write_ahead_log(server, host):
    postgresql = server.suite.pillar["postgresql"]
    server.apply(postgresql={**postgresql, "archive": False})
    assert not host.service("saltlick-receivewal").is_running
    assert not host.service("saltlick-receivewal").is_enabled
    assert host.check_output(f'{PSQL} -c "select count(*) from pg_replication_slots"') == "0"
    again = server.apply(postgresql={**postgresql, "archive": False})
    assert not any(state["changes"] for state in again.values())
    server.apply()
    wait_for_receiver(host)


def wait_for_receiver(host):
    asked = "select count(*) from pg_stat_replication where application_name = 'pg_receivewal'"
    host.check_output(f'for i in $(seq 60); do {PSQL} -c "{asked}" | grep -qx 1 && exit 0; sleep 0.5; done; exit 1')
