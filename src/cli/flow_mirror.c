/* flow_mirror.c: see flow_mirror.h. */
#include "cli/flow_mirror.h"

#include "base/file.h"
#include "base/json.h"
#include "core/flow_row.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAGE_NODES = 10000, HOUR_S = 3600, MINUTE_S = 60 };
static const char marks[] = "PRCFDNA";

struct place {
    int32_t id;
    uint32_t at;
};

struct flow_mirror {
    const struct flow *flow;
    struct place *places; /* by id */
    char *mark;
    double *elapsed_s;
    size_t counts[sizeof marks];
};

static int compare(const void *a, const void *b)
{
    int32_t one = ((const struct place *)a)->id, other = ((const struct place *)b)->id;
    return (one > other) - (one < other);
}

struct flow_mirror *flow_mirror_new(const struct flow *flow)
{
    struct flow_mirror *m = xcalloc(1, sizeof *m);
    size_t count = flow->node_count;
    m->flow = flow;
    m->places = xcalloc(count + 1, sizeof *m->places);
    m->mark = xcalloc(count + 1, 1);
    m->elapsed_s = xcalloc(count + 1, sizeof *m->elapsed_s);
    for (size_t i = 0; i < count; i++) {
        m->places[i] = (struct place){flow->nodes[i].id, (uint32_t)i};
        m->mark[i] = 'P';
    }
    m->counts[0] = count;
    qsort(m->places, count, sizeof *m->places, compare);
    return m;
}

void flow_mirror_free(struct flow_mirror *m)
{
    if (!m)
        return;
    free(m->places);
    free(m->mark);
    free(m->elapsed_s);
    free(m);
}

static const struct place *find(const struct flow_mirror *m, int32_t id)
{
    const struct place wanted = {.id = id};
    return bsearch(&wanted, m->places, m->flow->node_count, sizeof wanted, compare);
}

static size_t place_of(char mark)
{
    const char *at = mark ? strchr(marks, mark) : NULL;
    return at ? (size_t)(at - marks) : 0;
}

void flow_mirror_set(struct flow_mirror *m, int32_t id, char mark, double elapsed_s)
{
    const struct place *p = find(m, id);
    if (!p)
        return;
    m->counts[place_of(m->mark[p->at])]--;
    m->mark[p->at] = marks[place_of(mark)];
    m->counts[place_of(mark)]++;
    m->elapsed_s[p->at] = elapsed_s;
}

char flow_mirror_mark(const struct flow_mirror *m, int32_t id)
{
    const struct place *p = find(m, id);
    return p ? m->mark[p->at] : 'P';
}

size_t flow_mirror_count(const struct flow_mirror *m, char mark)
{
    return m->counts[place_of(mark)];
}

void flow_mirror_each(const struct flow_mirror *m, char mark,
                      void (*each)(void *context, const struct flow_node *node), void *context)
{
    for (size_t i = 0; i < m->flow->node_count; i++)
        if (m->mark[i] == mark)
            each(context, &m->flow->nodes[i]);
}

/* ---- from the server ---- */

/* One node of the answer; its id, 0 when it is none. */
static int64_t take_node(struct flow_mirror *m, struct str node)
{
    struct str raw;
    int64_t id = 0;
    double elapsed_s = 0;
    if (!json_find(node, "id", &raw) || !json_i64(raw, 1, FLOW_ID_MAX, &id))
        return 0;
    if (json_find(node, "elapsed_s", &raw))
        (void)json_double(raw, &elapsed_s);
    if (json_find(node, "mark", &raw) && raw.len == 3)
        flow_mirror_set(m, (int32_t)id, raw.ptr[1], elapsed_s);
    return id;
}

static bool take_page(struct flow_mirror *m, struct str answer, int64_t *after, bool *more)
{
    struct json j;
    struct str list, raw;
    *more = false;
    if (!json_find(answer, "nodes", &list))
        return false;
    json_open(&j, list);
    if (!json_enter(&j, '['))
        return false;
    while (json_item(&j) && json_value(&j, &raw))
        *after = take_node(m, raw);
    return json_end(&j) && json_find(answer, "more", &raw) && json_bool(raw, more);
}

