/* store.c: what is the same on every engine: the one transaction, the statements kept by their
 * text, and migrations.
 *
 * A migration is one transaction from the version that is found to the version that is known, and
 * the version is a row of the same database: it is done whole or not at all. */
#include "store/store.h"

#include "base/fault.h"
#include "store/store_driver.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

struct stmt {
    struct store *store;
    const char *sql;
    struct engine_stmt *q;
    bool in_use;
};

struct tx {
    struct store *store;
    bool open, broken;
    struct err why; /* it is broken */
    struct store_written written;
};

struct store {
    const struct store_driver *driver;
    struct engine_link *link;
    struct tx tx; /* the only one */
    struct stmt **kept;
    size_t kept_count;
};

/* An engine's commit point fails for a test as a disk would. */
static bool fault_error(struct err *err, const char *what)
{
    bool full = errno == ENOSPC;
    return err_set(err, full ? ERR_NO_SPACE : ERR_STORE, "%s: %s", what,
                   full ? "no space left" : "input/output error");
}

bool tx_begin(struct store *s, struct tx **out, struct err *err)
{
    assert(!s->tx.open);
    if (FAULT("store.begin"))
        return fault_error(err, "begin");
    if (!s->driver->begin(s->link, err))
        return err_add(err, "begin");
    s->tx.open = true;
    s->tx.broken = false;
    s->tx.written = (struct store_written){0};
    *out = &s->tx;
    return true;
}

static void end_without(struct tx *tx)
{
    tx->store->driver->rollback(tx->store->link);
    tx->open = false;
}

static bool tx_break(struct tx *tx, const struct err *err)
{
    tx->broken = true;
    tx->why = *err;
    return false;
}

void tx_on_written(struct tx *tx, void (*written)(void *context), void *context)
{
    assert(tx->open);
    tx->written = (struct store_written){written, context};
}

bool tx_commit(struct tx *tx, struct err *err)
{
    assert(tx->open);
    bool ok = !tx->broken, tells = tx->written.call != NULL;
    if (!ok)
        *err = tx->why;
    else if (FAULT("store.commit"))
        ok = fault_error(err, "commit");
    else
        ok =
            tx->store->driver->commit(tx->store->link, &tx->written, err) || err_add(err, "commit");
    if (!ok) {
        /* Who was told that it is written goes by that. */
        if (tells && !tx->written.call)
            err->code = ERR_FATAL;
        end_without(tx);
        return false;
    }
    tx->open = false;
    /* What fails here has been stored and is not known to be: that is what ERR_FATAL says. */
    if (FAULT("store.committed"))
        return err_set(err, ERR_FATAL, "commit: its outcome is not known");
    return true;
}

void tx_free(struct tx *tx)
{
    if (tx && tx->open)
        end_without(tx);
}

static struct stmt *find_kept(struct store *s, const char *sql)
{
    for (size_t i = 0; i < s->kept_count; i++)
        if (s->kept[i]->sql == sql)
            return s->kept[i];
    return NULL;
}

static struct stmt *keep(struct store *s, const char *sql, struct engine_stmt *prepared)
{
    struct stmt *q = xcalloc(1, sizeof *q);
    *q = (struct stmt){.store = s, .sql = sql, .q = prepared};
    s->kept = xrealloc(s->kept, (s->kept_count + 1) * sizeof *s->kept);
    s->kept[s->kept_count++] = q;
    return q;
}

struct stmt *tx_query(struct tx *tx, const char *sql, struct err *err)
{
    assert(tx->open);
    struct store *s = tx->store;
    if (tx->broken) {
        *err = tx->why;
        return NULL;
    }
    struct stmt *q = find_kept(s, sql);
    if (!q) {
        struct engine_stmt *prepared = NULL;
        if (!s->driver->prepare(s->link, sql, &prepared, err)) {
            tx_break(tx, err);
            return NULL;
        }
        q = keep(s, sql, prepared);
    }
    assert(!q->in_use);
    q->in_use = true;
    return q;
}

void stmt_free(struct stmt *q)
{
    if (!q)
        return;
    q->store->driver->rewind(q->q);
    q->in_use = false;
}

void stmt_bind_i64(struct stmt *q, const char *name, int64_t value)
{
    q->store->driver->bind_i64(q->q, name, value);
}

void stmt_bind_text(struct stmt *q, const char *name, const char *value)
{
    if (value)
        q->store->driver->bind_text(q->q, name, str_of(value));
    else
        q->store->driver->bind_null(q->q, name);
}

void stmt_bind_str(struct stmt *q, const char *name, struct str value)
{
    if (value.ptr)
        q->store->driver->bind_text(q->q, name, value);
    else
        q->store->driver->bind_null(q->q, name);
}

void stmt_bind_blob(struct stmt *q, const char *name, const void *bytes, size_t len)
{
    if (bytes)
        q->store->driver->bind_blob(q->q, name, (struct str){bytes, len});
    else
        q->store->driver->bind_null(q->q, name);
}

