/* conn.c: see conn.h. Reading goes by edges: `readable` says that there may be more, until a read
 * finds nothing or less than it had room for, and then epoll tells of the next bytes. */
#include "http/body_chunks.h"
#include "http/server_own.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* A body is read into its place in pieces of this size; smaller ones while others wait for memory,
 * as what was read cannot be left unread. */
enum { BODY_READ_BYTES = 256 << 10, PRESSED_READ_BYTES = 16 << 10 };
/* A stream's piece: a chunk's size, its bytes, a line end. */
enum { PIECE_HEAD = 8, PIECE_BYTES = 32 << 10, PIECE_END = 2 };

/* What is to be done after a step. */
enum go { GO_ON, GO_LATER, GO_CLOSE };

struct conn *conn_open(struct server *s, struct loop *loop, int fd, bool local)
{
    struct conn *c = xcalloc(1, sizeof *c);
    c->loop = loop;
    c->fd = fd;
    c->local = local;
    c->deadline_us = c->pressed_us = NEVER_US;
    if (s->tls && !local && !(c->tls = tls_new(s->tls, fd))) {
        close(fd);
        free(c);
        errno = ENOMEM;
        return NULL;
    }
    atomic_fetch_add(&loop->count, 1);
    conns_add(&s->conns, c);
    conns_set_deadline(&s->conns, c, clock_now().mono_us + s->options.header_timeout_us, NEVER_US);
    /* TLS may wait for room to send in the middle of reading. */
    c->wants_room = c->tls != NULL;
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLRDHUP | EPOLLET | (c->wants_room ? EPOLLOUT : 0), .data.ptr = c};
    /* From here on it is its loop's. */
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) == 0)
        return c;
    int failed = errno;
    atomic_fetch_sub(&loop->count, 1);
    conns_unlist(&s->conns, c);
    tls_free(c->tls);
    close(fd);
    free(c);
    errno = failed;
    return NULL;
}

void conn_wake(struct conn *c, unsigned why)
{
    struct loop *l = c->loop;
    pthread_mutex_lock(&l->lock);
    if (!c->woken) {
        c->woken_next = NULL;
        *l->woken_end = c;
        l->woken_end = &c->woken_next;
    }
    c->woken |= why;
    bool ring = l->asleep;
    l->asleep = false;
    pthread_mutex_unlock(&l->lock);
    if (ring)
        loop_ring(l);
}

static void forget_wakes(struct conn *c)
{
    struct loop *l = c->loop;
    pthread_mutex_lock(&l->lock);
    for (struct conn **at = &l->woken; c->woken && *at; at = &(*at)->woken_next)
        if (*at == c) {
            *at = c->woken_next;
            if (!*at)
                l->woken_end = at;
            break;
        }
    pthread_mutex_unlock(&l->lock);
}

/* What is closed then is broken to whoever is there: what was not sent is dropped. */
static void set_reset(const struct conn *c)
{
    struct linger none = {.l_onoff = 1, .l_linger = 0};
    if (c->tls)
        tls_break(c->tls);
    if (!c->local && setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none) < 0)
        LOG1(LOG_DEBUG, "http.no_reset", "errno", "%d", errno);
}

void conn_close(struct conn *c)
{
    struct loop *l = c->loop;
    struct server *s = l->server;
    bool resets = c->req && c->req->reply.resets;
    if (resets)
        set_reset(c);
    if (c->req)
        exchange_end(c->req, false);
    tls_free(c->tls);
    /* Closing alone does not do it, if it lingers under another number. */
    epoll_ctl(l->epoll, EPOLL_CTL_DEL, c->fd, NULL);
    forget_wakes(c);
    loop_forget(l, c);
    bool lingers = !resets && !atomic_load(&s->stopping) &&
                   lingers_add(&s->lingers, c->fd, c->sent_away, clock_now().mono_us);
    atomic_fetch_sub(&l->count, 1);
    /* Off the list first: the listener may want to shut its descriptor down. */
    int64_t left = conns_unlist(&s->conns, c);
    close(c->fd);
    waker_free(c->waker);
    free(c->kept);
    free(c->out.own);
    free(c);
    if (left == s->options.max_connections - 1 || lingers)
        conns_wake(&s->conns); /* the listener has something to do */
}

