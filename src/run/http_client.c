/* http_client.c: see http_client.h. Calls are in http_call.c. */
#include "run/http_client_own.h"

#include "base/file.h"
#include "base/json.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CONNECT_TIMEOUT_S = 10,
    KEY_MAX_BYTES = 4096,
    LOCAL_SEND_BYTES = 1 << 20 /* what the kernel holds of a request to a local server, if it may */
};

/* The key or token itself, or what the file after '@' holds, as a line of a header. */
static bool read_secret(const char *option, const char *given, const char *name, char **header,
                        struct err *err)
{
    OWNED_BUF struct buf text;
    buf_init(&text, KEY_MAX_BYTES);
    if (given[0] == '@') {
        if (!file_read_all(given + 1, KEY_MAX_BYTES, &text, err))
            return err_add(err, "%s", option);
    } else
        buf_add_text(&text, given);
    struct str key = str_trim(buf_str(&text));
    for (size_t i = 0; i < key.len; i++)
        if ((unsigned char)key.ptr[i] <= ' ' || (unsigned char)key.ptr[i] >= 0x7f)
            return err_set(err, ERR_INVALID, "%s: expected one word of plain letters", option);
    *header = xasprintf("%s%.*s", name, (int)key.len, key.ptr);
    if (text.data)
        explicit_bzero(text.data, text.len);
    return true;
}

static bool no_server(const struct client *c, struct err *err)
{
    return err_set(err, ERR_BUSY,
                   "no server runs on %s; start one with \"penstock serve\", or name one "
                   "(--server, --state)",
                   c->place);
}

/* A socket's address holds 107 bytes; by way of the folder's descriptor any path fits. */
static bool use_socket(struct client *c, const char *dir, const char *name, struct err *err)
{
    struct stat st;
    c->dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    c->socket = xasprintf("/proc/self/fd/%d/%s", c->dir_fd, name);
    c->shown = xasprintf("the server on %s", c->place);
    c->base = xstrdup("http://localhost");
    if (c->dir_fd < 0 || fstatat(c->dir_fd, name, &st, 0) != 0)
        return no_server(c, err);
    return true;
}

static bool use_socket_path(struct client *c, const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');
    if (!slash || path[0] != '/' || !slash[1])
        return err_set(err, ERR_INVALID, "--server: unix://%s: name the socket's whole path", path);
    OWNED_MEM char *dir = xstrndup(path, (size_t)(slash - path) + 1);
    c->place = xstrdup(path);
    return use_socket(c, dir, slash + 1, err);
}

static bool use_url(struct client *c, const char *url, struct err *err)
{
    if (strncmp(url, "unix://", 7) == 0)
        return use_socket_path(c, url + 7, err);
    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
        return err_set(err, ERR_INVALID, "--server: %s is no URL (http://host:port)", url);
    c->base = xstrdup(url);
    while (strlen(c->base) && c->base[strlen(c->base) - 1] == '/')
        c->base[strlen(c->base) - 1] = '\0';
    c->shown = xstrdup(c->base);
    return true;
}

bool client_new(const struct client_target *target, struct client **out, struct err *err)
{
    OWNED(client) struct client *c = xcalloc(1, sizeof *c);
    c->dir_fd = -1;
    c->due_us = NEVER_US;
    c->ca = xstrdup_or_null(target->ca);
    if (target->key && !read_secret("--key", target->key, "Authorization: Bearer ", &c->key, err))
        return false;
    if (target->token && !read_secret("--token", target->token, "Penstock-Token: ", &c->token, err))
        return false;
    if (target->url) {
        if (!use_url(c, target->url, err))
            return false;
    } else {
        c->place = xstrdup(target->state_dir);
        if (!use_socket(c, target->state_dir, "penstock.sock", err))
            return false;
    }
    *out = TAKE(c);
    return true;
}

void client_free(struct client *c)
{
    if (!c)
        return;
    curl_easy_cleanup(c->curl);
    curl_multi_cleanup(c->multi);
    free(c->base);
    free(c->socket);
    free(c->place);
    free(c->shown);
    char *const secrets[] = {c->key, c->token};
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++) {
        if (secrets[i])
            explicit_bzero(secrets[i], strlen(secrets[i]));
        free(secrets[i]);
    }
    free(c->ca);
    if (c->dir_fd >= 0)
        close(c->dir_fd);
    free(c);
}

static void list_drop(struct curl_slist **list)
{
    curl_slist_free_all(*list);
}

/* A batch of results goes in one piece, and not in as many as a small buffer makes. */
static int widen(void *context, curl_socket_t fd, curlsocktype purpose)
{
    static const int bytes = LOCAL_SEND_BYTES;
    (void)context, (void)purpose;
    (void)!setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    return CURL_SOCKOPT_OK;
}

