/* cmd_flow_run.c: `penstock flow run`: a task list, node by node, from its start or from the point
 * of failure.
 *
 * The command is a server, its client and a node runner in one process, on the state folder
 * <APP_TEMP_DIR>/<APP_NAME>.penstock. First the list is checked, so that nothing is touched for one
 * that is wrong; then the processes are started below which nodes will run, Python importing what
 * it needs while the engine is opened. */
#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/parse.h"
#include "cli/command.h"
#include "cli/flow_body.h"
#include "cli/flow_finish.h"
#include "cli/flow_seen.h"
#include "cli/flow_session.h"
#include "cli/python_program.h"
#include "cli/run_place.h"
#include "cli/run_server.h"
#include "run/node_log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct option *const run_tables[] = {flow_place_options, flow_run_options,
                                                  flow_hands_options, run_server_options, NULL};

struct flow_run {
    const struct options *options;
    struct flow_settings settings;
    struct flow_place place;
    struct flow flow;
    struct flow_session *session;
    struct flow_report *report;
    struct flow_mirror *mirror;
    struct run_place *engine; /* NULL: the flow is on another server */
    struct client *client;
    char *state_dir, *ctllog, *path; /* path: of the flow, on the server */
    char *python, *python_path, *python_variable, *key;
    struct instant started;
    int64_t run; /* its number; of an untold one: of the run before */
    bool untold; /* the run before completed, and was killed before it said so */
};

static void flow_run_release(struct flow_run *r)
{
    flow_session_free(r->session);
    flow_report_free(r->report);
    flow_mirror_free(r->mirror);
    client_free(r->client);
    run_place_free(r->engine);
    flow_release(&r->flow);
    flow_settings_release(&r->settings);
    flow_place_release(&r->place);
    if (r->key)
        explicit_bzero(r->key, strlen(r->key));
    char *const texts[] = {r->state_dir,   r->ctllog,          r->path, r->python,
                           r->python_path, r->python_variable, r->key};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
}

static const char *variable(struct flow_run *r, const char *name)
{
    const char *value = flow_place_lookup(&r->place, name);
    return value ? value : "";
}

static const char *server_of(const struct flow_run *r)
{
    return options_text(r->options, "server");
}

/* ---- what is asked for ---- */

static bool name_paths(struct flow_run *r, struct err *err)
{
    OWNED_BUF struct buf path;
    buf_init(&path, BUF_NO_CAP);
    const char *name = variable(r, "APP_NAME");
    bool plain = *name && name[0] != '.' && !strchr(name, '/');
    for (const char *c = name; *c; c++)
        plain = plain && (unsigned char)*c >= ' ' && *c != 0x7f;
    if (!plain)
        return err_set(err, ERR_INVALID, "APP_NAME: \"%s\" cannot be part of a file's name", name);
    r->state_dir = xasprintf("%s/%s.penstock", variable(r, "APP_TEMP_DIR"), name);
    r->ctllog = xasprintf("%s/%s.ctllog", variable(r, "APP_TEMP_DIR"), name);
    buf_add_text(&path, "/v1/flows/");
    client_escape(&path, name);
    r->path = xstrndup(path.data, path.len);
    return true;
}

static bool load_list(struct flow_run *r, struct err *err)
{
    flow_release(&r->flow);
    return flow_place_load_as(&r->place, r->settings.json_list, &r->flow, err) &&
           flow_settings_find(&r->settings, &r->flow, err);
}

/* Python nodes need it; of a shell flow what is nice to have at its end. */
static bool find_python(struct flow_run *r, struct err *err)
{
    struct err missing;
    r->python = python_find(options_text(r->options, "python"), &missing);
    r->python_path = python_path();
    if (r->python_path)
        r->python_variable = xasprintf("PYTHONPATH=%s", r->python_path);
    if (r->python || (r->flow.mode == FLOW_SHELL && !options_has(r->options, "python")))
        return true;
    *err = missing;
    return false;
}

static bool read_all(struct flow_run *r, struct err *err)
{
    return flow_place_read(&r->place, r->options, err) &&
           flow_settings_read(&r->settings, r->options, &r->place, err) && name_paths(r, err) &&
           load_list(r, err) && run_server_secret(r->options, "key", &r->key, err) &&
           find_python(r, err);
}

/* ---- a server for it ---- */

static bool exists(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0;
}

