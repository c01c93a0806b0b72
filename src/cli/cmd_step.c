/* cmd_step.c: `penstock step list|show|deprecate`: the functions that others call. `register` is in
 * cmd_step_register.c. */
#include "base/json.h"
#include "base/terminal.h"
#include "cli/answer_list.h"
#include "cli/answer_member.h"
#include "cli/client.h"
#include "cli/command.h"

#include <stdio.h>
#include <stdlib.h>

static const size_t answer_max_bytes = 16 << 20;

static const struct option plain_options[] = {
    {.name = "json", .help = "print JSON, as the server sends it"},
    {0},
};
static const struct option *const plain_tables[] = {plain_options, client_options, NULL};

static char *step_path(const char *step)
{
    struct buf path;
    buf_init(&path, BUF_NO_CAP);
    buf_add_text(&path, "/v1/steps/");
    client_escape(&path, step);
    return buf_take(&path);
}

static void print_answer(const struct buf *answer)
{
    printf("%.*s\n", (int)answer->len, answer->data);
}

/* --- list --- */

static const struct option list_options[] = {
    {.name = "name", .value = "NAME", .help = "only versions of this step"},
    {.name = "tag", .value = "TAG", .help = "only those with this tag", .many = true},
    {.name = "all", .help = "hidden and deprecated ones, too"},
    {.name = "json", .help = "print each step as a line of JSON, as the server sends it"},
    {0},
};
static const struct option *const list_tables[] = {list_options, client_options, NULL};

static bool add_step(void *table, struct str step, struct err *err)
{
    static const char *const members[] = {"name", "version", "jobs", "owner", "short_description"};
    (void)err;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        OWNED_MEM char *text = answer_text(step, members[i]);
        table_cell(table, str_of(*text ? text : "-"), COLOUR_NONE);
    }
    return true;
}

static char *list_path(const struct options *options)
{
    struct buf path;
    const char *name = options_text(options, "name");
    buf_init(&path, BUF_NO_CAP);
    buf_add_text(&path, "/v1/steps?limit=1000");
    if (!options_has(options, "all"))
        buf_add_text(&path, "&hidden=false&deprecated=false");
    if (name) {
        buf_add_text(&path, "&name=");
        client_escape(&path, name);
    }
    for (size_t i = 0; i < options_count(options, "tag"); i++) {
        buf_add_text(&path, "&tag=");
        client_escape(&path, options_at(options, "tag", i));
    }
    return buf_take(&path);
}

static bool list_run(const struct options *options, struct err *err)
{
    static const char *const titles[] = {"STEP", "VERSION", "JOBS", "OWNER", "DESCRIPTION", NULL};
    OWNED(client) struct client *client = NULL;
    OWNED_BUF struct buf answer;
    OWNED(table) struct table *table = options_has(options, "json") ? NULL : table_new(titles);
    OWNED_MEM char *path = list_path(options);
    buf_init(&answer, answer_max_bytes);
    if (!client_open(options, &client, err) ||
        !client_ask(client, "GET", path, STR(""), &answer, err) ||
        !answer_list_each(buf_str(&answer), "steps", table ? add_step : answer_list_print, table,
                          err))
        return false;
    if (table)
        table_print(table, stdout);
    return true;
}

const struct command cmd_step_list = {
    .name = "step list",
    .summary = "List processing steps, the highest versions first",
    .options = list_tables,
    .examples = "penstock step list\n"
                "penstock step list --name clean --all\n",
    .run = list_run,
};

/* --- show --- */

static void print_member(struct str step, const char *member)
{
    struct str raw = answer_raw(step, member);
    OWNED_MEM char *text = answer_text(step, member);
    if (raw.len && !str_is(raw, "[]") && !str_is(raw, "\"\""))
        printf("%-18s %s\n", member, text);
}

static void print_slot(struct str slot, const char *way)
{
    OWNED_MEM char *name = answer_text(slot, "name");
    OWNED_MEM char *type = answer_text(slot, "media_type");
    OWNED_MEM char *least = answer_text(slot, "min");
    OWNED_MEM char *most = answer_text(slot, "max");
    bool unlimited = strcmp(most, "-") == 0;
    printf("%-18s %s (%s), %s to %s\n", way, name, type, least, unlimited ? "any number" : most);
}

