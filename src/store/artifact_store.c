/* artifact_store.c: see artifact_store.h. */
#include "store/artifact_store.h"

#include "store/blob_store.h"
#include "store/step_list.h"
#include "store/step_store.h"

#include <inttypes.h>
#include <stdlib.h>

_Static_assert(ARTIFACT_HASH_BYTES == BLOB_STORE_HASH_BYTES, "an artifact's bytes are a blob");

static const char sql_insert[] =
    "INSERT INTO artifact (id, owner, name, media_type, kind, hidden, secret, deletable, used,"
    " bytes, created_at_us, job, step_id, slot, place, fence, hash, created_by, folder, tags,"
    " comment) VALUES (:id, :owner, :name, :media_type, :kind, :hidden, :secret, :deletable, :used,"
    " :bytes, :created_at_us, :job, :step, :slot, :place, :fence, :hash, :created_by, :folder,"
    " :tags, :comment)";
static const char sql_update[] =
    "UPDATE artifact SET name = :name, hidden = :hidden, secret = :secret,"
    " deletable = :deletable, used = :used, slot = :slot, folder = :folder, tags = :tags,"
    " comment = :comment WHERE id = :id";
static const char sql_delete[] = "DELETE FROM artifact WHERE id = :id";
static const char sql_read[] =
    "SELECT id, owner, name, media_type, kind, hidden, secret, deletable, used, bytes,"
    " created_at_us, job, step_id, slot, place, fence, hash, created_by, folder, tags, comment"
    " FROM artifact WHERE id = :id";
static const char sql_bytes[] = "SELECT owner, sum(bytes) FROM artifact GROUP BY owner";
static const char sql_users[] = "SELECT DISTINCT job FROM step_input INDEXED BY step_input_artifact"
                                " WHERE artifact = :artifact ORDER BY job LIMIT :limit";

static void bind_changing(struct stmt *q, const struct artifact *a, const struct buf *tags)
{
    stmt_bind_i64(q, ":id", a->id);
    stmt_bind_text(q, ":name", a->name);
    stmt_bind_i64(q, ":hidden", a->hidden);
    stmt_bind_i64(q, ":secret", a->secret);
    stmt_bind_i64(q, ":deletable", a->deletable);
    stmt_bind_i64(q, ":used", a->used);
    stmt_bind_i64(q, ":slot", a->slot);
    stmt_bind_text(q, ":folder", a->folder);
    stmt_bind_str(q, ":tags", buf_str(tags));
    stmt_bind_text(q, ":comment", a->comment);
}

static void bind_fixed(struct stmt *q, const struct artifact *a)
{
    stmt_bind_text(q, ":owner", a->owner);
    stmt_bind_text(q, ":media_type", a->media_type);
    stmt_bind_i64(q, ":kind", a->kind);
    stmt_bind_i64(q, ":bytes", a->bytes);
    stmt_bind_i64(q, ":created_at_us", a->created_at_us);
    stmt_bind_i64(q, ":job", a->job);
    stmt_bind_i64(q, ":step", a->step);
    stmt_bind_i64(q, ":place", a->place);
    stmt_bind_i64(q, ":fence", a->fence);
    stmt_bind_blob(q, ":hash", a->hash, sizeof a->hash);
    stmt_bind_text(q, ":created_by", a->created_by);
}

static bool put_row(struct tx *tx, const struct artifact *before, const struct artifact *a,
                    struct err *err)
{
    OWNED_BUF struct buf tags;
    OWNED(stmt) struct stmt *q = tx_query(tx, before ? sql_update : sql_insert, err);
    buf_init(&tags, BUF_NO_CAP);
    if (!q)
        return false;
    step_tags_write(&a->tags, &tags);
    bind_changing(q, a, &tags);
    if (!before)
        bind_fixed(q, a);
    return stmt_run(q, NULL, err);
}

static bool delete_row(struct tx *tx, int64_t id, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_delete, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":id", id);
    return stmt_run(q, NULL, err);
}