void stmt_limit(struct stmt *q, int64_t work)
{
    q->store->driver->limit(q->q, work);
}

enum row stmt_step(struct stmt *q, struct err *err)
{
    enum row row = q->store->driver->step(q->q, err);
    if (row == ROW_FAILED)
        tx_break(&q->store->tx, err);
    if (row != ROW_HERE)
        q->store->driver->rewind(q->q);
    return row;
}

bool stmt_run(struct stmt *q, int64_t *changed, struct err *err)
{
    enum row row = stmt_step(q, err);
    assert(row != ROW_HERE);
    if (row == ROW_FAILED)
        return false;
    if (changed)
        *changed = q->store->driver->changed(q->q);
    return true;
}

enum row stmt_insert(struct stmt *q, int64_t *id, struct err *err)
{
    int64_t changed = 0;
    if (!stmt_run(q, &changed, err))
        return ROW_FAILED;
    if (changed == 0)
        return ROW_NONE;
    *id = q->store->driver->inserted_id(q->q);
    return ROW_HERE;
}

enum row stmt_only_i64(struct stmt *q, int64_t *out, struct err *err)
{
    enum row row = stmt_step(q, err);
    if (row != ROW_HERE)
        return row;
    int64_t value = stmt_i64(q, 0);
    row = stmt_step(q, err);
    assert(row != ROW_HERE);
    if (row == ROW_FAILED)
        return row;
    *out = value;
    return ROW_HERE;
}

int64_t stmt_i64(struct stmt *q, int column)
{
    return q->store->driver->column_i64(q->q, column);
}

struct str stmt_text(struct stmt *q, int column)
{
    return q->store->driver->column_text(q->q, column);
}

struct str stmt_blob(struct stmt *q, int column)
{
    return q->store->driver->column_blob(q->q, column);
}

char *stmt_take_text(struct stmt *q, int column)
{
    struct str text = stmt_text(q, column);
    return text.ptr ? xstrndup(text.ptr, text.len) : NULL;
}

static const char sql_version[] = "SELECT value FROM meta WHERE name = 'schema'";
static const char sql_set_version[] = "INSERT INTO meta (name, value) VALUES ('schema', :version)"
                                      " ON CONFLICT (name) DO UPDATE SET value = excluded.value";

/* 0 when the database is new. */
static bool find_version(struct tx *tx, int64_t *out, struct err *err)
{
    if (!tx->store->driver->run(
            tx->store->link,
            "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value BIGINT NOT NULL)", err))
        return false;
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_version, err);
    int64_t version = 0;
    if (!q || stmt_only_i64(q, &version, err) == ROW_FAILED)
        return false;
    *out = version;
    return true;
}

static bool migrate(struct store *s, const char *dir_name, struct err *err)
{
    OWNED(tx) struct tx *tx = NULL;
    int64_t version = 0;
    int known = s->driver->migration_count;
    if (!tx_begin(s, &tx, err) || !find_version(tx, &version, err))
        return false;
    if (version > known)
        return err_set(err, ERR_CONFLICT,
                       "the state folder %.300s was written by a newer penstock (schema %" PRId64
                       ", this program knows %d): use that version or another --state",
                       dir_name, version, known);
    if (version < 0)
        return err_set(err, ERR_STORE, "the store has no version %" PRId64 ": it is damaged",
                       version);
    if (version == known)
        return true;
    for (; version < known; version++)
        if (!s->driver->run(s->link, s->driver->migrations[version], err))
            return err_add(err, "bring the schema from version %" PRId64 " to %" PRId64, version,
                           version + 1);
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_set_version, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":version", version);
    return stmt_run(q, NULL, err) && tx_commit(tx, err);
}

bool store_open_on(const struct store_driver *driver, int dir_fd, const char *dir_name,
                   struct store **out, struct err *err)
{
    OWNED(store) struct store *s = xcalloc(1, sizeof *s);
    s->driver = driver;
    s->tx.store = s;
    if (!driver->open(dir_fd, dir_name, &s->link, err) || !migrate(s, dir_name, err))
        return false;
    *out = TAKE(s);
    return true;
}

bool store_open(int dir_fd, const char *dir_name, struct store **out, struct err *err)
{
    return store_open_on(&sqlite_driver, dir_fd, dir_name, out, err);
}

void store_free(struct store *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->kept_count; i++) {
        s->driver->finish(s->kept[i]->q);
        free(s->kept[i]);
    }
    free(s->kept);
    tx_free(&s->tx);
    if (s->link)
        s->driver->close(s->link);
    free(s);
}

bool store_verify(struct store *s, void (*say)(void *context, const char *fault), void *context,
                  struct err *err)
{
    return s->driver->verify(s->link, say, context, err);
}

int store_schema_version(void)
{
    return sqlite_driver.migration_count;
}