/* --- bytes in --- */

enum got { GOT_BYTES, GOT_NOTHING, GOT_END };

static enum got receive(struct conn *c, char *to, size_t room, size_t *len)
{
    if (!c->readable)
        return GOT_NOTHING;
    ssize_t n = 0;
    do
        n = c->tls ? tls_recv(c->tls, to, room) : recv(c->fd, to, room, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        c->readable = false;
        return GOT_NOTHING;
    }
    if (n <= 0)
        return GOT_END;
    *len = (size_t)n;
    /* Who has ended is read to the end, as epoll tells of that once. TLS keeps what it has. */
    c->readable = *len == room || c->ended || c->tls;
    return GOT_BYTES;
}

/* Reads into the loop's buffer, behind what is there. */
static enum go read_more(struct conn *c)
{
    struct loop *l = c->loop;
    if (l->at > 0) {
        memmove(l->bytes, l->bytes + l->at, l->end - l->at);
        l->end -= l->at;
        l->at = 0;
    }
    size_t len = 0;
    enum got got = receive(c, l->bytes + l->end, LOOP_READ_BYTES - l->end, &len);
    l->end += len;
    return got == GOT_BYTES ? GO_ON : got == GOT_NOTHING ? GO_LATER : GO_CLOSE;
}

static struct str unused(const struct loop *l)
{
    return (struct str){l->bytes + l->at, l->end - l->at};
}

/* What was read and not used goes with the connection; mostly that is nothing. */
static void keep(struct conn *c)
{
    struct str left = unused(c->loop);
    c->kept_len = left.len;
    if (left.len == 0)
        return;
    c->kept = xcalloc(1, left.len);
    memcpy(c->kept, left.ptr, left.len);
}

static void unpack(struct conn *c)
{
    struct loop *l = c->loop;
    l->at = 0;
    l->end = c->kept_len;
    if (c->kept_len == 0)
        return;
    memcpy(l->bytes, c->kept, c->kept_len);
    free(TAKE(c->kept));
    c->kept_len = 0;
}

/* --- a request, from head to answer --- */

static enum go go_if(bool well)
{
    return well ? GO_ON : GO_CLOSE;
}

static enum go read_head(struct conn *c)
{
    struct loop *l = c->loop;
    /* Some clients end a body with a line end that does not belong to it (RFC 9112, 2.2). */
    while (l->end - l->at >= 2 && memcmp(l->bytes + l->at, "\r\n", 2) == 0)
        l->at += 2;
    struct str have = unused(l);
    size_t size = head_size(have);
    if (size == 0 && have.len <= HEAD_MAX_BYTES) {
        if (have.len > 0 && !c->begun) {
            c->begun = true;
            conns_set_deadline(&l->server->conns, c,
                               clock_now().mono_us + l->server->options.header_timeout_us,
                               NEVER_US);
        }
        return read_more(c);
    }
    if (size == 0 || size > HEAD_MAX_BYTES)
        size = 0;
    c->begun = false;
    bool well = exchange_begin(c, l->bytes + l->at, size);
    l->at += size;
    return go_if(well);
}

/* The client asked whether it may send its body. There is room for so little, unless it reads no
 * answers; then it need not be told either. */
static bool say_continue(struct conn *c)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    c->req->head.expects = false;
    size_t len = sizeof text - 1;
    ssize_t sent = c->tls ? tls_send(c->tls, text, len) : send(c->fd, text, len, MSG_NOSIGNAL);
    return sent == (ssize_t)len;
}

