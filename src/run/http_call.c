/* http_call.c: requests that go side by side (http_client.h).
 *
 * libcurl says which sockets it waits for (on_socket) and until when (on_timer); client_wait waits
 * for these and the caller's descriptors in one poll. Its own poll is no good here: it does not
 * tell that the other end of a pipe was closed. */
#include "run/http_client_own.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum { WAIT_FDS_MAX = 32, TRANSFER_BYTES = 512 << 10, SILENCE_MAX_S = 90, KEEPALIVE_S = 30 };

struct call {
    struct client *client;
    CURL *curl;
    struct curl_slist *headers;
    struct buf got;
    char why[CURL_ERROR_SIZE];
    bool pending, ended, waits_long;
    CURLcode code; /* how it ended */
};

static int on_socket(CURL *curl, curl_socket_t fd, int what, void *context, void *of_socket)
{
    struct client *c = context;
    (void)curl, (void)of_socket;
    size_t i = 0;
    while (i < c->socket_count && c->sockets[i].fd != fd)
        i++;
    if (what == CURL_POLL_REMOVE) {
        if (i < c->socket_count)
            c->sockets[i] = c->sockets[--c->socket_count];
        return 0;
    }
    if (i == CLIENT_SOCKETS_MAX)
        return -1;
    if (i == c->socket_count)
        c->socket_count++;
    c->sockets[i].fd = fd;
    c->sockets[i].events =
        (short)((what & CURL_POLL_IN ? POLLIN : 0) | (what & CURL_POLL_OUT ? POLLOUT : 0));
    return 0;
}

static int on_timer(CURLM *multi, long ms, void *context)
{
    struct client *c = context;
    (void)multi;
    c->due_us = ms < 0 ? NEVER_US : clock_now().mono_us + ms * 1000;
    return 0;
}

static bool unusable(struct err *err)
{
    return err_set(err, ERR_INTERNAL, "libcurl cannot be used");
}

static bool open_multi(struct client *c, struct err *err)
{
    if (c->multi)
        return true;
    c->multi = curl_multi_init();
    if (!c->multi)
        return unusable(err);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    return true;
}

struct call *call_new(struct client *c)
{
    struct call *call = xcalloc(1, sizeof *call);
    call->client = c;
    buf_init(&call->got, CLIENT_ANSWER_MAX_BYTES);
    return call;
}

void call_wait_long(struct call *call)
{
    call->waits_long = true;
}

static void end_transfer(struct call *call)
{
    if (call->pending)
        curl_multi_remove_handle(call->client->multi, call->curl);
    call->pending = call->ended = false;
    curl_slist_free_all(TAKE(call->headers));
}

void call_free(struct call *call)
{
    if (!call)
        return;
    end_transfer(call);
    curl_easy_cleanup(call->curl);
    buf_release(&call->got);
    free(call);
}

bool call_begin(struct call *call, const char *method, const char *path, struct str body,
                struct err *err)
{
    struct client *c = call->client;
    assert(!call->pending);
    OWNED_MEM char *url = xasprintf("%s%s", c->base, path);
    if (!call->curl)
        call->curl = curl_easy_init();
    if (!call->curl || !open_multi(c, err))
        return unusable(err);
    call->headers = client_headers(c);
    call->got.len = 0;
    call->why[0] = '\0';
    client_prepare(c, call->curl, url, call->headers);
    client_prepare_body(call->curl, method, body, &call->got, call->why);
    curl_easy_setopt(call->curl, CURLOPT_PRIVATE, call);
    curl_easy_setopt(call->curl, CURLOPT_BUFFERSIZE, (long)TRANSFER_BYTES);
    curl_easy_setopt(call->curl, CURLOPT_UPLOAD_BUFFERSIZE, (long)TRANSFER_BYTES);
    /* A host that fell silent, without a word: longer than any wait that is asked for. */
    if (!call->waits_long) {
        curl_easy_setopt(call->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(call->curl, CURLOPT_LOW_SPEED_TIME, (long)SILENCE_MAX_S);
    }
    curl_easy_setopt(call->curl, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(call->curl, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_S);
    if (curl_multi_add_handle(c->multi, call->curl) != CURLM_OK)
        return unusable(err);
    call->pending = true;
    call->ended = false;
    return true;
}

bool call_pending(const struct call *call)
{
    return call->pending;
}

bool call_ended(const struct call *call)
{
    return call->ended;
}

bool call_end(struct call *call, long *status, struct buf *answer, struct err *err)
{
    assert(call->ended);
    *status = 0;
    if (call->code == CURLE_OK)
        curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, status);
    end_transfer(call);
    if (call->got.full) {
        call->got.full = false;
        return err_set(err, ERR_LIMIT, "%s: the answer is too long", call->client->shown);
    }
    if (call->code != CURLE_OK)
        return client_unreachable(call->client, call->code, call->why, err);
    if (*status < 200 || *status > 299)
        return client_refused(call->client, *status, buf_str(&call->got), err);
    struct buf taken = call->got;
    call->got = *answer;
    call->got.max = CLIENT_ANSWER_MAX_BYTES;
    *answer = taken;
    return true;
}

static void note_ended(struct client *c)
{
    int left = 0;
    for (const CURLMsg *m = NULL; (m = curl_multi_info_read(c->multi, &left));) {
        struct call *call = NULL;
        if (m->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &call);
        call->ended = true;
        call->code = m->data.result;
    }
}

/* Lets libcurl work on the sockets that are ready, and on its timers. */
static bool move_calls(struct client *c, const struct pollfd *ready, size_t count, struct err *err)
{
    int running = 0;
    if (!c->multi)
        return true;
    for (size_t i = 0; i < count; i++) {
        short got = ready[i].revents;
        int what = (got & POLLIN ? CURL_CSELECT_IN : 0) | (got & POLLOUT ? CURL_CSELECT_OUT : 0) |
                   (got & (POLLERR | POLLHUP | POLLNVAL) ? CURL_CSELECT_ERR : 0);
        if (what && curl_multi_socket_action(c->multi, ready[i].fd, what, &running) != CURLM_OK)
            return unusable(err);
    }
    if (c->due_us <= clock_now().mono_us) {
        c->due_us = NEVER_US;
        if (curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running) != CURLM_OK)
            return unusable(err);
    }
    note_ended(c);
    return true;
}

bool client_wait(struct client *c, struct pollfd *fds, size_t count, int64_t wait_us,
                 struct err *err)
{
    struct pollfd all[WAIT_FDS_MAX + CLIENT_SOCKETS_MAX];
    assert(count <= WAIT_FDS_MAX);
    size_t sockets = c->socket_count;
    for (size_t i = 0; i < count; i++)
        all[i] = fds[i];
    for (size_t i = 0; i < sockets; i++)
        all[count + i] = c->sockets[i];
    for (size_t i = 0; i < count + sockets; i++)
        all[i].revents = 0;
    int64_t now_us = clock_now().mono_us;
    int64_t left_us = c->due_us == NEVER_US ? NEVER_US : c->due_us - now_us;
    left_us = left_us < wait_us ? left_us : wait_us;
    left_us = left_us > 0 ? left_us : 0;
    struct timespec wait = {.tv_sec = left_us / 1000000, .tv_nsec = left_us % 1000000 * 1000};
    int n = ppoll(all, count + sockets, left_us == NEVER_US ? NULL : &wait, NULL);
    if (n < 0 && errno != EINTR)
        return err_errno(err, errno, "poll");
    for (size_t i = 0; i < count; i++)
        fds[i].revents = n > 0 ? all[i].revents : 0;
    return move_calls(c, all + count, n > 0 ? sockets : 0, err);
}
