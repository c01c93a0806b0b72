/* task_filter_options.c: see task_filter_options.h. */
#include "cli/task_filter_options.h"

#include "run/http_client.h"

const struct option task_filter_options[] = {
    {.name = "queue", .value = "NAME", .help = "only tasks of this queue"},
    {.name = "function", .value = "NAME", .help = "only calls of this function"},
    {.name = "of", .value = "KEY", .help = "only tasks with this key (a dataset, a customer)"},
    {.name = "batch", .value = "LABEL", .help = "only tasks with this batch"},
    {.name = "lock", .value = "NAME", .help = "only tasks with this lock"},
    {.name = "error", .value = "TYPE", .help = "only tasks whose last error is of this type"},
    {0},
};

const struct option task_state_options[] = {
    {.name = "only",
     .value = "STATE",
     .help = "only tasks in this state: blocked, pending, running, completed, failed, cancelled"},
    {0},
};

/* Options and the members that they stand for. */
static const char *const names[][2] = {{"queue", "queue"}, {"function", "function"},
                                       {"of", "key"},      {"batch", "batch"},
                                       {"lock", "lock"},   {"error", "error"}};

static void add_parameter(struct buf *out, const char *name, const char *value)
{
    if (!value)
        return;
    buf_add_format(out, "&%s=", name);
    client_escape(out, value);
}

void task_filter_query(const struct options *options, bool with_state, struct buf *out)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        add_parameter(out, names[i][1], options_text(options, names[i][0]));
    if (with_state)
        add_parameter(out, "state", options_text(options, "only"));
}

void task_filter_members(const struct options *options, struct json_out *o)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (options_text(options, names[i][0])) {
            json_out_name(o, names[i][1]);
            json_out_text(o, options_text(options, names[i][0]));
        }
    if (options_text(options, "only")) {
        json_out_name(o, "state");
        json_out_text(o, options_text(options, "only"));
    }
}
