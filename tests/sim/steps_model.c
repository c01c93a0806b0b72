/* steps_model.c: what the simulation of steps holds to be right: the rules of docs/steps.md on
 * plain lists, without a store, groups or failures (steps_sim.h). */
#include "steps_sim.h"

const struct step_kind step_kinds[STEPS] = {
    {"{\"function_name\":\"add\",\"version\":\"1.0.0\",\"parameters\":{\"type\":\"object\","
     "\"properties\":{\"x\":{\"type\":\"integer\"},\"y\":{\"type\":\"integer\",\"default\":2}},"
     "\"required\":[\"x\"],\"additionalProperties\":false},\"input_dataslots\":[{\"name\":\"data\","
     "\"mediatype\":\"text/csv\",\"minSlots\":0,\"maxSlots\":2}],\"output_dataslots\":[{\"name\":"
     "\"plot\",\"mediatype\":\"image/png\",\"minSlots\":1,\"maxSlots\":1}]}",
     "add:1.0.0",
     0,
     true,
     true,
     true,
     1,
     {0, 0},
     {2, 0},
     1,
     1},
    {"{\"function_name\":\"merge\",\"version\":\"1.0.0\",\"input_dataslots\":[{\"name\":\"one\","
     "\"minSlots\":1,\"maxSlots\":1},{\"name\":\"many\",\"minSlots\":0,\"maxSlots\":3}],"
     "\"output_dataslots\":[{\"name\":\"out\",\"minSlots\":0,\"maxSlots\":2}]}",
     "merge:1.0.0",
     0,
     true,
     false,
     false,
     2,
     {1, 0},
     {1, 3},
     1,
     2},
    {"{\"function_name\":\"own\",\"version\":\"2.0.0\",\"parameters\":{\"type\":\"object\","
     "\"properties\":{\"x\":{\"type\":\"integer\",\"default\":1},\"y\":{\"type\":\"integer\"}},"
     "\"additionalProperties\":false}}",
     "own:2.0.0",
     1,
     false,
     true,
     false,
     0,
     {0, 0},
     {0, 0},
     0,
     0},
    {"{\"function_name\":\"free\",\"version\":\"1.0.0\",\"output_dataslots\":[{\"name\":\"a\","
     "\"minSlots\":0,\"maxSlots\":1},{\"name\":\"b\",\"minSlots\":0,\"maxSlots\":1}]}",
     "free:1.0.0",
     0,
     false,
     false,
     false,
     0,
     {0, 0},
     {0, 0},
     2,
     1},
};
const char *const job_names[NAMES] = {"", "a job", "another"};
const char *const parameter_texts[] = {NULL, "{\"x\":1}", "{\"y\":3}", "{\"x\":\"a\"}"};

/* --- looking --- */

bool is_waiting_or_running(const struct known_job *j)
{
    return j->state == JOB_PENDING || j->state == JOB_RUNNING;
}

static bool is_configurable(const struct known_job *j)
{
    return j->state == JOB_DRAFT || j->state == JOB_READY;
}

static bool uses(const struct known_job *j, int artifact)
{
    for (int slot = 0; slot < SLOTS; slot++)
        for (int i = 0; i < j->input_counts[slot]; i++)
            if (j->inputs[slot][i] == artifact)
                return true;
    return false;
}

int times_used(const struct model *m, int artifact)
{
    int count = 0;
    for (int i = 0; i < m->job_count; i++)
        count += !m->jobs[i].gone && uses(&m->jobs[i], artifact);
    return count;
}

int output_count(const struct model *m, int job)
{
    int count = 0;
    for (int i = 0; i < m->artifact_count; i++)
        count += !m->artifacts[i].gone && m->artifacts[i].job == job;
    return count;
}

int sub_job_count(const struct model *m, int job)
{
    int count = 0;
    for (int i = 0; i < m->job_count; i++)
        count += !m->jobs[i].gone && m->jobs[i].parent == job;
    return count;
}

void tell(struct known_job *j, char letter)
{
    size_t count = strlen(j->told);
    MUST(count + 1 < sizeof j->told, "too much happens to one job");
    j->told[count] = letter;
}

/* --- editing --- */

static enum err_code set_step(const struct model *m, struct known_job *j,
                              const struct edit_ask *ask)
{
    if (!is_configurable(j))
        return ERR_CONFLICT;
    const struct step_kind *kind = ask->step == NONE ? NULL : &step_kinds[ask->step];
    const struct known_step *step = kind ? &m->steps[ask->step] : NULL;
    if (step && (!step->there || !(step->is_public || kind->owner == ask->owner)))
        return ERR_NOT_FOUND;
    j->step = ask->step;
    j->parameters = PARAMETERS_NONE;
    memset(j->input_counts, 0, sizeof j->input_counts);
    return ERR_NONE;
}

