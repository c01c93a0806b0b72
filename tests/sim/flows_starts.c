/* flows_starts.c: lists that change from run to run, and what a start of them must do. */
#include "flows_sim.h"
#include "http/native/new_flow.h"

static void choose_list(struct listed *list)
{
    for (int at = 0; at < NODES; at++) {
        struct listed *n = &list[at];
        bool keeps = n->there && pick(4);
        if (keeps)
            continue;
        *n = (struct listed){.there = pick(5) != 0,
                             .always = pick(8) == 0,
                             .max_attempts = 1 + pick(3),
                             .edits = pick(1000)};
        for (int tries = pick(PARENTS + 1); tries > 0 && at > 0; tries--)
            n->parents[n->parent_count++] = pick(at);
    }
    list[0].there = true;
    /* Parents that are gone are waited for no more. */
    for (int at = 0; at < NODES; at++) {
        struct listed *n = &list[at];
        int kept = 0;
        for (int i = 0; i < n->parent_count; i++)
            if (list[n->parents[i]].there)
                n->parents[kept++] = n->parents[i];
        n->parent_count = kept;
    }
}

static char *body_of(const struct listed *list, bool restart, bool take_over, int only)
{
    struct buf b;
    bool any = false;
    buf_init(&b, BUF_NO_CAP);
    buf_add_format(&b, "{\"name\":\"f\",\"restart\":%s,\"take_over\":%s,\"max_running\":%d,",
                   restart ? "true" : "false", take_over ? "true" : "false", 1 + pick(6));
    if (only >= 0)
        buf_add_format(&b, "\"select\":{\"descendants\":%d},", only + 1);
    buf_add_text(&b, "\"nodes\":[");
    for (int at = 0; at < NODES; at++) {
        const struct listed *n = &list[at];
        if (!n->there)
            continue;
        buf_add_format(&b,
                       "%s{\"id\":%d,\"name\":\"n%d\",\"module\":\"m\",\"worker\":\"W%d\","
                       "\"max_attempts\":%d,\"retry_wait_s\":%d,\"always\":%s,\"after\":[",
                       any ? "," : "", at + 1, at + 1, n->edits, n->max_attempts, pick(3),
                       n->always ? "true" : "false");
        any = true;
        for (int i = 0; i < n->parent_count; i++)
            buf_add_format(&b, "%s%d", i ? "," : "", n->parents[i] + 1);
        buf_add_format(&b, "]%s}", pick(5) ? "" : ",\"timeout_s\":20");
    }
    buf_add_text(&b, "]}");
    return buf_take(&b);
}

/* Its own rule, from marks: what such a start does with each node. */
static void foresee(const struct seen *s, bool there, bool restart, int only)
{
    bool chosen[NODES] = {false}, all_done = true;
    for (int at = 0; at < NODES; at++) {
        const struct listed *n = &world->asked[at];
        chosen[at] = n->there && (only < 0 || at == only);
        for (int i = 0; only >= 0 && n->there && i < n->parent_count; i++)
            chosen[at] = chosen[at] || chosen[n->parents[i]];
        if (there && s->there[at])
            all_done = all_done && (s->marks[at] == FLOW_COMPLETED || s->marks[at] == FLOW_NORUN);
    }
    bool fresh = !restart || !there || (only < 0 && all_done);
    for (int at = 0; at < NODES; at++) {
        struct known *k = &world->asked_known[at];
        bool done =
            there && s->there[at] && (s->marks[at] == FLOW_COMPLETED || s->marks[at] == FLOW_NORUN);
        *k = (struct known){0};
        if (!world->asked[at].there)
            continue;
        k->selected = chosen[at] && (fresh || only >= 0 || !done);
        k->completed =
            !fresh && !k->selected && there && s->there[at] && s->marks[at] == FLOW_COMPLETED;
    }
}

static void take_start(void)
{
    memcpy(world->list, world->asked, sizeof world->list);
    memcpy(world->known, world->asked_known, sizeof world->known);
    world->started = true;
    world->in_doubt = false;
    world->runs++;
}

void start(bool restart, bool take_over, int only)
{
    struct new_flow f = {.node_cap = 0};
    struct seen s;
    struct err err;
    struct op op;
    bool there = look(&s);
    memcpy(world->asked, world->list, sizeof world->asked);
    if (!world->ending || !world->started)
        choose_list(world->asked);
    if (only >= 0 && !world->asked[only].there)
        only = 0;
    foresee(&s, there, restart, only);
    OWNED_MEM char *body = body_of(world->asked, restart, take_over, only);
    MUST(new_flow_read(&f, str_of(body), &err), "%s: %s", body, err.text);
    op_init(&op, OP_FLOW_START);
    struct buf told = op.flow_start.told;
    op.flow_start = f.ask;
    op.flow_start.told = told;
    SAY("  %s\n", body);
    world->in_doubt = true;
    dare(&op);
    world->in_doubt = false;
    if (op.err.code == ERR_NONE)
        take_start();
    else
        MUST(op.err.code == ERR_STORE || op.err.code == ERR_NO_SPACE ||
                 (op.refusal == REFUSED_FLOW_RUNS && there && s.state == JOB_RUNNING && !take_over),
             "start: %s", op.err.text);
    op_release(&op);
    new_flow_release(&f);
}

void verb_start(void)
{
    start(pick(4) != 0, pick(3) == 0, pick(6) ? -1 : pick(NODES));
}

/* The process was killed while a start was on its way: it has happened, or not. */
void resolve(void)
{
    struct seen s;
    bool there = look(&s);
    for (int w = 0; w < WORKERS; w++)
        world->workers[w] = (struct worker){0};
    for (int at = 0; at < NODES; at++) {
        struct known *k = &world->known[at];
        if (k->doubtful && there && s.there[at] && s.marks[at] == FLOW_COMPLETED)
            k->completed = true;
        k->doubtful = false;
    }
    if (!world->in_doubt)
        return;
    world->in_doubt = false;
    if (there && s.run > world->runs)
        take_start();
}
