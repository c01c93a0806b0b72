/* run_tasks.c: see run_tasks.h. */
#include "cli/run_tasks.h"

#include "base/clock.h"
#include "cli/run_session_own.h"

#include <stdlib.h>
#include <string.h>

/* How an app says that the server is the embedded one of a folder (python/penstock/embedded.py). */
#define EMBEDDED "embedded://"

/* The server as we reach it: that of a folder is there once a process has started it. */
static char *own_server(const struct run_tasks *tasks, struct str hello)
{
    OWNED_MEM char *told = worker_message_text(hello, "server");
    const char *url = tasks->server ? tasks->server : told;
    if (url && strncmp(url, EMBEDDED, strlen(EMBEDDED)) == 0)
        return xasprintf("unix://%s/penstock.sock", url + strlen(EMBEDDED));
    return xstrdup_or_null(url);
}

static void set_go(struct run_session *r, const struct run_tasks *tasks)
{
    r->go = (struct worker_go){
        .server = tasks->server,
        .key = tasks->key,
        .ca = tasks->ca,
        .max_memory_bytes = r->settings->max_memory_bytes,
        .max_records = tasks->max_tasks,
        .slots_hint = tasks->concurrency,
        .concurrency = tasks->concurrency,
        .queues = tasks->queues,
        .one_shot = tasks->one_shot,
    };
}

static bool work(struct run_session *r, struct err *err)
{
    supervisor_go(r->supervisor, &r->go, clock_now());
    while (!supervisor_is_over(r->supervisor))
        if (!run_session_release(r, err) || !run_session_turn(r, NEVER_US, err))
            return false;
    run_session_release_all(r);
    return true;
}

bool run_session_tasks(struct run_session *r, const struct run_tasks *tasks, struct str hello,
                       struct err *err)
{
    OWNED_MEM char *server = own_server(tasks, hello);
    if (!server)
        return err_set(err, ERR_INVALID, "worker needs --server");
    const struct client_target target = {.url = server, .key = tasks->key, .ca = tasks->ca};
    OWNED(client) struct client *client = NULL;
    if (!client_new(&target, &client, err))
        return false;
    r->work = (struct run_work){.client = client};
    r->release = call_new(client);
    r->release_path = xstrdup("/v1/work/release");
    set_go(r, tasks);
    bool good = work(r, err);
    call_free(TAKE(r->release));
    r->work.client = NULL;
    return good;
}
