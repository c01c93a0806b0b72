/* The server core, over real sockets, with a surface of our own and an engine in a folder of its
 * own: bodies, routes, keys, deadlines, streams, claims whose client has gone, and a stop. */
#include "io_temp.h"

#include "core/job.h"
#include "http/reply.h"
#include "http/request.h"
#include "http/server.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#define WAIT_MS 20000 /* an event that does not come within this has not come */
#define MAX_BODY (64 << 10)

struct world {
    struct temp temp;
    struct intake *intake;
    struct engine *engine;
    struct server_options options;
    struct server *server;
    int state_fd;
};

/* --- a surface: echo, stream, claims --- */

static bool echo(struct request *req, struct reply *reply, struct err *err)
{
    (void)err;
    size_t len = 0;
    char *body = request_body(req, &len);
    reply_content_type(reply, "text/plain");
    reply_add_borrowed(reply, STR("<"));
    reply_add_borrowed(reply, (struct str){body, len});
    reply_add_borrowed(reply, STR(">"));
    return true;
}

static bool show_name(struct request *req, struct reply *reply, struct err *err)
{
    (void)err;
    reply_add_copy(reply, request_path_param(req, "name"));
    return true;
}

static bool show_scope(struct request *req, struct reply *reply, struct err *err)
{
    (void)err;
    char text[2] = {(char)('0' + (int)request_scope(req)), '\0'};
    reply_add_copy(reply, str_of(text));
    return true;
}

static bool say_no(struct request *req, struct reply *reply, struct err *err)
{
    (void)req;
    reply_add_borrowed(reply, STR("half an answer"));
    return err_set(err, ERR_CONFLICT, "no");
}

static bool claimed(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)err;
    request_claims(req);
    reply_add_borrowed(reply, buf_str(&op->claim.records));
    return true;
}

static bool claim(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply, (void)err;
    struct op *op = request_op(req, OP_CLAIM);
    op->job.name = STR("j");
    op->claim.max_records = 10;
    op->claim.max_bytes = 1 << 20;
    op->claim.wait_paused = true;
    return request_call(req, claimed);
}

