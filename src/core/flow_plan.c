/* flow_plan.c: see flow_plan.h. */
#include "core/flow_plan.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const char *const flow_does_names[] = {"run", "keep", "norun", NULL};

void flow_plan_release(struct flow_plan *p)
{
    free(p->nodes);
    *p = (struct flow_plan){0};
}

/* --- the selection --- */

struct selecting {
    struct flow_web *web;
    const struct flow_places *ids;
    bool *kept; /* by place: still selected */
    struct err *err;
};

static bool find(const struct selecting *s, const char *what, int32_t id, uint32_t *place)
{
    *place = flow_places_find(s->ids, id);
    return *place != UINT32_MAX ||
           err_set(s->err, ERR_INVALID, "select.%s: there is no node %d", what, id);
}

/* Of a list: those in it stay, or those that are not. */
static bool select_list(struct selecting *s, const char *what, const int32_t *list, size_t count,
                        bool stay)
{
    OWNED_MEM bool *listed = xcalloc(s->web->count + 1, sizeof *listed);
    for (size_t i = 0; i < count; i++) {
        uint32_t place = 0;
        if (!find(s, what, list[i], &place))
            return false;
        listed[place] = true;
    }
    for (size_t p = 0; p < s->web->count; p++)
        s->kept[p] = s->kept[p] && listed[p] == stay;
    return true;
}

static bool select_reached(struct selecting *s, const char *what, int32_t id, bool ancestors)
{
    uint32_t place = 0;
    if (!find(s, what, id, &place))
        return false;
    OWNED_MEM bool *reached = xcalloc(s->web->count + 1, sizeof *reached);
    flow_web_reach(s->web, place, ancestors, reached);
    for (size_t p = 0; p < s->web->count; p++)
        s->kept[p] = s->kept[p] && reached[p];
    return true;
}

static bool select_all(struct selecting *s, const struct flow_select *select)
{
    for (size_t p = 0; p < s->web->count; p++)
        s->kept[p] = true;
    return (!select->has_only || select_list(s, "only", select->only, select->only_count, true)) &&
           (!select->norun_count ||
            select_list(s, "norun", select->norun, select->norun_count, false)) &&
           (!select->ancestors || select_reached(s, "ancestors", select->ancestors, true)) &&
           (!select->descendants || select_reached(s, "descendants", select->descendants, false));
}

/* --- what each node does --- */

static bool is_done(enum flow_mark mark)
{
    return mark == FLOW_COMPLETED || mark == FLOW_NORUN;
}

static bool all_done(const struct flow_past *past, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!is_done(past[i].mark))
            return false;
    return true;
}

/* On a restart. `picks`: the selection names what is to run. */
static enum flow_does go_on(const struct flow_planned *node, const struct flow_past *past,
                            bool picks)
{
    bool known = node->past != UINT32_MAX;
    if (picks)
        return node->selected ? FLOW_DOES_RUN : known ? FLOW_DOES_KEEP : FLOW_DOES_NORUN;
    if (known && is_done(past[node->past].mark))
        return FLOW_DOES_KEEP;
    return node->selected ? FLOW_DOES_RUN : FLOW_DOES_NORUN;
}

static void decide(struct flow_plan *p, const struct flow_places *known, const int32_t id,
                   size_t place, uint64_t print, const struct flow_past *past, bool picks)
{
    struct flow_planned *node = &p->nodes[place];
    node->past = flow_places_find(known, id);
    if (p->fresh)
        node->does = node->selected ? FLOW_DOES_RUN : FLOW_DOES_NORUN;
    else
        node->does = go_on(node, past, picks);
    node->edited = node->does == FLOW_DOES_KEEP && past[node->past].mark == FLOW_COMPLETED &&
                   past[node->past].print != print;
    p->edited += node->edited;
    p->does[node->does]++;
}

bool flow_plan_make(struct flow_web *web, const struct flow_web_node *nodes, const uint64_t *prints,
                    bool restart, const struct flow_select *select, const struct flow_past *past,
                    size_t past_count, struct flow_plan *out, struct err *err)
{
    struct flow_places ids, known;
    uint32_t twice = 0;
    bool picks = select->has_only || select->ancestors || select->descendants;
    OWNED_MEM bool *kept = xcalloc(web->count + 1, sizeof *kept);
    struct selecting s = {web, &ids, kept, err};
    *out = (struct flow_plan){.count = web->count,
                              .nodes = xcalloc(web->count + 1, sizeof *out->nodes)};
    bool ok =
        flow_places_init(&ids, web->count ? &nodes->id : NULL, sizeof *nodes, web->count, &twice);
    assert(ok); /* the web was made of them */
    ok = select_all(&s, select);
    flow_places_release(&ids);
    if (!ok)
        return false;
    out->fresh = !restart || past_count == 0 || (!picks && all_done(past, past_count));
    if (!flow_places_init(&known, past_count ? &past->id : NULL, sizeof *past, past_count,
                          &twice)) {
        flow_places_release(&known);
        return err_set(err, ERR_STORE, "node %d: the store has two marks of it", past[twice].id);
    }
    for (size_t p = 0; p < web->count; p++) {
        out->nodes[p].selected = kept[p];
        decide(out, &known, nodes[p].id, p, prints[p], past, picks);
    }
    flow_places_release(&known);
    return true;
}

/* --- why --- */

void flow_plan_why(const struct flow_plan *p, size_t place, const struct flow_past *past,
                   struct buf *out)
{
    static const char *const words[FLOW_MARK_COUNT] = {
        [FLOW_PENDING] = "did not start",        [FLOW_RUNNING] = "was running",
        [FLOW_COMPLETED] = "completed",          [FLOW_FAILED] = "failed",
        [FLOW_DEFAULTED] = "an ancestor failed", [FLOW_NORUN] = "not selected",
        [FLOW_ABORTED] = "was aborted",
    };
    const struct flow_planned *node = &p->nodes[place];
    const struct flow_past *before = node->past == UINT32_MAX ? NULL : &past[node->past];
    if (node->does == FLOW_DOES_NORUN)
        buf_add_text(out, "not selected");
    else if (p->fresh)
        buf_add_text(out, "a fresh run");
    else if (!before)
        buf_add_text(out, "new in the list");
    else if (node->does == FLOW_DOES_RUN && is_done(before->mark))
        buf_add_format(out, "selected; %s in run %" PRId64, words[before->mark], before->run);
    else
        buf_add_format(out, "%s in run %" PRId64, words[before->mark], before->run);
}
