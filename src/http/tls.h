/* tls.h: TLS on a socket that does not block, by OpenSSL. */
#ifndef PENSTOCK_HTTP_TLS_H
#define PENSTOCK_HTTP_TLS_H

#include "base/err.h"
#include "base/own.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The server's certificate and key. Used by all threads. */
struct tls_server;
/* `cert` and `key` are the texts of PEM files, the certificate's chain with it; `path` is for the
 * message. ERR_INVALID when they cannot be used. */
MUST_CHECK bool tls_server_new(const char *cert, const char *key, const char *path,
                               struct tls_server **out, struct err *err);
void tls_server_free(struct tls_server *s);

/* One connection. Its thread's. */
struct tls;
/* The descriptor is borrowed. NULL when memory is out. */
struct tls *tls_new(struct tls_server *server, int fd);
/* As recv and send, with no more of errno than EAGAIN; either may have to wait for both directions.
 * 0 of tls_recv: the peer has ended. What was not sent is to be sent again. SIGPIPE is to be
 * blocked. */
ssize_t tls_recv(struct tls *t, void *to, size_t room);
ssize_t tls_send(struct tls *t, const void *from, size_t len);
/* tls_free is not to say goodbye. */
void tls_break(struct tls *t);
/* Says goodbye, as far as that is possible at once; frees. */
void tls_free(struct tls *t);

#endif
