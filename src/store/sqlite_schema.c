/* sqlite_schema.c: see sqlite_schema.h.
 *
 * Why the tables look as they do:
 * - Ids of jobs, events and keys are AUTOINCREMENT: an id is never given twice, also after the row
 *   with the highest one is gone. Clients resume from event ids, and events outlive their jobs.
 * - A ledger page holds 1 KiB of bits. Rows of a table WITHOUT ROWID keep at most a quarter of a
 *   4 KiB page in place, so such pages would spill; in a rowid table three of them fill a leaf and
 *   saving one that exists touches that leaf alone.
 * - Attempts are a few bytes each: there the key is the table.
 * - Pieces of tails are up to 64 KiB, come in order and soon go again.
 * - A blob's row is small and found by its hash alone: there the key is the table.
 * - Fragments come in the order of nothing and are up to thousands of bytes: in a table by number,
 *   with the key beside it, they are put three times as fast as in one WITHOUT ROWID, whose pages
 *   they would fill one by one, and loaded as fast. */
#include "store/sqlite_schema.h"

static const char step_1[] =
    "CREATE TABLE job ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " name TEXT NOT NULL UNIQUE,"
    " kind TEXT NOT NULL,"
    " state TEXT NOT NULL,"
    " paused INTEGER NOT NULL,"
    " spec TEXT NOT NULL,"
    " failure TEXT,"
    " token_hash BLOB,"
    " created_at_us INTEGER NOT NULL,"
    " started_at_us INTEGER NOT NULL,"
    " ended_at_us INTEGER NOT NULL,"
    " known INTEGER NOT NULL,"
    " reading_record INTEGER NOT NULL,"
    " reading_bytes INTEGER NOT NULL,"
    " reading_line INTEGER NOT NULL,"
    " served_below INTEGER NOT NULL,"
    " sink_bytes INTEGER NOT NULL,"
    " sink_columns TEXT,"
    " errors_bytes INTEGER NOT NULL,"
    " bad_records INTEGER NOT NULL,"
    " repeats INTEGER NOT NULL,"
    " written INTEGER NOT NULL,"
    " source_print TEXT NOT NULL,"
    " source_print_bytes INTEGER NOT NULL);"
    "CREATE TABLE ledger_page ("
    " job_id INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,"
    " number INTEGER NOT NULL,"
    " place_record INTEGER NOT NULL,"
    " place_bytes INTEGER NOT NULL,"
    " place_line INTEGER NOT NULL,"
    " bits BLOB NOT NULL,"
    " PRIMARY KEY (job_id, number));"
    "CREATE TABLE attempt ("
    " job_id INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,"
    " record INTEGER NOT NULL,"
    " attempts INTEGER NOT NULL,"
    " PRIMARY KEY (job_id, record)) WITHOUT ROWID;"
    "CREATE TABLE event ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " at_us INTEGER NOT NULL,"
    " job_id INTEGER NOT NULL,"
    " job_name TEXT NOT NULL,"
    " kind TEXT NOT NULL,"
    " detail TEXT NOT NULL);"
    "CREATE INDEX event_of_job ON event (job_id, id);"
    "CREATE TABLE api_key ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " name TEXT NOT NULL,"
    " scopes TEXT NOT NULL,"
    " hash BLOB NOT NULL,"
    " created_at_us INTEGER NOT NULL,"
    " revoked_at_us INTEGER NOT NULL);"
    "CREATE UNIQUE INDEX api_key_in_force ON api_key (name) WHERE revoked_at_us = 0;";

/* Several inputs; results that wait for those before them. */
static const char step_2[] = "ALTER TABLE job ADD COLUMN inputs TEXT;"
                             "CREATE TABLE held_result ("
                             " job_id INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,"
                             " record INTEGER NOT NULL,"
                             " id BLOB,"
                             " line BLOB NOT NULL,"
                             " PRIMARY KEY (job_id, record)) WITHOUT ROWID;";
