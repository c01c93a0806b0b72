#include "http/server_own.h"

#include "base/file.h"
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* libmicrohttpd's memory for one connection: headers and the piece of a body that was read last.
 * It is cleared after each request, so that a larger one costs time and memory for all. */
#define CONNECTION_MEMORY (16 << 10)
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

/* --- connections --- */

static void on_connection(struct server *s, bool local, struct MHD_Connection *connection,
                          void **context, enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        struct conn *gone = *context;
        bool lingers = !atomic_load(&s->stopping) &&
                       lingers_add(&s->lingers, gone->fd, gone->sent_away, clock_now().mono_us);
        if (conns_remove(&s->conns, gone) == s->options.max_connections - 1 || lingers)
            conns_wake(&s->conns); /* the listener has something to do */
        return;
    }
    struct conn *c = xcalloc(1, sizeof *c);
    c->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    c->local = local;
    c->deadline_us = c->pressed_us = NEVER_US;
    *context = c;
    conns_add(&s->conns, c);
    conns_set_deadline(&s->conns, c, clock_now().mono_us + s->options.header_timeout_us, NEVER_US);
}

static void on_tcp_connection(void *server, struct MHD_Connection *connection, void **context,
                              enum MHD_ConnectionNotificationCode code)
{
    on_connection(server, false, connection, context, code);
}

static void on_local_connection(void *server, struct MHD_Connection *connection, void **context,
                                enum MHD_ConnectionNotificationCode code)
{
    on_connection(server, true, connection, context, code);
}

static void __attribute__((format(printf, 2, 0)))
on_message(void *server, const char *format, va_list args)
{
    char text[256];
    (void)server;
    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = '\0';
    LOG1(LOG_DEBUG, "http.library", "text", "%s", text);
}

/* --- start and stop --- */

static struct MHD_Daemon *start_daemon(struct server *s, bool local, unsigned threads,
                                       struct err *err)
{
    unsigned flags = MHD_USE_NO_LISTEN_SOCKET | MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC |
                     MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO | MHD_USE_ERROR_LOG;
    struct MHD_OptionItem options[16];
    size_t count = 0;
#define ADD(name, number, pointer)                                                                 \
    options[count++] = (struct MHD_OptionItem){(name), (intptr_t)(number), (pointer)}
    ADD(MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, NULL);
    /* A limit is for all threads together and is shared out evenly; ours is kept by the listener.
     */
    ADD(MHD_OPTION_CONNECTION_LIMIT, s->options.max_connections * (threads + 1) + 16, NULL);
    ADD(MHD_OPTION_NOTIFY_CONNECTION, (uintptr_t)(local ? on_local_connection : on_tcp_connection),
        s);
    ADD(MHD_OPTION_NOTIFY_COMPLETED, (uintptr_t)exchange_end, s);
    ADD(MHD_OPTION_URI_LOG_CALLBACK, (uintptr_t)exchange_begin, s);
    if (threads > 1)
        ADD(MHD_OPTION_THREAD_POOL_SIZE, threads, NULL);
    if (s->cert && !local) {
        flags |= MHD_USE_TLS;
        ADD(MHD_OPTION_HTTPS_MEM_CERT, 0, s->cert);
        ADD(MHD_OPTION_HTTPS_MEM_KEY, 0, s->key);
    }
    ADD(MHD_OPTION_END, 0, NULL);
#undef ADD
    struct MHD_Daemon *d =
        MHD_start_daemon(flags, 0, NULL, NULL, exchange_step, s, MHD_OPTION_EXTERNAL_LOGGER,
                         on_message, s, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
    if (!d)
        err_set(err, s->cert && !local ? ERR_INVALID : ERR_INTERNAL,
                s->cert && !local ? "the TLS certificate %s or its key cannot be used"
                                  : "the HTTP server does not start%s",
                s->cert && !local ? s->options.tls_cert_path : "");
    return d;
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
    s->cert = buf_take(&cert);
    s->key = buf_take(&key);
    return true;
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

static bool open_all(struct server *s, struct err *err)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned threads = s->options.threads > 0 ? (unsigned)s->options.threads
                       : cores > 0            ? (unsigned)cores
                                              : 1;
    if (!s->options.tls_cert_path != !s->options.tls_key_path)
        return err_set(err, ERR_INVALID, "TLS needs a certificate and a key");
    if (s->options.tls_cert_path && !read_tls(s, err))
        return false;
    if (s->options.address &&
        (!listener_open_tcp(s, err) || !(s->tcp = start_daemon(s, false, threads, err))))
        return false;
    if (s->options.unix_dir_fd >= 0 &&
        (!listener_open_unix(s, err) || !(s->local = start_daemon(s, true, 1, err))))
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
    if (!load_keys(s, err) || !open_all(s, err))
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
    while (s->active > 0 &&
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
    if (s->tcp)
        MHD_stop_daemon(s->tcp);
    if (s->local)
        MHD_stop_daemon(s->local);
    auth_free(s->auth);
    bodies_release(&s->bodies);
    lingers_release(&s->lingers);
    conns_release(&s->conns);
    pthread_cond_destroy(&s->none_active);
    pthread_mutex_destroy(&s->active_lock);
    free(s->cert);
    free(s->key);
    free(s);
}