/* One stream at a time: what it has to say, and whether it was let go. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char text[64];
    bool ended, over;
    struct waker *waker;
} stream = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static ssize_t stream_take(void *context, char *out, size_t max)
{
    (void)context;
    pthread_mutex_lock(&stream.lock);
    size_t len = strlen(stream.text);
    assert_true(len <= max);
    memcpy(out, stream.text, len);
    stream.text[0] = '\0';
    ssize_t got = len > 0 ? (ssize_t)len : stream.over ? -1 : 0;
    pthread_mutex_unlock(&stream.lock);
    return got;
}

static void stream_end(void *context)
{
    (void)context;
    pthread_mutex_lock(&stream.lock);
    stream.ended = true;
    pthread_cond_signal(&stream.changed);
    pthread_mutex_unlock(&stream.lock);
}

static bool follow(struct request *req, struct reply *reply, struct err *err)
{
    (void)err;
    pthread_mutex_lock(&stream.lock);
    stream.waker = waker_new(req);
    stream.ended = stream.over = false;
    strcpy(stream.text, "first;");
    pthread_mutex_unlock(&stream.lock);
    reply_content_type(reply, "text/event-stream");
    reply_stream(reply, stream_take, stream_end, NULL);
    return true;
}

static bool follow_bare(struct request *req, struct reply *reply, struct err *err)
{
    bool good = follow(req, reply, err);
    reply_stream_bare(reply, "ping;", 50000);
    return good;
}

static void stream_say(const char *text, bool over)
{
    pthread_mutex_lock(&stream.lock);
    strcpy(stream.text, text);
    stream.over = over;
    struct waker *w = stream.waker;
    pthread_mutex_unlock(&stream.lock);
    waker_wake(w);
}

static void stream_wait_for_end(void)
{
    pthread_mutex_lock(&stream.lock);
    while (!stream.ended)
        pthread_cond_wait(&stream.changed, &stream.lock);
    waker_free(TAKE(stream.waker));
    pthread_mutex_unlock(&stream.lock);
}

static void fail_plainly(struct request *req, const struct op *op, const struct err *err,
                         int status, struct reply *reply)
{
    (void)req, (void)op;
    static const int by_code[ERR_CODE_COUNT] = {
        [ERR_UNAUTHORIZED] = 401, [ERR_FORBIDDEN] = 403, [ERR_CONFLICT] = 409, [ERR_BUSY] = 503};
    reply_status(reply, status ? status : by_code[err->code] ? by_code[err->code] : 400);
    reply_add_copy(reply, str_of(err->text));
}

static const struct route routes[] = {
    {"POST", "/echo", SCOPE_NONE, BODY_TAKEN, 0, echo},
    {"POST", "/small", SCOPE_NONE, BODY_TAKEN, 10, echo},
    {"GET", "/names/{name}/show", SCOPE_NONE, BODY_NONE, 0, show_name},
    {"GET", "/scope", SCOPE_NONE, BODY_NONE, 0, show_scope},
    {"GET", "/work", SCOPE_WORK, BODY_NONE, 0, show_scope},
    {"GET", "/no", SCOPE_NONE, BODY_NONE, 0, say_no},
    {"GET", "/claim", SCOPE_NONE, BODY_NONE, 0, claim},
    {"GET", "/follow", SCOPE_NONE, BODY_NONE, 0, follow},
    {"GET", "/bare", SCOPE_NONE, BODY_NONE, 0, follow_bare},
};
static const struct surface surface = {
    .prefix = "",
    .routes = routes,
    .route_count = sizeof routes / sizeof *routes,
    .slash_redirects = true,
    .head_allowed = true,
    .resets = "/bare",
    .fail = fail_plainly,
};
static const struct surface *const surfaces[] = {&surface};

/* --- the world --- */

static void on_fatal(const struct err *err)
{
    fprintf(stderr, "%s\n", err->text);
    abort();
}

static int begin(void **state)
{
    struct world *w = xcalloc(1, sizeof *w);
    void *temp = NULL;
    temp_begin(&temp);
    w->temp = *(struct temp *)temp;
    free(temp);
    struct err *err = &w->temp.err;
    mkdir(temp_path(&w->temp, "state"), 0700);
    char *dir = xstrdup(temp_path(&w->temp, "state"));
    w->state_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    w->intake = intake_new();
    struct engine_options engine = {.state_dir = dir,
                                    .folders = w->temp.folders,
                                    .wake = intake_wake,
                                    .wake_context = w->intake};
    if (!engine_open(&engine, clock_now(), &w->engine, err) ||
        !intake_start(w->intake, w->engine, on_fatal, err))
        fail_msg("%s", err->text);
    free(dir);
    server_options_init(&w->options);
    w->options.engine = w->engine;
    w->options.intake = w->intake;
    w->options.surfaces = surfaces;
    w->options.surface_count = 1;
    w->options.address = "127.0.0.1";
    w->options.threads = 2;
    w->options.max_body_bytes = w->options.body_budget_bytes = MAX_BODY;
    *state = w;
    return 0;
}

static void serve(struct world *w)
{
    if (!server_start(&w->options, &w->server, &w->temp.err))
        fail_msg("%s", w->temp.err.text);
}

static void stop(struct world *w)
{
    if (w->server)
        server_stop(w->server);
    intake_stop(w->intake);
    server_free(TAKE(w->server));
}

static int end(void **state)
{
    struct world *w = *state;
    stop(w);
    intake_free(w->intake);
    engine_free(w->engine);
    close(w->state_fd);
    struct temp *temp = xcalloc(1, sizeof *temp);
    *temp = w->temp;
    void *gone = temp;
    temp_end(&gone);
    free(w);
    return 0;
}

/* --- a client --- */

