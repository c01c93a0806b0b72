/* client.c: see client.h. */
#include "cli/client.h"

#include "base/file.h"
#include "base/json.h"
#include "base/parse.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const struct option client_options[] = {
    {"server", "URL", "the server, such as http://host:5005 (default: the one of the state folder)",
     "PENSTOCK_SERVER", false},
    {"state", "DIR", "state folder of the server on this machine (default: .penstock)",
     "PENSTOCK_STATE", false},
    {"key", "KEY",
     "API key, or @FILE that holds it; needed over the network when the server asks "
     "for keys",
     "PENSTOCK_KEY", false},
    {"ca", "FILE", "certificates to trust instead of the system's, for https", NULL, false},
    {0},
};

enum { CONNECT_TIMEOUT_S = 10, KEY_MAX_BYTES = 4096 };
static const size_t answer_max_bytes = (size_t)256 << 20;

struct client {
    CURL *curl;
    char *base;   /* URL without a slash at its end */
    char *socket; /* path of the Unix socket, NULL: TCP */
    char *dir;    /* the state folder it lies in, as it was named */
    char *shown;  /* how to name the server to people */
    char *key;    /* header line, NULL */
    char *ca;
    int state_fd; /* -1 */
};

/* The key itself, or what the file after '@' holds. */
static bool read_key(const char *given, char **header, struct err *err)
{
    OWNED_BUF struct buf text;
    buf_init(&text, KEY_MAX_BYTES);
    if (given[0] == '@') {
        if (!file_read_all(given + 1, KEY_MAX_BYTES, &text, err))
            return err_add(err, "--key");
    } else
        buf_add_text(&text, given);
    struct str key = str_trim(buf_str(&text));
    for (size_t i = 0; i < key.len; i++)
        if ((unsigned char)key.ptr[i] <= ' ' || (unsigned char)key.ptr[i] >= 0x7f)
            return err_set(err, ERR_INVALID, "--key: a key is one word of plain letters");
    *header = xasprintf("Authorization: Bearer %.*s", (int)key.len, key.ptr);
    return true;
}

static bool no_server(const char *dir, struct err *err)
{
    return err_set(err, ERR_BUSY,
                   "no server runs on %s; start one with \"penstock serve\", or name one "
                   "(--server, --state)",
                   dir);
}

/* A socket's address holds 107 bytes; by way of the folder's descriptor any path fits. */
static bool use_socket(struct client *c, const char *dir, struct err *err)
{
    struct stat st;
    c->state_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (c->state_fd < 0 || fstatat(c->state_fd, "penstock.sock", &st, 0) != 0)
        return no_server(dir, err);
    c->socket = xasprintf("/proc/self/fd/%d/penstock.sock", c->state_fd);
    c->dir = xstrdup(dir);
    c->base = xstrdup("http://localhost");
    c->shown = xasprintf("the server on %s", dir);
    return true;
}

bool client_open(const struct options *options, struct client **out, struct err *err)
{
    OWNED(client) struct client *c = xcalloc(1, sizeof *c);
    c->state_fd = -1;
    const char *server = options_text(options, "server"), *state = options_text(options, "state");
    const char *key = options_text(options, "key"), *ca = options_text(options, "ca");
    if (options_has(options, "server") && options_has(options, "state"))
        return err_set(err, ERR_INVALID, "--server and --state name two servers; give one");
    if (key && !read_key(key, &c->key, err))
        return false;
    /* An option is stronger than a variable. */
    if (server && !options_has(options, "state")) {
        if (strncmp(server, "http://", 7) != 0 && strncmp(server, "https://", 8) != 0)
            return err_set(err, ERR_INVALID, "--server: %s is no URL (http://host:port)", server);
        c->base = xstrdup(server);
        while (strlen(c->base) && c->base[strlen(c->base) - 1] == '/')
            c->base[strlen(c->base) - 1] = '\0';
        c->shown = xstrdup(c->base);
    } else if (!use_socket(c, state ? state : STATE_DIR_DEFAULT, err))
        return false;
    c->ca = xstrdup_or_null(ca);
    *out = TAKE(c);
    return true;
}

