/* cmd_doctor.c: `penstock doctor`: what the engine finds when it holds store, ledgers and outputs
 * against each other; by the running server, or by itself when none runs. */
#include "base/json.h"
#include "base/terminal.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/local_engine.h"

#include <stdio.h>

static const struct option doctor_options[] = {
    {.name = "json", .help = "print the findings as JSON"},
    {0},
};
static const struct option *const doctor_tables[] = {doctor_options, client_options, NULL};

static const size_t answer_max_bytes = (size_t)256 << 20;

static bool ask_here(struct local_engine *local, struct buf *findings, struct err *err)
{
    struct op op;
    op_init(&op, OP_DOCTOR);
    op.right.trusted = true;
    bool good = local_engine_ask(local, &op, err);
    if (good)
        buf_add_str(findings, buf_str(&op.doctor.findings));
    op_release(&op);
    return good;
}

static bool ask_there(struct client *client, struct buf *findings, struct err *err)
{
    OWNED_BUF struct buf answer;
    struct str list;
    buf_init(&answer, answer_max_bytes);
    if (!client_ask(client, "GET", "/v1/doctor", STR(""), &answer, err))
        return false;
    if (!json_check(buf_str(&answer), NULL, NULL) ||
        !json_find(buf_str(&answer), "findings", &list))
        return err_set(err, ERR_INTERNAL, "the server's answer holds no findings");
    buf_add_str(findings, list);
    return true;
}

static void add_cell(struct table *table, struct str finding, const char *member,
                     enum colour colour)
{
    struct str value;
    OWNED_MEM char *text = json_find(finding, member, &value) ? json_take_text(value) : NULL;
    table_cell(table, str_of(text ? text : "-"), colour);
}

static bool is_fault(struct str finding)
{
    struct str level;
    return json_find(finding, "level", &level) && str_eq(level, STR("\"error\""));
}

static bool doctor_run(const struct options *options, struct err *err)
{
    static const char *const titles[] = {"LEVEL", "CHECK", "JOB", "FOUND", NULL};
    OWNED_BUF struct buf findings;
    OWNED(client) struct client *client = NULL;
    OWNED(local_engine) struct local_engine *local = NULL;
    struct json j;
    struct str item;
    int64_t faults = 0;
    buf_init(&findings, answer_max_bytes);
    if (!local_or_client(options, false, &local, &client, err) ||
        !(local ? ask_here(local, &findings, err) : ask_there(client, &findings, err)))
        return false;
    OWNED(table) struct table *table = table_new(titles);
    json_open(&j, buf_str(&findings));
    if (json_enter(&j, '['))
        while (json_item(&j) && json_value(&j, &item)) {
            bool fault = is_fault(item);
            faults += fault;
            add_cell(table, item, "level", fault ? COLOUR_BAD : COLOUR_GOOD);
            add_cell(table, item, "check", COLOUR_NONE);
            add_cell(table, item, "job", COLOUR_NONE);
            add_cell(table, item, "text", COLOUR_NONE);
        }
    if (options_has(options, "json"))
        printf("%.*s\n", (int)findings.len, findings.data);
    else
        table_print(table, stdout);
    if (faults > 0)
        return err_set(err, ERR_STORE, "%lld of the checks found a fault", (long long)faults);
    if (!options_has(options, "json"))
        puts("all is well");
    return true;
}

const struct command cmd_doctor = {
    .name = "doctor",
    .summary = "Check store, ledgers and outputs against each other; fails when one is wrong",
    .text = "Asks the running server; when none runs on the state folder, looks for itself.\n"
            "Reads outputs whole, which takes its time.\n",
    .options = doctor_tables,
    .examples = "penstock doctor\n"
                "penstock doctor --state /var/lib/penstock --json\n",
    .run = doctor_run,
};
