/* step_folder_op.c: folders are shown, listed, made, moved and deleted (folder_op.h). What changes
 * more than memory knows of first makes all that was decided durable, so that the store tells what
 * is in a folder; a move is a transaction of its own then. */
#include "engine/engine_state.h"

#include <inttypes.h>
#include <stdlib.h>

/* --- which folder --- */

void folder_meant_release(struct folder_meant *m)
{
    free(m->path);
    free(m->owner);
    *m = (struct folder_meant){NULL, NULL, NULL};
}

static void take_folder(struct folder_meant *m, struct step_folder *f, struct str owner,
                        const char *path)
{
    *m = (struct folder_meant){f, xstrndup(owner.ptr ? owner.ptr : "", owner.len), xstrdup(path)};
}

static bool find_by_id(struct engine *e, const struct step_asker *by, int64_t id,
                       struct folder_meant *out, struct err *err)
{
    struct step_folder *f = id ? steps_folder(e, id) : NULL;
    if (id && (!f || !(by->everyone || str_is(by->owner, f->owner))))
        return err_set(err, ERR_NOT_FOUND, "there is no folder %" PRId64, id);
    take_folder(out, f, f ? str_of(f->owner) : by->owner, f ? f->path : "/");
    return true;
}

static bool find_by_path(struct engine *e, struct str owner, struct str path,
                         struct folder_meant *out, struct err *err)
{
    char *whole = NULL;
    if (!step_folder_make(path, &whole, err))
        return false;
    OWNED_MEM char *wanted = whole;
    bool root = wanted[1] == '\0';
    struct step_folder *f = root ? NULL : steps_folder_find(e, owner, str_of(wanted));
    if (!f && !root)
        return err_set(err, ERR_NOT_FOUND, "there is no folder %.200s", wanted);
    take_folder(out, f, owner, wanted);
    return true;
}

bool steps_folder_meant(struct engine *e, const struct op_folders *ask, struct folder_meant *out,
                        struct err *err)
{
    return ask->id >= 0 ? find_by_id(e, &ask->by, ask->id, out, err)
                        : find_by_path(e, ask->by.owner, ask->path, out, err);
}

bool steps_folder_wanted(struct engine *e, const struct step_asker *by, struct str path, int64_t id,
                         char **out, struct err *err)
{
    OWNED(folder_meant_held) struct folder_meant *m = xcalloc(1, sizeof *m);
    if (path.ptr)
        return step_folder_make(path, out, err);
    if (!find_by_id(e, by, id, m, err))
        return false;
    *out = TAKE(m->path);
    return true;
}

static bool must_be_folder(const struct folder_meant *m, struct err *err)
{
    return m->folder || err_set(err, ERR_CONFLICT, "that cannot be done with the root folder");
}

/* --- views --- */

static void add_view(struct engine *e, struct op_folders *ask, const struct step_folder *f)
{
    struct str parent = step_folder_parent(str_of(f->path));
    const struct step_folder *above =
        parent.len > 1 ? steps_folder_find(e, str_of(f->owner), parent) : NULL;
    ask->views = xrealloc(ask->views, (ask->count + 1) * sizeof *ask->views);
    ask->views[ask->count++] = (struct folder_view){.id = f->id,
                                                    .parent = above ? above->id : 0,
                                                    .owner = xstrdup(f->owner),
                                                    .path = xstrdup(f->path),
                                                    .created_by = xstrdup(f->created_by),
                                                    .created_at_us = f->created_at_us};
}

static bool show(struct engine *e, struct op_folders *ask, struct err *err)
{
    OWNED(folder_meant_held) struct folder_meant *m = xcalloc(1, sizeof *m);
    if (!steps_folder_meant(e, ask, m, err) || !must_be_folder(m, err))
        return false;
    add_view(e, ask, m->folder);
    return true;
}

/* --- lists --- */

static bool has_steps(struct engine *e, const char *owner, const char *path)
{
    for (size_t i = 0; i < e->steps->count; i++) {
        const struct step *s = e->steps->entries[i]->now;
        if (s && strcmp(s->owner, owner) == 0 && strncmp(s->folder, path, strlen(path)) == 0)
            return true;
    }
    return false;
}