bool artifact_store_change(struct tx *tx, const struct artifact *before,
                           const struct artifact *after, int64_t now_us, struct err *err)
{
    const struct artifact *any = after ? after : before;
    if (!any)
        return true;
    bool ok = after ? put_row(tx, before, after, err) : delete_row(tx, before->id, err);
    if (ok && !before)
        ok = blob_store_refer(tx, after->hash, after->bytes, now_us, err);
    if (ok && !after)
        ok = blob_store_release(tx, before->hash, now_us, err);
    return (ok && step_tag_store_change(tx, STEP_THING_ARTIFACT, any->id, str_of(any->owner),
                                        before ? &before->tags : NULL, after ? &after->tags : NULL,
                                        err)) ||
           err_add(err, "store artifact %" PRId64, any->id);
}

static struct artifact *artifact_of_row(struct stmt *q, struct err *err)
{
    struct str hash = stmt_blob(q, 16);
    if (hash.len != ARTIFACT_HASH_BYTES) {
        err_set(err, ERR_STORE, "it is damaged in the store");
        return NULL;
    }
    struct artifact *a = artifact_new();
    a->id = stmt_i64(q, 0);
    a->owner = stmt_take_text(q, 1);
    a->name = stmt_take_text(q, 2);
    a->media_type = stmt_take_text(q, 3);
    a->kind = stmt_i64(q, 4) == ARTIFACT_OUTPUT ? ARTIFACT_OUTPUT : ARTIFACT_UPLOAD;
    a->hidden = stmt_i64(q, 5) != 0;
    a->secret = stmt_i64(q, 6) != 0;
    a->deletable = stmt_i64(q, 7) != 0;
    a->used = stmt_i64(q, 8);
    a->bytes = stmt_i64(q, 9);
    a->created_at_us = stmt_i64(q, 10);
    a->job = stmt_i64(q, 11);
    a->step = stmt_i64(q, 12);
    a->slot = stmt_i64(q, 13);
    a->place = stmt_i64(q, 14);
    a->fence = stmt_i64(q, 15);
    memcpy(a->hash, stmt_blob(q, 16).ptr, sizeof a->hash);
    a->created_by = stmt_take_text(q, 17);
    a->folder = stmt_take_text(q, 18);
    step_tags_read(stmt_text(q, 19), &a->tags);
    a->comment = stmt_take_text(q, 20);
    return a;
}

bool artifact_store_read(struct tx *tx, int64_t id, struct artifact **out, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_read, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":id", id);
    enum row got = stmt_step(q, err);
    struct artifact *a = got == ROW_HERE ? artifact_of_row(q, err) : NULL;
    if (got == ROW_FAILED || (got == ROW_HERE && !a))
        return err_add(err, "read artifact %" PRId64, id);
    *out = a;
    return true;
}

bool artifact_store_bytes(struct tx *tx,
                          void (*each)(void *context, struct str owner, int64_t bytes),
                          void *context, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_bytes, err);
    if (!q)
        return false;
    enum row got = ROW_FAILED;
    while ((got = stmt_step(q, err)) == ROW_HERE)
        each(context, stmt_text(q, 0), stmt_i64(q, 1));
    return got == ROW_NONE || err_add(err, "sum up artifacts");
}

bool artifact_store_users(struct tx *tx, int64_t artifact, int64_t limit,
                          void (*each)(void *context, int64_t job), void *context, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_users, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":artifact", artifact);
    stmt_bind_i64(q, ":limit", limit);
    enum row got = ROW_FAILED;
    while ((got = stmt_step(q, err)) == ROW_HERE)
        each(context, stmt_i64(q, 0));
    return got == ROW_NONE || err_add(err, "find who uses artifact %" PRId64, artifact);
}

/* --- lists --- */

#define ARTIFACTS_THAT                                                                             \
    STEP_LIST_WHERE("a", "2")                                                                      \
    " AND (:producer = 0 OR a.job = :producer)"                                                    \
    " AND (:kind IS NULL OR a.kind = :kind)"                                                       \
    " AND (:media_type IS NULL OR instr(a.media_type, :media_type) > 0)"                           \
    " AND (:deletable IS NULL OR a.deletable = :deletable)"                                        \
    " AND (:used IS NULL OR (a.used > 0) = :used)"                                                 \
    " AND (:secret IS NULL OR a.secret = :secret)"

