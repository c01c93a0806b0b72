/* cmd_task_enqueue.c: `penstock task enqueue`: one task, or one for each line of standard input. */
#include "base/json.h"
#include "base/parse.h"
#include "cli/answer_list.h"
#include "cli/answer_member.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/option_member.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCH_TASKS = 1000 };
static const size_t batch_bytes = 4 << 20;

static const struct option enqueue_options[] = {
    {.name = "queue", .value = "NAME", .help = "where it waits (default: default)"},
    {.name = "priority", .value = "N", .help = "higher runs first (default: 0)"},
    {.name = "of", .value = "KEY", .help = "whose work it is (a dataset, a customer)"},
    {.name = "batch", .value = "LABEL", .help = "a label for status and bulk verbs"},
    {.name = "lock", .value = "NAME", .help = "of all tasks with this lock one runs at a time"},
    {.name = "unique",
     .value = "KEY",
     .help = "none is added while one with this key has not ended; its id is printed"},
    {.name = "delay", .value = "SECONDS", .help = "not before so long from now"},
    {.name = "at", .value = "TIME", .help = "not before, such as 2026-11-22T09:00:00+01:00"},
    {.name = "after",
     .value = "ID",
     .help = "a task that must have completed before",
     .many = true},
    {.name = "max-attempts", .value = "N", .help = "starts in all (default: 5)"},
    {.name = "retry",
     .value = "JSON",
     .help = "when a failed attempt is followed by another, such as "
             "{\"kind\":\"exponential\",\"delay_s\":1} (default: a failure is final)"},
    {.name = "timeout", .value = "SECONDS", .help = "a run that takes longer is aborted"},
    {.name = "lines",
     .help = "one task for each line of standard input, which is its arguments as JSON"},
    {.name = "json", .help = "print JSON, as the server sends it"},
    {0},
};
static const struct option *const enqueue_tables[] = {enqueue_options, client_options, NULL};

/* --- the body --- */

static bool after_member(const struct options *options, struct json_out *o, struct err *err)
{
    size_t count = options_count(options, "after");
    int64_t id = 0;
    if (count == 0)
        return true;
    json_out_name(o, "after");
    json_out_open(o, '[');
    for (size_t i = 0; i < count; i++) {
        if (!parse_i64(str_of(options_at(options, "after", i)), 1, INT64_MAX, &id, err))
            return err_add(err, "--after");
        json_out_i64(o, id);
    }
    json_out_close(o, ']');
    return true;
}

/* All members but the arguments, which differ. `o` stands in the task's object. */
static bool write_members(const struct options *options, struct json_out *o, struct err *err)
{
    json_out_name(o, "function");
    json_out_text(o, options_argument(options, 0));
    option_member_text(options, "queue", "queue", o);
    option_member_text(options, "of", "key", o);
    option_member_text(options, "batch", "batch", o);
    option_member_text(options, "lock", "lock", o);
    option_member_text(options, "at", "run_at", o);
    if (options_text(options, "unique")) {
        json_out_name(o, "unique");
        json_out_open(o, '{');
        option_member_text(options, "unique", "key", o);
        json_out_close(o, '}');
    }
    return option_member_json(options, "retry", "retry", o, err) &&
           option_member_number(options, "priority", "priority", o, err) &&
           option_member_number(options, "delay", "delay_s", o, err) &&
           option_member_number(options, "max-attempts", "max_attempts", o, err) &&
           option_member_number(options, "timeout", "timeout_s", o, err) &&
           after_member(options, o, err);
}

/* --- sending --- */

struct enqueuing {
    const struct options *options;
    struct client *client;
    struct buf members; /* of each task, with the bracket before them and without the one behind */
    struct buf body;
    int64_t count, line;
};

static void enqueuing_release(struct enqueuing *e)
{
    client_free(e->client);
    buf_release(&e->members);
    buf_release(&e->body);
}

