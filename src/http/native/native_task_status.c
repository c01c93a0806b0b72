/* native_task_status.c: tasks in sums: failed ones by error, all as a tree (native.h). */
#include "base/parse.h"
#include "http/native/native.h"
#include "http/native/native_task_filter.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- errors --- */

static void write_group(struct json_out *o, const struct task_error_group *g)
{
    json_out_open(o, '{');
    json_out_name(o, "function");
    json_out_text(o, g->function);
    json_out_name(o, "type");
    json_out_text(o, g->type);
    json_out_name(o, "count");
    json_out_i64(o, g->count);
    json_out_name(o, "first_at");
    native_time_write(o, g->first_at_us);
    json_out_name(o, "last_at");
    native_time_write(o, g->last_at_us);
    json_out_name(o, "example");
    json_out_open(o, '{');
    json_out_name(o, "id");
    json_out_i64(o, g->example_id);
    json_out_name(o, "message");
    json_out_text(o, g->example);
    json_out_close(o, '}');
    json_out_close(o, '}');
}

static bool finish_errors(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req;
    OWNED_BUF struct buf b;
    struct json_out o;
    native_reply_begin(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "errors");
    json_out_open(&o, '[');
    for (size_t i = 0; i < op->task_errors.count; i++)
        write_group(&o, &op->task_errors.groups[i]);
    json_out_close(&o, ']');
    json_out_close(&o, '}');
    return native_reply_end(reply, &b, err);
}

bool native_task_errors(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    struct filter_texts texts = {0};
    struct task_filter filter = {0};
    const struct member members[] = {FILTER_MEMBERS(texts)};
    if (!native_query_read(req, members, sizeof members / sizeof *members, err))
        return false;
    if (texts.state)
        return err_set(err, ERR_INVALID, "unknown parameter state: errors are of failed tasks");
    if (!filter_texts_apply(&texts, &filter, err))
        return false;
    struct op *op = request_op(req, OP_TASK_ERRORS);
    op->task_errors.filter = filter;
    return request_call(req, finish_errors);
}

/* --- status --- */

/* The levels of the tree, outermost first; the leaves are functions. */
enum level { LEVEL_ALL, LEVEL_KEY, LEVEL_BATCH, LEVEL_QUEUE, LEVEL_FUNCTION, LEVEL_COUNT };
static const struct {
    const char *name, *children;
} levels[LEVEL_COUNT] = {
    [LEVEL_ALL] = {NULL, "keys"},          [LEVEL_KEY] = {"key", "batches"},
    [LEVEL_BATCH] = {"batch", "queues"},   [LEVEL_QUEUE] = {"queue", "functions"},
    [LEVEL_FUNCTION] = {"function", NULL},
};

struct tree {
    struct json_out *o;
    struct task_tally sums[LEVEL_COUNT]; /* of the nodes that are open; texts are not used */
    const struct task_tally *leaf;       /* the last written; NULL: none */
};

static const char *name_at(const struct task_tally *leaf, enum level level)
{
    const char *const names[LEVEL_COUNT] = {NULL, leaf->key, leaf->batch, leaf->queue,
                                            leaf->function};
    return names[level];
}

static void add_tally(struct task_tally *sum, const struct task_tally *leaf)
{
    for (size_t i = 0; i < JOB_STATE_COUNT; i++)
        sum->counts[i] += leaf->counts[i];
    sum->rate += leaf->rate;
    if (leaf->first_at_us && (!sum->first_at_us || leaf->first_at_us < sum->first_at_us))
        sum->first_at_us = leaf->first_at_us;
    if (leaf->last_at_us > sum->last_at_us)
        sum->last_at_us = leaf->last_at_us;
}

static void write_sums(struct json_out *o, const struct task_tally *t)
{
    int64_t remaining = t->counts[JOB_BLOCKED] + t->counts[JOB_PENDING] + t->counts[JOB_RUNNING];
    json_out_name(o, "counts");
    json_out_open(o, '{');
    for (int i = JOB_BLOCKED; i < JOB_STATE_COUNT; i++) {
        json_out_name(o, job_state_name((enum job_state)i));
        json_out_i64(o, t->counts[i]);
    }
    json_out_close(o, '}');
    json_out_name(o, "remaining");
    json_out_i64(o, remaining);
    json_out_name(o, "first_at");
    native_time_write(o, t->first_at_us);
    json_out_name(o, "last_at");
    native_time_write(o, t->last_at_us);
    json_out_name(o, "rate_per_s");
    json_out_double(o, round(t->rate * 1000) / 1000);
    json_out_name(o, "eta_s");
    json_out_double(o, remaining == 0   ? 0
                       : t->rate > 1e-6 ? round((double)remaining / t->rate * 10) / 10
                                        : (double)NAN);
}