#define OWNED_BY(index) " FROM artifact a INDEXED BY " index " WHERE a.owner = :owner AND"
#define IN_FOLDER                                                                                  \
    " FROM artifact a INDEXED BY artifact_folder WHERE a.owner = :owner AND a.folder = :folder"    \
    " AND"
#define TAGGED STEP_LIST_TAGGED("artifact", "a", "2")
#define WITH_TAG STEP_LIST_WITH_TAG("artifact", "a", "2")
#define OF_JOB                                                                                     \
    " FROM artifact a INDEXED BY artifact_job WHERE a.job = :producer AND a.job > 0"               \
    " AND a.owner = :owner AND"

#define BY_CREATED(from)                                                                           \
    {                                                                                              \
        "SELECT a.id" from ARTIFACTS_THAT STEP_ORDER_OLD("a"),                                     \
            "SELECT a.id" from ARTIFACTS_THAT STEP_ORDER_NEW("a")                                  \
    }
/* The same where the tags' index leads. */
#define BY_TAG                                                                                     \
    {                                                                                              \
        "SELECT a.id" WITH_TAG ARTIFACTS_THAT STEP_ORDER_OLD("g"),                                 \
            "SELECT a.id" WITH_TAG ARTIFACTS_THAT STEP_ORDER_NEW("g")                              \
    }
#define BY_COLUMN(from, column, after)                                                             \
    {                                                                                              \
        "SELECT a.id, a." column from ARTIFACTS_THAT STEP_ORDER_UP("a", column, after),            \
            "SELECT a.id, a." column from ARTIFACTS_THAT STEP_ORDER_DOWN("a", column, after)       \
    }
/* All but that of creation. */
#define OTHER_ORDERS(from, named)                                                                  \
    [STEP_SORT_NAME] = BY_COLUMN(named, "name", ":after_text"),                                    \
    [STEP_SORT_MEDIA_TYPE] = BY_COLUMN(from, "media_type", ":after_text"),                         \
    [STEP_SORT_KIND] = BY_COLUMN(from, "kind", ":after_number"),                                   \
    [STEP_SORT_BYTES] = BY_COLUMN(from, "bytes", ":after_number")

enum way { WAY_ALL, WAY_TAG, WAY_TAGS, WAY_FOLDER, WAY_JOB, WAY_COUNT };

static const char *const sql_list[WAY_COUNT][STEP_SORT_COUNT][2] = {
    [WAY_ALL] = {[STEP_SORT_CREATED] = BY_CREATED(OWNED_BY("artifact_owner")),
                 OTHER_ORDERS(OWNED_BY("artifact_owner"), OWNED_BY("artifact_name"))},
    [WAY_TAG] = {[STEP_SORT_CREATED] = BY_TAG, OTHER_ORDERS(WITH_TAG, WITH_TAG)},
    [WAY_TAGS] = {[STEP_SORT_CREATED] = BY_CREATED(TAGGED), OTHER_ORDERS(TAGGED, TAGGED)},
    [WAY_FOLDER] = {[STEP_SORT_CREATED] = BY_CREATED(IN_FOLDER),
                    OTHER_ORDERS(IN_FOLDER, IN_FOLDER)},
    [WAY_JOB] = {[STEP_SORT_CREATED] = BY_CREATED(OF_JOB), OTHER_ORDERS(OF_JOB, OF_JOB)},
};
/* What a filter finds in a range, by each way in. What a job made is few: one range. */
#define FOUND_ALL OWNED_BY("artifact_owner") ARTIFACTS_THAT STEP_RANGE("a")
#define FOUND_TAG WITH_TAG ARTIFACTS_THAT STEP_RANGE("g")
#define FOUND_TAGS STEP_RANGE_TAGGED("artifact", "a", "2") ARTIFACTS_THAT
#define FOUND_FOLDER IN_FOLDER ARTIFACTS_THAT STEP_RANGE("a")
#define FOUND_JOB OF_JOB ARTIFACTS_THAT STEP_RANGE("a")

