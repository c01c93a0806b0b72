/* cmd_job_errors.c: `penstock job errors`: the failed records of a job, page by page. */
#include "base/json.h"
#include "base/parse.h"
#include "base/terminal.h"
#include "cli/answer_list.h"
#include "cli/client.h"
#include "cli/command.h"

#include <stdio.h>
#include <stdlib.h>

static const struct option errors_options[] = {
    {.name = "limit", .value = "COUNT", .help = "print so many at most (default: all)"},
    {.name = "json", .help = "print each as a line of JSON, as the error file has it"},
    {0},
};
static const struct option *const errors_tables[] = {errors_options, client_options, NULL};

enum { PAGE_RECORDS = 1000 };
static const size_t page_max_bytes = 64 << 20;

/* The first of the members that is there, as text; "-" when none is. To be freed. */
static char *text_of(struct str entry, const char *const *names)
{
    struct str value;
    for (; *names; names++)
        if (json_find(entry, *names, &value) && json_type_of(value) != JSON_NULL) {
            char *text = json_take_shown(value);
            return text ? text : xstrndup(value.ptr, value.len);
        }
    return xstrdup("-");
}

/* Whoever wrote the input or the worker wrote the reason: nothing of it steers a terminal. */
static void make_plain(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = ' ';
}

/* Widths are fixed, so that a page can be printed before the next is known. */
static void print_row(const char *record, const char *line, const char *attempts,
                      const char *reason)
{
    printf("%10s %10s %8s  %s\n", record, line, attempts, reason);
}

static bool print_entry(void *unused, struct str entry, struct err *err)
{
    static const char *const members[4][3] = {
        {"record", "record_id"}, {"line"}, {"attempts"}, {"reason", "error_message"}};
    char *cells[4];
    (void)unused, (void)err;
    /* What a person has put into the file is shown as it is. */
    bool object = json_type_of(entry) == JSON_OBJECT;
    for (size_t i = 0; i < 4; i++) {
        cells[i] = object ? text_of(entry, members[i])
                          : xstrndup(i == 3 ? entry.ptr : "-", i == 3 ? entry.len : 1);
        make_plain(cells[i]);
    }
    print_row(cells[0], cells[1], cells[2], cells[3]);
    for (size_t i = 0; i < 4; i++)
        free(cells[i]);
    return true;
}

struct page {
    answer_taker *take;
    int64_t left; /* to be printed */
};

static bool take_entry(void *context, struct str entry, struct err *err)
{
    struct page *page = context;
    return page->left-- <= 0 || page->take(NULL, entry, err);
}

static bool errors_run(const struct options *options, struct err *err)
{
    OWNED(client) struct client *client = NULL;
    const char *limit = options_text(options, "limit");
    bool json = options_has(options, "json"), more = true;
    struct page page = {.take = json ? answer_list_print : print_entry, .left = INT64_MAX};
    int64_t after = 0;
    if (limit && !parse_i64(str_of(limit), 1, INT64_MAX, &page.left, err))
        return err_add(err, "--limit");
    if (!client_open(options, &client, err))
        return false;
    OWNED_MEM char *path = client_job_path(options_argument(options, 0), "/errors");
    for (bool first = true; more && page.left > 0; first = false) {
        OWNED_BUF struct buf answer;
        struct str next;
        buf_init(&answer, page_max_bytes);
        int64_t wanted = page.left < PAGE_RECORDS ? page.left : PAGE_RECORDS;
        OWNED_MEM char *where =
            xasprintf("%s?after=%lld&limit=%lld", path, (long long)after, (long long)wanted);
        if (!client_ask(client, "GET", where, STR(""), &answer, err))
            return false;
        if (first && !json)
            print_row("RECORD", "LINE", "ATTEMPTS", "REASON");
        if (!answer_list_each(buf_str(&answer), "errors", take_entry, &page, err))
            return false;
        more = json_find(buf_str(&answer), "next", &next) && json_i64(next, 0, INT64_MAX, &after);
    }
    return true;
}

const struct command cmd_job_errors = {
    .name = "job errors",
    .arguments = "JOB",
    .least = 1,
    .most = 1,
    .summary = "List the failed records of a job, with their reasons",
    .text = "Lines that could not be read and records whose attempts are spent, oldest first.\n",
    .options = errors_tables,
    .examples = "penstock job errors titles\n"
                "penstock job errors titles --limit 10\n"
                "penstock job errors titles --json | jq -r .reason | sort | uniq -c\n",
    .run = errors_run,
};
