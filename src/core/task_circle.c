/* task_circle.c: whether a batch of tasks waits for itself (task_graph.h). What waits for nothing
 * is taken away, then what waited for that only, and so on; what is left waits in a circle, and
 * from any of it a walk along what it waits for comes round. */
#include "core/task_graph.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define CIRCLE_SHOWN 8 /* places named at most */

/* The edges of each parent together: those of place p are children[first[p]] to first[p + 1]. */
struct fan {
    uint32_t *first, *children;
};

static struct fan fan_of(const uint32_t (*edges)[2], size_t edge_count, size_t count)
{
    struct fan fan = {xcalloc(count + 2, sizeof *fan.first),
                      xcalloc(edge_count + 1, sizeof *fan.children)};
    for (size_t i = 0; i < edge_count; i++) {
        assert(edges[i][0] < count && edges[i][1] < count);
        fan.first[edges[i][1] + 2]++;
    }
    for (size_t p = 2; p < count + 2; p++)
        fan.first[p] += fan.first[p - 1];
    for (size_t i = 0; i < edge_count; i++)
        fan.children[fan.first[edges[i][1] + 1]++] = edges[i][0];
    return fan;
}

/* Takes away all that waits for nothing that is left; `open` counts the edges to what is left.
 * Returns how many were taken. */
static size_t take_away(const struct fan *fan, uint32_t *open, size_t count)
{
    OWNED_MEM uint32_t *free_ones = xcalloc(count + 1, sizeof *free_ones);
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        if (!open[i])
            free_ones[found++] = (uint32_t)i;
    for (size_t taken = 0; taken < found; taken++) {
        uint32_t p = free_ones[taken];
        for (uint32_t i = fan->first[p]; i < fan->first[p + 1]; i++)
            if (--open[fan->children[i]] == 0)
                free_ones[found++] = fan->children[i];
    }
    return found;
}

/* Each place that is left waits for another that is left: says which ones come round. */
static bool tell(const uint32_t (*edges)[2], size_t edge_count, const uint32_t *open, size_t count,
                 struct err *err)
{
    OWNED_MEM uint32_t *parent = xcalloc(count, sizeof *parent);
    OWNED_MEM bool *seen = xcalloc(count, sizeof *seen);
    char text[CIRCLE_SHOWN * 16] = "";
    size_t at = 0, shown = 0, len = 0;
    for (size_t i = 0; i < edge_count; i++)
        if (open[edges[i][0]] && open[edges[i][1]])
            parent[edges[i][0]] = edges[i][1];
    while (!open[at])
        at++;
    for (; !seen[at]; at = parent[at])
        seen[at] = true;
    size_t first = at;
    do {
        if (shown++ < CIRCLE_SHOWN)
            len += (size_t)snprintf(text + len, sizeof text - len, "%zu, ", at + 1);
        at = parent[at];
    } while (at != first);
    return err_set(err, ERR_INVALID, "tasks wait for each other in a circle: places %s%s%zu", text,
                   shown > CIRCLE_SHOWN ? "..., " : "", first + 1);
}

bool task_graph_check_batch(const uint32_t (*edges)[2], size_t edge_count, size_t count,
                            struct err *err)
{
    struct fan fan = fan_of(edges, edge_count, count);
    OWNED_MEM uint32_t *first = fan.first, *children = fan.children;
    OWNED_MEM uint32_t *open = xcalloc(count + 1, sizeof *open);
    (void)first;
    (void)children;
    for (size_t i = 0; i < edge_count; i++)
        open[edges[i][0]]++;
    if (take_away(&fan, open, count) == count)
        return true;
    return tell(edges, edge_count, open, count, err);
}