static int dial(const struct world *w)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in where = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)server_port(w->server)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (struct sockaddr *)&where, sizeof where), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Reads until `want` was seen; NULL: until the end. What was read is static. */
static const char *hear(int fd, const char *want)
{
    static char got[256 << 10];
    size_t len = 0;
    got[0] = '\0';
    while (!want || !strstr(got, want)) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (poll(&ready, 1, WAIT_MS) != 1)
            fail_msg("nothing came after: %s", got);
        ssize_t n = recv(fd, got + len, sizeof got - 1 - len, 0);
        if (n <= 0 && want)
            fail_msg("the connection ended after: %s", got);
        if (n <= 0)
            break;
        len += (size_t)n;
        got[len] = '\0';
    }
    return got;
}

static const char *exchange(const struct world *w, const char *text)
{
    OWNED_FD int fd = dial(w);
    say(fd, text);
    return hear(fd, NULL);
}

static void answers(const struct world *w, const char *request, const char *status,
                    const char *body)
{
    const char *got = exchange(w, request);
    if (strncmp(got, "HTTP/1.1 ", 9) != 0 || strncmp(got + 9, status, 3) != 0 || !strstr(got, body))
        fail_msg("%s\ngot: %s", request, got);
}

#define END "Host: localhost\r\nConnection: close\r\n\r\n"

/* --- tests --- */

static void bodies_arrive_whole_however_they_are_sent(void **state)
{
    struct world *w = *state;
    serve(w);
    answers(w, "POST /echo HTTP/1.1\r\nContent-Length: 5\r\n" END "hello", "200",
            "\r\n\r\n<hello>");
    answers(w,
            "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" END
            "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
            "200", "\r\n\r\n<hello>");
    answers(w, "POST /echo HTTP/1.1\r\n" END, "200", "\r\n\r\n<>");
    OWNED_FD int fd = dial(w);
    say(fd, "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nab");
    say(fd, "cd");
    hear(fd, "<abcd>");
    say(fd, "POST /echo HTTP/1.1\r\nContent-Length: 1\r\n" END "x");
    hear(fd, "<x>");
}

static void a_body_above_the_limit_is_refused(void **state)
{
    struct world *w = *state;
    serve(w);
    answers(w, "POST /echo HTTP/1.1\r\nContent-Length: 99999999999\r\n" END, "413", "larger than");
    answers(w, "POST /small HTTP/1.1\r\nContent-Length: 11\r\n" END "01234567890", "413", "10");
    answers(w,
            "POST /small HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" END
            "b\r\n01234567890\r\n0\r\n\r\n",
            "413", "10");
    answers(w, "POST /small HTTP/1.1\r\nContent-Length: 10\r\n" END "0123456789", "200",
            "<0123456789>");
}

static void a_head_may_come_in_any_pieces(void **state)
{
    struct world *w = *state;
    static const char text[] = "\r\nPOST /echo HTTP/1.1\r\nHost: localhost\r\n"
                               "Content-Length: 2\r\n\r\nab";
    serve(w);
    OWNED_FD int fd = dial(w);
    for (const char *at = text; *at; at++) {
        char one[2] = {*at, '\0'};
        say(fd, one);
    }
    hear(fd, "<ab>");
    /* What is no text is kept as well until there is more of it. */
    for (int i = 0; i < 10; i++)
        assert_int_equal(send(fd, "\0\r", 2, MSG_NOSIGNAL), 2);
    say(fd, "\n\r\n");
    hear(fd, "HTTP/1.1 400 ");
}

static void requests_that_come_together_are_answered_in_order(void **state)
{
    struct world *w = *state;
    serve(w);
    OWNED_FD int fd = dial(w);
    say(fd, "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\na"
            "GET /names/b/show HTTP/1.1\r\nHost: localhost\r\n\r\n"
            "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            "1\r\nc\r\n0\r\n\r\n"
            "POST /echo HTTP/1.1\r\nContent-Length: 1\r\n" END "d");
    const char *got = hear(fd, NULL), *at = got;
    static const char *const want[] = {"\r\n\r\n<a>HTTP/1.1 200 OK\r\n", "\r\n\r\nbHTTP/1.1 ",
                                       "\r\n\r\n<c>HTTP/1.1 ", "\r\n\r\n<d>"};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        if (!(at = strstr(at, want[i])))
            fail_msg("not answered: %s in %s", want[i], got);
}

