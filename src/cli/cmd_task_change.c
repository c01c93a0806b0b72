/* cmd_task_change.c: `penstock task retry|cancel|delete`: all tasks that ids or a filter mean. */
#include "base/json.h"
#include "base/parse.h"
#include "cli/answer_member.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/task_filter_options.h"

#include <stdio.h>
#include <stdlib.h>

enum { IDS_MAX = 100000 };

static const struct option change_options[] = {
    {.name = "all", .help = "every task; goes without ids and filters"},
    {.name = "json", .help = "print JSON, as the server sends it"},
    {0},
};
static const struct option *const change_tables[] = {change_options, task_state_options,
                                                     task_filter_options, client_options, NULL};

static bool write_ids(const struct options *options, struct json_out *o, struct err *err)
{
    size_t count = options_argument_count(options);
    if (count == 0)
        return true;
    json_out_name(o, "ids");
    json_out_open(o, '[');
    for (size_t i = 0; i < count; i++) {
        int64_t id = 0;
        if (!parse_i64(str_of(options_argument(options, i)), 1, INT64_MAX, &id, err))
            return err_add(err, "task");
        json_out_i64(o, id);
    }
    json_out_close(o, ']');
    return true;
}

/* Asks for the change and says what became of it: "3 of 4 tasks <past>". */
static bool change(const struct options *options, const char *path, const char *past,
                   struct err *err)
{
    OWNED(client) struct client *client = NULL;
    OWNED_BUF struct buf body;
    OWNED_BUF struct buf answer;
    struct json_out o;
    buf_init(&body, BUF_NO_CAP);
    buf_init(&answer, 1 << 20);
    json_out_init(&o, &body);
    json_out_open(&o, '{');
    task_filter_members(options, &o);
    if (options_has(options, "all")) {
        json_out_name(&o, "all");
        json_out_bool(&o, true);
    }
    if (!write_ids(options, &o, err))
        return false;
    json_out_close(&o, '}');
    if (body.len == 2)
        return err_set(err, ERR_INVALID, "which tasks? give ids, a filter, or --all");
    if (!client_open(options, &client, err) ||
        !client_ask(client, "POST", path, buf_str(&body), &answer, err))
        return false;
    if (options_has(options, "json"))
        printf("%.*s\n", (int)answer.len, answer.data);
    else
        printf("%lld of %lld tasks %s\n", (long long)answer_i64(buf_str(&answer), "changed"),
               (long long)answer_i64(buf_str(&answer), "matched"), past);
    return true;
}

static bool retry_run(const struct options *options, struct err *err)
{
    return change(options, "/v1/tasks/retry", "are to run again", err);
}

const struct command cmd_task_retry = {
    .name = "task retry",
    .arguments = "[ID...]",
    .most = IDS_MAX,
    .summary = "Run failed and cancelled tasks again, with their attempts counted from 0",
    .options = change_tables,
    .examples = "penstock task retry 17 18\n"
                "penstock task retry --only failed --queue ingest --error ValueError\n",
    .run = retry_run,
};

static bool cancel_run(const struct options *options, struct err *err)
{
    return change(options, "/v1/tasks/cancel", "cancelled, or asked to stop", err);
}

const struct command cmd_task_cancel = {
    .name = "task cancel",
    .arguments = "[ID...]",
    .most = IDS_MAX,
    .summary = "Cancel tasks; those that run are asked to stop",
    .text = "What waits for a cancelled task is cancelled with it.\n",
    .options = change_tables,
    .examples = "penstock task cancel 17\n"
                "penstock task cancel --of dataset-7\n"
                "penstock task cancel --only pending --function parse\n",
    .run = cancel_run,
};

static bool delete_run(const struct options *options, struct err *err)
{
    return change(options, "/v1/tasks/delete", "deleted", err);
}

const struct command cmd_task_delete = {
    .name = "task delete",
    .arguments = "[ID...]",
    .most = IDS_MAX,
    .summary = "Forget tasks that have ended; others stay",
    .options = change_tables,
    .examples = "penstock task delete 17\n"
                "penstock task delete --only cancelled\n",
    .run = delete_run,
};