static bool connect_to(struct flow_run *r, const char *url, const char *state_dir, struct err *err)
{
    const struct client_target target = {.url = url,
                                         .state_dir = state_dir,
                                         .key = url ? r->key : NULL,
                                         .ca = options_text(r->options, "ca")};
    return client_new(&target, &r->client, err);
}

static bool open_engine(struct flow_run *r, struct err *err)
{
    bool anew = r->settings.dry_run && !exists(r->state_dir);
    /* A dry run leaves no trace. */
    if (run_place_open_at(anew ? NULL : r->state_dir, &r->engine, err))
        return connect_to(r, run_place_url(r->engine), NULL, err);
    /* Whatever is in the way of its folder, it is not what the user asked for that is wrong. */
    if (err->code == ERR_INVALID)
        err->code = ERR_NOT_STARTED;
    if (err->code != ERR_BUSY)
        return false;
    if (r->settings.dry_run)
        return connect_to(r, NULL, r->state_dir, err);
    if (!r->settings.allow_duplicates)
        return err_add(err, "flow %s runs already", variable(r, "APP_NAME"));
    free(TAKE(r->ctllog)); /* it is the other's */
    return run_place_open_at(NULL, &r->engine, err) &&
           connect_to(r, run_place_url(r->engine), NULL, err);
}

static bool open_session(struct flow_run *r, struct err *err)
{
    static const char *environment[2], *folders[2];
    environment[0] = r->python_variable;
    folders[0] = variable(r, "APP_WORKER_DIR");
    const struct flow_session_plan plan = {
        .settings = &r->settings,
        .name = variable(r, "APP_NAME"),
        .own = !server_of(r),
        .python = r->flow.mode == FLOW_PYTHON ? r->python : NULL,
        .python_environment = environment,
        .folders = folders,
    };
    return flow_session_open(&plan, &r->session, err);
}

/* ---- what was before ---- */

/* The variable of the run before, if the flow is known; NULL. To be freed. */
static char *variable_before(struct str flow, const char *name)
{
    struct str variables, raw;
    return json_find(flow, "variables", &variables) && json_find(variables, name, &raw)
               ? json_take_text(raw)
               : NULL;
}

static bool is_unfinished(struct str flow)
{
    struct str raw;
    OWNED_MEM char *state = json_find(flow, "state", &raw) ? json_take_text(raw) : NULL;
    return state && strcmp(state, "completed") != 0;
}

/* ---- completed, and told ---- */

/* A run that was killed between its last node's end and its own is no full success to whoever
 * started it: a restart then tells of it, and runs nothing twice. The file holds the number of the
 * last run whose end was told. */
static bool is_ours(const struct flow_run *r)
{
    return r->engine && r->ctllog;
}

/* With -r alone; who chooses nodes wants them to run again. */
static bool goes_on(const struct flow_settings *s)
{
    return s->restart && !s->dry_run && !s->only.count && !s->norun.count && !s->ancestors &&
           !s->descendants;
}

static char *told_path(const struct flow_run *r)
{
    return xasprintf("%s/told", r->state_dir);
}

static int64_t last_told(const struct flow_run *r)
{
    OWNED_MEM char *path = told_path(r);
    OWNED_BUF struct buf text;
    struct err ignored;
    int64_t run = 0;
    buf_init(&text, BUF_NO_CAP);
    if (!file_read_all(path, 32, &text, &ignored) ||
        !parse_i64(buf_str(&text), 1, INT64_MAX, &run, &ignored))
        return 0;
    return run;
}

static bool note_told(const struct flow_run *r, int64_t run, struct err *err)
{
    if (!is_ours(r))
        return true;
    OWNED_MEM char *path = told_path(r), *beside = xasprintf("%s.tmp", path);
    /* Whole or not at all: on a full disk the number of the run before stays. */
    FILE *out = fopen(beside, "we");
    bool good = out && fprintf(out, "%lld", (long long)run) > 0;
    good = (!out || fclose(out) == 0) && good;
    return (good && rename(beside, path) == 0) || err_errno(err, errno, "%s", path);
}

static int64_t run_number(struct str flow)
{
    struct str raw;
    int64_t run = 0;
    return json_find(flow, "run", &raw) && json_i64(raw, 1, INT64_MAX, &run) ? run : 0;
}

/* A run that goes on logs where the one before did, unless somebody says where. */
static bool keep_log_folder(struct flow_run *r, struct str before, struct err *err)
{
    OWNED_MEM char *folder = variable_before(before, "APP_LOG_DIR");
    if (!folder || strcmp(folder, variable(r, "APP_LOG_DIR")) == 0)
        return true;
    return !flow_place_keep(&r->place, "APP_LOG_DIR", folder) || load_list(r, err);
}