void client_free(struct client *c)
{
    if (!c)
        return;
    curl_easy_cleanup(c->curl);
    free(c->base);
    free(c->socket);
    free(c->dir);
    free(c->shown);
    if (c->key)
        explicit_bzero(c->key, strlen(c->key));
    free(c->key);
    free(c->ca);
    if (c->state_fd >= 0)
        close(c->state_fd);
    free(c);
}

static void list_drop(struct curl_slist **list)
{
    curl_slist_free_all(*list);
}

/* What every request has; `headers` must live as long as the handle works. */
static void prepare(const struct client *c, CURL *curl, const char *url, struct curl_slist *headers)
{
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "penstock/" PENSTOCK_VERSION);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    if (c->ca)
        curl_easy_setopt(curl, CURLOPT_CAINFO, c->ca);
    if (c->socket) {
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, c->socket);
        curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    }
}

static size_t take_bytes(char *bytes, size_t one, size_t count, void *buf)
{
    struct buf *b = buf;
    buf_add(b, bytes, one * count);
    return b->full ? 0 : one * count;
}

static enum err_code code_of_status(long status)
{
    static const struct {
        long status;
        enum err_code code;
    } codes[] = {
        {400, ERR_INVALID},  {401, ERR_UNAUTHORIZED}, {403, ERR_FORBIDDEN}, {404, ERR_NOT_FOUND},
        {409, ERR_CONFLICT}, {413, ERR_LIMIT},        {422, ERR_INVALID},   {429, ERR_BUSY},
        {502, ERR_BUSY},     {503, ERR_BUSY},         {504, ERR_BUSY},      {507, ERR_NO_SPACE},
    };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].status == status)
            return codes[i].code;
    return ERR_INTERNAL;
}

/* The server's words from a problem (RFC 9457). Always false. */
static bool refused(const struct client *c, long status, struct str body, struct err *err)
{
    struct str detail;
    OWNED_MEM char *text = NULL;
    if (status == 401 && !c->key)
        return err_set(err, ERR_UNAUTHORIZED,
                       "%s asks for a key: give one by --key or PENSTOCK_KEY", c->shown);
    if (json_check(body, NULL, NULL) &&
        (json_find(body, "detail", &detail) || json_find(body, "title", &detail)))
        text = json_take_text(detail);
    if (text)
        return err_set(err, code_of_status(status), "%s", text);
    return err_set(err, code_of_status(status), "%s answered %ld", c->shown, status);
}

static bool unreachable(const struct client *c, CURLcode code, const char *why, struct err *err)
{
    /* What a killed server leaves of itself; the port that curl names here is none. */
    if (c->socket && code == CURLE_COULDNT_CONNECT)
        return no_server(c->dir, err);
    return err_set(err, code == CURLE_PEER_FAILED_VERIFICATION ? ERR_FORBIDDEN : ERR_BUSY,
                   "%s cannot be reached: %s", c->shown, *why ? why : curl_easy_strerror(code));
}

/* The one request on the client's kept connection. */
static CURLcode perform(struct client *c, const char *method, const char *path, struct str body,
                        struct buf *got, long *status, char why[CURL_ERROR_SIZE])
{
    OWNED_MEM char *url = xasprintf("%s%s", c->base, path);
    __attribute__((cleanup(list_drop))) struct curl_slist *headers = NULL;
    headers = curl_slist_append(headers, "Content-Type: application/json");
    /* Without this curl waits for a go-ahead before it sends a larger body. */
    headers = curl_slist_append(headers, "Expect:");
    if (c->key)
        headers = curl_slist_append(headers, c->key);
    if (!c->curl)
        c->curl = curl_easy_init();
    if (!c->curl || !headers)
        return CURLE_FAILED_INIT;
    prepare(c, c->curl, url, headers);
    curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, got);
    if (body.len || strcmp(method, "POST") == 0) {
        curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
        curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, body.len ? body.ptr : "");
    }
    CURLcode code = curl_easy_perform(c->curl);
    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, status);
    /* What goes out of scope here shall not be written to when the connection is closed. */
    curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, NULL);
    curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, NULL);
    return code;
}