void client_prepare(const struct client *c, CURL *curl, const char *url, struct curl_slist *headers)
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
        curl_easy_setopt(curl, CURLOPT_SOCKOPTFUNCTION, widen);
    }
}

size_t client_take_bytes(char *bytes, size_t one, size_t count, void *buf)
{
    struct buf *b = buf;
    buf_add(b, bytes, one * count);
    return b->full ? 0 : one * count;
}

/* A problem's type says more than the status where a program must tell one from another. */
static enum err_code code_of(long status, struct str body)
{
    static const char gone[] = "\"urn:penstock:problem:output-gone\"";
    static const struct {
        long status;
        enum err_code code;
    } codes[] = {
        {400, ERR_INVALID},  {401, ERR_UNAUTHORIZED}, {403, ERR_FORBIDDEN}, {404, ERR_NOT_FOUND},
        {409, ERR_CONFLICT}, {413, ERR_LIMIT},        {422, ERR_INVALID},   {429, ERR_BUSY},
        {502, ERR_BUSY},     {503, ERR_BUSY},         {504, ERR_BUSY},      {507, ERR_NO_SPACE},
    };
    struct str type;
    if (status == 409 && json_check(body, NULL, NULL) && json_find(body, "type", &type) &&
        str_is(type, gone))
        return ERR_GONE;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].status == status)
            return codes[i].code;
    return ERR_INTERNAL;
}

bool client_refused(const struct client *c, long status, struct str body, struct err *err)
{
    struct str detail;
    OWNED_MEM char *text = NULL;
    if (json_check(body, NULL, NULL) &&
        (json_find(body, "detail", &detail) || json_find(body, "title", &detail)))
        text = json_take_text(detail);
    if (status == 401 && text && strstr(text, "token"))
        return err_set(err, ERR_UNAUTHORIZED,
                       "%s: give the token by --token or PENSTOCK_TOKEN, a key by --key", text);
    if (status == 401 && !c->key)
        return err_set(err, ERR_UNAUTHORIZED,
                       "%s asks for a key: give one by --key or PENSTOCK_KEY", c->shown);
    if (text)
        return err_set(err, code_of(status, body), "%s", text);
    return err_set(err, code_of(status, body), "%s answered %ld", c->shown, status);
}

bool client_unreachable(const struct client *c, CURLcode code, const char *why, struct err *err)
{
    /* What a killed server leaves of itself; the port that curl names here is none. */
    if (c->socket && code == CURLE_COULDNT_CONNECT)
        return no_server(c, err);
    return err_set(err, code == CURLE_PEER_FAILED_VERIFICATION ? ERR_FORBIDDEN : ERR_BUSY,
                   "%s cannot be reached: %s", c->shown, *why ? why : curl_easy_strerror(code));
}

struct curl_slist *client_add_secrets(const struct client *c, struct curl_slist *headers)
{
    if (c->key)
        headers = curl_slist_append(headers, c->key);
    if (c->token)
        headers = curl_slist_append(headers, c->token);
    return headers;
}

struct curl_slist *client_headers(const struct client *c)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    /* Without this curl waits for a go-ahead before it sends a larger body. */
    headers = curl_slist_append(headers, "Expect:");
    return client_add_secrets(c, headers);
}

void client_prepare_body(CURL *curl, const char *method, struct str body, struct buf *got,
                         char *why)
{
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, client_take_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, got);
    if (body.len || strcmp(method, "POST") == 0) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.len ? body.ptr : "");
    }
}

/* The one request on the client's kept connection. */
static CURLcode perform(struct client *c, const char *method, const char *path, struct str body,
                        struct buf *got, long *status, char why[CURL_ERROR_SIZE])
{
    OWNED_MEM char *url = xasprintf("%s%s", c->base, path);
    __attribute__((cleanup(list_drop))) struct curl_slist *headers = client_headers(c);
    if (!c->curl)
        c->curl = curl_easy_init();
    if (!c->curl || !headers)
        return CURLE_FAILED_INIT;
    client_prepare(c, c->curl, url, headers);
    client_prepare_body(c->curl, method, body, got, why);
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
    buf_init(&got, CLIENT_ANSWER_MAX_BYTES);
    CURLcode code = perform(c, method, path, body, &got, &status, why);
    if (got.full)
        return err_set(err, ERR_LIMIT, "%s: the answer is too long", c->shown);
    if (code == CURLE_FAILED_INIT)
        return err_set(err, ERR_INTERNAL, "libcurl cannot be used");
    if (code != CURLE_OK)
        return client_unreachable(c, code, why, err);
    if (status < 200 || status > 299)
        return client_refused(c, status, buf_str(&got), err);
    if (answer)
        buf_add_str(answer, buf_str(&got));
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
