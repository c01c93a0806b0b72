/* cmd_serve.c: `penstock serve`: engine and HTTP server (engine_host.h) from the first option to
 * the last signal. */
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/parse.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/engine_host.h"
#include "cli/server_file.h"
#include "http/auth.h"
#include "http/pinexq/pinexq_url.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct option serve_options[] = {
    {.name = "port",
     .value = "N",
     .help = "TCP port (default: 5005); 0: any free one, which is then printed"},
    {.name = "host",
     .value = "ADDRESS",
     .help = "address to listen on, as numbers (default: 127.0.0.1)"},
    {.name = "public-url",
     .value = "URL",
     .help = "what others call this server, behind a proxy: https://HOST; links in answers begin "
             "with it (default: with what the request's Host says)"},
    {.name = "data",
     .value = "DIR",
     .help = "folder whose files jobs may read and write (default: the current one)",
     .many = true},
    {.name = "state",
     .value = "DIR",
     .help = "where jobs and their progress are kept; one server at a time (default: .penstock)",
     .variable = "PENSTOCK_STATE"},
    {.name = "reader",
     .value = "NAME=COMMAND",
     .help = "program that prints JSONL, which jobs may name as their input",
     .many = true},
    {.name = "writer",
     .value = "NAME=COMMAND",
     .help = "program that reads JSONL on its standard input, which jobs may name as their output",
     .many = true},
    {.name = "auth",
     .value = "MODE",
     .help = "none or keys (default: none on a loopback address, keys elsewhere)"},
    {.name = "insecure", .help = "let everybody in, also on an address that others can reach"},
    {.name = "master-token-file",
     .value = "FILE",
     .help = "file with the token that opens every job with a token, and guards /purge"},
    {.name = "tls-cert", .value = "FILE", .help = "certificate chain (PEM): serve https"},
    {.name = "tls-key", .value = "FILE", .help = "its private key (PEM)"},
    {.name = "max-body",
     .value = "SIZE",
     .help = "longest request body: bytes, or with K, M or G behind the number (default: 64M)"},
    {.name = "max-blob",
     .value = "SIZE",
     .help = "longest blob that may be uploaded (default: 64G); uploads are held on disk, not in "
             "memory"},
    {.name = "keep-tasks-for",
     .value = "DAYS",
     .help = "tasks that have ended are forgotten after so many days (default: 7)"},
    {.name = "keep-tasks",
     .value = "N",
     .help = "and the first ended ones when there are more than so many (default: 10000000)"},
    {.name = "max-connections", .value = "N", .help = "connections at once (default: 10000)"},
    {.name = "embedded",
     .help = "serve only who may enter the state folder, by the socket in it, and end when nobody "
             "is connected any more; clients start such a server when no other is named"},
    {.name = "idle-exit",
     .value = "SECONDS",
     .help = "end when nobody has been connected for so long (default: with --embedded 30, else "
             "never)",
     .variable = "PENSTOCK_IDLE_EXIT"},
    {.name = "log-level",
     .value = "LEVEL",
     .help = "error, warn, info or debug (default: info); the log goes to standard error"},
    {.name = "access-log", .help = "log every request (at level debug, which this chooses)"},
    {0},
};
static const struct option *const serve_tables[] = {serve_options, NULL};

enum { PORT_DEFAULT = 5005, TOKEN_MAX_BYTES = 4096 };
#define SECOND_US INT64_C(1000000)
#define IDLE_DEFAULT_US (30 * SECOND_US)
#define IDLE_MAX_US (366 * 86400 * SECOND_US)

struct serve {
    struct server_options http;
    struct folders *folders;
    struct programs *readers, *writers;
    struct engine_host *host;
    const char *state_dir;
    int64_t keep_tasks_days, keep_tasks;
    char **data_dirs; /* without links; NULL ends it */
    size_t data_count;
    char *master_token, *url, *public_root;
    int signal_fd;
    int64_t idle_us; /* it ends when nobody has been connected for so long; 0: never */
    bool embedded;   /* no port, only the socket */
    bool exposed;    /* on an address that others can reach */
};

static void serve_release(struct serve *s)
{
    engine_host_free(s->host);
    programs_free(s->readers);
    programs_free(s->writers);
    folders_free(s->folders);
    server_file_free(s->data_dirs);
    if (s->master_token)
        explicit_bzero(s->master_token, strlen(s->master_token));
    free(s->master_token);
    free(s->url);
    free(s->public_root);
    fd_drop(&s->signal_fd);
}

