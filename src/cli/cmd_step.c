/* cmd_step.c: `penstock step list|show|register|deprecate`: the functions that others call. */
#include "base/file.h"
#include "base/json.h"
#include "base/spawn.h"
#include "base/terminal.h"
#include "cli/answer_list.h"
#include "cli/answer_member.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/python_program.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

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
                                          "jobs"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        print_member(step, members[i]);
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

/* --- register, deprecate --- */

/* Steps in Python say themselves what they are. */
static bool is_python(const char *target)
{
    struct stat st;
    const char *dot = strrchr(target, '.');
    bool is_file = stat(target, &st) == 0 && S_ISREG(st.st_mode);
    return (dot && strcmp(dot, ".py") == 0) || (!is_file && strchr(target, ':'));
}

/* The server as Python is told it. ERR_INVALID. */
static bool register_server(const struct options *options, char **out, struct err *err)
{
    const char *state = options_text(options, "state");
    const char *server = options_has(options, "state") ? NULL : options_text(options, "server");
    if (options_has(options, "server") && options_has(options, "state"))
        return err_set(err, ERR_INVALID, "--server and --state name two servers; give one");
    OWNED_MEM char *folder = server ? NULL : realpath(state ? state : STATE_DIR_DEFAULT, NULL);
    if (!server && !folder)
        return err_set(err, ERR_NOT_FOUND, "no server runs on %s",
                       state ? state : STATE_DIR_DEFAULT);
    *out = server ? xstrdup(server) : xasprintf("unix://%s/penstock.sock", folder);
    return true;
}

/* This process becomes the Python that reads the steps and registers them. The key goes by the
 * environment: arguments are seen by everybody. */
static bool register_python(const struct options *options, struct err *err)
{
    const char *asked = getenv("PENSTOCK_PYTHON"), *key = options_text(options, "key");
    const char *ca = options_text(options, "ca");
    OWNED_MEM char *server = NULL;
    OWNED_MEM char *python = python_find(asked && *asked ? asked : NULL, err);
    if (!python || !register_server(options, &server, err))
        return false;
    OWNED_MEM char *path = python_path();
    if ((path && setenv("PYTHONPATH", path, 1) != 0) ||
        (key && setenv("PENSTOCK_KEY", key, 1) != 0))
        return err_errno(err, errno, "the environment");
    const char *argv[16] = {python, "-m", "penstock.steps", "register", "--server", server};
    size_t count = 6;
    if (ca) {
        argv[count++] = "--ca";
        argv[count++] = ca;
    }
    if (options_has(options, "json"))
        argv[count++] = "--json";
    argv[count++] = "--";
    argv[count] = options_argument(options, 0);
    return spawn_become(argv, err);
}

static bool register_run(const struct options *options, struct err *err)
{
    if (is_python(options_argument(options, 0)))
        return register_python(options, err);
    OWNED(client) struct client *client = NULL;
    OWNED_BUF struct buf answer;
    OWNED_BUF struct buf manifest;
    const char *path = options_argument(options, 0);
    buf_init(&answer, answer_max_bytes);
    buf_init(&manifest, answer_max_bytes);
    if (!file_read_all(strcmp(path, "-") == 0 ? "/dev/stdin" : path, answer_max_bytes, &manifest,
                       err) ||
        !client_open(options, &client, err))
        return false;
    if (!client_ask(client, "POST", "/v1/steps", buf_str(&manifest), &answer, err))
        return err_add(err, "%s", path);
    if (options_has(options, "json")) {
        print_answer(&answer);
        return true;
    }
    bool existing = answer_flag(buf_str(&answer), "existing");
    fprintf(stderr, existing ? "it was registered before\n" : "it is registered\n");
    printf("%lld\n", (long long)answer_i64(buf_str(&answer), "id"));
    return true;
}

const struct command cmd_step_register = {
    .name = "step register",
    .arguments = "TARGET",
    .least = 1,
    .most = 1,
    .summary = "Register processing steps; prints their ids",
    .text =
        "TARGET is the manifest of a step, a JSON file or - for standard input; or steps in\n"
        "Python, as for \"penstock worker\": steps.py, module:step, module:*. Workers register\n"
        "their steps by themselves; this is for those that do not, and for before they run.\n",
    .options = plain_tables,
    .examples = "penstock step register clean.json\n"
                "penstock step register steps.py --server http://host:5005 --key @key\n",
    .run = register_run,
};

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
