#include "http/server_own.h"

#include "base/log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* So many sockets are looked at before what was asked goes to the engine. */
enum { EVENTS_MAX = 64 };
/* So many streams are sent to before the sockets are looked at again. */
enum { ROUND_STEP = 64 };
/* After a round streams rest, so many times as long as it took, in whole milliseconds; at most: */
enum { REST_TIMES = 2, REST_MAX_US = 6000, MS_US = 1000 };

void loop_ring(struct loop *l)
{
    uint64_t one = 1;
    /* It can only fail when the counter is full, which it never gets. */
    if (write(l->bell, &one, sizeof one) < 0)
        LOG1(LOG_ERROR, "http.bell", "errno", "%d", errno);
}

void loop_ask(struct loop *l, struct op *op)
{
    op->next = NULL;
    *l->ops_end = op;
    l->ops_end = &op->next;
}

void loop_ask_now(struct loop *l)
{
    if (!l->ops)
        return;
    struct op *ops = TAKE(l->ops);
    l->ops_end = &l->ops;
    intake_post_all(l->server->options.intake, ops);
}

const char *loop_date(struct loop *l, int64_t wall_us)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t now_s = (time_t)(wall_us / 1000000);
    if (now_s == l->date_s)
        return l->date;
    struct tm t;
    gmtime_r(&now_s, &t);
    snprintf(l->date, sizeof l->date, "%.3s, %02d %.3s %d %02d:%02d:%02d GMT", days + t.tm_wday * 3,
             t.tm_mday, months + t.tm_mon * 3, (t.tm_year + 1900) % 10000, t.tm_hour, t.tm_min,
             t.tm_sec);
    l->date_s = now_s;
    return l->date;
}

/* It is sent to in the next round. */
static void rest(struct loop *l, struct conn *c)
{
    if (c->rests)
        return;
    c->rests = true;
    c->rest_next = NULL;
    *l->resting_end = c;
    l->resting_end = &c->rest_next;
}

/* Takes the connection off a list; returns where the list ends. */
static struct conn **take_off(struct conn **list, const struct conn *c)
{
    while (*list)
        if (*list == c)
            *list = c->rest_next;
        else
            list = &(*list)->rest_next;
    return list;
}

void loop_forget(struct loop *l, struct conn *c)
{
    if (!c->rests)
        return;
    l->resting_end = take_off(&l->resting, c);
    take_off(&l->round, c);
    c->rests = false;
}

/* A step of the round, or the first of the next one when the rest is over. */
static void go_round(struct loop *l)
{
    if (!l->round && !l->resting)
        return;
    int64_t began_us = clock_now().mono_us;
    if (!l->round) {
        if (began_us < l->rest_until_us)
            return;
        l->round = TAKE(l->resting);
        l->resting_end = &l->resting;
        l->round_us = 0;
    }
    for (int i = 0; l->round && i < ROUND_STEP; i++) {
        struct conn *c = l->round;
        l->round = c->rest_next;
        c->rests = false;
        conn_woken(c, WAKE_STREAM);
    }
    int64_t now_us = clock_now().mono_us;
    l->round_us += now_us - began_us;
    int64_t rest_us =
        l->round_us * REST_TIMES < REST_MAX_US ? l->round_us * REST_TIMES : REST_MAX_US;
    l->rest_until_us = now_us + rest_us / MS_US * MS_US;
}

/* How long the thread may sleep, if it may; -1: until it is woken. */
static int sleep_ms(const struct loop *l)
{
    if (l->round)
        return 0;
    if (!l->resting)
        return -1;
    int64_t left_us = l->rest_until_us - clock_now().mono_us;
    return left_us > 0 ? (int)((left_us + MS_US - 1) / MS_US) : 0;
}

/* Those that were woken so far. Each is called on its own, and closes nobody but itself. */
static void look_at_woken(struct loop *l)
{
    pthread_mutex_lock(&l->lock);
    struct conn *list = l->woken;
    l->woken = NULL;
    l->woken_end = &l->woken;
    pthread_mutex_unlock(&l->lock);
    while (list) {
        struct conn *c = list;
        list = c->woken_next;
        pthread_mutex_lock(&l->lock);
        unsigned why = c->woken;
        c->woken = 0;
        pthread_mutex_unlock(&l->lock);
        if (conn_waits_for_round(c, why))
            rest(l, c);
        else
            conn_woken(c, why);
    }
}

/* Whether the thread may sleep; whoever wakes a connection from now on rings. */
static bool may_sleep(struct loop *l, bool *stopping)
{
    pthread_mutex_lock(&l->lock);
    l->asleep = !l->woken && !l->stopping;
    *stopping = l->stopping;
    bool asleep = l->asleep;
    pthread_mutex_unlock(&l->lock);
    return asleep;
}

/* It does not sleep any more: what it wakes itself needs no bell. */
static void is_up(struct loop *l)
{
    pthread_mutex_lock(&l->lock);
    l->asleep = false;
    pthread_mutex_unlock(&l->lock);
}

static void *run(void *context)
{
    struct loop *l = context;
    struct epoll_event events[EVENTS_MAX];
    for (;;) {
        bool stopping = false, sleeps = may_sleep(l, &stopping);
        if (stopping)
            return NULL;
        int count = epoll_wait(l->epoll, events, EVENTS_MAX, sleeps ? sleep_ms(l) : 0);
        is_up(l);
        /* The bell needs no reading: each ring is an edge. */
        for (int i = 0; i < count; i++)
            if (events[i].data.ptr)
                conn_ready(events[i].data.ptr, events[i].events);
        /* After the sockets, so that it is known who has gone. */
        look_at_woken(l);
        loop_ask_now(l);
        /* What was answered at once. */
        look_at_woken(l);
        go_round(l);
        loop_ask_now(l);
    }
}

/* Signals are the main thread's; a peer that has gone is told by EPIPE. */
static int start_thread(struct loop *l)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&l->thread, NULL, run, l);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

bool loop_start(struct loop *l, struct server *s, struct err *err)
{
    *l = (struct loop){.server = s, .epoll = -1, .bell = -1, .date_s = -1};
    pthread_mutex_init(&l->lock, NULL);
    l->woken_end = &l->woken;
    l->ops_end = &l->ops;
    l->resting_end = &l->resting;
    l->bytes = xcalloc(1, LOOP_READ_BYTES);
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    if (l->epoll < 0 || l->bell < 0 || epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->bell, &event) < 0)
        return err_set(err, ERR_BUSY, "no descriptors are left for the HTTP server");
    if (start_thread(l) != 0)
        return err_set(err, ERR_INTERNAL, "a thread cannot be started");
    l->runs = true;
    return true;
}

static void stop_thread(struct loop *l)
{
    pthread_mutex_lock(&l->lock);
    l->stopping = true;
    pthread_mutex_unlock(&l->lock);
    loop_ring(l);
    pthread_join(l->thread, NULL);
}

void loop_release(struct loop *l)
{
    if (!l->server)
        return;
    if (l->runs)
        stop_thread(l);
    for (struct conn *c = NULL; (c = conns_of(&l->server->conns, l));)
        conn_close(c);
    requests_release(l);
    if (l->epoll >= 0)
        close(l->epoll);
    if (l->bell >= 0)
        close(l->bell);
    pthread_mutex_destroy(&l->lock);
    free(l->piece);
    free(l->bytes);
}
