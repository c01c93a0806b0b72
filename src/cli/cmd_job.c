/* cmd_job.c: `penstock job list|show|pause|resume|cancel|repair|clean|delete`: one request each. */
#include "base/json.h"
#include "cli/answer_list.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/shown_job.h"

#include <stdio.h>

static const size_t job_max_bytes = 4 << 20;

static const struct option json_options[] = {
    {.name = "json", .help = "print JSON, as the server sends it"},
    {0},
};
static const struct option *const plain_tables[] = {json_options, client_options, NULL};

/* The job of an answer: for programs as it is, for people what `line` says. */
static bool show(const struct options *options, struct str json, bool whole, struct err *err)
{
    if (options_has(options, "json")) {
        printf("%.*s\n", (int)json.len, json.ptr);
        return true;
    }
    OWNED_SHOWN_JOB struct shown_job job = {0};
    if (!shown_job_read(json, &job, err))
        return false;
    if (whole)
        shown_job_print(&job, stdout);
    else
        printf("%s is %s\n", job.name, shown_job_word(&job));
    return true;
}

/* One request about the job that the first argument names. */
static bool ask_about_job(const struct options *options, const char *method, const char *rest,
                          struct str body, struct buf *answer, struct err *err)
{
    OWNED(client) struct client *client = NULL;
    if (!client_open(options, &client, err))
        return false;
    OWNED_MEM char *path = client_job_path(options_argument(options, 0), rest);
    return client_ask(client, method, path, body, answer, err);
}

static bool ask_and_show(const struct options *options, const char *method, const char *rest,
                         struct str body, bool whole, struct err *err)
{
    OWNED_BUF struct buf answer;
    buf_init(&answer, job_max_bytes);
    return ask_about_job(options, method, rest, body, &answer, err) &&
           show(options, buf_str(&answer), whole, err);
}

static bool show_run(const struct options *options, struct err *err)
{
    return ask_and_show(options, "GET", "", STR(""), true, err);
}

const struct command cmd_job_show = {
    .name = "job show",
    .arguments = "JOB",
    .least = 1,
    .most = 1,
    .summary = "Show one job: how far it is, what failed, where its files are",
    .text = "JOB is the job's name, or @ and its id.\n",
    .options = plain_tables,
    .examples = "penstock job show titles\n"
                "penstock job show @17 --json\n",
    .run = show_run,
};

static bool pause_run(const struct options *options, struct err *err)
{
    return ask_and_show(options, "POST", "/pause", STR(""), false, err);
}

const struct command cmd_job_pause = {
    .name = "job pause",
    .arguments = "JOB",
    .least = 1,
    .most = 1,
    .summary = "Hand out no more records of a job; what is in flight is still taken",
    .options = plain_tables,
    .examples = "penstock job pause titles\n",
    .run = pause_run,
};

static bool resume_run(const struct options *options, struct err *err)
{
    return ask_and_show(options, "POST", "/resume", STR(""), false, err);
}

const struct command cmd_job_resume = {
    .name = "job resume",
    .arguments = "JOB",
    .least = 1,
    .most = 1,
    .summary = "Hand out records of a paused job again",
    .options = plain_tables,
    .examples = "penstock job resume titles\n",
    .run = resume_run,
};

static bool cancel_run(const struct options *options, struct err *err)
{
    return ask_and_show(options, "POST", "/cancel", STR(""), false, err);
}

const struct command cmd_job_cancel = {
    .name = "job cancel",
    .arguments = "JOB",
    .least = 1,
    .most = 1,
    .summary = "End a job; what is written stays written, and repair takes it up again",
    .options = plain_tables,
    .examples = "penstock job cancel titles\n",
    .run = cancel_run,
};

static const struct option repair_options[] = {
    {.name = "failed", .help = "try the failed records again as well"},
    {0},
};
static const struct option *const repair_tables[] = {repair_options, json_options, client_options,
                                                     NULL};

static bool repair_run(const struct options *options, struct err *err)
{
    struct str body = options_has(options, "failed") ? STR("{\"failed\":true}") : STR("{}");
    return ask_and_show(options, "POST", "/repair", body, false, err);
}

