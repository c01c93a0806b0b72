/* step_memory.c: finding and replacing steps, jobs and artifacts. Things are immutable: whoever
 * changes one puts a copy in its place, once nothing can go wrong any more. So an op is all or
 * nothing, and what was handed out stays as it is. */
#include "engine/engine_state.h"
#include "engine/step_runs.h"

#include <inttypes.h>
#include <stdlib.h>

/* Beyond these, what nobody changes just now is forgotten. */
enum { THINGS_MAX = 8192 };
#define TEXT_BYTES_MAX (INT64_C(16) << 20)

/* --- the table --- */

static uint64_t hash_of_id(int64_t id)
{
    return (uint64_t)id * UINT64_C(0x9e3779b97f4a7c15) >> 20;
}

static uint64_t thing_hash(const void *item)
{
    return hash_of_id(((const struct thing *)item)->id);
}

static bool thing_is(const void *item, const void *ask)
{
    return ((const struct thing *)item)->id == *(const int64_t *)ask;
}

static const struct table_kind by_id = {thing_hash, thing_is};

static void let_go(enum thing_kind kind, const void *what)
{
    if (kind == THING_JOB)
        step_job_free(what);
    else
        artifact_free(what);
}

static const void *hold(enum thing_kind kind, const void *what)
{
    if (!what)
        return NULL;
    return kind == THING_JOB ? (const void *)step_job_hold(what)
                             : (const void *)artifact_hold(what);
}

static void thing_free(struct thing *t)
{
    let_go(t->kind, t->stored);
    let_go(t->kind, t->now);
    free(t);
}

static size_t length(const char *text)
{
    return text ? strlen(text) : 0;
}

static int64_t bytes_of(enum thing_kind kind, const void *what)
{
    const struct step_job *job = what;
    if (!what || kind != THING_JOB)
        return 0;
    return (int64_t)(length(job->parameters) + length(job->arguments) + length(job->result) +
                     length(job->error));
}

static struct thing *add_thing(struct steps *steps, enum thing_kind kind, int64_t id)
{
    struct thing *t = xcalloc(1, sizeof *t);
    t->id = id;
    t->kind = kind;
    table_add(&steps->things, &by_id, t);
    return t;
}

static void forget_things(struct steps *steps, bool all)
{
    struct table old = steps->things;
    steps->things = (struct table){0};
    steps->text_bytes = 0;
    for (size_t i = 0; i < old.size; i++) {
        struct thing *t = old.slots[i];
        if (t && !all && t->in_group)
            table_add(&steps->things, &by_id, t);
        else if (t)
            thing_free(t);
    }
    free(old.slots);
}

void steps_begin(struct engine *e)
{
    if (e->steps->things.count > THINGS_MAX || e->steps->text_bytes > TEXT_BYTES_MAX)
        forget_things(e->steps, false);
}

/* --- reading --- */

static int64_t folder_id(struct engine *e, const char *owner, const char *path)
{
    const struct step_folder *f = steps_folder_find(e, str_of(owner), str_of(path));
    return f ? f->id : 0;
}

static bool read_thing(struct engine *e, enum thing_kind kind, int64_t id, const void **out,
                       struct err *err)
{
    struct step_job *job = NULL;
    struct artifact *artifact = NULL;
    OWNED(tx) struct tx *tx = NULL;
    bool ok = tx_begin(e->store, &tx, err) &&
              (kind == THING_JOB ? step_job_store_read(tx, id, &job, err)
                                 : artifact_store_read(tx, id, &artifact, err));
    if (!ok)
        return false;
    if (job) {
        step_job_add_slots(job, steps_step_of(e, job));
        job->folder_id = folder_id(e, job->owner, job->folder);
    }
    if (artifact)
        artifact->folder_id = folder_id(e, artifact->owner, artifact->folder);
    *out = kind == THING_JOB ? (const void *)job : (const void *)artifact;
    return true;
}

static bool missing(enum thing_kind kind, int64_t id, struct err *err)
{
    return err_set(err, ERR_NOT_FOUND, "there is no %s %" PRId64,
                   kind == THING_JOB ? "step job" : "artifact", id);
}

