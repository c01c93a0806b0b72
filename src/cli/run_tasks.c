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
        .job = tasks->job,
        .token = tasks->token,
        .max_memory_bytes = r->settings->max_memory_bytes,
        .max_records = tasks->max_tasks,
        .slots_hint = tasks->concurrency,
        .concurrency = tasks->concurrency,
        .queues = tasks->queues,
        .one_shot = tasks->one_shot,
    };
}

/* The way to the server, as soon as there is a lease to be given back: an embedded one may not have
 * been there before. Without a way the leases end by themselves. */
static void reach(struct run_session *r, const struct client_target *target)
{
    struct err ignored;
    if (r->lost_count == 0 || r->work.client)
        return;
    if (client_new(target, &r->work.client, &ignored))
        r->release = call_new(r->work.client);
    else
        while (r->lost_count > 0)
            lost_lease_release(&r->lost[--r->lost_count]);
}

static bool work(struct run_session *r, const struct client_target *target, struct err *err)
{
    supervisor_go(r->supervisor, &r->go, clock_now());
    while (!supervisor_is_over(r->supervisor)) {
        reach(r, target);
        if ((r->release && !run_session_release(r, err)) || !run_session_turn(r, NEVER_US, err))
            return false;
    }
    reach(r, target);
    if (r->release)
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
    r->release_path = xstrdup("/v1/work/release");
    set_go(r, tasks);
    bool good = work(r, &target, err);
    call_free(TAKE(r->release));
    client_free(TAKE(r->work.client));
    return good;
}