/* From a file, else from the environment, which child processes shall not see. */
static bool read_master_token(struct serve *s, const struct options *options, struct err *err)
{
    OWNED_BUF struct buf text;
    const char *path = options_text(options, "master-token-file");
    const char *variable = getenv("PENSTOCK_MASTER_TOKEN");
    buf_init(&text, TOKEN_MAX_BYTES);
    if (path && !file_read_all(path, TOKEN_MAX_BYTES, &text, err))
        return err_add(err, "--master-token-file");
    if (!path && variable)
        buf_add_text(&text, variable);
    unsetenv("PENSTOCK_MASTER_TOKEN");
    struct str token = str_trim(buf_str(&text));
    if (path && token.len == 0)
        return err_set(err, ERR_INVALID, "--master-token-file: %s is empty", path);
    if (token.len > 0)
        s->master_token = xstrndup(token.ptr, token.len);
    s->http.master_token = s->master_token;
    if (text.data)
        explicit_bzero(text.data, text.len);
    return true;
}

static bool read_public_url(struct serve *s, const struct options *options, struct err *err)
{
    OWNED_BUF struct buf root;
    struct err ignored;
    const char *text = options_text(options, "public-url");
    struct str url = str_of(text);
    buf_init(&root, BUF_NO_CAP);
    if (!text)
        return true;
    if (url.len && url.ptr[url.len - 1] == '/')
        url.len--;
    if (!pinexq_root_make(url, &root, &ignored))
        return err_set(err, ERR_INVALID,
                       "--public-url: expected http://HOST or https://HOST, perhaps with a port, "
                       "and no path");
    s->public_root = xstrndup(root.data, root.len);
    s->http.public_root = s->public_root;
    return true;
}

static bool read_auth(struct serve *s, const struct options *options, struct err *err)
{
    static const char *const modes[] = {"none", "keys", NULL};
    enum auth_mode usual = AUTH_KEYS;
    int mode = 0;
    if (!server_auth_default(s->http.address, &usual, err))
        return err_add(err, "--host");
    /* A proxy lets others in, wherever it finds us. */
    if (s->public_root && !auth_host_is_loopback(strstr(s->public_root, "://") + 3))
        usual = AUTH_KEYS;
    s->exposed = usual == AUTH_KEYS;
    s->http.insecure = options_has(options, "insecure");
    if (s->http.insecure)
        usual = AUTH_NONE;
    if (!options_word(options, "auth", modes, (int)usual, &mode, err))
        return false;
    s->http.auth = (enum auth_mode)mode;
    return true;
}

static bool read_log(struct serve *s, const struct options *options, struct err *err)
{
    static const char *const levels[] = {"error", "warn", "info", "debug", NULL};
    int level = 0;
    s->http.access_log = options_has(options, "access-log");
    if (!options_word(options, "log-level", levels, s->http.access_log ? LOG_DEBUG : LOG_INFO,
                      &level, err))
        return false;
    log_set_level((enum log_level)level);
    return true;
}

static bool read_embedded(struct serve *s, const struct options *options, struct err *err)
{
    static const char *const odd[] = {"port",     "host",    "auth",      "insecure",
                                      "tls-cert", "tls-key", "public-url"};
    const char *idle = options_text(options, "idle-exit");
    s->embedded = options_has(options, "embedded");
    for (size_t i = 0; s->embedded && i < sizeof odd / sizeof *odd; i++)
        if (options_has(options, odd[i]))
            return err_set(err, ERR_INVALID, "--embedded has no port: --%s does not go with it",
                           odd[i]);
    s->idle_us = s->embedded ? IDLE_DEFAULT_US : 0;
    return !idle || parse_seconds(str_of(idle), 1000, IDLE_MAX_US, &s->idle_us, err) ||
           err_add(err, "--idle-exit");
}

