/* step_lineage.c: what made an artifact, and what was made from it: its jobs, nearest first, each
 * way so far as was asked. */
#include "core/id_set.h"
#include "engine/engine_state.h"

#include <stdlib.h>

enum { JOBS_MAX = 1000, USERS_MAX = 1000 };

struct tracing {
    struct engine *e;
    struct op_lineage *ask;
    struct id_list jobs;      /* known ones, in the order in which they were found */
    struct id_set *artifacts; /* known ones: there may be 10,000 of each job */
    int64_t limit;
    bool more;
    struct err *err;
};

static bool add_job(struct tracing *t, int64_t id)
{
    for (size_t i = 0; i < t->jobs.count; i++)
        if (t->jobs.items[i] == id)
            return false;
    if ((int64_t)t->jobs.count >= t->limit) {
        t->more = true;
        return false;
    }
    id_list_add(&t->jobs, id);
    return true;
}

static void add_artifact(struct tracing *t, struct id_list *next, int64_t id)
{
    static const struct id_form form = {0};
    if (!id_set_mark(t->artifacts, id_of_number(id, &form), ID_SEEN))
        id_list_add(next, id);
}

/* --- up: who made it, of what --- */

static bool step_up(struct tracing *t, int64_t id, struct id_list *next)
{
    const struct artifact *a = steps_artifact(t->e, id, t->err);
    if (!a)
        return false;
    if (!a->job || !add_job(t, a->job))
        return true;
    const struct step_job *job = steps_job(t->e, a->job, t->err);
    for (size_t i = 0; job && i < job->input_count; i++)
        for (size_t k = 0; k < job->inputs[i].count; k++)
            add_artifact(t, next, job->inputs[i].ids[k]);
    return job != NULL;
}

/* --- down: who used it, for what --- */

static void add_user(void *context, int64_t job)
{
    id_list_add(context, job);
}

static bool step_down(struct tracing *t, int64_t id, struct id_list *next)
{
    struct id_list users = {0};
    OWNED(tx) struct tx *tx = NULL;
    bool good = tx_begin(t->e->store, &tx, t->err) &&
                artifact_store_users(tx, id, USERS_MAX, add_user, &users, t->err);
    tx_free(TAKE(tx));
    for (size_t i = 0; good && i < users.count; i++) {
        if (!add_job(t, users.items[i]))
            continue;
        struct err gone = {0};
        const struct step_job *job = steps_job(t->e, users.items[i], &gone);
        for (size_t k = 0; job && k < job->output_count; k++)
            add_artifact(t, next, job->outputs[k].artifact);
    }
    t->more = t->more || users.count == USERS_MAX;
    id_list_release(&users);
    return good;
}

/* Goes so many jobs far. */
static bool trace(struct tracing *t, int64_t far,
                  bool (*step)(struct tracing *t, int64_t id, struct id_list *next))
{
    struct id_list front = {0};
    OWNED(id_set) struct id_set *artifacts = id_set_new();
    bool good = true;
    id_list_add(&front, t->ask->artifact);
    t->artifacts = artifacts;
    for (int64_t depth = 0; good && front.count && depth < far; depth++) {
        struct id_list next = {0};
        for (size_t i = 0; good && i < front.count; i++)
            good = step(t, front.items[i], &next);
        id_list_release(&front);
        front = next;
    }
    id_list_release(&front);
    t->artifacts = NULL;
    return good;
}

static bool show(struct tracing *t)
{
    struct op_lineage *ask = t->ask;
    struct err gone = {0};
    ask->jobs = xcalloc(t->jobs.count + 1, sizeof *ask->jobs);
    for (size_t i = 0; i < t->jobs.count; i++) {
        const struct step_job *job = steps_job(t->e, t->jobs.items[i], &gone);
        if (job && !step_job_view_make(t->e, job, &ask->jobs[ask->count++], t->err)) {
            ask->count--;
            return false;
        }
    }
    ask->more = t->more;
    return true;
}

enum op_fate op_lineage(struct engine *e, struct op *op)
{
    struct op_lineage *ask = &op->lineage;
    struct tracing t = {.e = e, .ask = ask, .err = &op->err, .limit = JOBS_MAX};
    if (!steps_are_ready(e, op, &ask->by, false))
        return FATE_NOW;
    const struct artifact *of = steps_artifact_for(e, &ask->by, ask->artifact, &op->err);
    if (!of)
        return FATE_NOW;
    ask->of = artifact_hold(of);
    if (ask->limit > 0 && ask->limit < JOBS_MAX)
        t.limit = ask->limit;
    bool good = trace(&t, ask->up, step_up) && trace(&t, ask->down, step_down) && show(&t);
    id_list_release(&t.jobs);
    return good ? steps_fate(e) : FATE_NOW;
}
