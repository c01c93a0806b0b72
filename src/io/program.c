/* program.c: one running program and the thread that moves its bytes. See program.h.
 *
 * The thread owns the process, its pipe and the spool's descriptor. It sleeps in poll until the
 * pipe, the process or the owner (an eventfd) has something for it. What the two sides share is in
 * the `shared` part, under its mutex, which is never held across a call that can wait. The child
 * dies with the thread that started it, so the thread starts it itself.
 *
 * A descriptor of this process is shared with whoever gave it: it is not made non-blocking. A pipe
 * or terminal is opened once more, for a description of our own; where that is refused, no more is
 * written at once than a pipe with room takes without waiting. */
#include "io/program.h"

#include "base/file.h"
#include "base/spawn.h"
#include "io/program_words.h"
#include "io/source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHUNK_BYTES = 1 << 20 };
#define AHEAD_MAX_BYTES (INT64_C(64) << 20)

struct program {
    bool writes;                /* it is a writer */
    char *command, *spool_path; /* no command: `outside` is read or written */
    int outside;                /* our duplicate; -1 */
    size_t piece;               /* so much is written at once */
    void (*wake)(void *context);
    void *context;
    pthread_t thread;
    int bell; /* eventfd: the owner has changed `shared` */

    /* The thread's. */
    int spool, pipe, pidfd; /* pipe: our end; -1 when closed */
    pid_t pid;
    bool exited;     /* no process is left, or there was none */
    int64_t at;      /* reader: bytes compared or spooled; writer: passed on */
    int64_t printed; /* reader: bytes in the spool when it started, to be compared */
    struct buf held; /* reader: the beginning of a line; writer: nothing */
    char *chunk;
    struct program_words words;

    struct {
        pthread_mutex_t lock;
        enum program_state state;
        char failure[512]; /* set before the state is PROGRAM_FAILED, then never changed */
        int64_t consumed, committed;
        bool finish, stop;
        bool far_ahead; /* the reader waits until more is consumed */
    } shared;
};

/* What the owner wants, as of now. */
struct wishes {
    int64_t committed;
    bool finish, stop, far_ahead;
};

static struct wishes wishes_of(struct program *p)
{
    pthread_mutex_lock(&p->shared.lock);
    p->shared.far_ahead =
        !p->writes && p->at >= p->printed && p->at - p->shared.consumed > AHEAD_MAX_BYTES;
    struct wishes w = {p->shared.committed, p->shared.finish, p->shared.stop, p->shared.far_ahead};
    pthread_mutex_unlock(&p->shared.lock);
    return w;
}

static void ring(struct program *p)
{
    uint64_t one = 1;
    ssize_t n = 0;
    do
        n = write(p->bell, &one, sizeof one);
    while (n < 0 && errno == EINTR);
}

static void set_state(struct program *p, enum program_state state, const char *failure)
{
    pthread_mutex_lock(&p->shared.lock);
    snprintf(p->shared.failure, sizeof p->shared.failure, "%s", failure);
    p->shared.state = state;
    pthread_mutex_unlock(&p->shared.lock);
}

static bool start_process(struct program *p, struct err *err)
{
    const char *const argv[] = {"/bin/sh", "-c", p->command, NULL};
    int ends[2];
    OWNED_FD int words = -1;
    if (!program_words_open(&p->words, &words, err))
        return false;
    if (pipe2(ends, O_CLOEXEC))
        return err_errno(err, errno, "pipe");
    OWNED_FD int theirs = ends[p->writes ? 0 : 1];
    p->pipe = ends[p->writes ? 1 : 0];
    /* Fewer and larger writes to the spool; a system that does not grant it gives less. */
    fcntl(p->pipe, F_SETPIPE_SZ, CHUNK_BYTES);
    struct spawn_plan plan = {.argv = argv,
                              .stdin_fd = p->writes ? theirs : -1,
                              .stdout_fd = p->writes ? words : theirs,
                              .stderr_fd = words};
    if (!spawn_start(&plan, &p->pid, err))
        return false;
    p->pidfd = pidfd_open(p->pid, 0);
    if (p->pidfd < 0 || fcntl(p->pipe, F_SETFL, O_NONBLOCK))
        return err_errno(err, errno, "watch a program");
    return true;
}

