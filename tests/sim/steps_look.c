/* steps_look.c: what the engine shows of steps, jobs, artifacts and folders, against the model of
 * the simulation (steps_sim.h). */
#include "engine/feed.h"
#include "steps_sim.h"

#include <stdarg.h>

enum { PAGE = 7, ROUNDS_MAX = 100 };

/* What is not as it should be; always false. */
static struct {
    char *text;
    size_t size;
} reason;

__attribute__((format(printf, 1, 2))) static bool differs(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(reason.text, reason.size, format, args);
    va_end(args);
    return false;
}

/* --- jobs ------------------------------------------------------------------------------------ */

/* The thing of that id; else the new one, which gets it. */
static int place_of_job(struct model *m, int64_t id, int owner)
{
    int fresh = NONE;
    for (int i = 0; i < m->job_count; i++) {
        if (m->jobs[i].id == id)
            return i;
        if (m->jobs[i].id == NONE && m->jobs[i].owner == owner)
            fresh = i;
    }
    if (fresh != NONE)
        m->jobs[fresh].id = id;
    return fresh;
}

static int place_of_artifact(struct model *m, int64_t id, int owner)
{
    int fresh = NONE;
    for (int i = 0; i < m->artifact_count; i++) {
        if (m->artifacts[i].id == id)
            return i;
        if (m->artifacts[i].id == NONE && m->artifacts[i].owner == owner)
            fresh = i;
    }
    if (fresh != NONE)
        m->artifacts[fresh].id = id;
    return fresh;
}

static bool same_inputs(struct model *m, const struct known_job *j, const struct step_job *seen)
{
    int slots = j->step == NONE ? 0 : step_kinds[j->step].inputs;
    if ((int)seen->input_count != slots)
        return differs("job %lld has %zu slots", (long long)j->id, seen->input_count);
    for (int slot = 0; slot < slots; slot++) {
        if ((int)seen->inputs[slot].count != j->input_counts[slot])
            return differs("job %lld has %zu in slot %d, not %d", (long long)j->id,
                           seen->inputs[slot].count, slot, j->input_counts[slot]);
        for (int i = 0; i < j->input_counts[slot]; i++)
            if (seen->inputs[slot].ids[i] != m->artifacts[j->inputs[slot][i]].id)
                return differs("job %lld has artifact %lld in slot %d", (long long)j->id,
                               (long long)seen->inputs[slot].ids[i], slot);
    }
    return true;
}