static bool look_before(struct flow_run *r, struct err *err)
{
    OWNED_BUF struct buf before;
    buf_init(&before, BUF_NO_CAP);
    if (!client_ask(r->client, "GET", r->path, (struct str){0}, &before, err))
        return err->code == ERR_NOT_FOUND;
    bool unfinished = is_unfinished(buf_str(&before));
    r->run = run_number(buf_str(&before));
    r->untold = !unfinished && goes_on(&r->settings) && is_ours(r) && last_told(r) != r->run;
    if (r->settings.restart)
        return (!unfinished && !r->untold) || keep_log_folder(r, buf_str(&before), err);
    if (unfinished && !r->settings.dry_run && !r->settings.quiet)
        fprintf(stderr, "penstock: the run before did not complete; -r would have gone on with it, "
                        "this one begins anew\n");
    return true;
}

/* ---- the start ---- */

static bool make_folders(struct flow_run *r, struct err *err)
{
    static const char *const names[] = {"APP_LOG_DIR", "APP_TEMP_DIR"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        OWNED_MEM char *inside = xasprintf("%s/", variable(r, names[i]));
        if (!node_log_make_folders(inside, err))
            return err_add(err, "%s", names[i]);
    }
    return true;
}

static bool run_context_program(struct flow_run *r, const char *verb, struct err *err)
{
    const char *url = r->engine ? run_place_url(r->engine) : server_of(r);
    OWNED_MEM char *key = r->key && !r->engine ? xasprintf("PENSTOCK_KEY=%s", r->key) : NULL;
    const char *const argv[] = {r->python,
                                "-m",
                                "penstock.flow.context_file",
                                verb,
                                r->settings.context_file,
                                "--server",
                                url,
                                "--flow",
                                variable(r, "APP_NAME"),
                                NULL};
    const char *environment[3] = {0};
    size_t to = 0;
    if (r->python_variable)
        environment[to++] = r->python_variable;
    if (key)
        environment[to++] = key;
    if (!r->python)
        return err_set(err, ERR_NOT_FOUND, "--context needs Python, which is not here");
    return flow_finish_run(argv, environment, "the program that carries the context", err);
}

/* Before anything is touched; what is wrong with it the program has said. */
static bool check_context(const struct flow_run *r, struct err *err)
{
    const char *const argv[] = {
        r->python, "-m", "penstock.flow.context_file", "check", r->settings.context_file, NULL};
    const char *const environment[] = {r->python_variable, NULL};
    if (!r->settings.context_file)
        return true;
    if (!r->python)
        return err_set(err, ERR_INVALID, "--context needs Python, which is not here");
    if (flow_finish_run(argv, environment, "the program that reads the context", err))
        return true;
    return err_set(err, ERR_INVALID, "--context: %s is no pickled dictionary that can be read",
                   r->settings.context_file);
}

static bool post(struct flow_run *r, struct buf *answer, struct err *err)
{
    OWNED_BUF struct buf body;
    buf_init(&body, BUF_NO_CAP);
    flow_body_write(&r->flow, &r->settings, &r->place, r->options, variable(r, "APP_NAME"), &body);
    return client_ask(r->client, "POST", "/v1/flows", buf_str(&body), answer, err);
}

/* Completed rows that were edited since. */
static void tell_edited(struct flow_run *r, struct str answer)
{
    struct str list;
    if (json_find(answer, "edited", &list) && json_type_of(list) == JSON_ARRAY && list.len > 2)
        flow_report_say(r->report,
                        "completed before, and edited since, which changes nothing: %.*s",
                        (int)(list.len - 2 > 500 ? 500 : list.len - 2), list.ptr + 1);
}

static bool start(struct flow_run *r, struct err *err)
{
    OWNED_BUF struct buf answer;
    const struct flow_settings *s = &r->settings;
    buf_init(&answer, BUF_NO_CAP);
    r->mirror = flow_mirror_new(&r->flow);
    r->report = flow_report_new(s, r->mirror);
    if (!make_folders(r, err) || !post(r, &answer, err))
        return false;
    r->run = run_number(buf_str(&answer));
    tell_edited(r, buf_str(&answer));
    bool chosen = s->only.count || s->norun.count || s->ancestors || s->descendants;
    if ((s->restart || chosen) && !flow_mirror_load(r->mirror, r->client, r->path, '\0', err))
        return false;
    return !s->context_file || run_context_program(r, "load", err);
}

