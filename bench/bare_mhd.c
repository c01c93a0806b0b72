/* bare_mhd.c: what libmicrohttpd alone can do here: the limit beside Penstock's figures.
 *
 *   bare_mhd BYTES [THREADS]
 *
 * Answers every /serve with a list of so many bytes and every /receive, whose body it throws away,
 * with null. Prints the port it took; ends when its stdin does. */
#include "base/own.h"
#include "base/parse.h"

#include <arpa/inet.h>
#include <assert.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct MHD_Response *batch, *null;

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *body,
                              size_t *body_len, void **request)
{
    (void)context, (void)method, (void)version, (void)body;
    static int seen;
    if (!*request) {
        *request = &seen;
        return MHD_YES;
    }
    if (*body_len > 0) {
        *body_len = 0;
        return MHD_YES;
    }
    return MHD_queue_response(connection, 200, url[1] == 's' ? batch : null);
}

int main(int argc, char **argv)
{
    struct err err;
    int64_t bytes = 0, threads = 2;
    if (argc < 2 || !parse_i64(str_of(argv[1]), 3, 1 << 30, &bytes, &err) ||
        (argc > 2 && !parse_i64(str_of(argv[2]), 1, 64, &threads, &err))) {
        fprintf(stderr, "usage: bare_mhd BYTES [THREADS]\n");
        return 2;
    }
    OWNED_MEM char *text = xcalloc((size_t)bytes, 1);
    memset(text, '1', (size_t)bytes);
    batch = MHD_create_response_from_buffer((size_t)bytes, text, MHD_RESPMEM_PERSISTENT);
    null = MHD_create_response_from_buffer(4, (void *)(uintptr_t) "null", MHD_RESPMEM_PERSISTENT);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct MHD_Daemon *d = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, answer, NULL, MHD_OPTION_SOCK_ADDR, &at,
        MHD_OPTION_THREAD_POOL_SIZE, (unsigned)threads, MHD_OPTION_END);
    assert(d && batch && null);
    printf("%u\n", (unsigned)MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    char gone = 0;
    while (read(STDIN_FILENO, &gone, 1) > 0)
        ;
    MHD_stop_daemon(d);
    MHD_destroy_response(batch);
    MHD_destroy_response(null);
    return 0;
}
