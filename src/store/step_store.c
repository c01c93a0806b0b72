/* step_store.c: see step_store.h. */
#include "store/step_store.h"

#include "store/stmt.h"

#include <inttypes.h>
#include <stdlib.h>

static const char sql_insert[] =
    "INSERT INTO step (id, owner, name, version, created_by, manifest, title, defaults, code_hash,"
    " deprecation, folder, tags, hidden, is_public, created_at_us, modified_at_us,"
    " deprecated_at_us) VALUES (:id, :owner, :name, :version, :created_by, :manifest, :title,"
    " :defaults, :code_hash, :deprecation, :folder, :tags, :hidden, :is_public, :created_at_us,"
    " :modified_at_us, :deprecated_at_us)";
static const char sql_update[] =
    "UPDATE step SET title = :title, defaults = :defaults, code_hash = :code_hash,"
    " deprecation = :deprecation, folder = :folder, tags = :tags, hidden = :hidden,"
    " is_public = :is_public, modified_at_us = :modified_at_us,"
    " deprecated_at_us = :deprecated_at_us WHERE id = :id";
static const char sql_delete[] = "DELETE FROM step WHERE id = :id";
static const char sql_load[] =
    "SELECT id, owner, created_by, manifest, title, defaults, code_hash, deprecation, folder, tags,"
    " hidden, is_public, created_at_us, modified_at_us, deprecated_at_us,"
    " (SELECT count(*) FROM step_job WHERE step_id = step.id AND step_id > 0)"
    " FROM step ORDER BY id";

static const char sql_add_tag[] = "INSERT INTO step_tag (owner, thing, tag, id)"
                                  " VALUES (:owner, :thing, :tag, :id) ON CONFLICT DO NOTHING";
static const char sql_drop_tag[] = "DELETE FROM step_tag WHERE owner = :owner AND thing = :thing"
                                   " AND tag = :tag AND id = :id";
/* One seek a tag, however many things have it. */
static const char sql_list_tags[] =
    "WITH RECURSIVE used (tag) AS ("
    " SELECT min(tag) FROM step_tag WHERE owner = :owner AND thing = :thing"
    " UNION ALL SELECT (SELECT min(t.tag) FROM step_tag t WHERE t.owner = :owner"
    "  AND t.thing = :thing AND t.tag > used.tag) FROM used WHERE used.tag IS NOT NULL)"
    " SELECT tag FROM used WHERE tag IS NOT NULL LIMIT :limit";

static void bind_edited(struct stmt *q, const struct step *s, const struct buf *tags)
{
    stmt_bind_i64(q, ":id", s->id);
    stmt_bind_text(q, ":title", s->title);
    stmt_bind_text(q, ":defaults", s->defaults);
    stmt_bind_text(q, ":code_hash", s->code_hash);
    stmt_bind_text(q, ":deprecation", s->deprecation);
    stmt_bind_text(q, ":folder", s->folder);
    stmt_bind_str(q, ":tags", buf_str(tags));
    stmt_bind_i64(q, ":hidden", s->hidden);
    stmt_bind_i64(q, ":is_public", s->is_public);
    stmt_bind_i64(q, ":modified_at_us", s->modified_at_us);
    stmt_bind_i64(q, ":deprecated_at_us", s->deprecated_at_us);
}

static bool put(struct tx *tx, const struct step *before, const struct step *s, struct err *err)
{
    OWNED_BUF struct buf tags;
    OWNED(stmt) struct stmt *q = tx_query(tx, before ? sql_update : sql_insert, err);
    buf_init(&tags, BUF_NO_CAP);
    if (!q)
        return false;
    step_tags_write(&s->tags, &tags);
    bind_edited(q, s, &tags);
    if (!before) {
        stmt_bind_text(q, ":owner", s->owner);
        stmt_bind_text(q, ":name", s->manifest.name);
        stmt_bind_text(q, ":version", s->manifest.version);
        stmt_bind_text(q, ":created_by", s->created_by);
        stmt_bind_blob(q, ":manifest", s->manifest.text, strlen(s->manifest.text));
        stmt_bind_i64(q, ":created_at_us", s->created_at_us);
    }
    return stmt_run(q, NULL, err);
}