static struct thing *find(struct engine *e, enum thing_kind kind, int64_t id, struct err *err)
{
    struct steps *steps = e->steps;
    struct thing *t = table_find(&steps->things, &by_id, hash_of_id(id), &id);
    const void *read = NULL;
    if (!t) {
        if (id > 0 && id <= e->last_id && !read_thing(e, kind, id, &read, err))
            return NULL;
        if (read) {
            t = add_thing(steps, kind, id);
            t->stored = read;
            t->now = hold(kind, read);
            steps->text_bytes += bytes_of(kind, read);
        }
    }
    if (t && t->kind == kind && t->now)
        return t;
    missing(kind, id, err);
    return NULL;
}

const struct step_job *steps_job(struct engine *e, int64_t id, struct err *err)
{
    const struct thing *t = find(e, THING_JOB, id, err);
    return t ? t->job : NULL;
}

const struct artifact *steps_artifact(struct engine *e, int64_t id, struct err *err)
{
    const struct thing *t = find(e, THING_ARTIFACT, id, err);
    return t ? t->artifact : NULL;
}

static bool sees(const struct step_asker *by, const char *owner)
{
    return by->everyone || str_is(by->owner, owner);
}

const struct step_job *steps_job_for(struct engine *e, const struct step_asker *by, int64_t id,
                                     struct err *err)
{
    const struct step_job *job = steps_job(e, id, err);
    if (!job || sees(by, job->owner))
        return job;
    missing(THING_JOB, id, err);
    return NULL;
}

const struct artifact *steps_artifact_for(struct engine *e, const struct step_asker *by, int64_t id,
                                          struct err *err)
{
    const struct artifact *a = steps_artifact(e, id, err);
    if (!a || sees(by, a->owner))
        return a;
    missing(THING_ARTIFACT, id, err);
    return NULL;
}

/* --- changing --- */

static void touch(struct engine *e, struct thing *t)
{
    struct step_group *g = &e->building.steps;
    if (t->in_group)
        return;
    t->in_group = true;
    if (g->thing_count == g->thing_cap) {
        g->thing_cap = g->thing_cap ? g->thing_cap * 2 : 64;
        g->things = xrealloc(g->things, g->thing_cap * sizeof(void *));
    }
    g->things[g->thing_count++] = t;
}

/* What is put into a folder makes it: its id. */
static int64_t need_folder(struct engine *e, const char *owner, const char *path, const char *by)
{
    return path[1] == '\0' ? 0 : steps_folder_need(e, str_of(owner), str_of(path), str_of(by))->id;
}

static void put(struct engine *e, enum thing_kind kind, int64_t id, const void *after)
{
    struct steps *steps = e->steps;
    struct thing *t = table_find(&steps->things, &by_id, hash_of_id(id), &id);
    if (!t)
        t = add_thing(steps, kind, id);
    assert(t->kind == kind);
    let_go(kind, t->now);
    t->now = after;
    steps->text_bytes += bytes_of(kind, after);
    touch(e, t);
}

void steps_put_job(struct engine *e, int64_t id, struct step_job *after)
{
    if (after)
        after->folder_id = need_folder(e, after->owner, after->folder, after->created_by);
    put(e, THING_JOB, id, after);
}

void steps_put_artifact(struct engine *e, int64_t id, struct artifact *after)
{
    if (after)
        after->folder_id = need_folder(e, after->owner, after->folder, after->created_by);
    put(e, THING_ARTIFACT, id, after);
}

int64_t steps_new_id(struct engine *e)
{
    e->building.tasks.enqueues = true; /* so that the sequence is stored */
    return ++e->last_id;
}

void steps_hold_texts(struct engine *e, const struct step_job *job)
{
    struct step_group *g = &e->building.steps;
    if (g->held_count == g->held_cap) {
        g->held_cap = g->held_cap ? g->held_cap * 2 : 64;
        g->held = xrealloc(g->held, g->held_cap * sizeof(void *));
    }
    g->held[g->held_count++] = step_job_hold(job);
}

/* --- steps --- */