/* ---- a dry run ---- */

static void print_planned(struct str node)
{
    struct str raw;
    int64_t id = 0;
    OWNED_MEM char *does = json_find(node, "does", &raw) ? json_take_text(raw) : NULL;
    OWNED_MEM char *why = json_find(node, "why", &raw) ? json_take_text(raw) : NULL;
    OWNED_MEM char *name = json_find(node, "name", &raw) ? json_take_text(raw) : NULL;
    if (json_find(node, "id", &raw))
        (void)json_i64(raw, 1, FLOW_ID_MAX, &id);
    printf("%-6s %5lld  %s%s%s\n", does ? does : "", (long long)id, name ? name : "",
           name ? ": " : "", why ? why : "");
}

static bool dry_run(struct flow_run *r, struct err *err)
{
    OWNED_BUF struct buf answer;
    struct json j;
    struct str list, node;
    buf_init(&answer, BUF_NO_CAP);
    if (!post(r, &answer, err))
        return false;
    if (r->settings.json) {
        printf("%.*s\n", (int)answer.len, answer.data);
        return true;
    }
    if (!json_find(buf_str(&answer), "nodes", &list))
        return err_set(err, ERR_INTERNAL, "the server's plan cannot be read");
    json_open(&j, list);
    if (json_enter(&j, '['))
        while (json_item(&j) && json_value(&j, &node))
            print_planned(node);
    if (json_find(buf_str(&answer), "edited", &list) && list.len > 2)
        printf("completed before, and edited since, which changes nothing: %.*s\n",
               (int)list.len - 2, list.ptr + 1);
    return true;
}

/* ---- the end ---- */

static const char *outcome_of(const struct flow_run *r)
{
    const char *state = flow_session_state(r->session);
    return strcmp(state, "completed") == 0 || strcmp(state, "failed") == 0 ? state : "aborted";
}

static bool judge(const struct flow_run *r, const char *state, struct err *err)
{
    int number = flow_session_signal(r->session);
    if (strcmp(state, "completed") == 0)
        return true;
    if (strcmp(state, "failed") == 0) {
        size_t failed = flow_mirror_count(r->mirror, 'F');
        return err_set(err, ERR_IO, "%zu node%s failed; -r goes on from there", failed,
                       failed == 1 ? "" : "s");
    }
    if (!number)
        return err_set(err, ERR_TERMINATED, "the flow was aborted; -r goes on from there");
    return err_set(err, number == SIGINT ? ERR_INTERRUPTED : ERR_TERMINATED,
                   "stopped by SIG%s; -r goes on from there", sigabbrev_np(number));
}

/* What goes wrong at the end is told, and does not change what came of the flow. */
static void tell_if(bool good, struct flow_run *r, const struct err *err)
{
    if (!good)
        flow_report_say(r->report, "%s", err->text);
}

static void keep_ctllog(struct flow_run *r, const char *state)
{
    struct err err;
    if (!r->ctllog)
        return;
    if (strcmp(state, "completed") == 0)
        (void)unlink(r->ctllog);
    else
        tell_if(flow_mirror_write(r->mirror, r->ctllog, &err), r, &err);
}

static void finish(struct flow_run *r, const char *state, int exit_status)
{
    const struct flow_settings *s = &r->settings;
    struct err err;
    const struct flow_finished f = {
        .settings = s,
        .place = &r->place,
        .flow = &r->flow,
        .mirror = r->mirror,
        .name = variable(r, "APP_NAME"),
        .state = state,
        .exit_status = exit_status,
        .elapsed_s = (double)(clock_now().mono_us - r->started.mono_us) / 1e6,
        .ctllog = r->ctllog && exists(r->ctllog) ? r->ctllog : NULL,
        .python = r->python,
        .python_path = r->python_path,
    };
    bool good = strcmp(state, "completed") == 0;
    flow_report_end(r->report, state, f.elapsed_s);
    if (s->dump_logs)
        flow_finish_dump(&f);
    if (s->context_file)
        tell_if(run_context_program(r, "save", &err), r, &err);
    if (s->zip)
        tell_if(flow_finish_zip(&f, &err), r, &err);
    if (s->log_retention_days >= 0)
        tell_if(flow_finish_retain(&f, &err), r, &err);
    if (s->email && (good ? s->email_on_success : s->email_on_fail))
        tell_if(flow_finish_mail(&f, &err), r, &err);
    if (s->on_finish)
        tell_if(flow_finish_command(&f, &err), r, &err);
}

