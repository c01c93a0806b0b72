/* fragment_store.c: see fragment_store.h.
 *
 * Most fragments are put once and new, so the insert comes first and tells whether it was needed:
 * so the count of a dataset costs nothing. */
#include "store/fragment_store.h"

#include "store/stmt.h"

/* --- datasets --- */

static const char sql_find[] = "SELECT id FROM dataset WHERE name = :name";
static const char sql_make[] = "INSERT INTO dataset (name, fragments, created_at_us, updated_at_us)"
                               " VALUES (:name, 0, :now_us, :now_us)";
static const char sql_count[] =
    "UPDATE dataset SET fragments = fragments + :by, updated_at_us = :now_us WHERE id = :id";
static const char sql_forget[] = "DELETE FROM dataset WHERE id = :id AND fragments = 0";
static const char sql_list[] =
    "SELECT id, name, fragments, created_at_us, updated_at_us FROM dataset WHERE name > :after"
    " ORDER BY name LIMIT :limit";

bool dataset_store_find(struct tx *tx, struct str name, int64_t *id, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_find, err);
    if (!q)
        return false;
    stmt_bind_str(q, ":name", name);
    int64_t found = 0;
    if (stmt_only_i64(q, &found, err) == ROW_FAILED)
        return err_add(err, "find a dataset");
    *id = found;
    return true;
}

bool dataset_store_need(struct tx *tx, struct str name, int64_t now_us, int64_t *id,
                        struct err *err)
{
    int64_t found = 0;
    if (!dataset_store_find(tx, name, &found, err))
        return false;
    if (found) {
        *id = found;
        return true;
    }
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_make, err);
    if (!q)
        return false;
    stmt_bind_str(q, ":name", name);
    stmt_bind_i64(q, ":now_us", now_us);
    return stmt_insert(q, id, err) == ROW_HERE ? true : err_add(err, "make a dataset");
}

bool dataset_store_count(struct tx *tx, int64_t id, int64_t by, int64_t now_us, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_count, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":id", id);
    stmt_bind_i64(q, ":by", by);
    stmt_bind_i64(q, ":now_us", now_us);
    return stmt_run(q, NULL, err) ? true : err_add(err, "count the fragments of a dataset");
}

bool dataset_store_forget(struct tx *tx, int64_t id, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_forget, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":id", id);
    return stmt_run(q, NULL, err) ? true : err_add(err, "forget a dataset");
}

/* An empty text that is not NULL. */
static struct str text_of(struct str text)
{
    return text.ptr ? text : STR("");
}

bool dataset_store_list(struct tx *tx, struct str after, int64_t limit,
                        void (*each)(void *context, const struct dataset_row *row), void *context,
                        struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_list, err);
    if (!q)
        return false;
    stmt_bind_str(q, ":after", text_of(after));
    stmt_bind_i64(q, ":limit", limit);
    enum row got = ROW_FAILED;
    while ((got = stmt_step(q, err)) == ROW_HERE) {
        struct dataset_row row = {stmt_i64(q, 0), stmt_text(q, 1), stmt_i64(q, 2), stmt_i64(q, 3),
                                  stmt_i64(q, 4)};
        each(context, &row);
    }
    return got == ROW_NONE ? true : err_add(err, "list datasets");
}

/* --- fragments --- */

static const char sql_put[] = "INSERT INTO fragment (dataset_id, id, origin, fragment, data, at_us)"
                              " VALUES (:dataset_id, :id, :origin, :fragment, :data, :at_us)"
                              " ON CONFLICT (dataset_id, id, origin, fragment) DO NOTHING";
static const char sql_replace[] =
    "UPDATE fragment SET data = :data, at_us = :at_us WHERE dataset_id = :dataset_id AND id = :id"
    " AND origin = :origin AND fragment = :fragment";
static const char sql_of_id[] =
    "SELECT id, origin, fragment, data FROM fragment WHERE dataset_id = :dataset_id AND id = :id"
    " AND (origin, fragment) >= (:origin, :fragment) ORDER BY origin, fragment";
static const char sql_range[] =
    "SELECT id, origin, fragment, data FROM fragment WHERE dataset_id = :dataset_id"
    " AND (id, origin, fragment) >= (:id, :origin, :fragment) AND id <= :last"
    " ORDER BY id, origin, fragment";
static const char sql_next_id[] =
    "SELECT id FROM fragment WHERE dataset_id = :dataset_id AND id > :after ORDER BY id LIMIT 1";
static const char sql_places[] =
    "SELECT number, id, origin, fragment FROM fragment WHERE dataset_id = :dataset_id"
    " AND (id, origin, fragment) >= (:id, :origin, :fragment) ORDER BY id, origin, fragment"
    " LIMIT :limit";
static const char sql_delete[] = "DELETE FROM fragment WHERE number = :number";

static void bind_row(struct stmt *q, int64_t dataset_id, const struct fragment_row *row,
                     int64_t now_us)
{
    stmt_bind_i64(q, ":dataset_id", dataset_id);
    stmt_bind_str(q, ":id", text_of(row->id));
    stmt_bind_str(q, ":origin", text_of(row->origin));
    stmt_bind_str(q, ":fragment", text_of(row->fragment));
    stmt_bind_blob(q, ":data", row->data.ptr, row->data.len);
    stmt_bind_i64(q, ":at_us", now_us);
}

