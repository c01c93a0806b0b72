/* flow_seen.c: see flow_seen.h. */
#include "cli/flow_seen.h"

#include "cli/local_engine.h"
#include "cli/run_server.h"
#include "http/native/native_flow.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>

enum { PAGE_NODES = 10000 };
static const size_t answer_max_bytes = (size_t)1 << 30;

struct flow_seen {
    char *name, *path; /* below the server's root */
    struct client *client;
    struct local_engine *local; /* no server runs */
};

void flow_seen_free(struct flow_seen *s)
{
    if (!s)
        return;
    client_free(s->client);
    local_engine_free(s->local);
    free(s->name);
    free(s->path);
    free(s);
}

static char *path_of(const char *name)
{
    struct buf path;
    buf_init(&path, BUF_NO_CAP);
    buf_add_text(&path, "/v1/flows/");
    client_escape(&path, name);
    return buf_take(&path);
}

/* Whoever holds the state folder, else the folder. */
static bool open_folder(struct flow_seen *s, struct flow_place *place, struct err *err)
{
    OWNED_MEM char *folder =
        xasprintf("%s/%s.penstock", flow_place_lookup(place, "APP_TEMP_DIR"), s->name);
    struct client_target target = {.state_dir = folder};
    if (local_engine_open(folder, false, &s->local, err))
        return true;
    if (err->code == ERR_BUSY)
        return client_new(&target, &s->client, err);
    return err->code == ERR_NOT_FOUND
               ? err_set(err, ERR_NOT_FOUND, "flow %s has not run: there is no %s", s->name, folder)
               : false;
}

bool flow_seen_open(const struct options *options, struct flow_place *place, struct flow_seen **out,
                    struct err *err)
{
    OWNED(flow_seen) struct flow_seen *s = xcalloc(1, sizeof *s);
    const char *name = flow_place_lookup(place, "APP_NAME");
    struct client_target target = {.url = options_text(options, "server"),
                                   .key = options_text(options, "key"),
                                   .ca = options_text(options, "ca")};
    s->name = xstrdup(name ? name : "");
    s->path = path_of(s->name);
    if (target.url ? !client_new(&target, &s->client, err) : !open_folder(s, place, err))
        return false;
    *out = TAKE(s);
    return true;
}

/* --- here: the engine is asked --- */

static void begin(struct flow_seen *s, struct op *op, enum op_kind kind)
{
    op_init(op, kind);
    op->right.trusted = true;
    op->job.name = str_of(s->name);
}

static bool show_here(struct flow_seen *s, struct buf *out, struct err *err)
{
    struct op op;
    struct json_out o;
    begin(s, &op, OP_FLOW_SHOW);
    bool good = local_engine_ask(s->local, &op, err);
    json_out_init(&o, out);
    if (good)
        native_flow_write(&op.flow_show.view, true, &o);
    op_release(&op);
    return good;
}

static bool tell_nodes(const struct op_flow_nodes *nodes, answer_taker *take, void *context,
                       struct err *err)
{
    for (size_t i = 0; i < nodes->count; i++) {
        OWNED_BUF struct buf node;
        struct json_out o;
        buf_init(&node, BUF_NO_CAP);
        json_out_init(&o, &node);
        native_flow_node_write(&nodes->views[i], &o);
        if (!take(context, buf_str(&node), err))
            return false;
    }
    return true;
}

static bool nodes_here(struct flow_seen *s, char mark, answer_taker *take, void *context,
                       struct err *err)
{
    int32_t after = 0;
    for (bool more = true, good = true; more;) {
        struct op op;
        begin(s, &op, OP_FLOW_NODES);
        op.flow_nodes.by_mark = mark != '\0';
        (void)flow_mark_read((struct str){&mark, 1}, &op.flow_nodes.mark);
        op.flow_nodes.after = after;
        op.flow_nodes.limit = PAGE_NODES;
        good =
            local_engine_ask(s->local, &op, err) && tell_nodes(&op.flow_nodes, take, context, err);
        more = good && op.flow_nodes.more;
        if (more)
            after = op.flow_nodes.views[op.flow_nodes.count - 1].id;
        op_release(&op);
        if (!good)
            return false;
    }
    return true;
}

static bool abort_here(struct flow_seen *s, struct err *err)
{
    struct op op;
    begin(s, &op, OP_FLOW_ABORT);
    op.flow_abort.at_once = true;
    bool good = local_engine_ask(s->local, &op, err);
    op_release(&op);
    return good;
}

/* --- there: the server is --- */

struct paging {
    answer_taker *take;
    void *context;
    int64_t last;
};

static bool take_node(void *context, struct str node, struct err *err)
{
    struct paging *p = context;
    struct str id;
    if (!json_find(node, "id", &id) || !json_i64(id, 1, INT32_MAX, &p->last))
        return err_set(err, ERR_INTERNAL, "the server told a node without an id");
    return p->take(p->context, node, err);
}

static bool nodes_there(struct flow_seen *s, char mark, answer_taker *take, void *context,
                        struct err *err)
{
    struct paging p = {take, context, 0};
    for (bool more = true; more;) {
        OWNED_BUF struct buf answer;
        struct str raw;
        buf_init(&answer, answer_max_bytes);
        char by[] = {mark, '\0'};
        OWNED_MEM char *path = xasprintf("%s/nodes?limit=%d&after=%lld%s%s", s->path, PAGE_NODES,
                                         (long long)p.last, mark ? "&mark=" : "", by);
        if (!client_ask(s->client, "GET", path, STR(""), &answer, err) ||
            !answer_list_each(buf_str(&answer), "nodes", take_node, &p, err))
            return false;
        more = json_find(buf_str(&answer), "more", &raw) && json_type_of(raw) == JSON_TRUE;
    }
    return true;
}

/* --- either --- */

bool flow_seen_show(struct flow_seen *s, int wait_s, struct buf *out, struct err *err)
{
    if (s->local)
        return show_here(s, out, err);
    OWNED_MEM char *path = wait_s ? xasprintf("%s?wait_s=%d", s->path, wait_s) : xstrdup(s->path);
    return client_ask(s->client, "GET", path, STR(""), out, err);
}

bool flow_seen_nodes(struct flow_seen *s, char mark, answer_taker *take, void *context,
                     struct err *err)
{
    return s->local ? nodes_here(s, mark, take, context, err)
                    : nodes_there(s, mark, take, context, err);
}

bool flow_seen_abort(struct flow_seen *s, struct err *err)
{
    if (s->local)
        return abort_here(s, err);
    OWNED_MEM char *path = xasprintf("%s/abort", s->path);
    return client_ask(s->client, "POST", path, STR("{}"), NULL, err);
}
