/* http_stream.c: see http_stream.h. */
#include "run/http_stream.h"

#include "base/parse.h"
#include "run/http_client_own.h"

#include <stdlib.h>
#include <string.h>

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
    bool added, ended, present;
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
    s->headers = client_add_secrets(c, s->headers);
    if (after >= 0) {
        OWNED_MEM char *last = xasprintf("Last-Event-ID: %lld", (long long)after);
        s->headers = curl_slist_append(s->headers, last);
    }
    client_prepare(c, s->curl, url, s->headers);
    curl_easy_setopt(s->curl, CURLOPT_ERRORBUFFER, s->why);
    curl_easy_setopt(s->curl, CURLOPT_WRITEFUNCTION, client_take_bytes);
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
        else if (str_is(text, ": present"))
            s->present = true;
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
        return client_refused(s->client, status, buf_str(&s->got), err);
    if (code == CURLE_OK)
        return err_set(err, ERR_BUSY, "%s ended the stream", s->client->shown);
    return client_unreachable(s->client, code, s->why, err);
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

bool client_stream_is_present(const struct client_stream *s)
{
    return s->present;
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
        bool before = s->present;
        while (read_event(s, data))
            if (data->ptr || s->present != before) {
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
