/* step_folder_clear.c: a folder is cleared: what may be deleted is, in it and beneath it; folders
 * stay. What one thing holds up another may free, so everything is tried again until nothing more
 * goes. */
#include "engine/engine_state.h"

#include <stdlib.h>

struct clearing {
    struct engine *e;
    struct op_folders *ask;
};

static void add_thing(void *context, int64_t id, enum step_thing thing)
{
    struct clearing *c = context;
    struct op_folders *ask = c->ask;
    ask->outcomes = xrealloc(ask->outcomes, (ask->outcome_count + 1) * sizeof *ask->outcomes);
    ask->outcomes[ask->outcome_count++] = (struct folder_outcome){.id = id, .thing = thing};
}

static bool find_things(struct clearing *c, const struct folder_meant *m, struct err *err)
{
    const struct step_folder_place place = {str_of(m->owner), str_of(m->path), true};
    OWNED(tx) struct tx *tx = NULL;
    if (!tx_begin(c->e->store, &tx, err) ||
        !step_folder_store_contents(tx, &place, INT64_MAX, FOLDER_CLEAR_MAX + 1, add_thing, c, err))
        return false;
    c->ask->more = c->ask->outcome_count > FOLDER_CLEAR_MAX;
    if (c->ask->more)
        c->ask->outcome_count--;
    for (size_t i = 0; i < c->e->steps->count; i++) {
        const struct step *s = c->e->steps->entries[i]->now;
        if (s && strcmp(s->owner, m->owner) == 0 &&
            strncmp(s->folder, m->path, strlen(m->path)) == 0)
            add_thing(c, s->id, STEP_THING_STEP);
    }
    return true;
}

/* What it is now decides; what is gone already (an output that its job took along) is deleted. */
static bool delete_thing(struct engine *e, const struct folder_outcome *o, bool keeps_steps,
                         struct err *err)
{
    if (o->thing == STEP_THING_STEP) {
        if (keeps_steps)
            return err_set(err, ERR_FORBIDDEN, "steps are deleted with the scope admin");
        struct step_entry *entry = steps_entry(e, o->id);
        return !entry || steps_delete_step(e, entry, err);
    }
    if (o->thing == STEP_THING_JOB) {
        const struct step_job *job = steps_job(e, o->id, err);
        return job ? steps_delete_job(e, job, err) : err->code == ERR_NOT_FOUND;
    }
    const struct artifact *a = steps_artifact(e, o->id, err);
    if (!a)
        return err->code == ERR_NOT_FOUND;
    if (!artifact_may_go(a, err))
        return false;
    steps_drop_artifact(e, a);
    return true;
}

/* Goes through all that are there; whether one of them went. */
static bool try_all(struct engine *e, struct op_folders *ask, bool *gone)
{
    bool went = false;
    for (size_t i = 0; i < ask->outcome_count; i++) {
        struct folder_outcome *o = &ask->outcomes[i];
        struct err err = {0};
        if (gone[i])
            continue;
        gone[i] = delete_thing(e, o, ask->keeps_steps, &err);
        went = went || gone[i];
        free(TAKE(o->reason));
        if (!gone[i])
            o->reason = xstrdup(err.text);
    }
    return went;
}

bool steps_folder_clear(struct engine *e, struct op *op)
{
    struct op_folders *ask = &op->folders;
    struct clearing c = {e, ask};
    OWNED(folder_meant_held) struct folder_meant *m = xcalloc(1, sizeof *m);
    if (!steps_settle_first(e, op, &ask->by) || !steps_folder_meant(e, ask, m, &op->err) ||
        !find_things(&c, m, &op->err))
        return false;
    OWNED_MEM bool *gone = xcalloc(ask->outcome_count + 1, sizeof *gone);
    while (try_all(e, ask, gone))
        ;
    for (size_t i = 0; i < ask->outcome_count; i++)
        ask->deleted += gone[i];
    return true;
}
