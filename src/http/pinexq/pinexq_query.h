/* pinexq_query.h: queries: a body that is posted becomes the address of its result, which has
 * pages.
 *
 * The address holds the query itself, nothing is kept: "?query=JSON", and which page it is. The
 * next page goes on behind the key of the last entity (`after...`), so that pages do not shift when
 * entities go; others (`previous`, `last`) are found by their offset. */
#ifndef PENSTOCK_HTTP_PINEXQ_PINEXQ_QUERY_H
#define PENSTOCK_HTTP_PINEXQ_PINEXQ_QUERY_H

#include "http/pinexq/siren.h"
#include "http/reply.h"
#include "http/request.h"
#include "store/step_query.h"

enum { PINEXQ_PAGE_DEFAULT = 100, PINEXQ_PAGE_MAX = 1000 };

struct pinexq_sort { /* a table of them ends with a NULL */
    const char *name;
    int sort; /* what the caller makes of it */
};

struct pinexq_query {
    struct str text;      /* the query, JSON */
    struct str filter;    /* of it, to be read by pinexq_object_read; {} when there is none */
    int sort;             /* -1: not said */
    bool descending;      /* likewise false */
    bool remaining_tags;  /* they are asked for */
    int64_t size, offset; /* of the page */
    /* Where the page goes on: */
    bool goes_on;
    struct str after_text;
    int64_t after_number, after_id;
    int64_t before; /* entities before it, of `total`: both are told by the page before */
    int64_t total;  /* -1: not known yet */
};

/* Reads the posted body. ERR_INVALID, ERR_LIMIT. What `filter` says is the caller's to check. */
MUST_CHECK bool pinexq_query_posted(struct request *req, const struct pinexq_sort *sorts,
                                    struct pinexq_query *out, struct err *err);
/* 201: the result of a posted query is at `path` ("/api/JobQueryResult"). */
MUST_CHECK bool pinexq_query_created(struct request *req, struct reply *reply, const char *path,
                                     const struct pinexq_query *q, struct err *err);
/* Reads a result's address. ERR_INVALID. */
MUST_CHECK bool pinexq_query_read(struct request *req, const struct pinexq_sort *sorts,
                                  struct pinexq_query *out, struct err *err);
/* The page of a list of the store (step_query.h); `sort` and `descending` are set where the query
 * says so. */
void pinexq_query_page(const struct pinexq_query *q, struct step_page *page);

/* What a page has: `total` of all pages, where it is not in q; `next`: its last entity, when there
 * are more behind it, else NULL. Then its properties, and behind its entities its links. */
struct pinexq_found {
    int64_t total;
    size_t count;
    bool more;
    const struct step_place *last;
};
void pinexq_query_counts(struct siren *s, const struct pinexq_query *q,
                         const struct pinexq_found *found);
void pinexq_query_links(struct siren *s, const char *path, const struct pinexq_query *q,
                        const struct pinexq_found *found);

#endif
