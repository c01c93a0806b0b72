/* step_folder_op.c: folders are shown, made, moved and deleted (folder_op.h). What changes
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

/* --- shown --- */

static bool show(struct engine *e, struct op_folders *ask, struct err *err)
{
    OWNED(folder_meant_held) struct folder_meant *m = xcalloc(1, sizeof *m);
    if (!steps_folder_meant(e, ask, m, err) || !must_be_folder(m, err))
        return false;
    steps_folder_view(e, ask, m->folder);
    return true;
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
    steps_folder_view(e, ask, steps_folder_need(e, ask->by.owner, str_of(path), ask->by.name));
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
    steps_folder_view(e, ask, m->folder);
    return true;
}

static bool is_empty(struct engine *e, const struct folder_meant *m, bool *out, struct err *err)
{
    size_t first = 0, end = 0;
    bool has = false;
    OWNED(tx) struct tx *tx = NULL;
    steps_folders_below(e, str_of(m->owner), str_of(m->path), &first, &end);
    if (!tx_begin(e->store, &tx, err) || !steps_folder_has(e, tx, m->folder, ~0u, &has, err))
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
        good = steps_folders_list(e, ask, &op->err);
        break;
    case FOLDERS_SUGGEST:
        good = steps_folders_suggest(e, ask);
        break;
    case FOLDERS_CONTENTS:
        good = steps_folder_contents(e, ask, &op->err);
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
