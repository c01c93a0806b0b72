/* test_migration.c: a state folder of every version there was is opened, a newer one is refused,
 * and none is ever left between two versions. */
#include "store_fixture.h"

#include "store/store_driver.h"
#include "store/tail_store.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

/* A store as version 1 of the schema made it, with something in every table. Never changed. */
static const char version_1[] =
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value BIGINT NOT NULL);"
    "CREATE TABLE job (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,"
    " kind TEXT NOT NULL, state TEXT NOT NULL, paused INTEGER NOT NULL, spec TEXT NOT NULL,"
    " failure TEXT, token_hash BLOB, created_at_us INTEGER NOT NULL,"
    " started_at_us INTEGER NOT NULL, ended_at_us INTEGER NOT NULL, known INTEGER NOT NULL,"
    " reading_record INTEGER NOT NULL, reading_bytes INTEGER NOT NULL,"
    " reading_line INTEGER NOT NULL, served_below INTEGER NOT NULL, sink_bytes INTEGER NOT NULL,"
    " sink_columns TEXT, errors_bytes INTEGER NOT NULL, bad_records INTEGER NOT NULL,"
    " repeats INTEGER NOT NULL, written INTEGER NOT NULL, source_print TEXT NOT NULL,"
    " source_print_bytes INTEGER NOT NULL);"
    "CREATE TABLE ledger_page (job_id INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,"
    " number INTEGER NOT NULL, place_record INTEGER NOT NULL, place_bytes INTEGER NOT NULL,"
    " place_line INTEGER NOT NULL, bits BLOB NOT NULL, PRIMARY KEY (job_id, number));"
    "CREATE TABLE attempt (job_id INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,"
    " record INTEGER NOT NULL, attempts INTEGER NOT NULL, PRIMARY KEY (job_id, record))"
    " WITHOUT ROWID;"
    "CREATE TABLE event (id INTEGER PRIMARY KEY AUTOINCREMENT, at_us INTEGER NOT NULL,"
    " job_id INTEGER NOT NULL, job_name TEXT NOT NULL, kind TEXT NOT NULL, detail TEXT NOT NULL);"
    "CREATE INDEX event_of_job ON event (job_id, id);"
    "CREATE TABLE api_key (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL,"
    " scopes TEXT NOT NULL, hash BLOB NOT NULL, created_at_us INTEGER NOT NULL,"
    " revoked_at_us INTEGER NOT NULL);"
    "CREATE UNIQUE INDEX api_key_in_force ON api_key (name) WHERE revoked_at_us = 0;"
    "INSERT INTO meta VALUES ('schema', 1);"
    "INSERT INTO job VALUES (3, 'größe', 'data', 'running', 1, '{\"mode\":\"read-write\"}', NULL,"
    " x'000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', 10, 20, 0, 4097, 4097,"
    " 1000000, 4098, 4096, 777, '[\"a\"]', 5, 1, 2, 3, 'abc', 65536);"
    "INSERT INTO ledger_page VALUES (3, 0, 0, 0, 1, zeroblob(1024)),"
    " (3, 1, 4096, 999000, 4097, zeroblob(1024));"
    "INSERT INTO attempt VALUES (3, 17, 2);"
    "INSERT INTO event VALUES (9, 11, 3, 'größe', 'job.created', '{}');"
    "INSERT INTO api_key VALUES (2, 'ci', 'read work', zeroblob(32), 5, 0);";

static void run_sql(struct fixture *f, const char *sql)
{
    sqlite3 *db = NULL;
    char *why = NULL;
    OWNED_MEM char *path = xasprintf("%s/penstock.db", f->dir);
    store_free(TAKE(f->store));
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s", why);
    sqlite3_close(db);
}

static bool is_job_of_version_1(void *context, struct job_row *row, struct err *err)
{
    (void)context;
    (void)err;
    assert_int_equal(row->id, 3);
    assert_string_equal(row->name, "größe");
    assert_int_equal(row->kind, JOB_DATA);
    assert_int_equal(row->state, JOB_RUNNING);
    assert_true(row->paused && row->has_token);
    assert_int_equal(row->token_hash[31], 31);
    assert_string_equal(row->spec, "{\"mode\":\"read-write\"}");
    assert_null(row->failure);
    assert_int_equal(row->progress.known, 4097);
    assert_int_equal(row->progress.sink_bytes, 777);
    assert_int_equal(row->progress.tail_bytes, 0);
    assert_string_equal(row->progress.source_print, "abc");
    job_row_release(row);
    return true;
}

static void a_store_of_version_1_is_opened_with_all_that_is_in_it(void **state)
{
    struct fixture *f = *state;
    store_free(TAKE(f->store));
    assert_int_equal(unlinkat(f->dir_fd, "penstock.db", 0), 0);
    run_sql(f, version_1);
    OK(f, store_open(f->dir_fd, f->dir, &f->store, &f->err));
    fixture_begin(f);
    OK(f, job_store_load(f->tx, is_job_of_version_1, NULL, &f->err));
    assert_int_equal(fixture_count_jobs(f), 1);
    assert_int_equal(fixture_count_pages(f, 3), 2);
    assert_int_equal(fixture_count_attempts(f, 3), 1);
    assert_int_equal(fixture_count_events(f), 1);
    assert_true(fixture_job(f, "next") > 3);
    OK(f, key_store_revoke(f->tx, "ci", 6, &f->err));
    OK(f, tail_store_add(f->tx, 3, 777, STR("1\n"), &f->err));
    fixture_commit(f);
}