bool flow_mirror_load(struct flow_mirror *m, struct client *client, const char *path, char mark,
                      struct err *err)
{
    int64_t after = 0;
    for (bool more = true; more;) {
        OWNED_BUF struct buf query, answer;
        buf_init(&query, BUF_NO_CAP);
        buf_init(&answer, BUF_NO_CAP);
        buf_add_format(&query, "%s/nodes?limit=%d", path, PAGE_NODES);
        if (after > 0)
            buf_add_format(&query, "&after=%lld", (long long)after);
        if (mark)
            buf_add_format(&query, "&mark=%c", mark);
        buf_add_char(&query, '\0');
        if (!client_ask(client, "GET", query.data, (struct str){0}, &answer, err))
            return false;
        if (!take_page(m, buf_str(&answer), &after, &more))
            return err_set(err, ERR_INTERNAL, "the server's list of nodes cannot be read");
    }
    return true;
}

/* ---- the state file ---- */

/* A piece that a reader would cut or change is quoted, if that can be. */
static void write_argument(FILE *out, const char *text)
{
    const char *quote = "";
    if (!*text || strpbrk(text, ",|'\"") || text[0] == ' ' || text[strlen(text) - 1] == ' ')
        quote = strchr(text, '"') ? (strchr(text, '\'') ? "" : "'") : "\"";
    fprintf(out, "%s%s%s", quote, text, quote);
}

static void write_parents(FILE *out, const struct flow *f, const struct flow_node *node)
{
    if (node->parent_count == 0)
        fputs("-1", out);
    for (uint32_t k = 0; k < node->parent_count; k++)
        fprintf(out, "%s%d", k ? "," : "", (int)f->nodes[f->parents[node->parents_at + k]].id);
}

static void write_node(FILE *out, const struct flow_mirror *m, size_t i)
{
    const struct flow *f = m->flow;
    const struct flow_node *node = &f->nodes[i];
    long seconds = (long)m->elapsed_s[i];
    fprintf(out, "%d|", (int)node->id);
    write_parents(out, f, node);
    fprintf(out, "|%lld|%g|%c|", (long long)node->max_attempts, (double)node->retry_wait_us / 1e6,
            m->mark[i]);
    if (strchr("CFA", m->mark[i]))
        fprintf(out, "%02ld:%02ld:%02ld", seconds / HOUR_S, seconds / MINUTE_S % MINUTE_S,
                seconds % MINUTE_S);
    fprintf(out, "|%s|", node->name);
    if (f->mode == FLOW_PYTHON) {
        fprintf(out, "%s|%s|", node->module, node->work);
        for (uint32_t k = 0; k < node->argument_count; k++) {
            if (k)
                fputc(',', out);
            write_argument(out, f->arguments[node->argument_at + k]);
        }
    } else
        fputs(node->work, out);
    fprintf(out, "|%s\n", node->logfile);
}

static void write_head(FILE *out, const struct flow *f)
{
    size_t count = 0, required = 0;
    const char *const *columns = flow_columns(f->mode, &count, &required);
    fprintf(out, "#%s\n", f->mode == FLOW_SHELL ? "SHELL" : "PYTHON");
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%s%s%s", i ? "|" : "#", columns[i], i == 3 ? "|STATUS|ELAPSED" : "");
    fputc('\n', out);
}

bool flow_mirror_write(const struct flow_mirror *m, const char *path, struct err *err)
{
    OWNED_MEM char *beside = xasprintf("%s.tmp", path);
    FILE *out = fopen(beside, "we");
    if (!out)
        return err_errno(err, errno, "write %s", beside);
    write_head(out, m->flow);
    for (size_t i = 0; i < m->flow->node_count; i++)
        write_node(out, m, i);
    bool good = fflush(out) == 0 && !ferror(out);
    int number = errno;
    good = fclose(out) == 0 && good;
    if (good && rename(beside, path) == 0)
        return true;
    number = good ? errno : number;
    (void)unlink(beside);
    return err_errno(err, number, "write %s", path);
}
