/* server.h: HTTP/1.1 on a TCP port (plain or TLS) and on a Unix socket in the state folder.
 *
 * One thread accepts and watches deadlines, a pool of threads (one a core) moves bytes and runs the
 * handlers; none of them ever waits for the engine. Bodies are read whole before a handler sees
 * them; all bodies together stay below a budget, and those that come when it is used up wait their
 * turn. */
#ifndef PENSTOCK_HTTP_SERVER_H
#define PENSTOCK_HTTP_SERVER_H

#include "base/err.h"
#include "base/own.h"
#include "engine/intake.h"
#include "http/route.h"

enum auth_mode {
    AUTH_NONE, /* whoever reaches the port may do everything but open a job with a token */
    AUTH_KEYS  /* a key (`Authorization: Bearer pk_...`), a job's token or the master token */
};

/* Pointers are borrowed until server_free; strings and lists too. */
struct server_options {
    struct engine *engine;
    struct intake *intake; /* started */
    const struct surface *const *surfaces;
    size_t surface_count;

    const char *address;       /* numeric; NULL: no TCP */
    int port;                  /* 0: any free one, see server_port */
    const char *tls_cert_path; /* both or neither */
    const char *tls_key_path;
    const char *public_root;  /* "https://host": what clients are to call this server, whatever they
                                 said in Host; NULL: as they did (pinexq_root_make) */
    int unix_dir_fd;          /* folder of the Unix socket, -1: none */
    const char *unix_name;    /* its name there, "penstock.sock" when NULL; mode 0600; an old one is
                                 replaced */
    enum auth_mode auth;      /* server_auth_default() */
    bool insecure;            /* AUTH_NONE on an address that is not loopback is not refused */
    const char *master_token; /* NULL: none */
    bool access_log;          /* one debug line a request, without query, tokens, keys */

    int threads;                 /* 0: one a core */
    int64_t max_body_bytes;      /* 413 above */
    int64_t max_blob_bytes;      /* the same of bodies that go to a file as they come */
    int64_t body_budget_bytes;   /* of all bodies at once */
    int64_t max_connections;     /* more wait to be accepted */
    int64_t idle_timeout_us;     /* a connection between two requests */
    int64_t header_timeout_us;   /* from the first byte of a request to the end of its headers */
    int64_t body_min_rate_bytes; /* a second; slower bodies and slower readers are cut off */
    int64_t body_grace_us;       /* before that rate counts */
};

/* The defaults: 64 MiB a body, 64 GiB one that goes to a file, 256 MiB in all, 10,000 connections,
 * 75 s idle, 20 s for headers, 16 KiB/s after 20 s. unix_dir_fd -1, everything else zero. */
void server_options_init(struct server_options *options);
/* AUTH_NONE for a loopback address, AUTH_KEYS elsewhere. ERR_INVALID when it is no address. */
MUST_CHECK bool server_auth_default(const char *address, enum auth_mode *out, struct err *err);

struct server;

/* Listens and serves from now on. ERR_INVALID (address, TLS files, insecure), ERR_IO (port taken,
 * socket), ERR_INTERNAL. Raises RLIMIT_NOFILE to its hard limit. */
MUST_CHECK bool server_start(const struct server_options *options, struct server **out,
                             struct err *err);
/* The TCP port it listens on, 0: none. */
int server_port(const struct server *s);
/* API keys were changed by somebody else than a route: read them again. */
void server_keys_changed(struct server *s);
/* First step of a stop: accepts nothing more, ends streams, refuses new requests (503). The caller
 * then calls intake_stop, which answers all that waits; then server_free. Any thread. */
void server_stop(struct server *s);
/* The same, if no connection has been open for `idle_us` (1..). False: the server goes on; ask
 * again at *again_us (monotonic). Who was answered on a connection finds the server there as long
 * as the connection is open. Any thread. */
bool server_stop_if_idle(struct server *s, int64_t idle_us, int64_t *again_us);
/* Stops what still runs and frees all. After server_stop and intake_stop. */
void server_free(struct server *s);
DEFINE_OWNED(server)

#endif