/* More than one turn's steps are enough for, and more than is read in one go. */
static void a_crowd_of_requests_on_one_connection_is_answered_whole(void **state)
{
    struct world *w = *state;
    enum { COUNT = 2000 };
    OWNED_BUF struct buf crowd;
    buf_init(&crowd, 1 << 20);
    for (int i = 0; i < COUNT; i++)
        buf_add_text(&crowd, "GET /names/x/show HTTP/1.1\r\nHost: localhost\r\n\r\n");
    buf_add_text(&crowd, "GET /scope HTTP/1.1\r\n" END);
    buf_add_char(&crowd, '\0');
    serve(w);
    OWNED_FD int fd = dial(w);
    say(fd, crowd.data);
    int answers = 0;
    for (const char *at = hear(fd, NULL); (at = strstr(at, "HTTP/1.1 200")); at++)
        answers++;
    assert_int_equal(answers, COUNT + 1);
}

static void an_answer_says_how_it_ends(void **state)
{
    struct world *w = *state;
    serve(w);
    answers(w, "POST /echo HTTP/1.0\r\nContent-Length: 1\r\n\r\nx", "200",
            "\r\nConnection: close\r\nContent-Length: 3\r\n\r\n<x>");
    const char *got = exchange(w, "HEAD /scope HTTP/1.1\r\n" END);
    assert_non_null(strstr(got, "\r\nContent-Length: 1\r\n\r\n"));
    assert_int_equal(strlen(strstr(got, "\r\n\r\n")), 4);
    assert_non_null(strstr(got, " GMT\r\nContent-Type: application/json"));
    OWNED_FD int fd = dial(w);
    say(fd, "GET /scope HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    hear(fd, "\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\n");
    say(fd, "GET /scope HTTP/1.0\r\n\r\n");
    hear(fd, "Connection: close");
}

static void a_client_that_asks_first_is_told_to_go_on(void **state)
{
    struct world *w = *state;
    serve(w);
    OWNED_FD int fd = dial(w);
    say(fd, "POST /echo HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
            "Content-Length: 2\r\n\r\n");
    assert_string_equal(hear(fd, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    say(fd, "ok");
    hear(fd, "<ok>");
    /* What would be refused is refused before. */
    say(fd, "POST /echo HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
            "Content-Length: 99999999\r\n\r\n");
    assert_int_equal(strncmp(hear(fd, NULL), "HTTP/1.1 413 Content Too Large\r\n", 32), 0);
}

static void what_is_no_request_is_refused_and_not_read_on(void **state)
{
    struct world *w = *state;
    serve(w);
    answers(w, "NONSENSE\r\n\r\n", "400", "no request");
    answers(w, "GET /scope HTTP/3.0\r\n\r\n", "505", "HTTP/1.1");
    answers(w, "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nx",
            "400", "chunks");
    OWNED_BUF struct buf large;
    buf_init(&large, 1 << 20);
    buf_add_text(&large, "GET /scope HTTP/1.1\r\nX: ");
    for (int i = 0; i < 20000; i++)
        buf_add_char(&large, 'x');
    buf_add_char(&large, '\0');
    answers(w, large.data, "431", "16 KiB");
    const char *got = exchange(w, "GET /scope HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"
                                  "GET /scope HTTP/1.1\r\n" END);
    assert_null(strstr(got + 1, "HTTP/1.1"));
}

static void the_refused_read_their_answer_while_they_send(void **state)
{
    struct world *w = *state;
    serve(w);
    OWNED_FD int fd = dial(w);
    say(fd, "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8000000\r\n\r\n");
    static char piece[100000];
    memset(piece, 'x', sizeof piece - 1);
    for (int i = 0; i < 80; i++)
        say(fd, piece);
    hear(fd, "HTTP/1.1 413");
}

static void paths_and_methods_are_told_apart(void **state)
{
    struct world *w = *state;
    serve(w);
    answers(w, "GET /names/a%20b%2Fc/show HTTP/1.1\r\n" END, "200", "\r\n\r\na b/c");
    answers(w, "GET /names//show HTTP/1.1\r\n" END, "404", "");
    answers(w, "GET /names/%ff/show HTTP/1.1\r\n" END, "404", "");
    answers(w, "GET /names/a HTTP/1.1\r\n" END, "404", "");
    answers(w, "GET /echo HTTP/1.1\r\n" END, "405", "Allow: POST");
    answers(w, "HEAD /scope HTTP/1.1\r\n" END, "200", "Content-Length: 1");
    answers(w, "GET /scope/?x=1 HTTP/1.1\r\n" END, "307",
            "Location: http://localhost/scope?x=1\r\n");
}

static void a_refusal_forgets_half_an_answer(void **state)
{
    struct world *w = *state;
    serve(w);
    answers(w, "GET /no HTTP/1.1\r\n" END, "409", "\r\n\r\nno");
}

static void other_hosts_and_origins_are_refused(void **state)
{
    struct world *w = *state;
    serve(w);
    const char *close_it = "Connection: close\r\n\r\n";
    static const char *const heads[] = {"Host: evil.example\r\n", "Host: 127.0.0.1.evil\r\n",
                                        "Host: localhost\r\nOrigin: http://evil.example\r\n",
                                        "Host: localhost\r\nOrigin: null\r\n"};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        OWNED_MEM char *text = xasprintf("GET /scope HTTP/1.1\r\n%s%s", heads[i], close_it);
        answers(w, text, "403", "");
    }
    answers(w, "GET /scope HTTP/1.1\r\nOrigin: http://localhost\r\n" END, "200", "3");
    answers(w, "GET /scope HTTP/1.1\r\nConnection: close\r\n\r\n", "400", "Host");
}

static void the_unix_socket_is_ours_alone_and_trusted(void **state)
{
    struct world *w = *state;
    w->options.unix_dir_fd = w->state_fd;
    w->options.auth = AUTH_KEYS;
    serve(w);
    struct stat st;
    assert_int_equal(fstatat(w->state_fd, "penstock.sock", &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    OWNED_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    snprintf(where.sun_path, sizeof where.sun_path, "%s/state/penstock.sock", w->temp.dir);
    assert_int_equal(connect(fd, (struct sockaddr *)&where, sizeof where), 0);
    say(fd, "GET /work HTTP/1.1\r\n" END);
    hear(fd, "\r\n\r\n3");
    answers(w, "GET /work HTTP/1.1\r\n" END, "401", "x-api-key");
}

static void make_key(struct world *w, const char *name, const char *scopes, const char *key)
{
    struct op op;
    op_init(&op, OP_KEYS);
    op.right.trusted = true;
    op.keys.verb = KEYS_CREATE;
    op.keys.name = name;
    op.keys.scopes = scopes;
    engine_token_hash(w->engine, str_of(key), op.keys.hash);
    if (!intake_call(w->intake, &op))
        fail_msg("%s", op.err.text);
    op_release(&op);
}

static void keys_open_what_their_scope_allows(void **state)
{
    struct world *w = *state;
    w->options.auth = AUTH_KEYS;
    w->options.master_token = "the master";
    make_key(w, "reader", "read", "pk_reader");
    serve(w);
    make_key(w, "worker", "read work", "pk_worker");
    const char *worker = "GET /work HTTP/1.1\r\nAuthorization: Bearer pk_worker\r\n" END;
    answers(w, worker, "401", "unknown");
    server_keys_changed(w->server);
    answers(w, worker, "200", "\r\n\r\n2");
    answers(w, "GET /work HTTP/1.1\r\nauthorization: bearer  pk_worker \r\n" END, "200", "2");
    answers(w, "GET /work HTTP/1.1\r\nAuthorization: Bearer pk_reader\r\n" END, "403", "allow");
    answers(w, "GET /work HTTP/1.1\r\nAuthorization: Bearer pk_work\r\n" END, "401", "");
    answers(w, "GET /work HTTP/1.1\r\nAuthorization: Bearer the master\r\n" END, "200", "3");
    answers(w, "GET /scope HTTP/1.1\r\n" END, "200", "0");
}

static void an_open_address_without_keys_is_refused(void **state)
{
    struct world *w = *state;
    struct server *s = NULL;
    w->options.address = "0.0.0.0";
    assert_false(server_start(&w->options, &s, &w->temp.err));
    assert_error(&w->temp, ERR_INVALID, "--insecure");
    w->options.insecure = true;
    serve(w);
    answers(w, "GET /scope HTTP/1.1\r\nHost: any.example\r\nConnection: close\r\n\r\n", "200", "3");
}

static void what_cannot_be_listened_on_is_told(void **state)
{
    struct world *w = *state;
    struct server *s = NULL;
    serve(w);
    w->options.port = server_port(w->server);
    assert_false(server_start(&w->options, &s, &w->temp.err));
    assert_error(&w->temp, ERR_IO, "listen");
    w->options.address = "example.org";
    assert_false(server_start(&w->options, &s, &w->temp.err));
    assert_error(&w->temp, ERR_INVALID, "no IP address");
    w->options.address = "127.0.0.1";
    w->options.tls_cert_path = "/nowhere/cert.pem";
    assert_false(server_start(&w->options, &s, &w->temp.err));
    assert_error(&w->temp, ERR_INVALID, "key");
    w->options.tls_key_path = "/nowhere/key.pem";
    assert_false(server_start(&w->options, &s, &w->temp.err));
    assert_error(&w->temp, ERR_NOT_FOUND, "cert.pem");
}

static void slow_headers_and_bodies_are_cut_off(void **state)
{
    struct world *w = *state;
    w->options.header_timeout_us = w->options.body_grace_us = 100000;
    w->options.body_min_rate_bytes = 1 << 20;
    serve(w);
    static const char *const begun[] = {
        "", "GE", "GET /scope HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
        "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nab",
        "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"};
    for (size_t i = 0; i < sizeof begun / sizeof *begun; i++) {
        OWNED_FD int fd = dial(w);
        say(fd, begun[i]);
        assert_string_equal(hear(fd, NULL), "");
    }
}

static void an_idle_connection_is_closed(void **state)
{
    struct world *w = *state;
    w->options.idle_timeout_us = 100000;
    serve(w);
    OWNED_FD int fd = dial(w);
    say(fd, "GET /scope HTTP/1.1\r\nHost: localhost\r\n\r\n");
    hear(fd, NULL);
}

static void connections_above_the_limit_wait_their_turn(void **state)
{
    struct world *w = *state;
    w->options.max_connections = 1;
    serve(w);
    int first = dial(w);
    say(first, "GET /scope HTTP/1.1\r\nHost: localhost\r\n\r\n");
    hear(first, "\r\n\r\n3");
    OWNED_FD int second = dial(w);
    say(second, "GET /scope HTTP/1.1\r\n" END);
    close(first);
    hear(second, "\r\n\r\n3");
}

static void bodies_wait_for_memory_and_the_oldest_goes_on(void **state)
{
    struct world *w = *state;
    serve(w);
    static char half[MAX_BODY / 2 + 1], head[256];
    memset(half, 'h', sizeof half - 1);
    snprintf(head, sizeof head, "POST /echo HTTP/1.1\r\nContent-Length: %d\r\n" END, MAX_BODY);
    OWNED_FD int first = dial(w);
    OWNED_FD int second = dial(w);
    OWNED_FD int third = dial(w);
    say(first, head);
    say(first, half);
    say(second, head);
    say(second, half);
    say(third, head);
    say(third, half);
    say(second, half);
    say(third, half);
    /* Whoever is the oldest, all come to their end. */
    say(first, half);
    hear(first, "h>");
    hear(second, "h>");
    hear(third, "h>");
}

static void a_stream_says_what_comes_and_ends(void **state)
{
    struct world *w = *state;
    serve(w);
    OWNED_FD int fd = dial(w);
    say(fd, "GET /follow HTTP/1.1\r\nHost: localhost\r\n\r\n");
    hear(fd, "first;");
    stream_say("second;", false);
    hear(fd, "second;");
    stream_say("third;", true);
    hear(fd, "third;\r\n0\r\n\r\n");
    stream_wait_for_end();
}

static void a_stream_whose_client_has_gone_is_let_go(void **state)
{
    struct world *w = *state;
    serve(w);
    int fd = dial(w);
    say(fd, "GET /follow HTTP/1.1\r\nHost: localhost\r\n\r\n");
    hear(fd, "first;");
    /* With a reset, so that the next bytes cannot be sent. */
    struct linger at_once = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
    stream_say("more;", false);
    stream_wait_for_end();
}

static void a_stop_ends_streams(void **state)
{
    struct world *w = *state;
    serve(w);
    OWNED_FD int fd = dial(w);
    say(fd, "GET /follow HTTP/1.1\r\nHost: localhost\r\n\r\n");
    hear(fd, "first;");
    stop(w);
    hear(fd, NULL);
    stream_wait_for_end();
}

/* The connection ends, and not in order. */
static void is_reset(int fd)
{
    char byte = 0;
    ssize_t n = 0;
    do {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (poll(&ready, 1, WAIT_MS) != 1)
            fail_msg("the connection did not end");
        n = recv(fd, &byte, 1, 0);
    } while (n > 0);
    assert_int_equal(n, -1);
    assert_int_equal(errno, ECONNRESET);
}

static int follow_barely(struct world *w)
{
    int fd = dial(w);
    say(fd, "GET /bare HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const char *got = hear(fd, "first;");
    assert_non_null(strstr(got, "Connection: close\r\n"));
    assert_null(strstr(got, "chunked"));
    assert_null(strstr(got, "Content-Length"));
    assert_non_null(strstr(got, "\r\n\r\nfirst;"));
    return fd;
}

static void a_bare_stream_pings_and_ends_by_a_reset(void **state)
{
    struct world *w = *state;
    serve(w);
    OWNED_FD int fd = follow_barely(w);
    hear(fd, "ping;ping;");
    stream_say("second;", true);
    hear(fd, "second;");
    is_reset(fd);
    stream_wait_for_end();
}

static void a_stop_resets_bare_streams_and_who_asks_for_one(void **state)
{
    struct world *w = *state;
    serve(w);
    OWNED_FD int fd = follow_barely(w);
    OWNED_FD int late = dial(w);
    say(late, "GET /scope HTTP/1.1\r\nHost: localhost\r\n\r\n");
    hear(late, "\r\n\r\n3");
    server_stop(w->server);
    is_reset(fd);
    say(late, "GET /bare HTTP/1.1\r\nHost: localhost\r\n\r\n");
    is_reset(late);
    stream_wait_for_end();
}

static void control(struct world *w, enum control_verb verb)
{
    struct op op;
    op_init(&op, OP_CONTROL);
    op.job.name = STR("j");
    op.right.trusted = true;
    op.control.verb = verb;
    if (!intake_call(w->intake, &op))
        fail_msg("%s", op.err.text);
    op_release(&op);
}

static void start_job(struct world *w)
{
    temp_write(&w->temp, "in", "{\"n\":0}\n{\"n\":1}\n");
    struct op op;
    op_init(&op, OP_START);
    op.job.name = STR("j");
    op.right.trusted = true;
    w->temp.spec.source_format = FORMAT_JSONL;
    w->temp.spec.source_path = xstrdup("in");
    w->temp.spec.mode = MODE_READ;
    op.start.spec = &w->temp.spec;
    if (!intake_call(w->intake, &op))
        fail_msg("%s", op.err.text);
    op_release(&op);
}

/* Nobody can tell when the end of a connection arrives, but the client, when it has heard nothing
 * before the end of the other direction. */
static const char *claim_and_leave(const struct world *w)
{
    OWNED_FD int gone = dial(w);
    say(gone, "GET /claim HTTP/1.1\r\nHost: localhost\r\n\r\nGET /scope HTTP/1.1\r\n");
    shutdown(gone, SHUT_WR);
    return hear(gone, NULL);
}

static void a_claim_whose_client_has_gone_is_given_back(void **state)
{
    struct world *w = *state;
    start_job(w);
    serve(w);
    /* On a busy machine it may get its answer after all. */
    for (int tries = 0; *claim_and_leave(w); tries++) {
        assert_true(tries < 1000);
        control(w, CONTROL_REPAIR);
    }
    answers(w, "GET /claim HTTP/1.1\r\n" END, "200", "[[0,{\"n\":0}],[1,{\"n\":1}]]");
}

static void a_claim_whose_client_goes_while_it_waits_gets_nothing(void **state)
{
    struct world *w = *state;
    start_job(w);
    control(w, CONTROL_PAUSE);
    serve(w);
    assert_string_equal(claim_and_leave(w), "");
    control(w, CONTROL_RESUME);
    answers(w, "GET /claim HTTP/1.1\r\n" END, "200", "[[0,{\"n\":0}],[1,{\"n\":1}]]");
}

static void a_stop_answers_what_waits(void **state)
{
    struct world *w = *state;
    start_job(w);
    control(w, CONTROL_PAUSE);
    serve(w);
    OWNED_FD int fd = dial(w);
    say(fd, "GET /claim HTTP/1.1\r\nHost: localhost\r\n\r\n");
    answers(w, "GET /scope HTTP/1.1\r\n" END, "200", "3");
    stop(w);
    hear(fd, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(bodies_arrive_whole_however_they_are_sent),
        TEST(a_body_above_the_limit_is_refused),
        TEST(a_head_may_come_in_any_pieces),
        TEST(requests_that_come_together_are_answered_in_order),
        TEST(a_crowd_of_requests_on_one_connection_is_answered_whole),
        TEST(an_answer_says_how_it_ends),
        TEST(a_client_that_asks_first_is_told_to_go_on),
        TEST(what_is_no_request_is_refused_and_not_read_on),
        TEST(the_refused_read_their_answer_while_they_send),
        TEST(paths_and_methods_are_told_apart),
        TEST(a_refusal_forgets_half_an_answer),
        TEST(other_hosts_and_origins_are_refused),
        TEST(the_unix_socket_is_ours_alone_and_trusted),
        TEST(keys_open_what_their_scope_allows),
        TEST(an_open_address_without_keys_is_refused),
        TEST(what_cannot_be_listened_on_is_told),
        TEST(slow_headers_and_bodies_are_cut_off),
        TEST(an_idle_connection_is_closed),
        TEST(connections_above_the_limit_wait_their_turn),
        TEST(bodies_wait_for_memory_and_the_oldest_goes_on),
        TEST(a_stream_says_what_comes_and_ends),
        TEST(a_stream_whose_client_has_gone_is_let_go),
        TEST(a_stop_ends_streams),
        TEST(a_bare_stream_pings_and_ends_by_a_reset),
        TEST(a_stop_resets_bare_streams_and_who_asks_for_one),
        TEST(a_claim_whose_client_has_gone_is_given_back),
        TEST(a_claim_whose_client_goes_while_it_waits_gets_nothing),
        TEST(a_stop_answers_what_waits),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
