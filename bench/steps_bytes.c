/* steps_bytes.c: one file up, or one down, as fast as the server takes and gives it.
 *
 *   steps_bytes up PORT PATH BYTES [TYPE]     POST; with TYPE multipart/form-data as a form's file
 *   steps_bytes down PORT PATH
 *
 * Prints one JSON object: status, bytes, seconds, and the Location that was answered. */
#include "base/buf.h"
#include "base/json.h"
#include "base/parse.h"
#include "bench_conns.h"
#include "bench_report.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BLOCK = 1 << 20, HEAD_MAX = 64 << 10 };

static const char form_head[] =
    "--bench\r\nContent-Disposition: form-data; name=\"upload-file\"; filename=\"b.bin\"\r\n"
    "Content-Type: application/octet-stream\r\n\r\n";
static const char form_end[] = "\r\n--bench--\r\n";

static int open_to(int64_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        bench_give_up("connect", strerror(errno));
    return fd;
}

static void send_all(int fd, const char *data, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = send(fd, data + at, len - at, MSG_NOSIGNAL);
        if (n < 0)
            bench_give_up("send", strerror(errno));
        at += (size_t)n;
    }
}

/* Bytes that no compression and no sparse file makes cheap. */
static char *make_block(void)
{
    char *block = xcalloc(BLOCK, 1);
    uint64_t x = 88172645463325252ULL;
    for (size_t i = 0; i < BLOCK; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        block[i] = (char)x;
    }
    return block;
}

static void send_up(int fd, int64_t port, const char *path, int64_t bytes, bool form)
{
    OWNED_BUF struct buf head;
    OWNED_MEM char *block = make_block();
    int64_t around = form ? (int64_t)(sizeof form_head + sizeof form_end - 2) : 0;
    buf_init(&head, BUF_NO_CAP);
    buf_add_format(&head,
                   "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%lld\r\nContent-Type: %s\r\n"
                   "Content-Length: %lld\r\n\r\n%s",
                   path, (long long)port,
                   form ? "multipart/form-data; boundary=bench" : "application/octet-stream",
                   (long long)(bytes + around), form ? form_head : "");
    send_all(fd, head.data, head.len);
    for (int64_t left = bytes; left > 0; left -= BLOCK)
        send_all(fd, block, left < BLOCK ? (size_t)left : BLOCK);
    if (form)
        send_all(fd, form_end, sizeof form_end - 1);
}

/* Reads an answer; of its body only the length matters. */
static void read_answer(int fd, struct buf *head, int64_t *bytes)
{
    OWNED_MEM char *block = xcalloc(BLOCK, 1);
    static const char length[] = "\r\ncontent-length: ";
    const char *end = NULL;
    int64_t want = 0;
    buf_init(head, HEAD_MAX);
    while (!end) {
        if (!buf_reserve(head, 4096))
            bench_give_up("read", "a head without end");
        ssize_t n = recv(fd, head->data + head->len, 4096, 0);
        if (n <= 0)
            bench_give_up("read", "the server closed the connection");
        head->len += (size_t)n;
        end = memmem(head->data, head->len, "\r\n\r\n", 4);
    }
    for (const char *at = head->data; at < end; at++)
        if (strncasecmp(at, length, sizeof length - 1) == 0)
            want = strtoll(at + sizeof length - 1, NULL, 10);
    int64_t got = head->data + head->len - (end + 4);
    while (got < want) {
        ssize_t n = recv(fd, block, BLOCK, 0);
        if (n <= 0)
            bench_give_up("read", "the answer is cut short");
        got += n;
    }
    *bytes = got;
    head->len = (size_t)(end - head->data);
}

static void tell(const struct buf *head, int64_t bytes, double seconds)
{
    static const char name[] = "\r\nlocation: ";
    OWNED_BUF struct buf buf;
    struct json_out o;
    buf_init(&buf, BUF_NO_CAP);
    json_out_init(&o, &buf);
    json_out_open(&o, '{');
    json_out_name(&o, "status");
    json_out_i64(&o, head->len > 12 ? atoi(head->data + 9) : 0);
    json_out_name(&o, "bytes");
    json_out_i64(&o, bytes);
    json_out_name(&o, "seconds");
    json_out_double(&o, seconds);
    json_out_name(&o, "location");
    const char *at = head->data, *stop = head->data + head->len;
    while (at < stop && strncasecmp(at, name, sizeof name - 1) != 0)
        at++;
    if (at < stop) {
        at += sizeof name - 1;
        const char *end = memchr(at, '\r', (size_t)(stop - at));
        json_out_str(&o, (struct str){at, (size_t)((end ? end : stop) - at)});
    } else {
        json_out_null(&o);
    }
    json_out_close(&o, '}');
    printf("%.*s\n", (int)buf.len, buf.data);
}

int main(int argc, char **argv)
{
    struct err err = {.text = "see the top of steps_bytes.c"};
    int64_t port = 0, bytes = 0, got = 0;
    bool up = argc >= 5 && strcmp(argv[1], "up") == 0;
    if ((!up && (argc != 4 || strcmp(argv[1], "down") != 0)) ||
        !parse_i64(str_of(argv[2]), 1, 65535, &port, &err) ||
        (up && !parse_i64(str_of(argv[4]), 0, INT64_C(1) << 40, &bytes, &err)))
        bench_give_up("usage", err.text);
    OWNED_BUF struct buf head;
    buf_init(&head, HEAD_MAX);
    int fd = open_to(port);
    double began = bench_now_s();
    if (up) {
        send_up(fd, port, argv[3], bytes, argc > 5);
    } else {
        buf_add_format(&head, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%lld\r\n\r\n", argv[3],
                       (long long)port);
        send_all(fd, head.data, head.len);
        buf_release(&head);
    }
    read_answer(fd, &head, &got);
    tell(&head, up ? bytes : got, bench_now_s() - began);
    close(fd);
    return 0;
}
