/* engine_host.c: see engine_host.h. */
#include "cli/engine_host.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct engine_host {
    struct engine *engine;
    struct intake *intake;
    struct server *server; /* NULL: nothing is served */
    int state_fd;
    bool running; /* the intake's thread */
};

/* On the engine's thread. What is in memory may not be on the disk and cannot be told apart: only
 * a restart, which reads what is there, is safe. */
static void stop_at_once(const struct err *err)
{
    log_set_fd(STDERR_FILENO); /* a person must see it, wherever the log goes */
    LOG1(LOG_ERROR, "engine.fatal", "reason", "%s", err->text);
    _exit(err_exit_status(ERR_BUSY));
}

bool engine_host_open(const struct engine_options *options, struct engine_host **out,
                      struct err *err)
{
    OWNED(engine_host) struct engine_host *h = xcalloc(1, sizeof *h);
    struct engine_options own = *options;
    h->state_fd = -1;
    h->intake = intake_new();
    own.wake = intake_wake;
    own.wake_context = h->intake;
    if (!engine_open(&own, clock_now(), &h->engine, err))
        return false;
    h->state_fd = open(options->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (h->state_fd < 0)
        return err_errno(err, errno, "state folder %s", options->state_dir);
    if (!intake_start(h->intake, h->engine, stop_at_once, err))
        return false;
    h->running = true;
    *out = TAKE(h);
    return true;
}

bool engine_host_ask(struct engine_host *h, struct op *op, struct err *err)
{
    if (intake_call(h->intake, op))
        return true;
    *err = op->err;
    return false;
}

void engine_host_hash(const struct engine_host *h, struct str token, uint8_t out[TOKEN_HASH_BYTES])
{
    engine_token_hash(h->engine, token, out);
}

bool engine_host_serve(struct engine_host *h, const struct server_options *http, struct err *err)
{
    static const struct surface *const surfaces[] = {&native_surface, &pinexq_surface,
                                                     &planchet_surface};
    struct server_options own = *http;
    own.engine = h->engine;
    own.intake = h->intake;
    own.surfaces = surfaces;
    own.surface_count = sizeof surfaces / sizeof *surfaces;
    own.unix_dir_fd = h->state_fd;
    return server_start(&own, &h->server, err);
}

int engine_host_port(const struct engine_host *h)
{
    return server_port(h->server);
}

bool engine_host_stop_if_idle(struct engine_host *h, int64_t idle_us, int64_t *again_us)
{
    return server_stop_if_idle(h->server, idle_us, again_us);
}

int engine_host_state_fd(const struct engine_host *h)
{
    return h->state_fd;
}

void engine_host_free(struct engine_host *h)
{
    if (!h)
        return;
    if (h->server)
        server_stop(h->server);
    if (h->running)
        intake_stop(h->intake);
    server_free(h->server);
    intake_free(h->intake);
    engine_free(h->engine);
    fd_drop(&h->state_fd);
    free(h);
}