static const char *const sql_count[WAY_COUNT] = {
    [WAY_ALL] = STEP_RANGE_COUNT(FOUND_ALL),   [WAY_TAG] = STEP_RANGE_COUNT(FOUND_TAG),
    [WAY_TAGS] = STEP_RANGE_COUNT(FOUND_TAGS), [WAY_FOLDER] = STEP_RANGE_COUNT(FOUND_FOLDER),
    [WAY_JOB] = STEP_RANGE_COUNT(FOUND_JOB),
};
#define FOUND(found) STEP_RANGE_FOUND("a", "a.name, a.media_type, a.kind, a.bytes", found)
static const char *const sql_found[WAY_COUNT] = {
    [WAY_ALL] = FOUND(FOUND_ALL),   [WAY_TAG] = FOUND(FOUND_TAG),
    [WAY_TAGS] = FOUND(FOUND_TAGS), [WAY_FOLDER] = FOUND(FOUND_FOLDER),
    [WAY_JOB] = FOUND(FOUND_JOB),
};
static const char *const sql_tags[WAY_COUNT] = {
    [WAY_ALL] = STEP_RANGE_TAGS("a", FOUND_ALL),
    [WAY_TAG] = STEP_RANGE_TAGS("a", FOUND_TAG),
    [WAY_TAGS] = STEP_RANGE_TAGS("a", FOUND_TAGS),
    [WAY_FOLDER] = STEP_RANGE_TAGS("a", FOUND_FOLDER),
    [WAY_JOB] = STEP_RANGE_TAGS("a", FOUND_JOB),
};
static const char *const sql_range_end[WAY_COUNT] = {
    [WAY_ALL] = STEP_RANGE_END("a", " FROM artifact a INDEXED BY artifact_owner"
                                    " WHERE a.owner = :owner"),
    [WAY_TAG] = STEP_RANGE_END_WITH_TAG("2"),
    [WAY_TAGS] = STEP_RANGE_END_TAGGED("2"),
    [WAY_FOLDER] = STEP_RANGE_END("a", " FROM artifact a INDEXED BY artifact_folder"
                                       " WHERE a.owner = :owner AND a.folder = :folder"),
};

static enum way way_of(const struct step_filter *filter, bool has_tag)
{
    if (filter->producer)
        return WAY_JOB;
    if (has_tag)
        return WAY_TAG;
    if (filter->tags_any.ptr)
        return WAY_TAGS;
    return filter->folder.ptr && !filter->below ? WAY_FOLDER : WAY_ALL;
}

static void bind(struct stmt *q, const struct step_filter *filter, enum way way,
                 const struct buf *tag)
{
    step_list_bind(q, filter);
    stmt_bind_i64(q, ":producer", filter->producer);
    if (filter->by_kind)
        stmt_bind_i64(q, ":kind", filter->kind);
    else
        stmt_bind_text(q, ":kind", NULL);
    stmt_bind_str(q, ":media_type", filter->media_type);
    step_list_bind_only(q, ":deletable", filter->deletable);
    step_list_bind_only(q, ":used", filter->used);
    step_list_bind_only(q, ":secret", filter->secret);
    if (way == WAY_TAG)
        stmt_bind_str(q, ":with_tag", buf_str(tag));
    if (way == WAY_TAGS)
        stmt_bind_str(q, ":tags", filter->tags_any);
}

static const enum step_key keys[STEP_SORT_COUNT] = {[STEP_SORT_NAME] = STEP_KEY_TEXT,
                                                    [STEP_SORT_MEDIA_TYPE] = STEP_KEY_TEXT,
                                                    [STEP_SORT_KIND] = STEP_KEY_NUMBER,
                                                    [STEP_SORT_BYTES] = STEP_KEY_NUMBER};