/* Whether there are such things in it or beneath. */
static bool has_things(struct engine *e, struct tx *tx, const struct step_folder *f,
                       unsigned things, bool *out, struct err *err)
{
    const struct step_folder_place place = {str_of(f->owner), str_of(f->path), true};
    int64_t count = 0;
    *out = !things || ((things & 1u << STEP_THING_STEP) && has_steps(e, f->owner, f->path));
    for (int thing = STEP_THING_JOB; thing <= STEP_THING_ARTIFACT && !*out; thing++) {
        if ((things & 1u << thing) &&
            !step_folder_store_count(tx, &place, (enum step_thing)thing, 1, &count, err))
            return false;
        *out = count > 0;
    }
    return true;
}

static bool fits(const struct op_folders *ask, const char *above, const struct step_folder *f)
{
    struct str path = str_of(f->path), parent = step_folder_parent(path), part = ask->list.name;
    if (!ask->list.below && !str_is(parent, above))
        return false;
    return part.len == 0 ||
           memmem(path.ptr + parent.len, path.len - parent.len - 1, part.ptr, part.len);
}

/* Whether it stands behind the place that the page before ended at. */
static bool is_behind(const struct op_folders *ask, const struct step_folder *f)
{
    struct str after = ask->list.after;
    if (!after.ptr)
        return true;
    int by = strncmp(f->path, after.ptr, after.len);
    by = by ? by : strlen(f->path) > after.len;
    return ask->list.descending ? by < 0 : by > 0;
}

static void list_one(struct engine *e, struct op_folders *ask, const struct step_folder *f,
                     int64_t *passed)
{
    ask->total++;
    if (!is_behind(ask, f))
        return;
    if ((*passed)++ < ask->list.offset)
        return;
    if ((int64_t)ask->count < ask->list.limit)
        add_view(e, ask, f);
    else
        ask->more = true;
}

static bool list(struct engine *e, struct op_folders *ask, struct err *err)
{
    OWNED(folder_meant_held) struct folder_meant *m = xcalloc(1, sizeof *m);
    size_t first = 0, end = 0;
    int64_t passed = 0;
    OWNED(tx) struct tx *tx = NULL;
    if (!steps_folder_meant(e, ask, m, err) || !tx_begin(e->store, &tx, err))
        return false;
    steps_folders_below(e, str_of(m->owner), str_of(m->path), &first, &end);
    for (size_t i = first; i < end; i++) {
        struct step_folder *f = e->steps->folders[ask->list.descending ? end - 1 - (i - first) : i];
        bool has = false;
        if (!fits(ask, m->path, f))
            continue;
        if (!has_things(e, tx, f, ask->list.things, &has, err))
            return false;
        if (has)
            list_one(e, ask, f, &passed);
    }
    return true;
}

static bool suggest(struct engine *e, struct op_folders *ask)
{
    for (size_t i = 0; i < e->steps->folder_count; i++) {
        const struct step_folder *f = e->steps->folders[i];
        if (!str_is(ask->by.owner, f->owner) ||
            (ask->path.len && strncmp(f->path, ask->path.ptr, ask->path.len) != 0))
            continue;
        ask->more = (int64_t)ask->count >= ask->list.limit;
        if (ask->more)
            break;
        add_view(e, ask, f);
    }
    return true;
}

/* --- contents --- */

struct content {
    int64_t id;
    enum step_thing thing;
};
struct contents {
    struct content *items;
    size_t count;
};

static void add_content(void *context, int64_t id, enum step_thing thing)
{
    struct contents *c = context;
    c->items = xrealloc(c->items, (c->count + 1) * sizeof *c->items);
    c->items[c->count++] = (struct content){id, thing};
}

static int newest_first(const void *a, const void *b)
{
    int64_t x = ((const struct content *)a)->id, y = ((const struct content *)b)->id;
    return (x < y) - (x > y);
}