static bool read_http(struct serve *s, const struct options *options, struct err *err)
{
    const char *host = options_text(options, "host");
    int64_t port = 0;
    server_options_init(&s->http);
    s->http.address = !host || strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    s->http.tls_cert_path = options_text(options, "tls-cert");
    s->http.tls_key_path = options_text(options, "tls-key");
    if (!s->http.tls_cert_path != !s->http.tls_key_path)
        return err_set(err, ERR_INVALID, "--tls-cert and --tls-key go together");
    if (!options_i64(options, "port", 0, 65535, PORT_DEFAULT, &port, err) ||
        !options_bytes(options, "max-body", 1024, INT64_C(1) << 40, s->http.max_body_bytes,
                       &s->http.max_body_bytes, err) ||
        !options_bytes(options, "max-blob", 1024, INT64_C(1) << 50, s->http.max_blob_bytes,
                       &s->http.max_blob_bytes, err) ||
        !options_i64(options, "keep-tasks-for", 1, 36500, 7, &s->keep_tasks_days, err) ||
        !options_i64(options, "keep-tasks", 1, INT64_C(1) << 40, 10000000, &s->keep_tasks, err) ||
        !options_i64(options, "max-connections", 1, 1000000, s->http.max_connections,
                     &s->http.max_connections, err))
        return false;
    s->http.port = (int)port;
    /* One body of the allowed length must always find room. */
    if (s->http.body_budget_bytes < s->http.max_body_bytes)
        s->http.body_budget_bytes = s->http.max_body_bytes;
    if (!read_embedded(s, options, err) || !read_public_url(s, options, err) ||
        !read_auth(s, options, err))
        return false;
    if (s->embedded)
        s->http.address = NULL;
    return read_log(s, options, err) && read_master_token(s, options, err);
}

static bool add_data_dir(struct serve *s, const char *dir, struct err *err)
{
    if (!folders_add(s->folders, dir, err))
        return err_add(err, "--data");
    char *real = realpath(dir, NULL);
    if (!real)
        return err_errno(err, errno, "--data %s", dir);
    s->data_dirs = xrealloc(s->data_dirs, (s->data_count + 2) * sizeof *s->data_dirs);
    s->data_dirs[s->data_count++] = real;
    s->data_dirs[s->data_count] = NULL;
    return true;
}

static bool add_programs(struct programs *programs, const struct options *options, const char *name,
                         struct err *err)
{
    for (size_t i = 0; i < options_count(options, name); i++)
        if (!programs_add(programs, options_at(options, name, i), err))
            return err_add(err, "--%s", name);
    return true;
}

/* The folders and the operator's programs: what requests can name. */
static bool read_world(struct serve *s, const struct options *options, struct err *err)
{
    const char *state = options_text(options, "state");
    s->state_dir = state ? state : STATE_DIR_DEFAULT;
    s->folders = folders_new();
    s->readers = programs_new();
    s->writers = programs_new();
    for (size_t i = 0; i < options_count(options, "data"); i++)
        if (!add_data_dir(s, options_at(options, "data", i), err))
            return false;
    if (s->data_count == 0 && !add_data_dir(s, ".", err))
        return false;
    if (mkdir(s->state_dir, 0700) != 0 && errno != EEXIST)
        return err_errno(err, errno, "state folder %s", s->state_dir);
    /* It may lie in a data folder, and does by default. */
    if (!folders_close_off(s->folders, s->state_dir, err))
        return false;
    return add_programs(s->readers, options, "reader", err) &&
           add_programs(s->writers, options, "writer", err);
}

/* SIGINT and SIGTERM become readable on a descriptor; every thread made from here on inherits that
 * they do nothing else. */
static bool take_signals(struct serve *s, sigset_t *set, struct err *err)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is a write that fails */
    if (pthread_sigmask(SIG_BLOCK, set, NULL) != 0)
        return err_set(err, ERR_INTERNAL, "signals cannot be blocked");
    s->signal_fd = signalfd(-1, set, SFD_CLOEXEC);
    return s->signal_fd >= 0 || err_errno(err, errno, "signalfd");
}

/* A server that asks for keys where there are none is of no use to anybody: better said now. */
static bool check_keys(struct serve *s, struct err *err)
{
    struct op op;
    bool any = false;
    if (!s->exposed || s->http.auth != AUTH_KEYS || s->master_token)
        return true;
    op_init(&op, OP_KEYS);
    op.right.trusted = true;
    op.keys.verb = KEYS_LIST;
    bool good = engine_host_ask(s->host, &op, err);
    for (size_t i = 0; good && i < op.keys.count; i++)
        any |= op.keys.keys[i].revoked_at_us == 0;
    op_release(&op);
    return !good || any
               ? good
               : err_set(err, ERR_INVALID,
                         "others can reach %s, and there is no key: make one with \"penstock key "
                         "create NAME --state %s\", or say --insecure to let everybody in",
                         s->public_root ? s->public_root : s->http.address, s->state_dir);
}

static bool start_all(struct serve *s, struct err *err)
{
    const struct engine_options options = {
        .state_dir = s->state_dir,
        .folders = s->folders,
        .readers = s->readers,
        .writers = s->writers,
        .keep_tasks_us = s->keep_tasks_days * 24 * 3600 * 1000000,
        .keep_tasks = s->keep_tasks,
    };
    return engine_host_open(&options, &s->host, err) && check_keys(s, err) &&
           engine_host_serve(s->host, &s->http, err);
}

