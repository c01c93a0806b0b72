/* step_folders.c: folders in memory: all of them, in order of owners and paths, so that what is
 * beneath a folder stands right behind it. */
#include "engine/engine_state.h"

#include <inttypes.h>
#include <stdlib.h>

static int compare(const struct step_folder *f, struct str owner, struct str path)
{
    int by = strncmp(f->owner, owner.ptr ? owner.ptr : "", owner.len);
    if (by == 0)
        by = (strlen(f->owner) > owner.len);
    if (by == 0)
        by = strncmp(f->path, path.ptr, path.len);
    return by ? by : strlen(f->path) > path.len;
}

/* Where it stands, or would stand. */
static size_t place_of(const struct steps *steps, struct str owner, struct str path)
{
    size_t low = 0, high = steps->folder_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(steps->folders[middle], owner, path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct step_folder *steps_folder_find(struct engine *e, struct str owner, struct str path)
{
    const struct steps *steps = e->steps;
    size_t at = place_of(steps, owner, path);
    return at < steps->folder_count && compare(steps->folders[at], owner, path) == 0
               ? steps->folders[at]
               : NULL;
}

struct step_folder *steps_folder(struct engine *e, int64_t id)
{
    for (size_t i = 0; i < e->steps->folder_count; i++)
        if (e->steps->folders[i]->id == id)
            return e->steps->folders[i];
    return NULL;
}

void steps_folders_below(struct engine *e, struct str owner, struct str path, size_t *first,
                         size_t *end)
{
    const struct steps *steps = e->steps;
    size_t at = place_of(steps, owner, path);
    if (at < steps->folder_count && compare(steps->folders[at], owner, path) == 0)
        at++; /* the folder itself */
    *first = at;
    while (at < steps->folder_count && str_is(owner, steps->folders[at]->owner) &&
           strncmp(steps->folders[at]->path, path.ptr, path.len) == 0)
        at++;
    *end = at;
}

struct str step_folder_parent(struct str path)
{
    size_t len = path.len > 0 ? path.len - 1 : 0;
    while (len > 0 && path.ptr[len - 1] != '/')
        len--;
    return (struct str){path.ptr, len};
}

/* --- changes --- */

static void folder_free(struct step_folder *f)
{
    if (!f)
        return;
    free(f->owner);
    free(f->path);
    free(f->created_by);
    free(f);
}

/* Takes it over. */
static void insert(struct steps *steps, struct step_folder *f)
{
    if (steps->folder_count == steps->folder_cap) {
        steps->folder_cap = steps->folder_cap ? steps->folder_cap * 2 : 16;
        steps->folders = xrealloc(steps->folders, steps->folder_cap * sizeof(void *));
    }
    size_t at = place_of(steps, str_of(f->owner), str_of(f->path));
    memmove(steps->folders + at + 1, steps->folders + at,
            (steps->folder_count - at) * sizeof(void *));
    steps->folders[at] = f;
    steps->folder_count++;
}

/* The group stores it; a copy, for the committer. */
static void note(struct engine *e, const struct step_folder *f, bool gone)
{
    struct step_group *g = &e->building.steps;
    if (g->folder_count == g->folder_cap) {
        g->folder_cap = g->folder_cap ? g->folder_cap * 2 : 16;
        g->folders = xrealloc(g->folders, g->folder_cap * sizeof *g->folders);
    }
    struct step_folder_change *change = &g->folders[g->folder_count++];
    *change = (struct step_folder_change){.gone = gone,
                                          .folder = {.id = f->id,
                                                     .owner = xstrdup(f->owner),
                                                     .path = xstrdup(f->path),
                                                     .created_by = xstrdup(f->created_by),
                                                     .created_at_us = f->created_at_us}};
}

struct step_folder *steps_folder_need(struct engine *e, struct str owner, struct str path,
                                      struct str by)
{
    struct step_folder *found = steps_folder_find(e, owner, path);
    if (found)
        return found;
    struct str parent = step_folder_parent(path);
    if (parent.len > 1)
        (void)steps_folder_need(e, owner, parent, by);
    struct step_folder *f = xcalloc(1, sizeof *f);
    f->id = ++e->steps->last_folder;
    f->owner = xstrndup(owner.ptr ? owner.ptr : "", owner.len);
    f->path = xstrndup(path.ptr, path.len);
    f->created_by = xstrndup(by.ptr ? by.ptr : "", by.len);
    f->created_at_us = e->now.wall_us;
    insert(e->steps, f);
    note(e, f, false);
    return f;
}

void steps_folder_drop(struct engine *e, struct step_folder *f)
{
    struct steps *steps = e->steps;
    size_t at = place_of(steps, str_of(f->owner), str_of(f->path));
    assert(at < steps->folder_count && steps->folders[at] == f);
    steps->folder_count--;
    memmove(steps->folders + at, steps->folders + at + 1,
            (steps->folder_count - at) * sizeof(void *));
    note(e, f, true);
    folder_free(f);
}

void steps_folders_moved(struct engine *e, struct str owner, struct str from, struct str to)
{
    struct steps *steps = e->steps;
    struct step_folder **old = TAKE(steps->folders);
    size_t count = steps->folder_count;
    steps->folder_count = steps->folder_cap = 0;
    for (size_t i = 0; i < count; i++) {
        struct step_folder *f = old[i];
        if (str_is(owner, f->owner) && strncmp(f->path, from.ptr, from.len) == 0) {
            char *path = xasprintf("%.*s%s", (int)to.len, to.ptr, f->path + from.len);
            free(f->path);
            f->path = path;
        }
        insert(steps, f);
    }
    free(old);
}

/* --- the store --- */

static void load_folder(void *context, const struct step_folder_row *row)
{
    struct steps *steps = context;
    struct step_folder *f = xcalloc(1, sizeof *f);
    f->id = row->id;
    f->owner = xstrdup(row->owner);
    f->path = xstrdup(row->path);
    f->created_by = xstrdup(row->created_by);
    f->created_at_us = row->created_at_us;
    insert(steps, f);
}

bool steps_folders_load(struct engine *e, struct tx *tx, struct err *err)
{
    return step_folder_store_load(tx, load_folder, e->steps, &e->steps->last_folder, err);
}

void steps_folders_forget(struct steps *steps)
{
    for (size_t i = 0; i < steps->folder_count; i++)
        folder_free(steps->folders[i]);
    free(TAKE(steps->folders));
    steps->folder_count = steps->folder_cap = 0;
}

bool steps_folders_store(struct tx *tx, const struct step_group *g, struct err *err)
{
    for (size_t i = 0; i < g->folder_count; i++) {
        const struct step_folder_change *c = &g->folders[i];
        const struct step_folder_row row = {c->folder.id, c->folder.owner, c->folder.path,
                                            c->folder.created_by, c->folder.created_at_us};
        if (c->gone ? !step_folder_store_delete(tx, row.id, err)
                    : !step_folder_store_add(tx, &row, err))
            return false;
    }
    return true;
}

void steps_folders_release(struct step_group *g)
{
    for (size_t i = 0; i < g->folder_count; i++) {
        free(g->folders[i].folder.owner);
        free(g->folders[i].folder.path);
        free(g->folders[i].folder.created_by);
    }
    free(g->folders);
}
