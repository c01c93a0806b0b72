/* flow_draw.c: see flow_draw.h. */
#include "core/flow_draw.h"

#include <stdlib.h>

/* How a node that has run looks. Words as well as colours: not everybody sees those. */
static const struct look {
    char mark;
    const char *word, *fill;
} looks[] = {
    {'P', "pending", "#ffffff"},
    {'R', "running", "#ffe9a8"},
    {'C', "completed", "#c8eac8"},
    {'F', "failed", "#f6b5b5"},
    {'D', "an ancestor failed", "#f3dcdc"},
    {'N', "not selected", "#e4e4e4"},
    {'A', "aborted", "#f0c9a0"},
};

static const struct look *look_of(const char *marks, size_t place)
{
    for (size_t i = 0; marks && i < sizeof looks / sizeof *looks; i++)
        if (looks[i].mark == marks[place])
            return &looks[i];
    return NULL;
}

/* ---- Graphviz and Mermaid ---- */

static void add_dot_text(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            buf_add_char(out, '\\');
        buf_add_char(out, *text);
    }
}

static void draw_dot(const struct flow *f, const char *marks, struct buf *out)
{
    buf_add_text(out, "digraph flow {\n  node [shape=box, style=rounded];\n");
    for (size_t i = 0; i < f->node_count; i++) {
        buf_add_format(out, "  %d [label=\"%d\\n", f->nodes[i].id, f->nodes[i].id);
        add_dot_text(out, f->nodes[i].name);
        const struct look *look = look_of(marks, i);
        if (look)
            buf_add_format(out, "\\n%s\", style=\"rounded,filled\", fillcolor=\"%s\"];\n",
                           look->word, look->fill);
        else
            buf_add_text(out, "\"];\n");
    }
    for (size_t i = 0; i < f->node_count; i++)
        for (uint32_t p = 0; p < f->nodes[i].parent_count; p++)
            buf_add_format(out, "  %d -> %d;\n",
                           f->nodes[f->parents[f->nodes[i].parents_at + p]].id, f->nodes[i].id);
    buf_add_text(out, "}\n");
}

/* Its own marks are written as entities, by their numbers. */
static void add_mermaid_text(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (strchr("\"#<>&;`", *text))
            buf_add_format(out, "#%d;", *text);
        else
            buf_add_char(out, *text);
    }
}

static void draw_mermaid(const struct flow *f, const char *marks, struct buf *out)
{
    buf_add_text(out, "flowchart TD\n");
    for (size_t i = 0; i < f->node_count; i++) {
        buf_add_format(out, "  n%d[\"%d<br>", f->nodes[i].id, f->nodes[i].id);
        add_mermaid_text(out, f->nodes[i].name);
        const struct look *look = look_of(marks, i);
        if (look)
            buf_add_format(out, "<br>%s\"]\n  style n%d fill:%s\n", look->word, f->nodes[i].id,
                           look->fill);
        else
            buf_add_text(out, "\"]\n");
    }
    for (size_t i = 0; i < f->node_count; i++)
        for (uint32_t p = 0; p < f->nodes[i].parent_count; p++)
            buf_add_format(out, "  n%d --> n%d\n",
                           f->nodes[f->parents[f->nodes[i].parents_at + p]].id, f->nodes[i].id);
}

/* ---- text ---- */

struct layered {
    uint32_t depth, node;
};

static int by_layer(const void *a, const void *b)
{
    const struct layered *one = a, *other = b;
    if (one->depth != other->depth)
        return one->depth < other->depth ? -1 : 1;
    return one->node < other->node ? -1 : 1;
}

static struct layered *layers_of(const struct flow *f)
{
    uint32_t *depths = xcalloc(f->node_count, sizeof *depths);
    struct layered *all = xcalloc(f->node_count, sizeof *all);
    flow_depths(f, depths);
    for (uint32_t i = 0; i < f->node_count; i++)
        all[i] = (struct layered){depths[i], i};
    qsort(all, f->node_count, sizeof *all, by_layer);
    free(depths);
    return all;
}

/* What stands in one layer has no need of each other: it may run side by side. */
static void draw_text(const struct flow *f, const char *marks, struct buf *out)
{
    struct layered *all = layers_of(f);
    for (size_t i = 0; i < f->node_count; i++) {
        const struct flow_node *n = &f->nodes[all[i].node];
        bool first = i == 0 || all[i - 1].depth != all[i].depth;
        if (first && i > 0)
            buf_add_text(out, "  |\n");
        buf_add_format(out, "%s %d %s", first ? "  *" : "  +", n->id, n->name);
        for (uint32_t p = 0; p < n->parent_count; p++)
            buf_add_format(out, "%s%d", p ? ", " : "  <- ",
                           f->nodes[f->parents[n->parents_at + p]].id);
        const struct look *look = look_of(marks, all[i].node);
        if (look)
            buf_add_format(out, "  [%s]", look->word);
        buf_add_char(out, '\n');
    }
    free(all);
}

void flow_draw(const struct flow *f, enum flow_picture picture, const char *marks, struct buf *out)
{
    static void (*const draw[])(const struct flow *f, const char *marks, struct buf *out) = {
        [FLOW_TEXT] = draw_text, [FLOW_DOT] = draw_dot, [FLOW_MERMAID] = draw_mermaid};
    draw[picture](f, marks, out);
}
