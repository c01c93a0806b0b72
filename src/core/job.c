/* job.c: states, modes and formats by name, and the one table of transitions. */
#include "core/job.h"

#include <assert.h>

static const char *const kind_names[] = {"data", "task", "flow"};
static const char *const state_names[JOB_STATE_COUNT] = {
    "draft", "ready", "blocked", "pending", "running", "completed", "failed", "cancelled"};
static const char *const verb_names[JOB_VERB_COUNT] = {"start", "claim",  "complete",
                                                       "fail",  "cancel", "reopen"};
static const char *const mode_names[MODE_COUNT] = {"read-write", "read", "write"};
static const char *const format_names[FORMAT_COUNT] = {"none", "jsonl", "csv", "program"};

/* Where each verb leads; what is not listed is refused. */
static const struct {
    enum job_verb verb;
    enum job_state from, to;
} transitions[] = {
    {JOB_START, JOB_DRAFT, JOB_PENDING},        {JOB_START, JOB_READY, JOB_PENDING},
    {JOB_START, JOB_BLOCKED, JOB_PENDING},      {JOB_CLAIM, JOB_PENDING, JOB_RUNNING},
    {JOB_CLAIM, JOB_RUNNING, JOB_RUNNING},      {JOB_COMPLETE, JOB_PENDING, JOB_COMPLETED},
    {JOB_COMPLETE, JOB_RUNNING, JOB_COMPLETED}, {JOB_FAIL, JOB_PENDING, JOB_FAILED},
    {JOB_FAIL, JOB_RUNNING, JOB_FAILED},        {JOB_CANCEL, JOB_DRAFT, JOB_CANCELLED},
    {JOB_CANCEL, JOB_READY, JOB_CANCELLED},     {JOB_CANCEL, JOB_BLOCKED, JOB_CANCELLED},
    {JOB_CANCEL, JOB_PENDING, JOB_CANCELLED},   {JOB_CANCEL, JOB_RUNNING, JOB_CANCELLED},
    {JOB_REOPEN, JOB_PENDING, JOB_PENDING},     {JOB_REOPEN, JOB_RUNNING, JOB_PENDING},
    {JOB_REOPEN, JOB_COMPLETED, JOB_PENDING},   {JOB_REOPEN, JOB_FAILED, JOB_PENDING},
    {JOB_REOPEN, JOB_CANCELLED, JOB_PENDING},
};

const char *job_kind_name(enum job_kind kind)
{
    return kind_names[kind];
}

const char *job_state_name(enum job_state state)
{
    assert(state < JOB_STATE_COUNT);
    return state_names[state];
}

const char *job_verb_name(enum job_verb verb)
{
    assert(verb < JOB_VERB_COUNT);
    return verb_names[verb];
}

const char *data_mode_name(enum data_mode mode)
{
    assert(mode < MODE_COUNT);
    return mode_names[mode];
}

const char *data_format_name(enum data_format format)
{
    assert(format < FORMAT_COUNT);
    return format_names[format];
}

/* The index of a name in a table, -1 when it is not there. */
static int find_name(const char *const *names, int count, struct str text)
{
    for (int i = 0; i < count; i++)
        if (str_is(text, names[i]))
            return i;
    return -1;
}

bool job_state_parse(struct str text, enum job_state *out)
{
    int found = find_name(state_names, JOB_STATE_COUNT, text);
    if (found >= 0)
        *out = (enum job_state)found;
    return found >= 0;
}

bool data_mode_parse(struct str text, enum data_mode *out)
{
    int found = find_name(mode_names, MODE_COUNT, text);
    if (found >= 0)
        *out = (enum data_mode)found;
    return found >= 0;
}

bool data_format_parse(struct str text, enum data_format *out)
{
    int found = find_name(format_names, FORMAT_COUNT, text);
    if (found >= 0)
        *out = (enum data_format)found;
    return found >= 0;
}

bool job_next_state(enum job_state state, enum job_verb verb, enum job_state *out, struct err *err)
{
    for (size_t i = 0; i < sizeof transitions / sizeof *transitions; i++)
        if (transitions[i].verb == verb && transitions[i].from == state) {
            *out = transitions[i].to;
            return true;
        }
    return err_set(err, ERR_CONFLICT, "a %s job cannot %s", job_state_name(state),
                   job_verb_name(verb));
}

bool job_state_is_final(enum job_state state)
{
    return state == JOB_COMPLETED || state == JOB_FAILED || state == JOB_CANCELLED;
}

bool job_name_check(struct str name, struct err *err)
{
    if (name.len == 0 || name.len > JOB_NAME_MAX_BYTES)
        return err_set(err, ERR_INVALID, "a job's name has 1 to %d bytes, not %zu",
                       JOB_NAME_MAX_BYTES, name.len);
    if (!str_is_utf8(name))
        return err_set(err, ERR_INVALID, "the job's name is not UTF-8");
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.ptr[i] < 0x20 || name.ptr[i] == 0x7f)
            return err_set(err, ERR_INVALID, "the job's name has a control character at byte %zu",
                           i);
    return true;
}
