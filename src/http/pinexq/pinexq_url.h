/* pinexq_url.h: addresses of things below /api: written into documents, and read when clients send
 * them back as parameters. Threads: any. */
#ifndef PENSTOCK_HTTP_PINEXQ_PINEXQ_URL_H
#define PENSTOCK_HTTP_PINEXQ_PINEXQ_URL_H

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

/* Things that have an id. Their paths are "/api/KIND/UUID": the UUID is made of the id, so that
 * nothing is looked up. */
enum pinexq_kind { PINEXQ_JOB, PINEXQ_WORK_DATA, PINEXQ_STEP, PINEXQ_FOLDER, PINEXQ_KIND_COUNT };
#define PINEXQ_UUID_CHARS 36
/* Ids that a UUID holds. */
#define PINEXQ_ID_MAX ((INT64_C(1) << 48) - 1)

void pinexq_uuid_write(int64_t id, char out[PINEXQ_UUID_CHARS + 1]);
/* False when it is no UUID that was made of an id. Letters of either case. */
bool pinexq_uuid_read(struct str text, int64_t *out);

/* An address: what stands behind the root. Texts borrowed; they are parts of a path or query as
 * they are written, nothing in them is escaped. */
struct pinexq_href {
    const char *path;      /* "/api/Info"; NULL: the thing of kind and id */
    enum pinexq_kind kind; /* without a path */
    int64_t id;            /* likewise */
    const char *slot;      /* "/InputDataSlot/", with its place behind it; NULL: none */
    int64_t place;
    const char *action; /* "SelectProcessing", behind a slash; NULL */
    struct str query;   /* behind a question mark; empty: none */
};
/* The address of a thing itself. */
static inline struct pinexq_href pinexq_thing(enum pinexq_kind kind, int64_t id)
{
    return (struct pinexq_href){.kind = kind, .id = id};
}
/* root ("http://host:port") and address, appended. */
void pinexq_href_write(struct buf *out, struct str root, const struct pinexq_href *href);

/* The id in a URL of a thing of that kind. Only its path is looked at: clients know a server under
 * more than one name. ERR_INVALID, "ProcessingStepUrl: expected the URL of a ProcessingStep, not
 * ..." with `member` in front. */
MUST_CHECK bool pinexq_url_read(const char *member, struct str url, enum pinexq_kind kind,
                                int64_t *out, struct err *err);

/* A root as clients normalise it: scheme and host in lower case, no default port. ERR_INVALID when
 * it is no "http://host" or "https://host" with perhaps a port: it would break every document. */
MUST_CHECK bool pinexq_root_make(struct str origin, struct buf *out, struct err *err);

/* A text as the value of a query's parameter, appended. */
void pinexq_query_escape(struct buf *out, struct str text);

#endif