static void add_steps(struct engine *e, struct op_folders *ask, const struct folder_meant *m,
                      struct contents *c)
{
    int64_t before = ask->list.before ? ask->list.before : INT64_MAX;
    for (size_t i = 0; i < e->steps->count; i++) {
        const struct step *s = e->steps->entries[i]->now;
        if (!s || strcmp(s->owner, m->owner) != 0 || strcmp(s->folder, m->path) != 0)
            continue;
        ask->total++;
        if (s->id < before)
            add_content(c, s->id, STEP_THING_STEP);
    }
}

/* What it is now; what has gone meanwhile is left out. */
static void show_content(struct engine *e, struct op_folders *ask, const struct content *c)
{
    struct err ignored;
    struct folder_item *item = &ask->items[ask->item_count];
    if (c->thing == STEP_THING_STEP) {
        const struct step_entry *entry = steps_entry(e, c->id);
        item->step = (struct step_view){step_hold(entry->now), entry->jobs};
        ask->item_count++;
    } else if (c->thing == STEP_THING_JOB) {
        const struct step_job *job = steps_job(e, c->id, &ignored);
        ask->item_count += job && step_job_view_make(e, job, &item->job, &ignored);
    } else {
        const struct artifact *a = steps_artifact(e, c->id, &ignored);
        item->artifact = a ? artifact_hold(a) : NULL;
        ask->item_count += a != NULL;
    }
}

static bool count_contents(struct tx *tx, const struct step_folder_place *place, int64_t *total,
                           struct err *err)
{
    int64_t jobs = 0, artifacts = 0;
    if (!step_folder_store_count(tx, place, STEP_THING_JOB, INT64_MAX, &jobs, err) ||
        !step_folder_store_count(tx, place, STEP_THING_ARTIFACT, INT64_MAX, &artifacts, err))
        return false;
    *total = jobs + artifacts;
    return true;
}

static bool find_contents(struct engine *e, struct op_folders *ask, const struct folder_meant *m,
                          struct contents *c, struct err *err)
{
    const struct step_folder_place place = {str_of(m->owner), str_of(m->path), false};
    int64_t before = ask->list.before ? ask->list.before : INT64_MAX;
    OWNED(tx) struct tx *tx = NULL;
    if (!tx_begin(e->store, &tx, err) || !count_contents(tx, &place, &ask->total, err) ||
        !step_folder_store_contents(tx, &place, before, ask->list.offset + ask->list.limit + 1,
                                    add_content, c, err))
        return false;
    add_steps(e, ask, m, c);
    return true;
}

static bool contents(struct engine *e, struct op_folders *ask, struct err *err)
{
    OWNED(folder_meant_held) struct folder_meant *m = xcalloc(1, sizeof *m);
    struct contents c = {NULL, 0};
    bool good = steps_folder_meant(e, ask, m, err) && find_contents(e, ask, m, &c, err);
    if (good && c.count) {
        qsort(c.items, c.count, sizeof *c.items, newest_first);
        size_t end = (size_t)(ask->list.offset + ask->list.limit);
        ask->more = c.count > end;
        ask->items = xcalloc(c.count, sizeof *ask->items);
        for (size_t i = (size_t)ask->list.offset; i < c.count && i < end; i++)
            show_content(e, ask, &c.items[i]);
    }
    free(c.items);
    return good;
}

/* --- made --- */

static bool check_name(struct str name, struct err *err)
{
    if (name.len > 0 && name.len <= FOLDER_NAME_MAX_BYTES && !memchr(name.ptr, '/', name.len) &&
        artifact_name_check(name, err))
        return true;
    return err_set(err, ERR_INVALID, "name: expected 1 to %d bytes without a slash",
                   FOLDER_NAME_MAX_BYTES);
}

/* "/a/" and "b": "/a/b/", checked. */
static bool join(const char *parent, struct str name, char **out, struct err *err)
{
    if (!check_name(name, err))
        return false;
    OWNED_MEM char *path = xasprintf("%s%.*s/", parent, (int)name.len, name.ptr);
    return step_folder_make(str_of(path), out, err);
}