static enum go read_chunks(struct conn *c)
{
    struct loop *l = c->loop;
    struct request *req = c->req;
    struct str data;
    size_t used = 0;
    enum chunks_got got = chunks_read(&req->chunks, unused(l), &used, &data);
    l->at += used;
    switch (got) {
    case CHUNKS_DATA:
        return go_if(exchange_bytes(req, data.ptr, data.len));
    case CHUNKS_END:
        return go_if(exchange_whole(req));
    case CHUNKS_BROKEN:
        return go_if(exchange_broken(req, "the body's chunks are none"));
    case CHUNKS_MORE:
        break;
    }
    return read_more(c);
}

/* The rest of a body whose length is known comes straight to its place. */
static enum go read_in_place(struct conn *c)
{
    struct request *req = c->req;
    bool pressed = atomic_load(&req->server->bodies.pressed);
    size_t room = pressed ? PRESSED_READ_BYTES : BODY_READ_BYTES, len = 0;
    if (room > req->body_cap - req->body_len)
        room = req->body_cap - req->body_len;
    enum got got = receive(c, req->body + req->body_len, room, &len);
    if (got != GOT_BYTES)
        return got == GOT_NOTHING ? GO_LATER : GO_CLOSE;
    req->left_bytes -= (int64_t)len;
    return go_if(exchange_came(req, len));
}

static enum go read_body(struct conn *c)
{
    struct loop *l = c->loop;
    struct request *req = c->req;
    struct str have = unused(l);
    if (req->left_bytes < 0)
        return read_chunks(c);
    if (req->left_bytes == 0)
        return go_if(exchange_whole(req));
    if (have.len == 0 && req->body && !req->refused)
        return read_in_place(c);
    if (have.len == 0)
        return read_more(c);
    size_t len = (int64_t)have.len < req->left_bytes ? have.len : (size_t)req->left_bytes;
    l->at += len;
    req->left_bytes -= (int64_t)len;
    return go_if(exchange_bytes(req, have.ptr, len));
}

/* --- bytes out --- */

static void part_add(struct conn *c, const void *bytes, size_t len)
{
    if (len > 0)
        c->out.parts[c->out.count++] = (struct iovec){(void *)(uintptr_t)bytes, len};
}

void conn_answer(struct conn *c, struct str head, const struct str *parts, size_t count)
{
    c->out.at = c->out.count = 0;
    part_add(c, head.ptr, head.len);
    for (size_t i = 0; i < count; i++)
        part_add(c, parts[i].ptr, parts[i].len);
}

/* Has epoll tell when there is room again; from now on, as one who reads slowly once will do so
 * again. */
static bool want_room(struct conn *c)
{
    if (c->wants_room)
        return true;
    c->wants_room = true;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    return epoll_ctl(c->loop->epoll, EPOLL_CTL_MOD, c->fd, &event) == 0;
}

static ssize_t send_parts(struct conn *c)
{
    struct iovec *first = &c->out.parts[c->out.at];
    if (c->tls)
        return tls_send(c->tls, first->iov_base, first->iov_len);
    struct msghdr message = {.msg_iov = first, .msg_iovlen = c->out.count - c->out.at};
    return sendmsg(c->fd, &message, MSG_NOSIGNAL);
}

static void were_sent(struct conn *c, size_t bytes)
{
    while (bytes > 0) {
        struct iovec *first = &c->out.parts[c->out.at];
        size_t here = bytes < first->iov_len ? bytes : first->iov_len;
        first->iov_base = (char *)first->iov_base + here;
        first->iov_len -= here;
        bytes -= here;
        if (first->iov_len == 0)
            c->out.at++;
    }
}

/* Sends what there is to be sent. */
static enum go flush(struct conn *c)
{
    while (c->out.at < c->out.count) {
        ssize_t sent = send_parts(c);
        if (sent >= 0) {
            were_sent(c, (size_t)sent);
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK)
            return GO_CLOSE;
        return want_room(c) ? GO_LATER : GO_CLOSE;
    }
    return GO_ON;
}

static enum go send_answer(struct conn *c)
{
    enum go go = flush(c);
    if (go != GO_ON)
        return go;
    exchange_end(c->req, true);
    return c->closes ? GO_CLOSE : GO_ON;
}

/* A piece's room is the loop's, of which one is enough as long as clients read; who does not
 * has one of its own until it does. */