static bool print_id(void *unused, struct str task, struct err *err)
{
    (void)unused, (void)err;
    printf("%lld\n", (long long)answer_i64(task, "id"));
    return true;
}

static bool send_tasks(struct enqueuing *e, struct err *err)
{
    OWNED_BUF struct buf answer;
    buf_init(&answer, BUF_NO_CAP);
    if (e->count == 0)
        return true;
    buf_add_text(&e->body, "]}");
    if (!client_ask(e->client, "POST", "/v1/tasks", buf_str(&e->body), &answer, err))
        return false;
    e->body.len = 0;
    e->count = 0;
    if (!options_has(e->options, "json"))
        return answer_list_each(buf_str(&answer), "tasks", print_id, NULL, err);
    printf("%.*s\n", (int)answer.len, answer.data);
    return true;
}

/* Adds one task; what has gathered is sent when it is much. */
static bool add_task(struct enqueuing *e, struct str arguments, struct err *err)
{
    size_t at = 0;
    const char *fault = NULL;
    if (!json_check(arguments, &at, &fault)) {
        if (e->line)
            return err_set(err, ERR_INVALID, "line %lld: byte %zu: %s", (long long)e->line, at,
                           fault);
        return err_set(err, ERR_INVALID, "arguments: byte %zu: %s", at, fault);
    }
    buf_add_text(&e->body, e->count == 0 ? "{\"tasks\":[" : ",");
    buf_add_str(&e->body, buf_str(&e->members));
    buf_add_text(&e->body, ",\"arguments\":");
    buf_add_str(&e->body, str_trim(arguments));
    buf_add_char(&e->body, '}');
    e->count++;
    return (e->count < BATCH_TASKS && e->body.len < batch_bytes) || send_tasks(e, err);
}

static bool add_lines(struct enqueuing *e, struct err *err)
{
    OWNED_MEM char *line = NULL;
    size_t room = 0;
    ssize_t len = 0;
    errno = 0;
    while ((len = getline(&line, &room, stdin)) > 0) {
        struct str text = str_trim((struct str){line, (size_t)len});
        e->line++;
        if (text.len > 0 && !add_task(e, text, err))
            return false;
    }
    return !ferror(stdin) || err_set(err, ERR_IO, "standard input: %s", strerror(errno));
}

static bool enqueue_run(const struct options *options, struct err *err)
{
    __attribute__((cleanup(enqueuing_release))) struct enqueuing e = {.options = options};
    const char *arguments = options_argument(options, 1);
    struct json_out o;
    buf_init(&e.members, BUF_NO_CAP);
    buf_init(&e.body, BUF_NO_CAP);
    json_out_init(&o, &e.members);
    json_out_open(&o, '{');
    if (options_has(options, "lines") && arguments)
        return err_set(err, ERR_INVALID, "--lines: the arguments come from standard input");
    if (!write_members(options, &o, err) || !client_open(options, &e.client, err))
        return false;
    bool added = options_has(options, "lines")
                     ? add_lines(&e, err)
                     : add_task(&e, arguments ? str_of(arguments) : STR("{}"), err);
    return added && send_tasks(&e, err);
}

const struct command cmd_task_enqueue = {
    .name = "task enqueue",
    .arguments = "FUNCTION [ARGUMENTS]",
    .least = 1,
    .most = 2,
    .summary = "Enqueue a call of a function; prints the task's id",
    .text = "ARGUMENTS is JSON (default: {}). With --lines there is one task for each line of\n"
            "standard input; they are sent a thousand at a time, each thousand all or none.\n",
    .options = enqueue_tables,
    .examples = "penstock task enqueue parse '{\"path\":\"a.pdf\"}' --queue ingest --of dataset-7\n"
                "penstock task enqueue report --delay 3600 --unique daily-report\n"
                "jq -c '{path:.}' files.json | penstock task enqueue parse --lines >ids\n"
                "penstock task show $(penstock task enqueue add '{\"a\":1}') --wait 60 --result\n",
    .run = enqueue_run,
};
