#include "http/server_own.h"

#include "base/log.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* When descriptors are used up the listeners rest this long, or until a connection ends. */
#define REST_MS 100
/* The kernel gives a peer up that acknowledges nothing for so long. */
#define PEER_GONE_MS 120000
/* What the kernel holds of an answer to a local program, if it may: a worker that is at its records
 * reads seldom, and shall find a whole batch then. */
#define LOCAL_SEND_BYTES (1 << 20)

static bool set_option(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24 ==
               127;
    const struct in6_addr *six = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(six);
}

/* The one address that `text` names; freed by freeaddrinfo. */
static struct addrinfo *resolve(const char *text, int port, struct err *err)
{
    char service[16];
    snprintf(service, sizeof service, "%d", port);
    if (strcmp(text, "localhost") == 0)
        text = "127.0.0.1";
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int status = getaddrinfo(text, service, &hints, &found);
    if (status != 0) {
        err_set(err, ERR_INVALID, "%s is no IP address: %s", text, gai_strerror(status));
        return NULL;
    }
    return found;
}

bool server_auth_default(const char *address, enum auth_mode *out, struct err *err)
{
    struct addrinfo *found = resolve(address, 0, err);
    if (!found)
        return false;
    *out = is_loopback(found->ai_addr) ? AUTH_NONE : AUTH_KEYS;
    freeaddrinfo(found);
    return true;
}

static bool read_port(struct server *s, struct err *err)
{
    struct sockaddr_storage bound = {0};
    socklen_t len = sizeof bound;
    if (getsockname(s->tcp_fd, (struct sockaddr *)&bound, &len) < 0)
        return err_errno(err, errno, "port");
    s->port = bound.ss_family == AF_INET
                  ? ntohs(((const struct sockaddr_in *)(const void *)&bound)->sin_port)
                  : ntohs(((const struct sockaddr_in6 *)(const void *)&bound)->sin6_port);
    return true;
}

/* On loopback there is no network to be considerate of: a system's pacing congestion control (BBR)
 * would only cost time, a third of the throughput of large batches. */
static void spare_loopback(int fd)
{
    if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", sizeof "reno" - 1) < 0)
        LOG1(LOG_DEBUG, "http.congestion_control", "errno", "%d", errno);
}

static bool listen_at(struct server *s, const struct addrinfo *where, struct err *err)
{
    OWNED_FD int fd = socket(where->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(err, errno, "socket");
    if (!set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) ||
        (where->ai_family == AF_INET6 && !set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0)))
        return err_errno(err, errno, "socket");
    /* Accepted sockets inherit these. */
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, PEER_GONE_MS);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    if (is_loopback(where->ai_addr))
        spare_loopback(fd);
    if (bind(fd, where->ai_addr, where->ai_addrlen) < 0 || listen(fd, SOMAXCONN) < 0)
        return err_errno(err, errno, "listen on %s port %d", s->options.address, s->options.port);
    s->tcp_fd = TAKE_FD(fd);
    return true;
}

bool listener_open_tcp(struct server *s, struct err *err)
{
    struct addrinfo *where = resolve(s->options.address, s->options.port, err);
    if (!where)
        return false;
    s->loopback = is_loopback(where->ai_addr);
    bool open_to_all = !s->loopback && s->options.auth == AUTH_NONE && !s->options.insecure;
    bool ok = open_to_all ? err_set(err, ERR_INVALID,
                                    "%s can be reached by others: ask for keys, or say --insecure",
                                    s->options.address)
                          : listen_at(s, where, err);
    freeaddrinfo(where);
    return ok && read_port(s, err);
}

