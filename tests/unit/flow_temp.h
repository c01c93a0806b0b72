/* flow_temp.h: an engine with flows, for one test: task_temp.h and what is asked about flows. A
 * flow is written as its surface takes it. */
#ifndef PENSTOCK_TESTS_FLOW_TEMP_H
#define PENSTOCK_TESTS_FLOW_TEMP_H

#include "http/native/new_flow.h"
#include "task_temp.h"

#include <stdarg.h>

/* "1 2:1 3:1,2! 4:3*2 5@": nodes with what they wait for; ! is always, *N are its attempts, @ is of
 * the pool "p". Members behind the nodes are put into the body as they are; a name among them is
 * the flow's. */
static inline char *flow_body(const char *nodes, const char *members)
{
    struct buf b;
    buf_init(&b, BUF_NO_CAP);
    buf_add_format(&b, "{%s\"nodes\":[", strstr(members, "\"name\":") ? "" : "\"name\":\"f\",");
    for (const char *at = nodes; *at;) {
        int id = (int)strtol(at, (char **)(uintptr_t)&at, 10);
        int attempts = 1;
        bool always = false;
        buf_add_format(&b, "{\"id\":%d,\"name\":\"node %d\",\"module\":\"m\",\"worker\":\"W\"", id,
                       id);
        if (*at == ':') {
            size_t len = strspn(++at, "0123456789,");
            buf_add_format(&b, ",\"after\":[%.*s]", (int)len, at);
            at += len;
        }
        if (*at == '!')
            always = at++ != NULL;
        if (*at == '*')
            attempts = (int)strtol(at + 1, (char **)(uintptr_t)&at, 10);
        if (*at == '@') {
            buf_add_text(&b, ",\"pool\":\"p\"");
            at++;
        }
        buf_add_format(&b, ",\"always\":%s,\"max_attempts\":%d}%s", always ? "true" : "false",
                       attempts, *at ? "," : "");
        at += strspn(at, " ");
    }
    buf_add_format(&b, "]%s%s}", *members ? "," : "", members);
    return buf_take(&b);
}

/* What a start was answered. */
struct started {
    struct op op; /* op_release */
    struct new_flow flow;
    char *body;
};

static inline struct op *start_flow_with(struct bench *b, struct started *s, const char *nodes,
                                         const char *members)
{
    struct err err;
    s->flow = (struct new_flow){.node_cap = 0};
    s->body = flow_body(nodes, members);
    if (!new_flow_read(&s->flow, str_of(s->body), &err))
        fail_msg("%s: %s", s->body, err.text);
    prepare(&s->op, OP_FLOW_START, "");
    struct buf told = s->op.flow_start.told;
    s->op.flow_start = s->flow.ask;
    s->op.flow_start.told = told;
    ask(b, &s->op);
    return &s->op;
}

static inline void started_release(struct started *s)
{
    op_release(&s->op);
    new_flow_release(&s->flow);
    free(s->body);
}

/* Starts the flow "f". */
static inline void start_flow(struct bench *b, const char *nodes, const char *members)
{
    struct started s;
    assert_went_well(start_flow_with(b, &s, nodes, members));
    started_release(&s);
}

static inline void flow_refused(struct bench *b, const char *nodes, const char *members,
                                enum op_refusal refusal, enum err_code code, const char *part)
{
    struct started s;
    assert_refused(start_flow_with(b, &s, nodes, members), refusal, code, part);
    started_release(&s);
}

/* The flow's state and the marks of its nodes: "running 1R 2P". */
static inline void assert_flow(struct bench *b, const char *told)
{
    struct op show, nodes;
    OWNED_BUF struct buf got;
    buf_init(&got, BUF_NO_CAP);
    prepare(&show, OP_FLOW_SHOW, "f");
    ask(b, &show);
    assert_went_well(&show);
    buf_add_text(&got, job_state_name(show.flow_show.view.state));
    prepare(&nodes, OP_FLOW_NODES, "f");
    nodes.flow_nodes.limit = 1000;
    ask(b, &nodes);
    assert_went_well(&nodes);
    int64_t counts[FLOW_MARK_COUNT] = {0};
    for (size_t i = 0; i < nodes.flow_nodes.count; i++) {
        const struct flow_node_view *v = &nodes.flow_nodes.views[i];
        counts[v->mark]++;
        buf_add_format(&got, " %d%c", v->id, flow_mark_letter(v->mark));
    }
    assert_memory_equal(counts, show.flow_show.view.counts, sizeof counts);
    buf_add_char(&got, '\0');
    assert_string_equal(got.data, told);
    op_release(&show);
    op_release(&nodes);
}

/* One node as it is listed: op_release. */
static inline const struct flow_node_view *flow_node(struct bench *b, struct op *op, int32_t id)
{
    prepare(op, OP_FLOW_NODES, "f");
    op->flow_nodes.limit = 1000;
    ask(b, op);
    assert_went_well(op);
    for (size_t i = 0; i < op->flow_nodes.count; i++)
        if (op->flow_nodes.views[i].id == id)
            return &op->flow_nodes.views[i];
    fail_msg("no node %d", id);
    return NULL;
}

static inline int64_t task_of(struct bench *b, int32_t id)
{
    struct op op;
    int64_t task = flow_node(b, &op, id)->task;
    op_release(&op);
    return task;
}

static inline void ask_flow(struct bench *b, enum op_kind kind)
{
    struct op op;
    prepare(&op, kind, "f");
    ask(b, &op);
    assert_went_well(&op);
    op_release(&op);
}

#endif