static bool forget(struct tx *tx, const struct step *s, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_delete, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":id", s->id);
    return stmt_run(q, NULL, err);
}

bool step_store_change(struct tx *tx, const struct step *before, const struct step *after,
                       struct err *err)
{
    const struct step *any = after ? after : before;
    if (!any)
        return true;
    if ((after ? put(tx, before, after, err) : forget(tx, before, err)) &&
        step_tag_store_change(tx, STEP_THING_STEP, any->id, str_of(any->owner),
                              before ? &before->tags : NULL, after ? &after->tags : NULL, err))
        return true;
    return err_add(err, "store step %" PRId64, any->id);
}

static struct step *read_row(struct stmt *q, struct err *err)
{
    struct step *s = step_new();
    s->id = stmt_i64(q, 0);
    s->owner = stmt_take_text(q, 1);
    s->created_by = stmt_take_text(q, 2);
    s->title = stmt_take_text(q, 4);
    s->defaults = stmt_take_text(q, 5);
    s->code_hash = stmt_take_text(q, 6);
    s->deprecation = stmt_take_text(q, 7);
    s->folder = stmt_take_text(q, 8);
    step_tags_read(stmt_text(q, 9), &s->tags);
    s->hidden = stmt_i64(q, 10) != 0;
    s->is_public = stmt_i64(q, 11) != 0;
    s->created_at_us = stmt_i64(q, 12);
    s->modified_at_us = stmt_i64(q, 13);
    s->deprecated_at_us = stmt_i64(q, 14);
    if (step_manifest_read(stmt_blob(q, 3), &s->manifest, err))
        return s;
    err->code = ERR_STORE;
    err_add(err, "step %" PRId64 " is damaged in the store", s->id);
    step_free(s);
    return NULL;
}

bool step_store_load(struct tx *tx, void (*each)(void *context, struct step *s, int64_t jobs),
                     void *context, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_load, err);
    if (!q)
        return false;
    enum row got = ROW_FAILED;
    while ((got = stmt_step(q, err)) == ROW_HERE) {
        struct step *s = read_row(q, err);
        if (!s)
            return false;
        each(context, s, stmt_i64(q, 15));
    }
    return got == ROW_NONE || err_add(err, "load steps");
}

/* --- tags --- */

/* One statement for each tag of `all` that `others` has not. */
static bool each_tag(struct tx *tx, const char *sql, enum step_thing thing, int64_t id,
                     struct str owner, const struct step_tags *all, const struct step_tags *others,
                     struct err *err)
{
    if (!all || all->count == 0)
        return true;
    OWNED(stmt) struct stmt *q = tx_query(tx, sql, err);
    if (!q)
        return false;
    for (size_t i = 0; i < all->count; i++) {
        struct str tag = str_of(all->items[i]);
        if (others && step_tags_have(others, tag))
            continue;
        stmt_bind_str(q, ":owner", owner);
        stmt_bind_i64(q, ":thing", thing);
        stmt_bind_str(q, ":tag", tag);
        stmt_bind_i64(q, ":id", id);
        if (!stmt_run(q, NULL, err))
            return false;
    }
    return true;
}

bool step_tag_store_change(struct tx *tx, enum step_thing thing, int64_t id, struct str owner,
                           const struct step_tags *before, const struct step_tags *after,
                           struct err *err)
{
    if (before && after && step_tags_same(before, after))
        return true;
    struct str text = {owner.len ? owner.ptr : "", owner.len};
    return each_tag(tx, sql_drop_tag, thing, id, text, before, after, err) &&
           each_tag(tx, sql_add_tag, thing, id, text, after, before, err);
}

bool step_tag_store_list(struct tx *tx, enum step_thing thing, struct str owner, int64_t limit,
                         void (*each)(void *context, struct str tag), void *context,
                         struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_list_tags, err);
    if (!q)
        return false;
    stmt_bind_str(q, ":owner", (struct str){owner.len ? owner.ptr : "", owner.len});
    stmt_bind_i64(q, ":thing", thing);
    stmt_bind_i64(q, ":limit", limit);
    enum row got = ROW_FAILED;
    while ((got = stmt_step(q, err)) == ROW_HERE)
        each(context, stmt_text(q, 0));
    return got == ROW_NONE || err_add(err, "list tags");
}