static bool path_to_make(struct engine *e, struct op_folders *ask, char **out, struct err *err)
{
    OWNED(folder_meant_held) struct folder_meant *m = xcalloc(1, sizeof *m);
    if (!ask->name.ptr)
        return step_folder_make(ask->path, out, err);
    return steps_folder_meant(e, ask, m, err) && join(m->path, ask->name, out, err);
}

static bool create(struct engine *e, struct op_folders *ask, struct err *err)
{
    char *made = NULL;
    if (!path_to_make(e, ask, &made, err))
        return false;
    OWNED_MEM char *path = made;
    if (path[1] == '\0' || steps_folder_find(e, ask->by.owner, str_of(path)))
        return err_set(err, ERR_CONFLICT, "there is a folder %.200s already", path);
    add_view(e, ask, steps_folder_need(e, ask->by.owner, str_of(path), ask->by.name));
    return true;
}

/* --- moved, deleted --- */

bool steps_settle_first(struct engine *e, struct op *op, const struct step_asker *by)
{
    do
        if (!engine_flush(e, &op->err))
            return false;
    while (steps_stir(&e->building));
    return steps_are_ready(e, op, by, true);
}

/* Where it goes. */
static bool target(struct engine *e, const struct op_folders *ask, const struct folder_meant *m,
                   char **out, struct err *err)
{
    OWNED(folder_meant_held) struct folder_meant *parent = xcalloc(1, sizeof *parent);
    struct str above = step_folder_parent(str_of(m->path));
    struct str name = {m->path + above.len, strlen(m->path) - above.len - 1};
    bool found = true;
    if (ask->parent_path.ptr)
        found = find_by_path(e, str_of(m->owner), ask->parent_path, parent, err);
    else if (ask->parent >= 0)
        found = find_by_id(e, &ask->by, ask->parent, parent, err);
    else
        parent->path = xstrndup(above.ptr, above.len);
    if (found && parent->folder && strcmp(parent->owner, m->owner) != 0)
        return err_set(err, ERR_CONFLICT, "folder %.200s is another owner's", parent->path);
    return found && join(parent->path, ask->name.ptr ? ask->name : name, out, err);
}

static size_t depth_of(const char *path)
{
    size_t depth = 0;
    for (; *path; path++)
        depth += *path == '/';
    return depth - 1;
}

static bool may_move(struct engine *e, const struct folder_meant *m, const char *to,
                     struct err *err)
{
    size_t first = 0, end = 0, longest = 0, deepest = 0, from_len = strlen(m->path);
    if (strncmp(to, m->path, from_len) == 0)
        return err_set(err, ERR_CONFLICT, "folder %.200s cannot be moved into itself", m->path);
    if (steps_folder_find(e, str_of(m->owner), str_of(to)))
        return err_set(err, ERR_CONFLICT, "there is a folder %.200s already", to);
    steps_folders_below(e, str_of(m->owner), str_of(m->path), &first, &end);
    for (size_t i = first; i < end; i++) {
        size_t len = strlen(e->steps->folders[i]->path);
        size_t depth = depth_of(e->steps->folders[i]->path);
        longest = len > longest ? len : longest;
        deepest = depth > deepest ? depth : deepest;
    }
    if (longest && (longest - from_len + strlen(to) > ARTIFACT_NAME_MAX_BYTES ||
                    deepest - depth_of(m->path) + depth_of(to) > STEP_FOLDER_DEPTH_MAX))
        return err_set(err, ERR_INVALID, "paths below folder %.200s would be too long", m->path);
    return true;
}

static bool move_rows(struct engine *e, const struct folder_meant *m, const char *to,
                      struct err *err)
{
    const struct step_folder_place place = {str_of(m->owner), str_of(m->path), true};
    int64_t jobs = 0, artifacts = 0;
    OWNED(tx) struct tx *tx = NULL;
    if (!tx_begin(e->store, &tx, err) ||
        !step_folder_store_count(tx, &place, STEP_THING_JOB, FOLDER_MOVE_MAX + 1, &jobs, err) ||
        !step_folder_store_count(tx, &place, STEP_THING_ARTIFACT, FOLDER_MOVE_MAX + 1, &artifacts,
                                 err))
        return false;
    if (jobs + artifacts > FOLDER_MOVE_MAX)
        return err_set(err, ERR_LIMIT, "more than %d things would move", FOLDER_MOVE_MAX);
    return step_folder_store_move(tx, str_of(m->owner), str_of(m->path), str_of(to), err) &&
           tx_commit(tx, err);
}

