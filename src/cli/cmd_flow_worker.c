/* cmd_flow_worker.c: `penstock flow worker`: hands for the flows of a server, from any machine. */
#include "base/file.h"
#include "cli/command.h"
#include "cli/flow_session.h"
#include "cli/python_program.h"
#include "cli/run_server.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const struct option worker_options[] = {
    {.name = "workers",
     .value = "DIR",
     .help = "folder of Python modules (default: APP_WORKER_DIR of the list or profile)",
     .many = true},
    {.name = "quiet", .help = "tell of failures only"},
    {.name = "json", .help = "progress as JSON lines on standard output"},
    {0},
};
static const struct option *const worker_tables[] = {worker_options, flow_hands_options,
                                                     flow_place_options, run_server_options, NULL};

struct hands {
    struct flow_settings settings;
    struct flow_place place;
    struct flow_session *session;
    struct flow_report *report;
    struct client *client;
    char *python, *python_path, *key;
    const char **folders;
};

static void hands_release(struct hands *h)
{
    flow_session_free(h->session);
    flow_report_free(h->report);
    client_free(h->client);
    flow_place_release(&h->place);
    flow_settings_release(&h->settings);
    if (h->key)
        explicit_bzero(h->key, strlen(h->key));
    free(h->key);
    free(h->python);
    free(h->python_path);
    free(h->folders);
}

/* The folders that are named, else that of the application whose list or profile is. */
static bool find_folders(struct hands *h, const struct options *options, struct err *err)
{
    size_t count = options_count(options, "workers");
    h->folders = xcalloc(count + 2, sizeof *h->folders);
    for (size_t i = 0; i < count; i++)
        h->folders[i] = options_at(options, "workers", i);
    if (!options_has(options, "list") && options_argument_count(options) == 0)
        return count > 0 ||
               err_set(err, ERR_INVALID,
                       "where are the modules? name their folder by --workers, or a task list");
    if (!flow_place_read(&h->place, options, err))
        return false;
    if (count == 0)
        h->folders[0] = flow_place_lookup(&h->place, "APP_WORKER_DIR");
    return true;
}

static bool open_all(struct hands *h, const struct options *options, struct err *err)
{
    const char *server = run_server_url(options);
    const struct client_target target = {
        .url = server, .key = options_text(options, "key"), .ca = options_text(options, "ca")};
    if (!server)
        return err_set(err, ERR_INVALID, "flow worker needs --server, or PENSTOCK_SERVER");
    if (!flow_settings_read_hands(&h->settings, options, err) || !find_folders(h, options, err) ||
        !run_server_secret(options, "key", &h->key, err))
        return false;
    h->settings.quiet = options_has(options, "quiet");
    h->settings.json = options_has(options, "json");
    h->python = python_find(options_text(options, "python"), err);
    return h->python && client_new(&target, &h->client, err);
}

static bool worker_run(const struct options *options, struct err *err)
{
    __attribute__((cleanup(hands_release))) struct hands h = {0};
    if (!open_all(&h, options, err))
        return false;
    OWNED_MEM char *path = python_path();
    h.python_path = path ? xasprintf("PYTHONPATH=%s", path) : NULL;
    const char *const environment[] = {h.python_path, NULL};
    const struct flow_session_plan plan = {.settings = &h.settings,
                                           .python = h.python,
                                           .python_environment = environment,
                                           .folders = h.folders};
    h.report = flow_report_new(&h.settings, NULL);
    const struct flow_session_work work = {
        .client = h.client, .server = run_server_url(options), .key = h.key, .report = h.report};
    if (!flow_session_open(&plan, &h.session, err) || !flow_session_work(h.session, &work, err))
        return false;
    int number = flow_session_signal(h.session);
    return number == SIGINT
               ? err_set(err, ERR_INTERRUPTED, "stopped by SIGINT")
               : err_set(err, ERR_TERMINATED, "stopped by SIG%s", sigabbrev_np(number));
}

const struct command cmd_flow_worker = {
    .name = "flow worker",
    .arguments = "[LIST]",
    .most = 1,
    .summary = "Run nodes of a server's flows on this machine",
    .text = "Any number of them, on any machines, share the nodes of all flows that run on the\n"
            "server; each needs the modules of the Python nodes, and the folders of the logs.\n"
            "SIGTERM: what runs is stopped and runs elsewhere.\n",
    .options = worker_tables,
    .examples =
        "penstock flow worker --server http://host:5005 --workers app/python -n 4\n"
        "penstock flow worker --server http://host:5005 -c config/app_profile -l config/a.lst\n",
    .run = worker_run,
};