bool artifact_store_list(struct tx *tx, const struct step_filter *filter,
                         const struct step_page *page, struct step_place *places, size_t *count,
                         struct err *err)
{
    OWNED_BUF struct buf tag;
    buf_init(&tag, BUF_NO_CAP);
    enum way way = way_of(filter, step_list_tag(filter, &tag));
    const char *sql =
        page->sort < STEP_SORT_COUNT ? sql_list[way][page->sort][page->descending] : NULL;
    if (!sql)
        return err_set(err, ERR_INVALID, "artifacts have no such order");
    OWNED(stmt) struct stmt *q = tx_query(tx, sql, err);
    if (!q)
        return false;
    bind(q, filter, way, &tag);
    step_list_bind_page(q, page, keys[page->sort]);
    return step_list_rows(q, keys[page->sort], page->limit, places, count, err);
}

/* A statement about a range, its filter bound; NULL with err. */
static struct stmt *in_range(struct tx *tx, const char *const sql[WAY_COUNT],
                             const struct step_filter *filter, const struct step_range *range,
                             struct buf *tag, struct err *err)
{
    enum way way = way_of(filter, step_list_tag(filter, tag));
    struct stmt *q = tx_query(tx, sql[way], err);
    if (!q)
        return NULL;
    bind(q, filter, way, tag);
    step_list_bind_range(q, range);
    return q;
}

bool artifact_store_count(struct tx *tx, const struct step_filter *filter,
                          const struct step_range *range, int64_t *out, struct err *err)
{
    OWNED_BUF struct buf tag;
    buf_init(&tag, BUF_NO_CAP);
    OWNED(stmt) struct stmt *q = in_range(tx, sql_count, filter, range, &tag, err);
    return q && stmt_only_i64(q, out, err) == ROW_HERE;
}

/* Which column of sql_found an order is by. */
static const int columns[STEP_SORT_COUNT] = {
    [STEP_SORT_NAME] = 1, [STEP_SORT_MEDIA_TYPE] = 2, [STEP_SORT_KIND] = 3, [STEP_SORT_BYTES] = 4};

bool artifact_store_found(struct tx *tx, const struct step_filter *filter,
                          const struct step_range *range, enum step_sort sort,
                          void (*each)(void *context, int64_t id, struct str text, int64_t number),
                          void *context, struct err *err)
{
    OWNED_BUF struct buf tag;
    buf_init(&tag, BUF_NO_CAP);
    OWNED(stmt) struct stmt *q = in_range(tx, sql_found, filter, range, &tag, err);
    return q && step_list_found(q, keys[sort], columns[sort], each, context, err);
}

bool artifact_store_tags(struct tx *tx, const struct step_filter *filter,
                         const struct step_range *range,
                         void (*each)(void *context, struct str tag), void *context,
                         struct err *err)
{
    OWNED_BUF struct buf tag;
    buf_init(&tag, BUF_NO_CAP);
    OWNED(stmt) struct stmt *q = in_range(tx, sql_tags, filter, range, &tag, err);
    return q && step_list_texts(q, each, context, err);
}

bool artifact_store_range(struct tx *tx, const struct step_filter *filter,
                          const struct step_range *range, int64_t rows, int64_t *to,
                          struct err *err)
{
    OWNED_BUF struct buf tag;
    buf_init(&tag, BUF_NO_CAP);
    enum way way = way_of(filter, step_list_tag(filter, &tag));
    if (way == WAY_JOB) {
        *to = INT64_MAX;
        return true;
    }
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_range_end[way], err);
    if (!q)
        return false;
    stmt_bind_str(q, ":owner", step_list_owner(filter));
    if (way == WAY_FOLDER)
        stmt_bind_str(q, ":folder", filter->folder);
    if (way == WAY_TAG)
        stmt_bind_str(q, ":with_tag", buf_str(&tag));
    if (way == WAY_TAGS)
        stmt_bind_str(q, ":tags", filter->tags_any);
    return step_list_range_end(q, range, rows, to, err);
}