static bool edit(struct engine *e, struct op *op)
{
    struct op_folders *ask = &op->folders;
    OWNED(folder_meant_held) struct folder_meant *m = xcalloc(1, sizeof *m);
    char *wanted = NULL;
    if (!steps_settle_first(e, op, &ask->by) || !steps_folder_meant(e, ask, m, &op->err) ||
        !must_be_folder(m, &op->err) || !target(e, ask, m, &wanted, &op->err))
        return false;
    OWNED_MEM char *to = wanted;
    if (strcmp(to, m->path) != 0) {
        if (!may_move(e, m, to, &op->err) || !move_rows(e, m, to, &op->err))
            return false;
        steps_folders_moved(e, str_of(m->owner), str_of(m->path), str_of(to));
        steps_things_moved(e, str_of(m->owner), str_of(m->path), str_of(to));
    }
    add_view(e, ask, m->folder);
    return true;
}

static bool is_empty(struct engine *e, const struct folder_meant *m, bool *out, struct err *err)
{
    size_t first = 0, end = 0;
    bool has = false;
    OWNED(tx) struct tx *tx = NULL;
    steps_folders_below(e, str_of(m->owner), str_of(m->path), &first, &end);
    if (!tx_begin(e->store, &tx, err) || !has_things(e, tx, m->folder, ~0u, &has, err))
        return false;
    *out = first == end && !has;
    return true;
}

static bool delete_folder(struct engine *e, struct op *op)
{
    OWNED(folder_meant_held) struct folder_meant *m = xcalloc(1, sizeof *m);
    bool empty = false;
    if (!steps_settle_first(e, op, &op->folders.by) ||
        !steps_folder_meant(e, &op->folders, m, &op->err) || !must_be_folder(m, &op->err) ||
        !is_empty(e, m, &empty, &op->err))
        return false;
    if (!empty)
        return err_set(&op->err, ERR_CONFLICT, "folder %.200s is not empty: clear it first",
                       m->path);
    steps_folder_drop(e, m->folder);
    return true;
}

/* --- the op --- */

enum op_fate op_folders(struct engine *e, struct op *op)
{
    struct op_folders *ask = &op->folders;
    bool good = false;
    if (!steps_are_ready(e, op, &ask->by, ask->verb >= FOLDERS_CREATE))
        return FATE_NOW;
    if (ask->list.limit < 0 || ask->list.limit > 1000)
        ask->list.limit = 1000;
    switch (ask->verb) {
    case FOLDERS_SHOW:
        good = show(e, ask, &op->err);
        break;
    case FOLDERS_LIST:
        good = list(e, ask, &op->err);
        break;
    case FOLDERS_SUGGEST:
        good = suggest(e, ask);
        break;
    case FOLDERS_CONTENTS:
        good = contents(e, ask, &op->err);
        break;
    case FOLDERS_CREATE:
        good = create(e, ask, &op->err);
        break;
    case FOLDERS_EDIT:
        good = edit(e, op);
        break;
    case FOLDERS_DELETE:
        good = delete_folder(e, op);
        break;
    case FOLDERS_CLEAR:
        good = steps_folder_clear(e, op);
        break;
    }
    return good ? steps_fate(e) : FATE_NOW;
}

void folder_op_release(struct op_folders *ask)
{
    for (size_t i = 0; i < ask->count; i++) {
        free(ask->views[i].owner);
        free(ask->views[i].path);
        free(ask->views[i].created_by);
    }
    free(ask->views);
    for (size_t i = 0; i < ask->item_count; i++) {
        step_free(ask->items[i].step.step);
        step_job_view_release(&ask->items[i].job);
        artifact_free(ask->items[i].artifact);
    }
    free(ask->items);
    for (size_t i = 0; i < ask->outcome_count; i++)
        free(ask->outcomes[i].reason);
    free(ask->outcomes);
}