struct step_entry *steps_entry(struct engine *e, int64_t id)
{
    const struct steps *steps = e->steps;
    size_t low = 0, high = steps->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (steps->entries[middle]->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    struct step_entry *entry = low < steps->count ? steps->entries[low] : NULL;
    return entry && entry->id == id && entry->now ? entry : NULL;
}

struct step_entry *steps_entry_for(struct engine *e, const struct step_asker *by, int64_t id,
                                   struct err *err)
{
    struct step_entry *entry = steps_entry(e, id);
    if (entry && (by->everyone || step_is_open_to(entry->now, by->owner)))
        return entry;
    err_set(err, ERR_NOT_FOUND, "there is no step %" PRId64, id);
    return NULL;
}

const struct step *steps_step_of(struct engine *e, const struct step_job *job)
{
    const struct step_entry *entry = job->step ? steps_entry(e, job->step) : NULL;
    return entry ? entry->now : NULL;
}

/* Ids grow: it comes last. */
struct step_entry *steps_add_entry(struct engine *e, int64_t id)
{
    struct steps *steps = e->steps;
    if (steps->count == steps->cap) {
        steps->cap = steps->cap ? steps->cap * 2 : 16;
        steps->entries = xrealloc(steps->entries, steps->cap * sizeof(void *));
    }
    struct step_entry *entry = xcalloc(1, sizeof *entry);
    entry->id = id;
    steps->entries[steps->count++] = entry;
    return entry;
}

void steps_put_step(struct engine *e, struct step_entry *entry, struct step *after)
{
    struct step_group *g = &e->building.steps;
    if (after)
        after->folder_id = need_folder(e, after->owner, after->folder, after->created_by);
    step_free(entry->now);
    entry->now = after;
    if (entry->in_group)
        return;
    entry->in_group = true;
    if (g->step_count == g->step_cap) {
        g->step_cap = g->step_cap ? g->step_cap * 2 : 16;
        g->steps = xrealloc(g->steps, g->step_cap * sizeof(void *));
    }
    g->steps[g->step_count++] = entry;
}

void steps_things_moved(struct engine *e, struct str owner, struct str from, struct str to)
{
    struct steps *steps = e->steps;
    forget_things(steps, true);
    for (size_t i = 0; i < steps->count; i++) {
        struct step_entry *entry = steps->entries[i];
        assert(!entry->in_group);
        if (!entry->now || !str_is(owner, entry->now->owner) ||
            strncmp(entry->now->folder, from.ptr, from.len) != 0)
            continue;
        struct step *copy = step_copy(entry->now);
        free(copy->folder);
        copy->folder = xasprintf("%.*s%s", (int)to.len, to.ptr, entry->now->folder + from.len);
        step_free(entry->now);
        step_free(entry->stored);
        entry->now = copy;
        entry->stored = step_hold(copy);
    }
}

/* --- counts --- */

static struct step_tally *find_tally(const struct steps *steps, struct str owner)
{
    for (size_t i = 0; i < steps->tally_count; i++)
        if (str_is(owner, steps->tallies[i].owner))
            return &steps->tallies[i];
    return NULL;
}

static struct step_tally *need_tally(struct steps *steps, struct str owner)
{
    struct step_tally *found = find_tally(steps, owner);
    if (found)
        return found;
    steps->tallies = xrealloc(steps->tallies, (steps->tally_count + 1) * sizeof *steps->tallies);
    found = &steps->tallies[steps->tally_count++];
    *found = (struct step_tally){.owner = xstrndup(owner.ptr ? owner.ptr : "", owner.len)};
    return found;
}

void steps_count_job(struct engine *e, const struct step_job *before, const struct step_job *after)
{
    const struct step_job *any = after ? after : before;
    if (!any)
        return;
    struct step_tally *tally = need_tally(e->steps, str_of(any->owner));
    if (before)
        tally->counts[before->state]--;
    if (after)
        tally->counts[after->state]++;
}

int64_t steps_tally(const struct engine *e, struct str owner, enum job_state state)
{
    const struct step_tally *tally = find_tally(e->steps, owner);
    int64_t all = 0;
    for (int i = 0; tally && i < JOB_STATE_COUNT; i++)
        if (state == JOB_STATE_COUNT || (int)state == i)
            all += tally->counts[i];
    return all;
}

void steps_count_artifact(struct engine *e, const struct artifact *before,
                          const struct artifact *after)
{
    if (before)
        need_tally(e->steps, str_of(before->owner))->artifact_bytes -= before->bytes;
    if (after)
        need_tally(e->steps, str_of(after->owner))->artifact_bytes += after->bytes;
}

int64_t steps_artifact_bytes(const struct engine *e, struct str owner)
{
    const struct step_tally *tally = find_tally(e->steps, owner);
    return tally ? tally->artifact_bytes : 0;
}

static void load_bytes(void *context, struct str owner, int64_t bytes)
{
    struct engine *e = context;
    need_tally(e->steps, owner)->artifact_bytes = bytes;
}

static void load_tally(void *context, struct str owner, enum job_state state, int64_t count)
{
    struct engine *e = context;
    need_tally(e->steps, owner)->counts[state] = count;
}

static void forget_tallies(struct steps *steps)
{
    for (size_t i = 0; i < steps->tally_count; i++)
        free(steps->tallies[i].owner);
    free(TAKE(steps->tallies));
    steps->tally_count = 0;
}

/* --- beginning and end --- */

static void forget_steps(struct steps *steps)
{
    for (size_t i = 0; i < steps->count; i++) {
        step_free(steps->entries[i]->stored);
        step_free(steps->entries[i]->now);
        free(steps->entries[i]);
    }
    free(TAKE(steps->entries));
    steps->count = steps->cap = 0;
}

static void load_step(void *context, struct step *s, int64_t jobs)
{
    struct step_entry *entry = steps_add_entry(context, s->id);
    s->folder_id = folder_id(context, s->owner, s->folder);
    entry->stored = s;
    entry->now = step_hold(s);
    entry->jobs = jobs;
}

bool steps_load(struct engine *e, struct err *err)
{
    struct steps *steps = e->steps;
    forget_things(steps, true);
    forget_steps(steps);
    forget_tallies(steps);
    steps_folders_forget(steps);
    steps->unreadable = true;
    OWNED(tx) struct tx *tx = NULL;
    if (!tx_begin(e->store, &tx, err) || !steps_folders_load(e, tx, err) ||
        !step_store_load(tx, load_step, e, err) || !step_job_store_tally(tx, load_tally, e, err) ||
        !artifact_store_bytes(tx, load_bytes, e, err) ||
        !step_job_store_last_time(tx, &steps->last_job_us, err))
        return err_add(err, "read steps");
    steps->unreadable = false;
    return true;
}

/* An owner's jobs that the store has as running. */
static bool load_runs(struct engine *e, const struct step_tally *tally, struct err *err)
{
    const struct step_filter filter = {
        .owner = str_of(tally->owner), .by_state = true, .state = JOB_RUNNING};
    const struct step_page page = {.limit = tally->counts[JOB_RUNNING]};
    OWNED_MEM struct step_place *places = xcalloc((size_t)page.limit + 1, sizeof *places);
    size_t count = 0;
    OWNED(tx) struct tx *tx = NULL;
    if (!tx_begin(e->store, &tx, err) ||
        !step_job_store_list(tx, &filter, &page, places, &count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct step_job *job = NULL;
        if (!step_job_store_read(tx, places[i].id, &job, err))
            return false;
        if (job)
            step_runs_set(e->step_runs, job->id, job->fence);
        step_job_free(job);
    }
    return true;
}

bool steps_open(struct engine *e, struct err *err)
{
    e->steps = xcalloc(1, sizeof *e->steps);
    if (!steps_load(e, err) || !steps_tell_again(e, err))
        return false;
    for (size_t i = 0; i < e->steps->tally_count; i++)
        if (!load_runs(e, &e->steps->tallies[i], err))
            return err_add(err, "read steps");
    return true;
}

void steps_free(struct engine *e)
{
    if (!e->steps)
        return;
    forget_things(e->steps, true);
    forget_steps(e->steps);
    forget_tallies(e->steps);
    steps_folders_forget(e->steps);
    free(TAKE(e->steps));
}

/* --- whether an op may be applied --- */

/* A run may ask as long as it goes on. */
static bool run_goes_on(struct engine *e, const struct step_asker *by, struct err *err)
{
    struct err ignored = {0};
    const struct step_job *job = by->job ? steps_job(e, by->job, &ignored) : NULL;
    if (!by->job || (job && job->state == JOB_RUNNING && job->fence == by->fence))
        return true;
    return err_set(err, ERR_UNAUTHORIZED, "this token's run is over");
}

bool steps_are_ready(struct engine *e, struct op *op, const struct step_asker *by, bool changes)
{
    if (!tasks_are_ready(e, op, changes))
        return false;
    if (e->steps->unreadable && !steps_load(e, &op->err))
        return false;
    return run_goes_on(e, by, &op->err);
}

enum op_fate steps_fate(const struct engine *e)
{
    return steps_stir(&e->building) || tasks_stir(&e->building) ? FATE_DURABLE : FATE_NOW;
}
