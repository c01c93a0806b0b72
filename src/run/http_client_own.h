/* http_client_own.h: what the files of the HTTP client share. */
#ifndef PENSTOCK_RUN_HTTP_CLIENT_OWN_H
#define PENSTOCK_RUN_HTTP_CLIENT_OWN_H

#include "base/clock.h"
#include "run/http_client.h"

#include <curl/curl.h>

enum { CLIENT_SOCKETS_MAX = 32 };

struct client {
    CURL *curl;   /* of client_ask */
    char *base;   /* URL without a slash at its end */
    char *socket; /* path of the Unix socket, NULL: TCP */
    char *place;  /* the state folder or socket, as it was named */
    char *shown;  /* how to name the server to people */
    char *key;    /* header line, NULL */
    char *token;  /* the same of a job's token */
    char *ca;
    int dir_fd; /* the folder of the socket; -1 */

    /* Of the calls: libcurl says which sockets it waits for and until when. */
    CURLM *multi;
    struct pollfd sockets[CLIENT_SOCKETS_MAX];
    size_t socket_count;
    int64_t due_us; /* monotonic */
};

/* What every request has; `headers` must live as long as the handle works. */
void client_prepare(const struct client *c, CURL *curl, const char *url,
                    struct curl_slist *headers);
/* The server's words from a problem (RFC 9457). Always false. */
bool client_refused(const struct client *c, long status, struct str body, struct err *err);
/* That no answer came. Always false. */
bool client_unreachable(const struct client *c, CURLcode code, const char *why, struct err *err);
/* libcurl's write function: appends to the struct buf. */
size_t client_take_bytes(char *bytes, size_t one, size_t count, void *buf);
/* With the key and the token behind them. */
struct curl_slist *client_add_secrets(const struct client *c, struct curl_slist *headers);
/* The headers of a request with a JSON body; NULL when memory is out. */
struct curl_slist *client_headers(const struct client *c);
/* Sets the handle up for one such request. */
void client_prepare_body(CURL *curl, const char *method, struct str body, struct buf *got,
                         char *why);

#define CLIENT_ANSWER_MAX_BYTES ((size_t)256 << 20)

#endif