bool client_ask(struct client *c, const char *method, const char *path, struct str body,
                struct buf *answer, struct err *err)
{
    char why[CURL_ERROR_SIZE] = "";
    long status = 0;
    OWNED_BUF struct buf got;
    buf_init(&got, answer_max_bytes);
    CURLcode code = perform(c, method, path, body, &got, &status, why);
    if (got.full)
        return err_set(err, ERR_LIMIT, "%s: the answer is too long", c->shown);
    if (code == CURLE_FAILED_INIT)
        return err_set(err, ERR_INTERNAL, "libcurl cannot be used");
    if (code != CURLE_OK)
        return unreachable(c, code, why, err);
    if (status < 200 || status > 299)
        return refused(c, status, buf_str(&got), err);
    if (answer)
        buf_add_str(answer, buf_str(&got));
    return true;
}

/* The bytes that have come and are not read yet lie in `got` from `at` on. */
struct client_stream {
    const struct client *client;
    CURLM *multi;
    CURL *curl;
    struct curl_slist *headers;
    char why[CURL_ERROR_SIZE];
    struct buf got;
    size_t at;
    int64_t id;
    bool added, ended;
    CURLcode code; /* how it ended */
};

enum { STREAM_MAX_BYTES = 4 << 20, POLL_MS = 1000 };

struct client_stream *client_follow(struct client *c, const char *path, int64_t after)
{
    struct client_stream *s = xcalloc(1, sizeof *s);
    OWNED_MEM char *url = xasprintf("%s%s", c->base, path);
    s->client = c;
    s->id = after;
    buf_init(&s->got, STREAM_MAX_BYTES);
    s->multi = curl_multi_init();
    s->curl = curl_easy_init();
    if (!s->multi || !s->curl)
        return s;
    s->headers = curl_slist_append(s->headers, "Accept: text/event-stream");
    if (c->key)
        s->headers = curl_slist_append(s->headers, c->key);
    if (after >= 0) {
        OWNED_MEM char *last = xasprintf("Last-Event-ID: %lld", (long long)after);
        s->headers = curl_slist_append(s->headers, last);
    }
    prepare(c, s->curl, url, s->headers);
    curl_easy_setopt(s->curl, CURLOPT_ERRORBUFFER, s->why);
    curl_easy_setopt(s->curl, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(s->curl, CURLOPT_WRITEDATA, &s->got);
    s->added = curl_multi_add_handle(s->multi, s->curl) == CURLM_OK;
    return s;
}

void client_stream_free(struct client_stream *s)
{
    if (!s)
        return;
    if (s->added)
        curl_multi_remove_handle(s->multi, s->curl);
    curl_easy_cleanup(s->curl);
    curl_multi_cleanup(s->multi);
    curl_slist_free_all(s->headers);
    buf_release(&s->got);
    free(s);
}

/* Drops what was read, so that the buffer holds one event and what came behind it. */
static void drop_read(struct client_stream *s)
{
    if (s->at == 0)
        return;
    memmove(s->got.data, s->got.data + s->at, s->got.len - s->at);
    s->got.len -= s->at;
    s->at = 0;
}

/* Reads one event (lines up to an empty one). False when none is whole yet. */
static bool read_event(struct client_stream *s, struct str *data)
{
    const char *end =
        s->got.len > s->at ? memmem(s->got.data + s->at, s->got.len - s->at, "\n\n", 2) : NULL;
    if (!end)
        return false;
    const char *line = s->got.data + s->at;
    *data = (struct str){NULL, 0};
    while (line < end) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        stop = stop ? stop : end;
        struct str text = {line, (size_t)(stop - line)};
        struct err ignored;
        if (text.len > 6 && memcmp(line, "data: ", 6) == 0)
            *data = (struct str){line + 6, text.len - 6};
        else if (text.len > 4 && memcmp(line, "id: ", 4) == 0 &&
                 !parse_i64((struct str){line + 4, text.len - 4}, 0, INT64_MAX, &s->id, &ignored))
            data->ptr = NULL;
        line = stop + 1;
    }
    s->at = (size_t)(end - s->got.data) + 2;
    return true;
}