static char *own_url(const struct serve *s)
{
    if (s->embedded) {
        OWNED_MEM char *state = realpath(s->state_dir, NULL);
        return xasprintf("unix://%s/penstock.sock", state ? state : s->state_dir);
    }
    bool v6 = strchr(s->http.address, ':');
    return xasprintf("%s://%s%s%s:%d", s->http.tls_cert_path ? "https" : "http", v6 ? "[" : "",
                     s->http.address, v6 ? "]" : "", engine_host_port(s->host));
}

/* Says where it is, to people on standard output and to programs in server.json. */
static bool announce(struct serve *s, struct err *err)
{
    s->url = own_url(s);
    if (!server_file_write(s->state_dir, s->url, (const char *const *)s->data_dirs, s->data_count,
                           err))
        return false;
    printf("penstock %s serves %s", PENSTOCK_VERSION, s->url);
    if (!s->embedded)
        printf(" (docs: %s/docs)", s->url);
    printf(", data");
    for (size_t i = 0; i < s->data_count; i++)
        printf(" %s", s->data_dirs[i]);
    OWNED_MEM char *state = realpath(s->state_dir, NULL);
    printf(", state %s\n", state ? state : s->state_dir);
    fflush(stdout);
    return true;
}

/* How long to wait for a signal before somebody may have been gone for long enough. */
static int wait_ms(int64_t until_us)
{
    int64_t ms = (until_us - clock_now().mono_us + 999) / 1000;
    return ms < 0 ? 0 : ms > INT32_MAX ? INT32_MAX : (int)ms;
}

/* Sleeps until there is a signal, or nobody has been connected for long. */
static bool wait_for_end(const struct serve *s, struct err *err)
{
    struct signalfd_siginfo info;
    struct pollfd fd = {.fd = s->signal_fd, .events = POLLIN};
    int64_t again_us = 0;
    while (fd.revents == 0) {
        if (s->idle_us && engine_host_stop_if_idle(s->host, s->idle_us, &again_us)) {
            LOG1(LOG_INFO, "server.stopping", "idle_s", "%lld",
                 (long long)(s->idle_us / SECOND_US));
            return true;
        }
        if (poll(&fd, 1, s->idle_us ? wait_ms(again_us) : -1) < 0 && errno != EINTR)
            return err_errno(err, errno, "poll");
    }
    if (read(s->signal_fd, &info, sizeof info) != sizeof info)
        return err_errno(err, errno, "signalfd");
    LOG1(LOG_INFO, "server.stopping", "signal", "%s", strsignal((int)info.ssi_signo));
    return true;
}

/* The first signal ends the server when it may. The next one ends the process at once, as signals
 * do. */
static bool wait_for_signal(const struct serve *s, const sigset_t *set, struct err *err)
{
    if (!wait_for_end(s, err))
        return false;
    return pthread_sigmask(SIG_UNBLOCK, set, NULL) == 0 ||
           err_set(err, ERR_INTERNAL, "signals cannot be unblocked");
}

static bool serve_run(const struct options *options, struct err *err)
{
    __attribute__((cleanup(serve_release))) struct serve s = {.signal_fd = -1};
    sigset_t set;
    if (!read_http(&s, options, err) || !read_world(&s, options, err) ||
        !take_signals(&s, &set, err) || !start_all(&s, err) || !announce(&s, err) ||
        !wait_for_signal(&s, &set, err))
        return false;
    return server_file_write(s.state_dir, NULL, (const char *const *)s.data_dirs, s.data_count,
                             err);
}

const struct command cmd_serve = {
    .name = "serve",
    .summary = "Run the server, until a signal ends it",
    .text = "Prints one line with its URL once it can be used. SIGINT or SIGTERM ends it when\n"
            "what it is doing is done, a second one at once; neither loses anything, nor does\n"
            "SIGKILL.\n"
            "\n"
            "Requests reach only files below the data folders. Local commands reach the server\n"
            "by a socket in the state folder, with all rights; who may enter that folder is\n"
            "trusted. The environment variable PENSTOCK_MASTER_TOKEN stands for\n"
            "--master-token-file.\n",
    .options = serve_tables,
    .examples = "penstock serve\n"
                "penstock serve --port 8080 --data /srv/data --state /var/lib/penstock\n"
                "penstock serve --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem\n"
                "penstock serve --embedded --idle-exit 60\n"
                "penstock serve --reader mails='mail-to-jsonl /srv/mail'\n",
    .run = serve_run,
};