bool listener_open_unix(struct server *s, struct err *err)
{
    const char *name = s->options.unix_name ? s->options.unix_name : "penstock.sock";
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    /* By way of the folder's descriptor, as a path may be longer than an address can hold. */
    int len = snprintf(where.sun_path, sizeof where.sun_path, "/proc/self/fd/%d/%s",
                       s->options.unix_dir_fd, name);
    if (len >= (int)sizeof where.sun_path)
        return err_set(err, ERR_INVALID, "socket name %s is too long", name);
    OWNED_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(err, errno, "socket");
    if (unlinkat(s->options.unix_dir_fd, name, 0) < 0 && errno != ENOENT)
        return err_errno(err, errno, "remove old socket %s", name);
    /* Before bind, so that it never stands there open to others. */
    if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&where, sizeof where) < 0 ||
        listen(fd, SOMAXCONN) < 0)
        return err_errno(err, errno, "listen on socket %s", name);
    s->unix_fd = TAKE_FD(fd);
    return true;
}

/* The thread with the fewest connections. */
static struct loop *least_busy(struct server *s)
{
    struct loop *best = &s->loops[0];
    for (size_t i = 1; i < s->loop_count; i++)
        if (atomic_load(&s->loops[i].count) < atomic_load(&best->count))
            best = &s->loops[i];
    return best;
}

/* Accepts what waits at one listener. False when descriptors are used up. */
static bool accept_all(struct server *s, int listener, bool local, int64_t room)
{
    for (; room > 0; room--) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM;
        if (local)
            set_option(fd, SOL_SOCKET, SO_SNDBUF, LOCAL_SEND_BYTES);
        conns_admit(&s->conns, 1);
        if (!conn_open(s, least_busy(s), fd, local))
            LOG1(LOG_WARN, "http.connection_refused", "error", "%s", strerror(errno));
    }
    return true;
}

static void drain_wakes(int fd)
{
    uint64_t count = 0;
    while (read(fd, &count, sizeof count) > 0)
        ;
}

static int64_t connections_left(struct server *s)
{
    pthread_mutex_lock(&s->conns.lock);
    int64_t left = s->options.max_connections - s->conns.count;
    pthread_mutex_unlock(&s->conns.lock);
    return left;
}

static int wait_ms(int64_t next_us, bool resting)
{
    if (resting)
        return REST_MS;
    if (next_us == NEVER_US)
        return -1;
    int64_t left_us = next_us - clock_now().mono_us;
    return left_us <= 0 ? 0 : (int)(left_us / 1000 + 1);
}

/* Accepts where somebody waits. False when descriptors are used up. */
static bool accept_where(struct server *s, const struct pollfd *tcp, const struct pollfd *local,
                         int64_t room)
{
    return (!tcp->revents || accept_all(s, s->tcp_fd, false, room)) &&
           (!local->revents || accept_all(s, s->unix_fd, true, room));
}

void *listener_run(void *server)
{
    struct server *s = server;
    int64_t next_us = 0;
    bool resting = false, warned = false;
    while (!atomic_load(&s->stopping)) {
        int64_t now_us = clock_now().mono_us, room = connections_left(s);
        if (now_us >= next_us)
            next_us = conns_look(&s->conns, now_us, atomic_load(&s->bodies.pressed));
        /* A negative descriptor is not looked at. */
        bool open = room > 0 && !resting;
        struct pollfd fds[3 + LINGERS_MAX] = {{.fd = s->conns.wake_fd, .events = POLLIN},
                                              {.fd = open ? s->tcp_fd : -1, .events = POLLIN},
                                              {.fd = open ? s->unix_fd : -1, .events = POLLIN}};
        int64_t until_us = next_us;
        size_t lingers = lingers_fill(&s->lingers, fds + 3, &until_us);
        if (poll(fds, 3 + lingers, wait_ms(until_us, resting)) < 0)
            continue;
        if (lingers > 0)
            lingers_look(&s->lingers, clock_now().mono_us);
        if (fds[0].revents) {
            drain_wakes(s->conns.wake_fd);
            next_us = 0;
        }
        resting = !accept_where(s, &fds[1], &fds[2], room);
        if (resting && !warned)
            LOG1(LOG_WARN, "http.descriptors_used_up", "room", "%lld", (long long)room);
        /* Said once, until accepting has gone well again. */
        warned = resting || (warned && !fds[1].revents && !fds[2].revents);
    }
    return NULL;
}
