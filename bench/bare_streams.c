/* bare_streams.c: what the kernel can do here for many streams: the limit beside steps_streams.
 *
 *   bare_streams
 *
 * Speaks as much HTTP as steps_streams asks for, in one thread and without an engine, a disk or
 * owners: POST makes a job, GET opens a stream, PATCH is answered at once and told to each stream,
 * one send a stream for all that came in one turn. Prints the port it took; ends when its stdin
 * does. */
#include "base/own.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FDS_MAX = 8192, EVENTS = 256, TEXT_MAX = 64 << 10, EVENT_MAX = 256 };

static struct {
    int epoll, listener;
    int streams[FDS_MAX];
    size_t stream_count;
    char told[TEXT_MAX]; /* of this turn */
    size_t told_len;
    long jobs;
} b;

static void give_up(const char *what)
{
    fprintf(stderr, "bare_streams: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void watch(int fd)
{
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(b.epoll, EPOLL_CTL_ADD, fd, &e) != 0)
        give_up("epoll");
}

static void say(int fd, const char *text, size_t len)
{
    /* Who does not read is lost: this is no server. */
    if (send(fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)len)
        give_up("send");
}

static void answer(int fd, const char *status, long id)
{
    char text[256], body[64];
    int len = snprintf(body, sizeof body, "{\"id\":%ld}", id);
    len = snprintf(text, sizeof text,
                   "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                   status, len, body);
    say(fd, text, (size_t)len);
}

static void tell_all(void)
{
    for (size_t i = 0; b.told_len > 0 && i < b.stream_count; i++)
        say(b.streams[i], b.told, b.told_len);
    b.told_len = 0;
}

static void changed(int fd, long id)
{
    if (b.told_len + EVENT_MAX > TEXT_MAX)
        tell_all();
    b.told_len += (size_t)snprintf(
        b.told + b.told_len, EVENT_MAX,
        "data: {\"EventType\":\"JobChanged\",\"ResourceType\":\"Job\",\"ResourceLink\":"
        "\"http://127.0.0.1:65535/api/Job/00000000-0000-8000-8000-%012lx\"}\n\n",
        (unsigned long)id);
    answer(fd, "200 OK", id);
}

/* A request comes whole: it is small, and its client waits for the answer. */
static void take_request(int fd)
{
    static const char stream[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    char text[4096];
    ssize_t n = recv(fd, text, sizeof text - 1, 0);
    if (n <= 0) {
        close(fd);
        return;
    }
    text[n] = '\0';
    if (strncmp(text, "GET ", 4) == 0 && b.stream_count < FDS_MAX) {
        say(fd, stream, sizeof stream - 1);
        b.streams[b.stream_count++] = fd;
    } else if (strncmp(text, "PATCH ", 6) == 0) {
        const char *id = memrchr(text, '/', strcspn(text + 6, " ") + 6);
        changed(fd, id ? strtol(id + 1, NULL, 10) : 0);
    } else {
        answer(fd, "201 Created", ++b.jobs);
    }
}

static void take_connection(void)
{
    int on = 1, fd = accept4(b.listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
        give_up("accept");
    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", sizeof "reno" - 1);
    watch(fd);
}

static void listen_somewhere(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    b.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (b.listener < 0 || bind(b.listener, (struct sockaddr *)&at, len) != 0 ||
        listen(b.listener, SOMAXCONN) != 0 ||
        getsockname(b.listener, (struct sockaddr *)&at, &len) != 0)
        give_up("listen");
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
}

int main(void)
{
    struct epoll_event events[EVENTS];
    b.epoll = epoll_create1(EPOLL_CLOEXEC);
    listen_somewhere();
    watch(b.listener);
    watch(STDIN_FILENO);
    for (;;) {
        int n = epoll_wait(b.epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++)
            if (events[i].data.fd == STDIN_FILENO)
                return 0;
            else if (events[i].data.fd == b.listener)
                take_connection();
            else
                take_request(events[i].data.fd);
        tell_all();
    }
}
