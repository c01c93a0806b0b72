/* step_folder_store.c: see step_folder_store.h. A path ends with a slash; so what is beneath it
 * lies between it and the same text with the character behind the slash, '0', at its end. */
#include "store/step_folder_store.h"

#include "store/stmt.h"

#include <inttypes.h>
#include <stdlib.h>

static const char sql_add[] = "INSERT INTO step_folder (id, owner, path, created_by, created_at_us)"
                              " VALUES (:id, :owner, :path, :created_by, :created_at_us)";
static const char sql_delete[] = "DELETE FROM step_folder WHERE id = :id";
static const char sql_load[] =
    "SELECT id, owner, path, created_by, created_at_us FROM step_folder ORDER BY owner, path";
static const char sql_last[] =
    "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'step_folder'";

#define IN_FOLDER(table) " FROM " table " WHERE owner = :owner AND folder = :path"
#define BELOW_FOLDER(table)                                                                        \
    " FROM " table " WHERE owner = :owner AND folder >= :path AND folder < :end"
#define COUNT(from) "SELECT count(*) FROM (SELECT 1" from " LIMIT :limit)"
static const char *const sql_count[2][2] = {
    {COUNT(IN_FOLDER("step_job")), COUNT(BELOW_FOLDER("step_job"))},
    {COUNT(IN_FOLDER("artifact")), COUNT(BELOW_FOLDER("artifact"))},
};
#define CONTENTS(jobs, artifacts)                                                                  \
    "SELECT id, thing FROM (SELECT * FROM (SELECT id, 1 AS thing" jobs                             \
    " AND id < :before ORDER BY id DESC LIMIT :limit)"                                             \
    " UNION ALL SELECT * FROM (SELECT id, 2 AS thing" artifacts                                    \
    " AND id < :before ORDER BY id DESC LIMIT :limit)) ORDER BY id DESC LIMIT :limit"
static const char sql_contents[] = CONTENTS(IN_FOLDER("step_job"), IN_FOLDER("artifact"));
static const char sql_contents_below[] =
    CONTENTS(BELOW_FOLDER("step_job"), BELOW_FOLDER("artifact"));

#define MOVE(table, column)                                                                        \
    "UPDATE " table " SET " column " = :to || substr(" column ", length(:path) + 1)"               \
    " WHERE owner = :owner AND " column " >= :path AND " column " < :end"
static const char *const sql_moves[] = {MOVE("step_folder", "path"), MOVE("step", "folder"),
                                        MOVE("step_job", "folder"), MOVE("artifact", "folder")};

static struct str text_of(struct str text)
{
    return (struct str){text.len ? text.ptr : "", text.len};
}

bool step_folder_store_add(struct tx *tx, const struct step_folder_row *row, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_add, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":id", row->id);
    stmt_bind_text(q, ":owner", row->owner);
    stmt_bind_text(q, ":path", row->path);
    stmt_bind_text(q, ":created_by", row->created_by);
    stmt_bind_i64(q, ":created_at_us", row->created_at_us);
    return stmt_run(q, NULL, err) || err_add(err, "store folder %" PRId64, row->id);
}

bool step_folder_store_delete(struct tx *tx, int64_t id, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_delete, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":id", id);
    return stmt_run(q, NULL, err) || err_add(err, "delete folder %" PRId64, id);
}

static bool load_last(struct tx *tx, int64_t *out, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_last, err);
    return q && stmt_only_i64(q, out, err) == ROW_HERE;
}

bool step_folder_store_load(struct tx *tx,
                            void (*each)(void *context, const struct step_folder_row *row),
                            void *context, int64_t *last_id, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_load, err);
    if (!q)
        return false;
    enum row got = ROW_FAILED;
    while ((got = stmt_step(q, err)) == ROW_HERE) {
        OWNED_MEM char *owner = stmt_take_text(q, 1);
        OWNED_MEM char *path = stmt_take_text(q, 2);
        OWNED_MEM char *by = stmt_take_text(q, 3);
        each(context, &(struct step_folder_row){.id = stmt_i64(q, 0),
                                                .owner = owner,
                                                .path = path,
                                                .created_by = by,
                                                .created_at_us = stmt_i64(q, 4)});
    }
    return (got == ROW_NONE && load_last(tx, last_id, err)) || err_add(err, "load folders");
}

/* The end of what is beneath a folder; to be freed. */
static char *end_of(const struct step_folder_place *place)
{
    return xasprintf("%.*s0", (int)place->path.len - 1, place->path.ptr);
}

static void bind_place(struct stmt *q, const struct step_folder_place *place, const char *end)
{
    stmt_bind_str(q, ":owner", text_of(place->owner));
    stmt_bind_str(q, ":path", place->path);
    if (place->below)
        stmt_bind_text(q, ":end", end);
}

bool step_folder_store_count(struct tx *tx, const struct step_folder_place *place,
                             enum step_thing thing, int64_t limit, int64_t *out, struct err *err)
{
    OWNED_MEM char *end = end_of(place);
    OWNED(stmt)
    struct stmt *q = tx_query(tx, sql_count[thing == STEP_THING_ARTIFACT][place->below], err);
    if (!q)
        return false;
    bind_place(q, place, end);
    stmt_bind_i64(q, ":limit", limit);
    return stmt_only_i64(q, out, err) == ROW_HERE;
}

bool step_folder_store_contents(struct tx *tx, const struct step_folder_place *place,
                                int64_t before, int64_t limit,
                                void (*each)(void *context, int64_t id, enum step_thing thing),
                                void *context, struct err *err)
{
    OWNED_MEM char *end = end_of(place);
    OWNED(stmt)
    struct stmt *q = tx_query(tx, place->below ? sql_contents_below : sql_contents, err);
    if (!q)
        return false;
    bind_place(q, place, end);
    stmt_bind_i64(q, ":before", before);
    stmt_bind_i64(q, ":limit", limit);
    enum row got = ROW_FAILED;
    while ((got = stmt_step(q, err)) == ROW_HERE)
        each(context, stmt_i64(q, 0), stmt_i64(q, 1) == 1 ? STEP_THING_JOB : STEP_THING_ARTIFACT);
    return got == ROW_NONE || err_add(err, "list a folder");
}

static bool move_rows(struct tx *tx, const char *sql, const struct step_folder_place *place,
                      struct str to, struct err *err)
{
    OWNED_MEM char *end = end_of(place);
    OWNED(stmt) struct stmt *q = tx_query(tx, sql, err);
    if (!q)
        return false;
    bind_place(q, place, end);
    stmt_bind_str(q, ":to", to);
    return stmt_run(q, NULL, err);
}

bool step_folder_store_move(struct tx *tx, struct str owner, struct str from, struct str to,
                            struct err *err)
{
    const struct step_folder_place place = {.owner = owner, .path = from, .below = true};
    for (size_t i = 0; i < sizeof sql_moves / sizeof *sql_moves; i++)
        if (!move_rows(tx, sql_moves[i], &place, to, err))
            return err_add(err, "move a folder");
    return true;
}