static bool open_outside(struct program *p, struct err *err)
{
    struct stat st;
    char again[64];
    p->exited = true;
    p->pipe = p->outside;
    p->outside = -1;
    if (fstat(p->pipe, &st))
        return err_errno(err, errno, "descriptor %d", p->pipe);
    if (S_ISREG(st.st_mode))
        return true;
    snprintf(again, sizeof again, "/proc/self/fd/%d", p->pipe);
    int own =
        S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)
            ? open(again, (p->writes ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
            : -1;
    if (own < 0) {
        p->piece = PIPE_BUF;
        return true;
    }
    close(p->pipe);
    p->pipe = own;
    if (S_ISFIFO(st.st_mode))
        fcntl(own, F_SETPIPE_SZ, CHUNK_BYTES);
    return true;
}

static void close_pipe(struct program *p)
{
    fd_drop(&p->pipe);
    p->pipe = -1;
}

/* Appends the first `len` held bytes to the spool. They are synced before anybody is told of them,
 * so that the place the engine stores is good after a power cut. */
static bool spool_bytes(struct program *p, size_t len, struct err *err)
{
    if (!len)
        return true;
    if (!file_write_at(p->spool, p->at, p->held.data, len, p->spool_path, err)) {
        struct err also;
        return file_cut(p->spool, p->at, p->spool_path, &also) ? false
                                                               : err_add(err, "%s", also.text);
    }
    if (!file_sync(p->spool, p->spool_path, err))
        return false;
    p->at += (int64_t)len;
    p->held.len -= len;
    memmove(p->held.data, p->held.data + len, p->held.len);
    p->wake(p->context);
    return true;
}

/* Takes what was printed, passes whole lines on. A line that is too long to become a record need
 * not be held until it ends. */
static bool take_lines(struct program *p, struct str bytes, struct err *err)
{
    const char *last = bytes.len ? memrchr(bytes.ptr, '\n', bytes.len) : NULL;
    size_t whole = last ? p->held.len + (size_t)(last + 1 - bytes.ptr) : 0;
    buf_add_str(&p->held, bytes);
    if (p->held.full)
        return err_set(err, ERR_BUSY, "no memory for its output");
    return spool_bytes(p, p->held.len > SOURCE_LINE_MAX ? p->held.len : whole, err);
}

/* The part of the bytes that an earlier run printed too must be the same. */
static bool compare(struct program *p, struct str *bytes, struct err *err)
{
    size_t len = bytes->len;
    if ((int64_t)len > p->printed - p->at)
        len = (size_t)(p->printed - p->at);
    OWNED_MEM char *before = xcalloc(1, len);
    size_t got = 0;
    if (!file_read_at(p->spool, p->at, before, len, &got, p->spool_path, err))
        return false;
    for (size_t i = 0; i < len; i++)
        if (i >= got || before[i] != bytes->ptr[i])
            return err_set(err, ERR_CONFLICT,
                           p->command ? "it printed something else than when it ran before, from "
                                        "byte %lld on"
                                      : "what was given to read is not what was given before, from "
                                        "byte %lld on",
                           (long long)p->at + (long long)i);
    p->at += (int64_t)len;
    bytes->ptr += len;
    bytes->len -= len;
    return true;
}

/* Reads what the program has printed. */
static bool read_some(struct program *p, struct err *err)
{
    ssize_t n = read(p->pipe, p->chunk, CHUNK_BYTES);
    if (n < 0)
        return errno == EINTR || errno == EAGAIN ? true : err_errno(err, errno, "read its output");
    struct str bytes = {p->chunk, (size_t)n};
    if (p->at < p->printed && n > 0 && !compare(p, &bytes, err))
        return false;
    if (n > 0)
        return take_lines(p, bytes, err);
    close_pipe(p);
    if (p->at < p->printed)
        return err_set(err, ERR_CONFLICT,
                       p->command ? "it printed %lld bytes and had printed %lld when it ran before"
                                  : "%lld bytes were given to read, and %lld before",
                       (long long)p->at, (long long)p->printed);
    return spool_bytes(p, p->held.len, err);
}

static bool nobody_reads(const struct program *p, struct err *err)
{
    return err_set(err, ERR_IO,
                   p->command ? "it stopped reading after %lld bytes"
                              : "the output was closed after %lld bytes: every result is kept, and "
                                "comes when the job is started again",
                   (long long)p->at);
}

/* Passes committed bytes on; with nothing left to come closes the program's input. */
static bool write_some(struct program *p, const struct wishes *w, struct err *err)
{
    int64_t left = w->committed - p->at;
    if (left > 0) {
        size_t len = left < (int64_t)p->piece ? (size_t)left : p->piece, got = 0;
        if (!file_read_at(p->spool, p->at, p->chunk, len, &got, p->spool_path, err))
            return false;
        if (got < len)
            return err_set(err, ERR_CONFLICT, "%s is shorter than what was committed",
                           p->spool_path);
        ssize_t n = write(p->pipe, p->chunk, got);
        if (n < 0 && errno == EPIPE)
            return nobody_reads(p, err);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return err_errno(err, errno, "write to it");
        p->at += n > 0 ? n : 0;
    }
    if (w->finish && p->at == w->committed)
        close_pipe(p);
    return true;
}

/* Whether the pipe is wanted now, and for what. */
static short wanted(const struct program *p, const struct wishes *w)
{
    if (p->pipe < 0)
        return 0;
    if (p->writes)
        return p->at < w->committed || w->finish ? POLLOUT : 0;
    return w->far_ahead ? 0 : POLLIN;
}

/* One round: sleeps until something happens, sees to it. */
static bool turn(struct program *p, const struct wishes *w, struct err *err)
{
    short events = wanted(p, w);
    /* A descriptor of -1 is left out. Of an unwanted pipe only a writer's end is of interest;
     * that the process tells as well, and without one it is asked for that alone. */
    bool look = events || (p->writes && !p->command);
    struct pollfd fds[] = {{p->bell, POLLIN, 0},
                           {p->exited ? -1 : p->pidfd, POLLIN, 0},
                           {look ? p->pipe : -1, events, 0},
                           {p->words.fd, POLLIN, 0}};
    if (poll(fds, 4, -1) < 0)
        return errno == EINTR ? true : err_errno(err, errno, "poll");
    uint64_t count = 0;
    if (fds[0].revents && read(p->bell, &count, sizeof count) < 0 && errno != EAGAIN)
        return err_errno(err, errno, "eventfd");
    p->exited = p->exited || fds[1].revents;
    if (fds[3].revents)
        program_words_take(&p->words);
    if (!fds[2].revents)
        return true;
    if (!p->writes)
        return read_some(p, err);
    /* Once all is passed on it does not matter who still reads; that this was all may have been
     * said while the thread slept. */
    struct wishes now = wishes_of(p);
    if (fds[2].revents & POLLERR && !(now.finish && p->at == now.committed))
        return nobody_reads(p, err);
    return write_some(p, &now, err);
}

/* Until the process has ended and all its bytes are moved. False when it must be given up. */
static bool work(struct program *p, struct err *err)
{
    for (;;) {
        struct wishes w = wishes_of(p);
        if (w.stop)
            return err_set(err, ERR_BUSY, "it was stopped");
        if (p->exited && p->pipe < 0)
            return true;
        if (p->exited && p->writes && p->command)
            return err_set(err, ERR_IO, "it ended after %lld bytes, before the job was complete",
                           (long long)p->at);
        if (!turn(p, &w, err))
            return false;
    }
}

/* Ends what is left of the process group, before its number can be used again, and reaps. */
static int end_process(struct program *p)
{
    int status = 0;
    if (p->pid <= 0)
        return 0;
    kill(-p->pid, SIGKILL);
    while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static void tell_end(struct program *p, bool worked, int status, const struct err *err)
{
    char failure[sizeof p->shared.failure] = "";
    if (WIFEXITED(status) && WEXITSTATUS(status))
        snprintf(failure, sizeof failure, "exit status %d", WEXITSTATUS(status));
    else if (p->exited && WIFSIGNALED(status))
        snprintf(failure, sizeof failure, "killed by signal %d", WTERMSIG(status));
    if (!worked)
        snprintf(failure + strlen(failure), sizeof failure - strlen(failure), "%s%.200s",
                 *failure ? "; " : "", err->text);
    if (*failure && p->words.last[0])
        snprintf(failure + strlen(failure), sizeof failure - strlen(failure), "; it said: %s",
                 p->words.last);
    set_state(p, *failure ? PROGRAM_FAILED : PROGRAM_ENDED, failure);
}

static void *run(void *program)
{
    struct program *p = program;
    struct err err = {0};
    /* Signals are for others; a broken pipe is an error of write(2) here. */
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    bool worked = (p->command ? start_process(p, &err) : open_outside(p, &err)) && work(p, &err);
    int status = end_process(p);
    program_words_take(&p->words);
    program_words_close(&p->words);
    close_pipe(p);
    tell_end(p, worked, status, &err);
    p->wake(p->context);
    return NULL;
}

/* A program that has no thread yet. */
static struct program *program_new(bool writes, const struct program_end *end,
                                   const char *spool_path, void (*wake)(void *context),
                                   void *context)
{
    struct program *p = xcalloc(1, sizeof *p);
    p->writes = writes;
    p->command = xstrdup_or_null(end->command);
    p->outside = -1;
    p->piece = CHUNK_BYTES;
    p->spool_path = xstrdup(spool_path);
    p->wake = wake;
    p->context = context;
    p->bell = p->spool = p->pipe = p->pidfd = p->words.fd = -1;
    p->chunk = xcalloc(1, CHUNK_BYTES);
    buf_init(&p->held, BUF_NO_CAP);
    pthread_mutex_init(&p->shared.lock, NULL);
    return p;
}

static void program_release(struct program *p)
{
    fd_drop(&p->bell);
    fd_drop(&p->spool);
    fd_drop(&p->pidfd);
    fd_drop(&p->outside);
    close_pipe(p);
    pthread_mutex_destroy(&p->shared.lock);
    buf_release(&p->held);
    free(p->chunk);
    free(p->command);
    free(p->spool_path);
    free(p);
}

static bool launch(struct program *p, const struct program_end *end, int flags, struct err *err)
{
    struct stat st;
    if (!end->command && (p->outside = fcntl(end->fd, F_DUPFD_CLOEXEC, 3)) < 0)
        return err_errno(err, errno, "descriptor %d", end->fd);
    p->spool = open(p->spool_path, flags | O_CLOEXEC, 0600);
    if (p->spool < 0 || fstat(p->spool, &st))
        return err_errno(err, errno, "%s", p->spool_path);
    p->printed = p->writes ? 0 : st.st_size;
    p->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (p->bell < 0)
        return err_errno(err, errno, "eventfd");
    int number = pthread_create(&p->thread, NULL, run, p);
    return number ? err_set(err, ERR_BUSY, "no thread for a program") : true;
}

bool program_start_reader(const struct program_end *end, const char *spool_path,
                          void (*wake)(void *context), void *context, struct program **out,
                          struct err *err)
{
    struct program *p = program_new(false, end, spool_path, wake, context);
    if (!launch(p, end, O_RDWR | O_CREAT, err)) {
        program_release(p);
        return false;
    }
    *out = p;
    return true;
}

bool program_start_writer(const struct program_end *end, const char *spool_path,
                          int64_t committed_bytes, void (*wake)(void *context), void *context,
                          struct program **out, struct err *err)
{
    struct program *p = program_new(true, end, spool_path, wake, context);
    p->shared.committed = committed_bytes;
    if (!launch(p, end, O_RDONLY | O_CREAT, err)) {
        program_release(p);
        return false;
    }
    *out = p;
    return true;
}

void program_consumed(struct program *p, int64_t bytes)
{
    pthread_mutex_lock(&p->shared.lock);
    p->shared.consumed = bytes;
    bool waits = p->shared.far_ahead;
    pthread_mutex_unlock(&p->shared.lock);
    if (waits)
        ring(p);
}

void program_advance(struct program *p, int64_t committed_bytes)
{
    pthread_mutex_lock(&p->shared.lock);
    bool more = p->shared.committed < committed_bytes;
    p->shared.committed = more ? committed_bytes : p->shared.committed;
    pthread_mutex_unlock(&p->shared.lock);
    if (more)
        ring(p);
}

void program_finish(struct program *p)
{
    pthread_mutex_lock(&p->shared.lock);
    bool first = !p->shared.finish;
    p->shared.finish = true;
    pthread_mutex_unlock(&p->shared.lock);
    if (first)
        ring(p);
}

enum program_state program_state(struct program *p)
{
    pthread_mutex_lock(&p->shared.lock);
    enum program_state state = p->shared.state;
    pthread_mutex_unlock(&p->shared.lock);
    return state;
}

const char *program_failure(struct program *p)
{
    return program_state(p) == PROGRAM_FAILED ? p->shared.failure : "";
}

void program_free(struct program *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->shared.lock);
    p->shared.stop = true;
    pthread_mutex_unlock(&p->shared.lock);
    ring(p);
    pthread_join(p->thread, NULL);
    program_release(p);
}