static enum err_code set_parameters(struct known_job *j, const struct edit_ask *ask)
{
    const struct step_kind *kind = j->step == NONE ? NULL : &step_kinds[j->step];
    bool nothing = ask->parameters == PARAMETERS_NONE;
    if (nothing && kind && !kind->has_parameters)
        return ERR_NONE;
    if (!is_configurable(j) || !kind || !kind->has_parameters)
        return ERR_CONFLICT;
    if (ask->parameters == PARAMETERS_WRONG)
        return ERR_INVALID;
    j->parameters = ask->parameters;
    return ERR_NONE;
}

static enum err_code set_fill(const struct model *m, struct known_job *j,
                              const struct edit_ask *ask, int place)
{
    const struct step_kind *kind = j->step == NONE ? NULL : &step_kinds[j->step];
    int slot = ask->fills[place].slot, count = ask->fills[place].count;
    if (!is_configurable(j))
        return ERR_CONFLICT;
    if (!kind || slot >= kind->inputs)
        return ERR_INVALID;
    for (int i = 0; i < count; i++) {
        const struct known_artifact *a = &m->artifacts[ask->fills[place].artifacts[i]];
        if (a->gone || a->owner != ask->owner || a->owner != j->owner)
            return ERR_NOT_FOUND;
    }
    if (count > kind->most[slot])
        return ERR_INVALID;
    memcpy(j->inputs[slot], ask->fills[place].artifacts, (size_t)count * sizeof(int));
    j->input_counts[slot] = count;
    return ERR_NONE;
}

static void settle_draft(struct known_job *j)
{
    const struct step_kind *kind = j->step == NONE ? NULL : &step_kinds[j->step];
    if (!is_configurable(j))
        return;
    bool whole = kind && (!kind->needs_x || j->parameters == PARAMETERS_WHOLE);
    for (int slot = 0; whole && slot < kind->inputs; slot++)
        whole = j->input_counts[slot] >= kind->least[slot];
    j->state = whole ? JOB_READY : JOB_DRAFT;
}

static enum err_code start(struct known_job *j)
{
    if (j->state != JOB_READY)
        return ERR_CONFLICT;
    j->state = JOB_PENDING;
    j->has_task = true;
    return ERR_NONE;
}

/* In the order in which the engine does it. */
static enum err_code edit(const struct model *m, struct known_job *j, const struct edit_ask *ask)
{
    enum err_code code = ERR_NONE;
    if (ask->sets & STEP_JOB_SETS_NAME)
        j->name = ask->name;
    if (ask->sets & STEP_JOB_SETS_STEP)
        code = set_step(m, j, ask);
    if (code == ERR_NONE && (ask->sets & STEP_JOB_SETS_PARAMETERS))
        code = set_parameters(j, ask);
    if (ask->sets & STEP_JOB_SETS_HIDDEN)
        j->hidden = ask->hidden;
    if (ask->sets & STEP_JOB_SETS_OUTPUT_DELETABLE)
        j->output_deletable = ask->output_deletable;
    if (ask->sets & STEP_JOB_SETS_FOLDER)
        memcpy(j->folder, ask->folder, sizeof j->folder);
    if (code == ERR_NONE && (ask->sets & STEP_JOB_SETS_OPTIONS)) {
        code = is_configurable(j) ? ERR_NONE : ERR_CONFLICT;
        j->retries = ask->retries;
        j->max_attempts = ask->max_attempts;
    }
    for (int i = 0; i < ask->fill_count && code == ERR_NONE; i++)
        code = set_fill(m, j, ask, i);
    settle_draft(j);
    return code == ERR_NONE && (ask->sets & STEP_JOB_STARTS) ? start(j) : code;
}

static bool sees(const struct known_job *j, int owner)
{
    return !j->gone && j->owner == owner;
}

enum err_code model_edit(struct model *m, const struct edit_ask *ask)
{
    bool is_new = ask->job == NONE;
    struct known_job j = {.id = NONE,
                          .owner = ask->owner,
                          .step = NONE,
                          .parent = ask->parent,
                          .session = NONE,
                          .output_deletable = true,
                          .folder = "/"};
    if (is_new ? ask->parent != NONE && !sees(&m->jobs[ask->parent], ask->owner)
               : !sees(&m->jobs[ask->job], ask->owner))
        return ERR_NOT_FOUND;
    if (!is_new)
        j = m->jobs[ask->job];
    enum err_code code = edit(m, &j, ask);
    if (code != ERR_NONE)
        return code;
    int place = is_new ? m->job_count++ : ask->job;
    if (is_new)
        tell(&j, 'c');
    else if (ask->sets & STEP_JOB_STARTS)
        tell(&j, 'p');
    m->jobs[place] = j;
    model_need_folder(m, j.owner, j.folder);
    for (int i = 0; i < m->artifact_count; i++)
        if ((ask->sets & STEP_JOB_SETS_OUTPUT_DELETABLE) && m->artifacts[i].job == place)
            m->artifacts[i].deletable = j.output_deletable;
    return ERR_NONE;
}

/* --- ends --- */

static void move(struct known_job *j, enum job_state state, char letter)
{
    j->state = state;
    j->session = NONE;
    if (!is_waiting_or_running(j))
        j->cancel_asked = false;
    tell(j, letter);
}