static char *take_piece_room(struct conn *c)
{
    if (!c->out.own)
        c->out.own = c->loop->piece ? TAKE(c->loop->piece)
                                    : xcalloc(1, PIECE_HEAD + PIECE_BYTES + PIECE_END + 1);
    return c->out.own + PIECE_HEAD;
}

static void give_piece_room(struct conn *c)
{
    if (!c->loop->piece)
        c->loop->piece = TAKE(c->out.own);
    free(TAKE(c->out.own));
}

/* The next piece of a stream: a chunk, or for HTTP/1.0 just bytes, as its end is the connection's.
 */
static enum go send_piece(struct conn *c)
{
    struct request *req = c->req;
    enum go go = flush(c);
    if (go != GO_ON)
        return go;
    if (c->ended && !req->reply.whole)
        return GO_CLOSE; /* nobody listens any more */
    char *bytes = take_piece_room(c);
    ssize_t got = waker_take(req, bytes, PIECE_BYTES);
    if (got == 0) {
        give_piece_room(c);
        return GO_LATER;
    }
    if (got < -1 || (got < 0 && req->reply.bare))
        return GO_CLOSE;
    bool chunks =
        req->head.http_1_1 && !req->reply.bare && (!req->reply.whole || req->reply.bytes < 0);
    conn_answer(c, (struct str){0}, NULL, 0);
    if (got < 0) {
        c->stage = CONN_SENDING;
        if (chunks)
            part_add(c, "0\r\n\r\n", 5);
        return GO_ON;
    }
    exchange_sent_piece(req, (size_t)got);
    if (!chunks) {
        part_add(c, bytes, (size_t)got);
        return GO_ON;
    }
    for (int i = 0, shift = 20; shift >= 0; i++, shift -= 4)
        c->out.own[i] = "0123456789abcdef"[got >> shift & 15];
    memcpy(bytes - 2, "\r\n", 2);
    memcpy(bytes + got, "\r\n", PIECE_END);
    part_add(c, c->out.own, PIECE_HEAD + (size_t)got + PIECE_END);
    return GO_ON;
}

/* --- its turn --- */

static enum go step(struct conn *c)
{
    switch (c->stage) {
    case CONN_HEAD:
        return read_head(c);
    case CONN_BODY:
        /* Not when it has sent some of it already. */
        if (c->req->head.expects && unused(c->loop).len == 0 && !say_continue(c))
            return GO_CLOSE;
        return read_body(c);
    case CONN_SENDING:
        return send_answer(c);
    case CONN_STREAMING:
        return send_piece(c);
    case CONN_ROOM:
    case CONN_ASKED:
        break;
    }
    return GO_LATER;
}

static void go_on(struct conn *c)
{
    enum go go = GO_ON;
    unpack(c);
    for (int steps = 0; go == GO_ON; steps++) {
        if (steps == LOOP_TURN_STEPS) {
            conn_wake(c, WAKE_AGAIN);
            break;
        }
        go = step(c);
    }
    if (go == GO_CLOSE)
        conn_close(c);
    else
        keep(c);
}

void conn_ready(struct conn *c, unsigned events)
{
    c->readable = true;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        c->ended = true;
        atomic_store(&c->gone, true);
        if (c->stage == CONN_ASKED)
            exchange_left(c->req);
    }
    if (c->stage != CONN_ROOM && c->stage != CONN_ASKED)
        go_on(c);
}

bool conn_waits_for_round(const struct conn *c, unsigned why)
{
    return why == WAKE_STREAM && c->stage == CONN_STREAMING && !c->req->reply.whole;
}

void conn_woken(struct conn *c, unsigned why)
{
    bool answered = c->stage == CONN_ASKED && (why & WAKE_ANSWER);
    if (answered && !exchange_answered(c->req)) {
        conn_close(c);
        return;
    }
    if (c->stage == CONN_ROOM && (why & WAKE_ROOM))
        exchange_has_room(c->req);
    if (c->stage != CONN_ROOM && c->stage != CONN_ASKED)
        go_on(c);
}