static bool same_outputs(struct model *m, int job, const struct step_job *seen)
{
    if ((int)seen->output_count != output_count(m, job))
        return differs("job %lld has %zu outputs, not %d", (long long)seen->id, seen->output_count,
                       output_count(m, job));
    for (size_t i = 0; i < seen->output_count; i++) {
        const struct step_output *out = &seen->outputs[i];
        int at = place_of_artifact(m, out->artifact, m->jobs[job].owner);
        const struct known_artifact *a = at == NONE ? NULL : &m->artifacts[at];
        if (!a || a->gone || a->job != job || a->slot != out->slot || a->place != out->place)
            return differs("job %lld has output %lld in slot %lld", (long long)seen->id,
                           (long long)out->artifact, (long long)out->slot);
    }
    return true;
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_run(const struct known_job *j, const struct step_job_view *view)
{
    const struct step_job *seen = view->job;
    char result[32];
    snprintf(result, sizeof result, "{\"r\":%d}", j->result);
    if (seen->fence != j->fence || (seen->error != NULL) != j->error ||
        !same_text(seen->result, j->result ? result : NULL))
        return differs("job %lld: fence %lld, error %s, result %s", (long long)j->id,
                       (long long)seen->fence, seen->error ? seen->error : "-",
                       seen->result ? seen->result : "-");
    if (is_waiting_or_running(j) && view->attempts != j->attempts)
        return differs("job %lld: %lld attempts, not %d", (long long)j->id,
                       (long long)view->attempts, j->attempts);
    return true;
}

static bool same_job(struct model *m, int place, const struct step_job_view *view)
{
    const struct known_job *j = &m->jobs[place];
    const struct step_job *seen = view->job;
    const char *name = job_names[j->name];
    if (j->gone)
        return differs("job %lld is there", (long long)j->id);
    if (seen->state != j->state)
        return differs("job %lld is %s, not %s", (long long)j->id, job_state_name(seen->state),
                       job_state_name(j->state));
    if (strcmp(seen->owner, owner_names[j->owner]) != 0 || strcmp(seen->name, name) != 0 ||
        strcmp(seen->folder, j->folder) != 0)
        return differs("job %lld: %s of %s in %s", (long long)j->id, seen->name, seen->owner,
                       seen->folder);
    if (seen->step != (j->step == NONE ? 0 : m->steps[j->step].id) ||
        seen->parent != (j->parent == NONE ? 0 : m->jobs[j->parent].id) ||
        seen->sub_jobs != sub_job_count(m, place))
        return differs("job %lld: step %lld, parent %lld, %lld sub jobs", (long long)j->id,
                       (long long)seen->step, (long long)seen->parent, (long long)seen->sub_jobs);
    if (!same_text(seen->parameters, parameter_texts[j->parameters]) || seen->hidden != j->hidden ||
        seen->output_deletable != j->output_deletable || seen->max_attempts != j->max_attempts ||
        (seen->options != NULL) != j->retries)
        return differs("job %lld: parameters %s, or options", (long long)j->id,
                       seen->parameters ? seen->parameters : "-");
    return same_run(j, view) && same_inputs(m, j, seen) && same_outputs(m, place, seen);
}

/* All of an owner's, page by page. */
static bool same_jobs(struct model *m, int owner)
{
    int expected = 0, found = 0;
    OWNED_MEM char *after = NULL;
    struct step_page page = {.limit = 1 + pick(PAGE), .sort = pick(2) ? STEP_SORT_NAME : 0};
    bool more = true, good = true;
    for (int i = 0; i < m->job_count; i++)
        expected += !m->jobs[i].gone && m->jobs[i].owner == owner;
    while (more && good) {
        struct op op;
        op_init(&op, OP_STEP_JOBS);
        op.step_jobs.by = asker(owner);
        op.step_jobs.filter.owner = str_of(owner_names[owner]);
        op.step_jobs.page = page;
        op.step_jobs.wants_total = true;
        ask(&op);
        MUST(op.err.code == ERR_NONE, "list: %s", op.err.text);
        for (size_t i = 0; i < op.step_jobs.count && good; i++) {
            const struct step_job *seen = op.step_jobs.views[i].job;
            int place = place_of_job(m, seen->id, owner);
            good = place != NONE ? same_job(m, place, &op.step_jobs.views[i])
                                 : differs("job %lld comes from nowhere", (long long)seen->id);
            found++;
        }
        if (good && op.step_jobs.total != expected)
            good = differs("%lld jobs of owner %d, not %d", (long long)op.step_jobs.total, owner,
                           expected);
        more = op.step_jobs.more;
        if (more) {
            page.goes_on = true;
            page.after_id = op.step_jobs.last->id;
            page.after_number = op.step_jobs.last->number;
            free(after);
            after = xstrdup_or_null(op.step_jobs.last->text);
            page.after_text = str_of(after ? after : "");
        }
        op_release(&op);
    }
    return good && (found == expected ||
                    differs("%d jobs of owner %d are listed, not %d", found, owner, expected));
}

/* --- artifacts ------------------------------------------------------------------------------- */

static bool same_artifact(struct model *m, int place, const struct artifact *seen)
{
    const struct known_artifact *a = &m->artifacts[place];
    if (a->gone)
        return differs("artifact %lld is there", (long long)a->id);
    if (seen->job != (a->job == NONE ? 0 : m->jobs[a->job].id) ||
        (a->job != NONE && (seen->slot != a->slot || seen->place != a->place)) ||
        seen->fence != a->fence)
        return differs("artifact %lld is of job %lld, slot %lld", (long long)a->id,
                       (long long)seen->job, (long long)seen->slot);
    if (seen->used != times_used(m, place))
        return differs("artifact %lld is used %lld times, not %d", (long long)a->id,
                       (long long)seen->used, times_used(m, place));
    if (seen->hidden != a->hidden || seen->deletable != a->deletable ||
        strcmp(seen->folder, a->folder) != 0 || strcmp(seen->owner, owner_names[a->owner]) != 0)
        return differs("artifact %lld of %s in %s", (long long)a->id, seen->owner, seen->folder);
    return true;
}

static bool same_artifacts(struct model *m, int owner)
{
    int expected = 0;
    struct op op;
    for (int i = 0; i < m->artifact_count; i++)
        expected += !m->artifacts[i].gone && m->artifacts[i].owner == owner;
    op_init(&op, OP_ARTIFACTS);
    op.artifacts.by = asker(owner);
    op.artifacts.filter.owner = str_of(owner_names[owner]);
    op.artifacts.page.limit = ARTIFACTS;
    ask(&op);
    MUST(op.err.code == ERR_NONE, "list: %s", op.err.text);
    bool good = true;
    for (size_t i = 0; i < op.artifacts.count && good; i++) {
        const struct artifact *seen = op.artifacts.artifacts[i];
        int place = place_of_artifact(m, seen->id, owner);
        good = place != NONE ? same_artifact(m, place, seen)
                             : differs("artifact %lld comes from nowhere", (long long)seen->id);
    }
    if (good && (int)op.artifacts.count != expected)
        good = differs("%zu artifacts of owner %d, not %d", op.artifacts.count, owner, expected);
    op_release(&op);
    return good;
}

/* --- tasks ----------------------------------------------------------------------------------- */

struct task_view task_of(int64_t id, bool *there)
{
    struct op op;
    op_init(&op, OP_TASK_SHOW);
    op.task_show.id = id;
    ask(&op);
    MUST(op.err.code == ERR_NONE || op.refusal == REFUSED_TASK_UNKNOWN, "task: %s", op.err.text);
    *there = op.err.code == ERR_NONE;
    struct task_view view = op.task_show.view;
    op.task_show.view = (struct task_view){0};
    op_release(&op);
    return view;
}

/* What its worker is told about a run that is to stop is what was asked for. */
static bool same_tasks(const struct model *m)
{
    bool good = true;
    for (int i = 0; i < m->job_count && good; i++) {
        const struct known_job *j = &m->jobs[i];
        bool there = false;
        /* Whether the task of one that has ended is forgotten, nothing else tells. */
        bool tells = j->state == JOB_RUNNING || (world->in_doubt && job_state_is_final(j->state));
        if (j->gone || !tells)
            continue;
        struct task_view view = task_of(j->id, &there);
        if (there != j->has_task)
            good = differs("job %lld: whether it has a task", (long long)j->id);
        else if (there && (view.abort == ABORT_CANCELLED) != j->cancel_asked)
            good = differs("job %lld: whether it is to stop", (long long)j->id);
        task_view_release(&view);
    }
    return good;
}

/* --- steps, folders -------------------------------------------------------------------------- */

static int64_t jobs_of_step(const struct model *m, int step)
{
    int64_t count = 0;
    for (int i = 0; i < m->job_count; i++)
        count += !m->jobs[i].gone && m->jobs[i].step == step;
    return count;
}

static bool same_steps(struct model *m)
{
    for (int i = 0; i < STEPS; i++) {
        struct op op;
        op_init(&op, OP_STEPS);
        op.steps.verb = STEPS_SHOW;
        op.steps.by = asker(step_kinds[i].owner);
        op.steps.name.ptr = step_kinds[i].function;
        op.steps.name.len = strcspn(step_kinds[i].function, ":");
        ask(&op);
        bool there = op.err.code == ERR_NONE;
        const struct step_view *seen = there ? &op.steps.views[0] : NULL;
        if (seen && m->steps[i].id == NONE)
            m->steps[i].id = seen->step->id;
        bool good = there == m->steps[i].there &&
                    (!seen || (seen->step->id == m->steps[i].id &&
                               seen->step->is_public == m->steps[i].is_public &&
                               seen->jobs == jobs_of_step(m, i)));
        if (!good)
            differs("step %s: %s, %lld jobs", step_kinds[i].function, there ? "there" : "gone",
                    seen ? (long long)seen->jobs : 0);
        op_release(&op);
        if (!good)
            return false;
    }
    return true;
}

static bool same_folder(struct model *m, int owner, const struct folder_view *seen)
{
    for (int i = 0; i < m->folder_count; i++) {
        struct known_folder *f = &m->folders[i];
        if (f->gone || f->owner != owner || strcmp(f->path, seen->path) != 0)
            continue;
        if (f->id == NONE)
            f->id = seen->id;
        return f->id == seen->id || differs("folder %s is %lld, not %lld", f->path,
                                            (long long)seen->id, (long long)f->id);
    }
    return differs("folder %s comes from nowhere", seen->path);
}

static bool same_folders(struct model *m, int owner)
{
    int expected = 0;
    bool good = true;
    struct op op;
    for (int i = 0; i < m->folder_count; i++)
        expected += !m->folders[i].gone && m->folders[i].owner == owner;
    op_init(&op, OP_FOLDERS);
    op.folders.verb = FOLDERS_LIST;
    op.folders.by = asker(owner);
    op.folders.list.below = true;
    op.folders.list.limit = FOLDERS;
    ask(&op);
    MUST(op.err.code == ERR_NONE, "folders: %s", op.err.text);
    for (size_t i = 0; i < op.folders.count && good; i++)
        good = same_folder(m, owner, &op.folders.views[i]);
    if (good && (int)op.folders.count != expected)
        good = differs("%zu folders of owner %d, not %d", op.folders.count, owner, expected);
    op_release(&op);
    return good;
}

bool same_as(struct model *m, char *why, size_t size)
{
    reason.text = why;
    reason.size = size;
    for (int owner = 0; owner < OWNERS; owner++)
        if (!same_jobs(m, owner) || !same_artifacts(m, owner) || !same_folders(m, owner))
            return false;
    return same_tasks(m) && same_steps(m);
}