static enum err_code cancel(struct known_job *j)
{
    if (job_state_is_final(j->state))
        return ERR_CONFLICT;
    if (j->state == JOB_RUNNING)
        j->cancel_asked = true; /* its worker is told, and it ends when that says so */
    else
        move(j, JOB_CANCELLED, 'x');
    return ERR_NONE;
}

static enum err_code delete_job(struct model *m, int job)
{
    struct known_job *j = &m->jobs[job];
    if (is_waiting_or_running(j) || output_count(m, job) || sub_job_count(m, job))
        return ERR_CONFLICT;
    j->gone = true;
    tell(j, 'D');
    return ERR_NONE;
}

enum err_code model_end(struct model *m, int owner, int job, enum step_job_end how)
{
    struct known_job *j = &m->jobs[job];
    if (!sees(j, owner))
        return ERR_NOT_FOUND;
    if (how == STEP_JOB_END_CANCEL)
        return cancel(j);
    if (how == STEP_JOB_END_DELETE)
        return delete_job(m, job);
    if (!is_waiting_or_running(j))
        return ERR_CONFLICT;
    j->error = true;
    move(j, JOB_FAILED, 'f');
    return ERR_NONE;
}

void model_retry(struct model *m, int job)
{
    struct known_job *j = &m->jobs[job];
    if (j->gone || !j->has_task || (j->state != JOB_FAILED && j->state != JOB_CANCELLED))
        return;
    j->attempts = 0;
    move(j, JOB_PENDING, 'p');
}

void model_forget_task(struct model *m, int job)
{
    if (!m->jobs[job].gone && job_state_is_final(m->jobs[job].state))
        m->jobs[job].has_task = false;
}

/* --- runs --- */

void model_started(struct model *m, int job, int session, int64_t fence)
{
    struct known_job *j = &m->jobs[job];
    move(j, JOB_RUNNING, 'r');
    j->session = session;
    j->fence = fence;
    j->attempts++;
}

void model_lost(struct model *m, int job)
{
    struct known_job *j = &m->jobs[job];
    int most = j->max_attempts ? j->max_attempts : TASK_ATTEMPTS_DEFAULT;
    j->error = true;
    if (j->cancel_asked)
        move(j, JOB_CANCELLED, 'x');
    else if (j->attempts >= most)
        move(j, JOB_FAILED, 'f');
    else
        move(j, JOB_PENDING, 'p');
}

void model_given_back(struct model *m, int job)
{
    struct known_job *j = &m->jobs[job];
    if (j->cancel_asked) {
        move(j, JOB_CANCELLED, 'x');
        return;
    }
    j->attempts--;
    move(j, JOB_PENDING, 'p');
}

void model_failed(struct model *m, int job, bool final)
{
    struct known_job *j = &m->jobs[job];
    if (!final && j->retries && !j->cancel_asked) {
        model_lost(m, job);
        return;
    }
    j->error = true;
    if (j->cancel_asked)
        move(j, JOB_CANCELLED, 'x');
    else
        move(j, JOB_FAILED, 'f');
}

void model_completed(struct model *m, int job, int result)
{
    struct known_job *j = &m->jobs[job];
    j->error = false;
    j->result = result;
    move(j, JOB_COMPLETED, 'd');
    /* Of runs before nothing is left, but for what is used. */
    for (int i = 0; i < m->artifact_count; i++) {
        struct known_artifact *a = &m->artifacts[i];
        if (!a->gone && a->job == job && a->fence != j->fence && times_used(m, i) == 0)
            a->gone = true;
    }
}

/* --- artifacts --- */

int model_new_artifact(struct model *m, int owner, int content, const char *folder)
{
    if (m->artifact_count == ARTIFACTS)
        return NONE;
    struct known_artifact *a = &m->artifacts[m->artifact_count];
    *a = (struct known_artifact){.id = NONE,
                                 .owner = owner,
                                 .content = content,
                                 .job = NONE,
                                 .slot = NONE,
                                 .deletable = true};
    snprintf(a->folder, sizeof a->folder, "%s", folder);
    model_need_folder(m, owner, folder);
    return m->artifact_count++;
}

void model_put_output(struct model *m, int artifact, int job, int slot, int place)
{
    struct known_artifact *a = &m->artifacts[artifact];
    for (int i = 0; i < m->artifact_count; i++) {
        struct known_artifact *old = &m->artifacts[i];
        if (old->gone || old->job != job || old->slot != slot || old->place != place)
            continue;
        if (times_used(m, i) == 0)
            old->gone = true;
        else
            old->slot = NONE; /* it stands beside */
    }
    a->job = job;
    a->slot = slot;
    a->place = place;
    a->fence = m->jobs[job].fence;
    a->deletable = m->jobs[job].output_deletable;
}

enum err_code model_delete_artifact(struct model *m, int owner, int artifact)
{
    struct known_artifact *a = &m->artifacts[artifact];
    if (a->gone || a->owner != owner)
        return ERR_NOT_FOUND;
    if (!a->deletable || times_used(m, artifact))
        return ERR_CONFLICT;
    a->gone = true;
    return ERR_NONE;
}