const struct command cmd_job_repair = {
    .name = "job repair",
    .arguments = "JOB",
    .least = 1,
    .most = 1,
    .summary = "Serve again what is neither done nor failed",
    .text = "What was handed out and never came back is served again. Records with a lease\n"
            "come back by themselves; this is for those without one.\n",
    .options = repair_tables,
    .examples = "penstock job repair titles\n"
                "penstock job repair titles --failed\n",
    .run = repair_run,
};

static const struct option clean_options[] = {
    {.name = "keep-output", .help = "leave the output file alone"},
    {0},
};
static const struct option *const clean_tables[] = {clean_options, json_options, client_options,
                                                    NULL};

static bool clean_run(const struct options *options, struct err *err)
{
    struct str body =
        options_has(options, "keep-output") ? STR("{\"output\":false}") : STR("{\"output\":true}");
    return ask_and_show(options, "POST", "/clean", body, false, err);
}

const struct command cmd_job_clean = {
    .name = "job clean",
    .arguments = "JOB",
    .least = 1,
    .most = 1,
    .summary = "Forget what is in flight and remove the output file",
    .options = clean_tables,
    .examples = "penstock job clean titles\n"
                "penstock job clean titles --keep-output\n",
    .run = clean_run,
};

static bool delete_run(const struct options *options, struct err *err)
{
    if (!ask_about_job(options, "DELETE", "", STR(""), NULL, err))
        return false;
    if (!options_has(options, "json"))
        printf("%s is deleted; its output stays\n", options_argument(options, 0));
    return true;
}

const struct command cmd_job_delete = {
    .name = "job delete",
    .arguments = "JOB",
    .least = 1,
    .most = 1,
    .summary = "Forget a job and its ledger; the output file stays",
    .options = plain_tables,
    .examples = "penstock job delete titles\n",
    .run = delete_run,
};

/* `--state` of the other commands is the folder; here a state of jobs has its own word. */
static const struct option filter_options[] = {
    {.name = "only",
     .value = "STATE",
     .help = "only jobs in this state: pending, running, completed, failed, cancelled"},
    {0},
};
static const struct option *const list_tables[] = {filter_options, json_options, client_options,
                                                   NULL};

static bool add_row(void *context, struct str json, struct err *err)
{
    struct table *table = context;
    OWNED_SHOWN_JOB struct shown_job shown = {0};
    const struct shown_job *job = &shown;
    if (!shown_job_read(json, &shown, err))
        return false;
    struct buf text;
    buf_init(&text, 512);
    shown_job_progress(job, &text);
    OWNED_MEM char *progress = buf_take(&text);
    OWNED_MEM char *id = xasprintf("%lld", (long long)job->id);
    table_cell(table, str_of(id), COLOUR_FAINT);
    table_cell(table, str_of(job->name), COLOUR_NONE);
    table_cell(table, str_of(shown_job_word(job)), shown_job_colour(job));
    table_cell(table, str_of(progress), COLOUR_NONE);
    return true;
}

static bool list_run(const struct options *options, struct err *err)
{
    static const char *const titles[] = {">ID", "NAME", "STATE", "PROGRESS", NULL};
    const char *only = options_text(options, "only");
    OWNED(client) struct client *client = NULL;
    if (!client_open(options, &client, err))
        return false;
    OWNED(table) struct table *table = options_has(options, "json") ? NULL : table_new(titles);
    struct buf first;
    buf_init(&first, BUF_NO_CAP);
    buf_add_text(&first, "/v1/jobs?limit=1000");
    if (only) {
        buf_add_text(&first, "&state=");
        client_escape(&first, only);
    }
    OWNED_MEM char *path = buf_take(&first);
    while (path) {
        OWNED_BUF struct buf answer;
        struct str next;
        buf_init(&answer, 64 << 20);
        if (!client_ask(client, "GET", path, STR(""), &answer, err) ||
            !answer_list_each(buf_str(&answer), "jobs", table ? add_row : answer_list_print, table,
                              err))
            return false;
        mem_drop(&path);
        path = json_find(buf_str(&answer), "next", &next) ? json_take_text(next) : NULL;
    }
    if (table)
        table_print(table, stdout);
    return true;
}

const struct command cmd_job_list = {
    .name = "job list",
    .summary = "List jobs, one a line",
    .text = "With --json, each line is one job as a JSON object.\n",
    .options = list_tables,
    .examples = "penstock job list\n"
                "penstock job list --only running\n"
                "penstock job list --json | jq -r .name\n",
    .run = list_run,
};