/* The server's marks are the truth. */
static void gather(struct flow_run *r, const char *state)
{
    struct err unread;
    tell_if(flow_mirror_load(r->mirror, r->client, r->path, '\0', &unread), r, &unread);
    keep_ctllog(r, state);
}

static bool conclude(struct flow_run *r, bool worked, struct err *err)
{
    struct err untold;
    const char *state = outcome_of(r);
    gather(r, state);
    bool good = worked && judge(r, state, err);
    (void)FAULT("flow.untold"); /* what came of it is stored, nobody was told */
    finish(r, state, err_exit_status(good ? ERR_NONE : err->code));
    tell_if(!good || note_told(r, r->run, &untold), r, &untold);
    return good;
}

static bool tell_untold(struct flow_run *r, struct err *err)
{
    r->mirror = flow_mirror_new(&r->flow);
    r->report = flow_report_new(&r->settings, r->mirror);
    flow_report_say(r->report, "run %lld had completed, and was killed before it said so",
                    (long long)r->run);
    gather(r, "completed");
    finish(r, "completed", 0);
    return note_told(r, r->run, err);
}

static bool work(struct flow_run *r, struct err *err)
{
    const struct flow_session_work task = {
        .client = r->client,
        .server = r->engine ? run_place_url(r->engine) : server_of(r),
        .key = r->engine ? NULL : r->key,
        .mirror = r->mirror,
        .report = r->report,
        .ctllog = r->ctllog,
    };
    bool worked = flow_session_work(r->session, &task, err);
    return conclude(r, worked, err);
}

/* ---- all of it ---- */

static bool abort_other(struct flow_run *r, struct err *err)
{
    OWNED(flow_seen) struct flow_seen *seen = NULL;
    return flow_seen_open(r->options, &r->place, &seen, err) && flow_seen_abort(seen, err);
}

/* Of what kept it from starting: what the user got wrong is 2, all else 3. */
static bool not_started(struct err *err)
{
    if (err->code == ERR_INTERNAL)
        err->code = ERR_BROKEN;
    else if (err->code != ERR_INVALID)
        err->code = ERR_NOT_STARTED;
    return false;
}

static bool run_all(struct flow_run *r, struct err *err)
{
    log_set_level(LOG_WARN);
    if (!open_session(r, err) ||
        !(server_of(r) ? connect_to(r, server_of(r), NULL, err) : open_engine(r, err)) ||
        !look_before(r, err))
        return not_started(err);
    if (r->untold)
        return tell_untold(r, err);
    if (r->settings.dry_run)
        return dry_run(r, err) || not_started(err);
    if (!start(r, err))
        return not_started(err);
    if (work(r, err))
        return true;
    if (err->code == ERR_INTERNAL)
        err->code = ERR_BROKEN;
    return false;
}

static bool run_run(const struct options *options, struct err *err)
{
    __attribute__((cleanup(flow_run_release))) struct flow_run r = {.options = options};
    if (options_has(options, "version"))
        return cmd_version.run(NULL, err);
    r.started = clock_now();
    if (options_has(options, "abort"))
        return flow_place_read(&r.place, options, err) && name_paths(&r, err) &&
               abort_other(&r, err);
    return read_all(&r, err) && check_context(&r, err) && run_all(&r, err);
}

const struct command cmd_flow_run = {
    .name = "flow run",
    .arguments = "LIST",
    .most = 1,
    .summary = "Run a task list, from its start or from the point of failure",
    .text =
        "LIST is a .lst file as PyRunner (python-batch-runner) reads them; docs/flow.md says\n"
        "what is in it, docs/flow-run.md how it runs. What became of each node is in the\n"
        "folder APP_TEMP_DIR/APP_NAME.penstock: with -r the flow goes on, whatever ended it.\n"
        "SIGTERM and SIGINT stop the nodes that run (SIGKILL 10 s later, or at once with a\n"
        "second signal). Status 0: all that was selected is completed; 1: a node failed; 2: the\n"
        "list or an option is wrong; 3: it could not start, as it runs already; 130 and 143: it\n"
        "was stopped; 70: our mistake.\n",
    .options = run_tables,
    .examples =
        "penstock flow run config/nightly.lst\n"
        "penstock flow run config/nightly.lst -r --dry-run\n"
        "penstock flow run -c config/app_profile -l config/nightly.lst -n 4 -e ops@example.org\n"
        "penstock flow run config/nightly.lst --pool api=2:'*Download*' --always 9\n",
    .run = run_run,
};
