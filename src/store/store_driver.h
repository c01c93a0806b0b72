/* store_driver.h: what an engine (SQLite today) provides for a store. Behind it live the spelling
 * of types, how an engine is opened, and what its errors mean; in front of it, in store.c, live
 * transactions, kept statements and migrations. Everything runs on the store's thread. */
#ifndef PENSTOCK_STORE_STORE_DRIVER_H
#define PENSTOCK_STORE_STORE_DRIVER_H

#include "store/stmt.h"

/* An open engine, and a prepared statement of it: each driver defines its own. */
struct engine_link;
struct engine_stmt;

/* Whom a commit tells that all of it is written; `call` is NULL once it was told. */
struct store_written {
    void (*call)(void *context);
    void *context;
};

struct store_driver {
    const char *name;
    /* SQL that leads from version i to i + 1 in the engine's spelling of types; each text may hold
     * several statements. Rows are only ever added at the end. */
    const char *const *migrations;
    int migration_count;

    /* As store_open. The descriptor is borrowed for the call. */
    bool (*open)(int dir_fd, const char *dir_name, struct engine_link **out, struct err *err);
    void (*close)(struct engine_link *link); /* all statements are finished */

    bool (*begin)(struct engine_link *link, struct err *err);
    /* As tx_commit; a failed one may leave the transaction open: rollback follows. `written`: see
     * tx_on_written. */
    bool (*commit)(struct engine_link *link, struct store_written *written, struct err *err);
    /* Fine also when the engine has rolled back by itself. */
    void (*rollback)(struct engine_link *link);
    /* Runs the statements of a text without parameters and rows. */
    bool (*run)(struct engine_link *link, const char *sql, struct err *err);
    bool (*verify)(struct engine_link *link, void (*say)(void *context, const char *fault),
                   void *context, struct err *err);

    bool (*prepare)(struct engine_link *link, const char *sql, struct engine_stmt **out,
                    struct err *err);
    void (*finish)(struct engine_stmt *q);
    void (*bind_null)(struct engine_stmt *q, const char *name);
    void (*bind_i64)(struct engine_stmt *q, const char *name, int64_t value);
    void (*bind_text)(struct engine_stmt *q, const char *name, struct str value);
    void (*bind_blob)(struct engine_stmt *q, const char *name, struct str value);
    void (*limit)(struct engine_stmt *q, int64_t work); /* as stmt_limit; rewind ends it */
    enum row (*step)(struct engine_stmt *q, struct err *err);
    int64_t (*changed)(struct engine_stmt *q);     /* rows that its last run changed */
    int64_t (*inserted_id)(struct engine_stmt *q); /* what its last run, an insert, was given */
    void (*rewind)(struct engine_stmt *q);         /* ready for the next run */
    int64_t (*column_i64)(struct engine_stmt *q, int column);
    struct str (*column_text)(struct engine_stmt *q, int column);
    struct str (*column_blob)(struct engine_stmt *q, int column);
};

extern const struct store_driver sqlite_driver;

/* store_open on a given engine. */
MUST_CHECK bool store_open_on(const struct store_driver *driver, int dir_fd, const char *dir_name,
                              struct store **out, struct err *err);

#endif
