/* step_folder_list.c: folders are listed, and what is in them (folder_op.h). */
#include "engine/engine_state.h"

#include <assert.h>
#include <stdlib.h>

void steps_folder_view(struct engine *e, struct op_folders *ask, const struct step_folder *f)
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

bool steps_folder_has(struct engine *e, struct tx *tx, const struct step_folder *f, unsigned things,
                      bool *out, struct err *err)
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

/* What a list is in the order of, and with equal ones in that of creation. */
struct key {
    struct str text;
    int64_t number, id;
};

struct chosen {
    const struct step_folder *folder;
    struct key key;
};

struct selection {
    struct chosen *items;
    size_t count;
};

static void selection_free(struct selection *s)
{
    if (s)
        free(s->items);
    free(s);
}
DEFINE_OWNED(selection)

static struct str name_of(const struct step_folder *f)
{
    assert(f->path);
    struct str path = str_of(f->path), parent = step_folder_parent(path);
    return (struct str){path.ptr + parent.len, path.len - parent.len - 1};
}

static struct key key_of(enum folders_order order, const struct step_folder *f)
{
    struct key key = {.text = STR(""), .id = f->id};
    if (order == FOLDERS_BY_CREATED)
        key.number = f->created_at_us;
    else
        key.text = order == FOLDERS_BY_NAME ? name_of(f) : str_of(f->path);
    return key;
}

static int compare_texts(struct str a, struct str b)
{
    int by = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
    return by ? by : (a.len > b.len) - (a.len < b.len);
}

static int compare(const struct key *a, const struct key *b, bool descending)
{
    int by = compare_texts(a->text, b->text);
    by = by ? by : (a->number > b->number) - (a->number < b->number);
    by = descending ? -by : by;
    return by ? by : (a->id > b->id) - (a->id < b->id);
}

static int upwards(const void *a, const void *b)
{
    return compare(&((const struct chosen *)a)->key, &((const struct chosen *)b)->key, false);
}

static int downwards(const void *a, const void *b)
{
    return compare(&((const struct chosen *)a)->key, &((const struct chosen *)b)->key, true);
}

static bool fits(const struct op_folders *ask, const char *above, const struct step_folder *f)
{
    struct str path = str_of(f->path), name = name_of(f);
    struct str part = ask->list.name, prefix = ask->list.prefix;
    if (!ask->list.below && !str_is(step_folder_parent(path), above))
        return false;
    if (prefix.len && strncmp(path.ptr, prefix.ptr, prefix.len) != 0)
        return false;
    return part.len == 0 || memmem(name.ptr, name.len, part.ptr, part.len);
}

/* Those that the list finds, in its order. */
static bool choose(struct engine *e, struct tx *tx, const struct op_folders *ask,
                   const struct folder_meant *m, struct selection *s, struct err *err)
{
    size_t first = 0, end = e->steps->folder_count;
    if (m->folder || !ask->list.of_all)
        steps_folders_below(e, str_of(m->owner), str_of(m->path), &first, &end);
    s->items = xcalloc(end - first + 1, sizeof *s->items);
    for (size_t i = first; i < end; i++) {
        const struct step_folder *f = e->steps->folders[i];
        bool has = false;
        if (!fits(ask, m->path, f))
            continue;
        if (!steps_folder_has(e, tx, f, ask->list.things, &has, err))
            return false;
        if (has)
            s->items[s->count++] = (struct chosen){f, key_of(ask->list.order, f)};
    }
    qsort(s->items, s->count, sizeof *s->items, ask->list.descending ? downwards : upwards);
    return true;
}

/* Whether it stands behind the place that the page before ended at. */
static bool is_behind(const struct op_folders *ask, const struct chosen *c)
{
    const struct key after = {.text = ask->list.after.ptr ? ask->list.after : STR(""),
                              .number = ask->list.after_number,
                              .id = ask->list.after_id ? ask->list.after_id : INT64_MAX};
    if (!ask->list.after.ptr && !ask->list.after_id)
        return true;
    return compare(&c->key, &after, ask->list.descending) > 0;
}

bool steps_folders_list(struct engine *e, struct op_folders *ask, struct err *err)
{
    OWNED(folder_meant_held) struct folder_meant *m = xcalloc(1, sizeof *m);
    OWNED(selection) struct selection *s = xcalloc(1, sizeof *s);
    OWNED(tx) struct tx *tx = NULL;
    if (!steps_folder_meant(e, ask, m, err) || !tx_begin(e->store, &tx, err) ||
        !choose(e, tx, ask, m, s, err))
        return false;
    size_t at = 0;
    while (at < s->count && !is_behind(ask, &s->items[at]))
        at++;
    ask->total = (int64_t)s->count;
    at = (int64_t)(s->count - at) > ask->list.offset ? at + (size_t)ask->list.offset : s->count;
    for (; at < s->count && (int64_t)ask->count < ask->list.limit; at++)
        steps_folder_view(e, ask, s->items[at].folder);
    ask->more = at < s->count;
    return true;
}

bool steps_folders_suggest(struct engine *e, struct op_folders *ask)
{
    for (size_t i = 0; i < e->steps->folder_count; i++) {
        const struct step_folder *f = e->steps->folders[i];
        if (!str_is(ask->by.owner, f->owner) ||
            (ask->path.len && strncmp(f->path, ask->path.ptr, ask->path.len) != 0))
            continue;
        ask->more = (int64_t)ask->count >= ask->list.limit;
        if (ask->more)
            break;
        steps_folder_view(e, ask, f);
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
        item->step = (struct step_view){step_hold(entry->now), entry->jobs, -1};
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

bool steps_folder_contents(struct engine *e, struct op_folders *ask, struct err *err)
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
