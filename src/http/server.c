#include "http/server_own.h"

#include "base/file.h"
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* A stop waits so long for answers that are being sent. */
#define STOP_WAIT_S 5
#define SECOND_US INT64_C(1000000)

void server_options_init(struct server_options *options)
{
    *options = (struct server_options){
        .unix_dir_fd = -1,
        .max_body_bytes = 64 << 20,
        .max_blob_bytes = INT64_C(64) << 30,
        .body_budget_bytes = 256 << 20,
        .max_connections = 10000,
        .idle_timeout_us = 75 * SECOND_US,
        .header_timeout_us = 20 * SECOND_US,
        .body_min_rate_bytes = 16 << 10,
        .body_grace_us = 20 * SECOND_US,
    };
}

static bool read_tls(struct server *s, struct err *err)
{
    OWNED_BUF struct buf cert;
    buf_init(&cert, 1 << 20);
    OWNED_BUF struct buf key;
    buf_init(&key, 1 << 20);
    if (!file_read_all(s->options.tls_cert_path, 1 << 20, &cert, err) ||
        !file_read_all(s->options.tls_key_path, 1 << 20, &key, err))
        return false;
    buf_add_char(&cert, '\0');
    buf_add_char(&key, '\0');
    if (cert.full || key.full)
        return err_set(err, ERR_INVALID, "the TLS certificate %s or its key is too large",
                       s->options.tls_cert_path);
    return tls_server_new(cert.data, key.data, s->options.tls_cert_path, &s->tls, err);
}

static bool load_keys(struct server *s, struct err *err)
{
    struct op op;
    op_init(&op, OP_KEYS);
    op.keys.verb = KEYS_LIST;
    bool ok = intake_call(s->options.intake, &op);
    if (ok)
        auth_set_keys(s->auth, op.keys.keys, op.keys.count);
    else
        *err = op.err;
    op_release(&op);
    return ok;
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
            LOG1(LOG_WARN, "http.descriptor_limit", "error", "%s", strerror(errno));
    }
}

/* One a core. Local programs alone get two at most: a worker claims on one connection while what it
 * has done is read from another, and neither should wait for the other. */
static size_t loops_wanted(const struct server_options *options)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (options->threads > 0)
        return (size_t)options->threads;
    if (!options->address && cores > 2)
        return 2;
    return cores > 0 ? (size_t)cores : 1;
}

static bool open_all(struct server *s, struct err *err)
{
    if (!s->options.tls_cert_path != !s->options.tls_key_path)
        return err_set(err, ERR_INVALID, "TLS needs a certificate and a key");
    if (s->options.tls_cert_path && !read_tls(s, err))
        return false;
    if (s->options.address && !listener_open_tcp(s, err))
        return false;
    if (s->options.unix_dir_fd >= 0 && !listener_open_unix(s, err))
        return false;
    s->loop_count = loops_wanted(&s->options);
    s->loops = xcalloc(s->loop_count, sizeof *s->loops);
    for (size_t i = 0; i < s->loop_count; i++)
        if (!loop_start(&s->loops[i], s, err))
            return false;
    return true;
}

bool server_start(const struct server_options *options, struct server **out, struct err *err)
{
    assert(options->surface_count > 0 && options->body_budget_bytes >= options->max_body_bytes);
    OWNED(server) struct server *s = xcalloc(1, sizeof *s);
    s->options = *options;
    s->tcp_fd = s->unix_fd = -1;
    pthread_mutex_init(&s->active_lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->none_active, &monotonic);
    pthread_condattr_destroy(&monotonic);
    conns_init(&s->conns);
    bodies_init(&s->bodies, options->body_budget_bytes);
    lingers_init(&s->lingers);
    s->auth = auth_new(options->engine, options->master_token);
    raise_descriptor_limit();
    if (!helper_start(&s->helper, err) || !load_keys(s, err) || !open_all(s, err))
        return false;
    if (pthread_create(&s->accepting, NULL, listener_run, s) != 0)
        return err_set(err, ERR_INTERNAL, "a thread cannot be started");
    s->accepts = true;
    *out = TAKE(s);
    return true;
}

int server_port(const struct server *s)
{
    return s->port;
}

void server_keys_changed(struct server *s)
{
    struct err err = {0};
    if (!load_keys(s, &err))
        LOG1(LOG_WARN, "http.keys_not_read", "error", "%s", err.text);
}

/* What waits somewhere sees that the server stops. */
static void tell_stop(struct server *s)
{
    conns_wake(&s->conns);
    conns_wake_streams(&s->conns);
    bodies_close(&s->bodies);
}

void server_stop(struct server *s)
{
    if (!atomic_exchange(&s->stopping, true))
        tell_stop(s);
}

bool server_stop_if_idle(struct server *s, int64_t idle_us, int64_t *again_us)
{
    if (!conns_stop_if_idle(&s->conns, clock_now().mono_us, idle_us, &s->stopping, again_us))
        return false;
    tell_stop(s);
    return true;
}

static void wait_for_answers(struct server *s)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += STOP_WAIT_S;
    pthread_mutex_lock(&s->active_lock);
    while (atomic_load(&s->active) > 0 &&
           pthread_cond_timedwait(&s->none_active, &s->active_lock, &until) != ETIMEDOUT)
        ;
    pthread_mutex_unlock(&s->active_lock);
}

void server_free(struct server *s)
{
    if (!s)
        return;
    server_stop(s);
    if (s->accepts)
        pthread_join(s->accepting, NULL);
    if (s->tcp_fd >= 0)
        close(s->tcp_fd);
    if (s->unix_fd >= 0)
        close(s->unix_fd);
    wait_for_answers(s);
    helper_free(s->helper);
    for (size_t i = 0; i < s->loop_count; i++)
        loop_release(&s->loops[i]);
    free(s->loops);
    tls_server_free(s->tls);
    auth_free(s->auth);
    bodies_release(&s->bodies);
    lingers_release(&s->lingers);
    conns_release(&s->conns);
    pthread_cond_destroy(&s->none_active);
    pthread_mutex_destroy(&s->active_lock);
    free(s);
}