static bool print_input(void *context, struct str slot, struct err *err)
{
    (void)context, (void)err;
    print_slot(slot, "input");
    return true;
}

static bool print_output(void *context, struct str slot, struct err *err)
{
    (void)context, (void)err;
    print_slot(slot, "output");
    return true;
}

static bool print_step(struct str step, struct err *err)
{
    static const char *const members[] = {"id",
                                          "name",
                                          "version",
                                          "title",
                                          "short_description",
                                          "long_description",
                                          "parameters",
                                          "returns",
                                          "defaults",
                                          "deprecated",
                                          "tags",
                                          "owner",
                                          "created_by",
                                          "jobs",
                                          "workers"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        print_member(step, members[i]);
    if (answer_i64(step, "workers") == 0)
        printf("%-18s no worker that takes it is connected: its jobs wait\n", "");
    return answer_list_each(step, "inputs", print_input, NULL, err) &&
           answer_list_each(step, "outputs", print_output, NULL, err);
}

static bool show_run(const struct options *options, struct err *err)
{
    OWNED(client) struct client *client = NULL;
    OWNED_BUF struct buf answer;
    OWNED_MEM char *path = step_path(options_argument(options, 0));
    buf_init(&answer, answer_max_bytes);
    if (!client_open(options, &client, err) ||
        !client_ask(client, "GET", path, STR(""), &answer, err))
        return false;
    if (!options_has(options, "json"))
        return print_step(buf_str(&answer), err);
    print_answer(&answer);
    return true;
}

const struct command cmd_step_show = {
    .name = "step show",
    .arguments = "STEP",
    .least = 1,
    .most = 1,
    .summary = "Show a processing step: its parameters and data slots",
    .text =
        "STEP is NAME:VERSION, NAME for its highest version that is not deprecated, or an id.\n",
    .options = plain_tables,
    .examples = "penstock step show clean\n"
                "penstock step show clean:1.0.0 --json\n",
    .run = show_run,
};

/* --- deprecate --- */

static const struct option deprecate_options[] = {
    {.name = "reason", .value = "TEXT", .help = "why, or what to use in its place"},
    {.name = "restore", .help = "it is not deprecated any more"},
    {.name = "json", .help = "print JSON, as the server sends it"},
    {0},
};
static const struct option *const deprecate_tables[] = {deprecate_options, client_options, NULL};

static bool deprecate_run(const struct options *options, struct err *err)
{
    OWNED(client) struct client *client = NULL;
    OWNED_BUF struct buf answer;
    OWNED_BUF struct buf body;
    struct json_out o;
    const char *reason = options_text(options, "reason");
    OWNED_MEM char *path = step_path(options_argument(options, 0));
    buf_init(&answer, answer_max_bytes);
    buf_init(&body, answer_max_bytes);
    json_out_init(&o, &body);
    json_out_open(&o, '{');
    json_out_name(&o, "deprecated");
    if (options_has(options, "restore")) {
        json_out_null(&o);
    } else {
        json_out_open(&o, '{');
        json_out_name(&o, "reason");
        json_out_text(&o, reason);
        json_out_close(&o, '}');
    }
    json_out_close(&o, '}');
    if (!client_open(options, &client, err) ||
        !client_ask(client, "PATCH", path, buf_str(&body), &answer, err))
        return false;
    if (options_has(options, "json"))
        print_answer(&answer);
    else
        printf("%s is %s\n", options_argument(options, 0),
               options_has(options, "restore") ? "restored" : "deprecated");
    return true;
}

const struct command cmd_step_deprecate = {
    .name = "step deprecate",
    .arguments = "STEP",
    .least = 1,
    .most = 1,
    .summary = "Say that a version of a step should not be used for new jobs",
    .text = "It can still be selected by its version; its name alone means another one.\n",
    .options = deprecate_tables,
    .examples = "penstock step deprecate clean:1.0.0 --reason 'use 2.0.0'\n"
                "penstock step deprecate clean:1.0.0 --restore\n",
    .run = deprecate_run,
};