static void a_newer_store_is_refused_with_what_to_do_and_left_as_it_is(void **state)
{
    struct fixture *f = *state;
    run_sql(f, "UPDATE meta SET value = 99 WHERE name = 'schema'");
    for (int i = 0; i < 2; i++) {
        REFUSED(f, ERR_CONFLICT, store_open(f->dir_fd, f->dir, &f->store, &f->err));
        OWNED_MEM char *want = xasprintf(
            "the state folder %s was written by a newer penstock (schema 99, this program knows %d)"
            ": use that version or another --state",
            f->dir, store_schema_version());
        assert_string_equal(f->err.text, want);
    }
    OWNED_MEM char *back =
        xasprintf("UPDATE meta SET value = %d WHERE name = 'schema'", store_schema_version());
    run_sql(f, back);
    OK(f, store_open(f->dir_fd, f->dir, &f->store, &f->err));
}

static void a_version_that_cannot_be_is_refused(void **state)
{
    struct fixture *f = *state;
    run_sql(f, "UPDATE meta SET value = -1 WHERE name = 'schema'");
    REFUSED(f, ERR_STORE, store_open(f->dir_fd, f->dir, &f->store, &f->err));
}

/* ---- programs to come: the driver with more steps ---- */

enum { STEPS_MAX = 64 };

/* The driver of a program that knows `count` further steps; there is one at a time. */
static struct store_driver *newer_driver(const char *const *more, int count)
{
    static const char *all[STEPS_MAX];
    static struct store_driver driver;
    driver = sqlite_driver;
    assert_true(driver.migration_count + count <= STEPS_MAX);
    for (int i = 0; i < driver.migration_count; i++)
        all[i] = sqlite_driver.migrations[i];
    for (int i = 0; i < count; i++)
        all[driver.migration_count + i] = more[i];
    driver.migrations = all;
    driver.migration_count += count;
    return &driver;
}

static const char *const good_steps[] = {
    "ALTER TABLE job ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue'; CREATE TABLE one (id BIGINT)",
    "INSERT INTO one (id) VALUES (1)"};

static void begin_with_a_job(struct fixture *f)
{
    fixture_begin(f);
    fixture_job(f, "job");
    fixture_commit(f);
    store_free(TAKE(f->store));
}

static void an_older_store_is_brought_forward_and_then_refused_by_the_older_program(void **state)
{
    struct fixture *f = *state;
    struct store_driver *driver = newer_driver(good_steps, 2);
    begin_with_a_job(f);
    for (int i = 0; i < 2; i++) {
        OK(f, store_open_on(driver, f->dir_fd, f->dir, &f->store, &f->err));
        fixture_begin(f);
        assert_int_equal(fixture_count_jobs(f), 1);
        fixture_roll_back(f);
        store_free(TAKE(f->store));
    }
    REFUSED(f, ERR_CONFLICT, store_open(f->dir_fd, f->dir, &f->store, &f->err));
}

static void a_step_that_fails_leaves_the_store_as_it_was(void **state)
{
    struct fixture *f = *state;
    const char *const bad_steps[] = {good_steps[0], "INSERT INTO nowhere (id) VALUES (1)"};
    struct store_driver *driver = newer_driver(bad_steps, 2);
    begin_with_a_job(f);
    REFUSED(f, ERR_STORE, store_open_on(driver, f->dir_fd, f->dir, &f->store, &f->err));
    OWNED_MEM char *where =
        xasprintf("from version %d to %d", store_schema_version() + 1, store_schema_version() + 2);
    assert_non_null(strstr(f->err.text, where));
    /* Also what the first of the two had done is undone: it can be done again. */
    driver = newer_driver(good_steps, 2);
    OK(f, store_open_on(driver, f->dir_fd, f->dir, &f->store, &f->err));
}

static bool run_and_stop(struct engine_link *link, const char *sql, struct err *err)
{
    bool ok = sqlite_driver.run(link, sql, err);
    if (ok && sql == good_steps[1])
        _exit(0);
    return ok;
}

static void stop_in_the_middle(struct fixture *f)
{
    struct store_driver *driver = newer_driver(good_steps, 2);
    driver->run = run_and_stop;
    store_free(TAKE(f->store));
    if (!store_open_on(driver, f->dir_fd, f->dir, &f->store, &f->err))
        _exit(1);
    _exit(2); /* it has not stopped where it should */
}

static void a_crash_in_the_middle_leaves_the_store_as_it_was(void **state)
{
    struct fixture *f = *state;
    fixture_begin(f);
    fixture_job(f, "job");
    fixture_commit(f);
    /* The program of today opens it afterwards: it is still of today's version. */
    fixture_crash(f, stop_in_the_middle);
    fixture_begin(f);
    assert_int_equal(fixture_count_jobs(f), 1);
    fixture_roll_back(f);
    store_free(TAKE(f->store));
    struct store_driver *driver = newer_driver(good_steps, 2);
    OK(f, store_open_on(driver, f->dir_fd, f->dir, &f->store, &f->err));
}

int main(void)
{
    static const struct CMUnitTest cases[] = {
        CASE(a_store_of_version_1_is_opened_with_all_that_is_in_it),
        CASE(a_newer_store_is_refused_with_what_to_do_and_left_as_it_is),
        CASE(a_version_that_cannot_be_is_refused),
        CASE(an_older_store_is_brought_forward_and_then_refused_by_the_older_program),
        CASE(a_step_that_fails_leaves_the_store_as_it_was),
        CASE(a_crash_in_the_middle_leaves_the_store_as_it_was),
    };
    return RUN(cases);
}
