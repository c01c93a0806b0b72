/* cmd_lineage.c: `penstock lineage`: what made an artifact, and what was made from it. */
#include "base/json.h"
#include "cli/answer_list.h"
#include "cli/answer_member.h"
#include "cli/client.h"
#include "cli/command.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const size_t answer_max_bytes = 64 << 20;

static const struct option lineage_options[] = {
    {.name = "up", .value = "N", .help = "so many jobs far back (default: 20)"},
    {.name = "down", .value = "N", .help = "so many jobs far on (default: 20)"},
    {.name = "json", .help = "print JSON, as the server sends it"},
    {0},
};
static const struct option *const lineage_tables[] = {lineage_options, client_options, NULL};

static void print_artifact(struct str artifact, const char *before)
{
    OWNED_MEM char *name = answer_text(artifact, "name");
    OWNED_MEM char *type = answer_text(artifact, "media_type");
    OWNED_MEM char *bytes = answer_count(answer_i64(artifact, "bytes"));
    printf("%s%" PRId64 "  %s  %s, %s bytes\n", before, answer_i64(artifact, "id"), name, type,
           bytes);
}

static bool print_filled(void *before, struct str artifact, struct err *err)
{
    (void)err;
    print_artifact(artifact, before);
    return true;
}

/* What is in the slots, slot by slot. */
static bool print_slots(struct str job, const char *member, const char *before, struct err *err)
{
    struct json j;
    struct str raw, list;
    json_open(&j, answer_raw(job, member));
    if (!json_enter(&j, '{'))
        return true;
    while (json_member(&j, &raw) && json_value(&j, &list)) {
        OWNED_MEM char *slot = json_take_text(raw);
        OWNED_MEM char *line = xasprintf("%s%s: ", before, slot ? slot : "?");
        OWNED_MEM char *wrapped = xasprintf("{\"all\":%.*s}", (int)list.len, list.ptr);
        if (!answer_list_each(str_of(wrapped), "all", print_filled, line, err))
            return false;
    }
    return true;
}

static bool print_job(void *context, struct str job, struct err *err)
{
    (void)context;
    struct str step = answer_raw(job, "step");
    OWNED_MEM char *name = answer_text(job, "name");
    OWNED_MEM char *function = answer_text(step, "name");
    OWNED_MEM char *version = answer_text(step, "version");
    OWNED_MEM char *parameters = answer_text(job, "arguments");
    OWNED_MEM char *ended = answer_text(job, "ended_at");
    OWNED_MEM char *worker = answer_text(job, "worker");
    printf("\njob %" PRId64 "  %s\n  step       %s:%s\n  parameters %s\n  ended      %s, by %s\n",
           answer_i64(job, "id"), name, function, version, parameters, ended, worker);
    return print_slots(job, "inputs", "  from       ", err) &&
           print_slots(job, "outputs", "  made       ", err);
}

static char *lineage_path(const struct options *options)
{
    struct buf path;
    static const char *const ways[] = {"up", "down"};
    buf_init(&path, BUF_NO_CAP);
    buf_add_text(&path, "/v1/artifacts/");
    client_escape(&path, options_argument(options, 0));
    buf_add_text(&path, "/lineage?");
    for (size_t i = 0; i < 2; i++)
        if (options_text(options, ways[i])) {
            buf_add_format(&path, "%s=", ways[i]);
            client_escape(&path, options_text(options, ways[i]));
            buf_add_char(&path, '&');
        }
    return buf_take(&path);
}

static bool lineage_run(const struct options *options, struct err *err)
{
    OWNED(client) struct client *client = NULL;
    OWNED_BUF struct buf answer;
    OWNED_MEM char *path = lineage_path(options);
    buf_init(&answer, answer_max_bytes);
    if (!client_open(options, &client, err) ||
        !client_ask(client, "GET", path, STR(""), &answer, err))
        return false;
    if (options_has(options, "json")) {
        printf("%.*s\n", (int)answer.len, answer.data);
        return true;
    }
    print_artifact(answer_raw(buf_str(&answer), "artifact"), "artifact ");
    if (!answer_list_each(buf_str(&answer), "jobs", print_job, NULL, err))
        return false;
    if (answer_flag(buf_str(&answer), "more"))
        printf("\nand more\n");
    return true;
}

const struct command cmd_lineage = {
    .name = "lineage",
    .arguments = "ARTIFACT",
    .least = 1,
    .most = 1,
    .summary = "Show which jobs made an artifact, of what, and what was made from it",
    .text = "ARTIFACT is its id. Jobs are shown nearest first: those that led to it, then those\n"
            "that used it, each with its step's version, its parameters and its inputs.\n",
    .options = lineage_tables,
    .examples = "penstock lineage 12\n"
                "penstock lineage 12 --down 0 --json\n",
    .run = lineage_run,
};