/* Records that gave nothing to write. */
static const char step_3[] = "ALTER TABLE job ADD COLUMN skipped INTEGER NOT NULL DEFAULT 0;";
/* Records with ids, portions of an input. */
static const char step_4[] = "ALTER TABLE job ADD COLUMN done_before INTEGER NOT NULL DEFAULT 0;"
                             "ALTER TABLE job ADD COLUMN duplicates INTEGER NOT NULL DEFAULT 0;"
                             "ALTER TABLE job ADD COLUMN no_id INTEGER NOT NULL DEFAULT 0;"
                             "ALTER TABLE job ADD COLUMN left_out INTEGER NOT NULL DEFAULT 0;"
                             "ALTER TABLE job ADD COLUMN portion TEXT;"
                             "CREATE TABLE note ("
                             " id INTEGER PRIMARY KEY AUTOINCREMENT,"
                             " job_id INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,"
                             " kind INTEGER NOT NULL,"
                             " notes BLOB NOT NULL);"
                             "CREATE INDEX note_of_job ON note (job_id);";
/* Results that are not synced into their outputs yet. */
static const char step_5[] = "ALTER TABLE job ADD COLUMN tail_bytes INTEGER NOT NULL DEFAULT 0;"
                             "CREATE TABLE sink_tail ("
                             " job_id INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,"
                             " at_bytes INTEGER NOT NULL,"
                             " bytes BLOB NOT NULL,"
                             " PRIMARY KEY (job_id, at_bytes));";
/* Blobs and what needs them. */
static const char step_6[] = "CREATE TABLE blob ("
                             " hash BLOB NOT NULL PRIMARY KEY,"
                             " bytes INTEGER NOT NULL,"
                             " refs INTEGER NOT NULL,"
                             " kept INTEGER NOT NULL,"
                             " created_at_us INTEGER NOT NULL,"
                             " unused_at_us INTEGER NOT NULL) WITHOUT ROWID;"
                             "CREATE INDEX blob_unused ON blob (unused_at_us)"
                             " WHERE refs = 0 AND kept = 0;";
/* Datasets and the fragments of their entities. */
static const char step_7[] = "CREATE TABLE dataset ("
                             " id INTEGER PRIMARY KEY,"
                             " name TEXT NOT NULL UNIQUE,"
                             " fragments INTEGER NOT NULL,"
                             " created_at_us INTEGER NOT NULL,"
                             " updated_at_us INTEGER NOT NULL);"
                             "CREATE TABLE fragment ("
                             " number INTEGER PRIMARY KEY,"
                             " dataset_id INTEGER NOT NULL,"
                             " id TEXT NOT NULL,"
                             " origin TEXT NOT NULL,"
                             " fragment TEXT NOT NULL,"
                             " data BLOB NOT NULL,"
                             " at_us INTEGER NOT NULL,"
                             " UNIQUE (dataset_id, id, origin, fragment));";
/* Schedules. */
static const char step_8[] = "CREATE TABLE schedule ("
                             " name TEXT NOT NULL PRIMARY KEY,"
                             " function TEXT NOT NULL,"
                             " queue TEXT,"
                             " arguments TEXT,"
                             " options TEXT,"
                             " key TEXT,"
                             " batch TEXT,"
                             " lock TEXT,"
                             " priority INTEGER NOT NULL,"
                             " max_attempts INTEGER NOT NULL,"
                             " cron TEXT,"
                             " every_us INTEGER NOT NULL,"
                             " zone TEXT,"
                             " missed INTEGER NOT NULL,"
                             " paused INTEGER NOT NULL,"
                             " pass_time INTEGER NOT NULL,"
                             " created_at_us INTEGER NOT NULL,"
                             " set_at_us INTEGER NOT NULL,"
                             " last_at_us INTEGER NOT NULL,"
                             " last_task_id INTEGER NOT NULL);";

const char *const sqlite_migrations[SQLITE_SCHEMA_VERSION] = {step_1, step_2, step_3, step_4,
                                                              step_5, step_6, step_7, step_8};