/* How a stream ended: by a refusal, or because the connection is gone. Always false. */
static bool stream_ended(struct client_stream *s, CURLcode code, struct err *err)
{
    long status = 0;
    curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 300)
        return refused(s->client, status, buf_str(&s->got), err);
    if (code == CURLE_OK)
        return err_set(err, ERR_BUSY, "%s ended the stream", s->client->shown);
    return unreachable(s->client, code, s->why, err);
}

/* Moves what there is to move, without waiting. */
static bool stream_perform(struct client_stream *s, struct err *err)
{
    int running = 0, left = 0;
    if (curl_multi_perform(s->multi, &running) != CURLM_OK)
        return err_set(err, ERR_INTERNAL, "libcurl cannot be used");
    const CURLMsg *message = curl_multi_info_read(s->multi, &left);
    if (message && message->msg == CURLMSG_DONE) {
        s->ended = true;
        s->code = message->data.result;
    }
    return true;
}

bool client_stream_begin(struct client_stream *s, struct err *err)
{
    if (!s->added)
        return err_set(err, ERR_INTERNAL, "libcurl cannot be used");
    for (;;) {
        long status = 0;
        if (!stream_perform(s, err))
            return false;
        curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
        if (s->ended)
            return stream_ended(s, s->code, err);
        if (status >= 200 && status < 300)
            return true;
        if (curl_multi_poll(s->multi, NULL, 0, POLL_MS, NULL) != CURLM_OK)
            return err_set(err, ERR_INTERNAL, "libcurl cannot be used");
    }
}

bool client_stream_next(struct client_stream *s, int wait_ms, struct str *data, int64_t *id,
                        struct err *err)
{
    if (!s->added)
        return err_set(err, ERR_INTERNAL, "libcurl cannot be used");
    drop_read(s);
    for (bool waited = false;; waited = true) {
        if (!s->ended && !stream_perform(s, err))
            return false;
        while (read_event(s, data))
            if (data->ptr) {
                *id = s->id;
                return true;
            }
        if (s->got.full)
            return err_set(err, ERR_LIMIT, "%s sent an event that is too long", s->client->shown);
        if (s->ended)
            return stream_ended(s, s->code, err);
        if (waited)
            break;
        if (curl_multi_poll(s->multi, NULL, 0, wait_ms, NULL) != CURLM_OK)
            return err_set(err, ERR_INTERNAL, "libcurl cannot be used");
    }
    *data = (struct str){NULL, 0};
    return true;
}

void client_escape(struct buf *out, const char *text)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (; *text; text++) {
        if (strchr(plain, *text))
            buf_add_char(out, *text);
        else
            buf_add_format(out, "%%%02X", (unsigned)(unsigned char)*text);
    }
}

char *client_job_path(const char *job, const char *rest)
{
    struct buf path;
    buf_init(&path, BUF_NO_CAP);
    buf_add_text(&path, "/v1/jobs/");
    if (job[0] == '@' && job[1] && job[1 + strspn(job + 1, "0123456789")] == '\0')
        buf_add_text(&path, job + 1);
    else {
        buf_add_char(&path, '~');
        client_escape(&path, job);
    }
    buf_add_text(&path, rest);
    return buf_take(&path);
}