bool fragment_store_put(struct tx *tx, int64_t dataset_id, const struct fragment_row *rows,
                        size_t count, int64_t now_us, int64_t *added, struct err *err)
{
    OWNED(stmt) struct stmt *put = tx_query(tx, sql_put, err);
    if (!put)
        return false;
    OWNED(stmt) struct stmt *replace = tx_query(tx, sql_replace, err);
    if (!replace)
        return false;
    *added = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t changed = 0;
        bind_row(put, dataset_id, &rows[i], now_us);
        if (!stmt_run(put, &changed, err))
            return err_add(err, "store a fragment");
        *added += changed;
        if (changed)
            continue;
        bind_row(replace, dataset_id, &rows[i], now_us);
        if (!stmt_run(replace, NULL, err))
            return err_add(err, "replace a fragment");
    }
    return true;
}

/* An empty one has a pointer, too. */
static void read_text(struct stmt *q, int column, struct str *out)
{
    *out = stmt_text(q, column);
    if (!out->ptr)
        *out = STR("");
}

static bool walk(struct stmt *q, fragment_store_each *each, void *context, struct err *err)
{
    enum row got = ROW_FAILED;
    while ((got = stmt_step(q, err)) == ROW_HERE) {
        struct fragment_row row = {.data = stmt_blob(q, 3)};
        read_text(q, 0, &row.id);
        read_text(q, 1, &row.origin);
        read_text(q, 2, &row.fragment);
        if (!each(context, &row))
            return true;
    }
    return got == ROW_NONE ? true : err_add(err, "load fragments");
}

bool fragment_store_of_id(struct tx *tx, int64_t dataset_id, struct str id, struct str origin,
                          struct str fragment, fragment_store_each *each, void *context,
                          struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_of_id, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":dataset_id", dataset_id);
    stmt_bind_str(q, ":id", text_of(id));
    stmt_bind_str(q, ":origin", text_of(origin));
    stmt_bind_str(q, ":fragment", text_of(fragment));
    return walk(q, each, context, err);
}

bool fragment_store_range(struct tx *tx, int64_t dataset_id, struct str id, struct str origin,
                          struct str fragment, struct str last, fragment_store_each *each,
                          void *context, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_range, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":dataset_id", dataset_id);
    stmt_bind_str(q, ":id", text_of(id));
    stmt_bind_str(q, ":origin", text_of(origin));
    stmt_bind_str(q, ":fragment", text_of(fragment));
    stmt_bind_str(q, ":last", text_of(last));
    return walk(q, each, context, err);
}

bool fragment_store_next_id(struct tx *tx, int64_t dataset_id, struct str after, struct buf *id,
                            bool *found, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_next_id, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":dataset_id", dataset_id);
    stmt_bind_str(q, ":after", text_of(after));
    enum row got = stmt_step(q, err);
    if (got == ROW_FAILED)
        return err_add(err, "find an id");
    *found = got == ROW_HERE;
    if (*found) {
        id->len = 0;
        buf_add_str(id, stmt_text(q, 0));
    }
    return true;
}

/* --- deleting --- */

void fragment_place_init(struct fragment_place *place)
{
    buf_init(&place->id, BUF_NO_CAP);
    buf_init(&place->origin, BUF_NO_CAP);
    buf_init(&place->fragment, BUF_NO_CAP);
}

void fragment_place_release(struct fragment_place *place)
{
    buf_release(&place->id);
    buf_release(&place->origin);
    buf_release(&place->fragment);
}

void fragment_place_set(struct fragment_place *place, struct str id, struct str origin,
                        struct str fragment)
{
    place->id.len = place->origin.len = place->fragment.len = 0;
    buf_add_str(&place->id, id);
    buf_add_str(&place->origin, origin);
    buf_add_str(&place->fragment, fragment);
}

/* The numbers of those to be deleted among `limit` (at most), and where to go on. */
static bool look_for(struct tx *tx, int64_t dataset_id, struct str id, struct str origin,
                     struct fragment_place *place, int64_t limit, struct buf *numbers, bool *more,
                     struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_places, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":dataset_id", dataset_id);
    stmt_bind_str(q, ":id", text_of(buf_str(&place->id)));
    stmt_bind_str(q, ":origin", text_of(buf_str(&place->origin)));
    stmt_bind_str(q, ":fragment", text_of(buf_str(&place->fragment)));
    stmt_bind_i64(q, ":limit", limit + 1);
    enum row got = ROW_FAILED;
    *more = false;
    for (int64_t i = 0; !*more && (got = stmt_step(q, err)) == ROW_HERE; i++) {
        int64_t number = stmt_i64(q, 0);
        if (id.len > 0 && !str_eq(stmt_text(q, 1), id))
            return true;
        *more = i == limit;
        if (*more)
            fragment_place_set(place, stmt_text(q, 1), stmt_text(q, 2), stmt_text(q, 3));
        else if (!origin.ptr || str_eq(stmt_text(q, 2), origin))
            buf_add(numbers, &number, sizeof number);
    }
    return got != ROW_FAILED ? true : err_add(err, "look for fragments");
}

bool fragment_store_delete(struct tx *tx, int64_t dataset_id, struct str id, struct str origin,
                           struct fragment_place *place, int64_t limit, int64_t *deleted,
                           bool *more, struct err *err)
{
    OWNED_BUF struct buf numbers;
    buf_init(&numbers, BUF_NO_CAP);
    if (!look_for(tx, dataset_id, id, origin, place, limit, &numbers, more, err))
        return false;
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_delete, err);
    if (!q)
        return false;
    for (size_t at = 0; at < numbers.len; at += sizeof(int64_t)) {
        int64_t number = 0;
        memcpy(&number, numbers.data + at, sizeof number);
        stmt_bind_i64(q, ":number", number);
        if (!stmt_run(q, NULL, err))
            return err_add(err, "delete a fragment");
    }
    *deleted = (int64_t)(numbers.len / sizeof(int64_t));
    return true;
}