/* Ends the nodes from the innermost up to `level`. */
static void close_nodes(struct tree *t, enum level level)
{
    for (int i = LEVEL_QUEUE; i >= (int)level; i--) {
        json_out_close(t->o, ']');
        write_sums(t->o, &t->sums[i]);
        json_out_close(t->o, '}');
    }
}

static void open_nodes(struct tree *t, const struct task_tally *leaf, enum level level)
{
    for (int i = (int)level; i <= LEVEL_QUEUE; i++) {
        const char *name = name_at(leaf, (enum level)i);
        t->sums[i] = (struct task_tally){0};
        json_out_open(t->o, '{');
        json_out_name(t->o, levels[i].name);
        json_out_text(t->o, name && *name ? name : NULL);
        json_out_name(t->o, levels[i].children);
        json_out_open(t->o, '[');
    }
}

/* The outermost level at which the leaf differs from the one before. */
static enum level first_difference(const struct task_tally *a, const struct task_tally *b)
{
    for (int i = LEVEL_KEY; i < LEVEL_FUNCTION; i++)
        if (strcmp(name_at(a, (enum level)i), name_at(b, (enum level)i)) != 0)
            return (enum level)i;
    return LEVEL_FUNCTION;
}

static void write_leaf(struct tree *t, const struct task_tally *leaf)
{
    enum level from = t->leaf ? first_difference(t->leaf, leaf) : LEVEL_KEY;
    if (t->leaf)
        close_nodes(t, from);
    open_nodes(t, leaf, from);
    for (int i = 0; i <= LEVEL_QUEUE; i++)
        add_tally(&t->sums[i], leaf);
    json_out_open(t->o, '{');
    json_out_name(t->o, "function");
    json_out_text(t->o, leaf->function);
    write_sums(t->o, leaf);
    json_out_close(t->o, '}');
    t->leaf = leaf;
}

static void write_tree(struct json_out *o, const struct op_task_status *status)
{
    struct tree t = {.o = o};
    json_out_open(o, '{');
    json_out_name(o, levels[LEVEL_ALL].children);
    json_out_open(o, '[');
    for (size_t i = 0; i < status->count; i++)
        write_leaf(&t, &status->leaves[i]);
    if (t.leaf)
        close_nodes(&t, LEVEL_KEY);
    json_out_close(o, ']');
    write_sums(o, &t.sums[LEVEL_ALL]);
    json_out_close(o, '}');
}

static bool finish_status(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req;
    OWNED_BUF struct buf b;
    struct json_out o;
    /* As long as the tree is: its leaves are what somebody has given a name. */
    buf_init(&b, BUF_NO_CAP);
    json_out_init(&o, &b);
    write_tree(&o, &op->task_status);
    return native_reply_end(reply, &b, err);
}

bool native_task_status(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    char *key = NULL, *batch = NULL, *active = NULL;
    bool active_only = false;
    const struct member members[] = {
        {.name = "key", .type = MEMBER_TEXT, .out = &key},
        {.name = "batch", .type = MEMBER_TEXT, .out = &batch},
        {.name = "active", .type = MEMBER_TEXT, .out = &active},
    };
    if (!native_query_read(req, members, sizeof members / sizeof *members, err))
        return false;
    if ((key && !*key) || (batch && !*batch))
        return err_set(err, ERR_INVALID, "%s: is empty; leave it out for any",
                       key && !*key ? "key" : "batch");
    if (active && !parse_bool(str_of(active), &active_only))
        return err_set(err, ERR_INVALID, "active: %.60s is neither true nor false", active);
    struct op *op = request_op(req, OP_TASK_STATUS);
    op->task_status.key = str_of(key);
    op->task_status.batch = str_of(batch);
    op->task_status.active_only = active_only;
    return request_call(req, finish_status);
}
