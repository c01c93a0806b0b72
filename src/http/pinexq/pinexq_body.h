/* pinexq_body.h: what actions are told: a JSON object's members, read by a table. What is not in
 * the table, or of another type, is ERR_INVALID and named; a null is as if it were not there, also
 * one of a name that nobody knows. Texts are decoded where they lie, so that what they point to
 * must be writable, and is no JSON afterwards. */
#ifndef PENSTOCK_HTTP_PINEXQ_PINEXQ_BODY_H
#define PENSTOCK_HTTP_PINEXQ_PINEXQ_BODY_H

#include "http/pinexq/pinexq_url.h"
#include "http/request.h"
#include "store/step_query.h"

enum pinexq_type {
    PINEXQ_TEXT,   /* struct str: without a pointer when there was none; may be empty */
    PINEXQ_BOOL,   /* bool */
    PINEXQ_ONLY,   /* enum step_only: true, false, both when there is none */
    PINEXQ_NUMBER, /* int64_t in [0, INT32_MAX] */
    PINEXQ_TIME,   /* int64_t: wall clock, microseconds; a zone is needed */
    PINEXQ_URL,    /* int64_t: the id of a thing of `kind` */
    PINEXQ_TEXTS,  /* struct pinexq_texts */
    PINEXQ_URLS,   /* struct pinexq_ids, of things of `kind` */
    PINEXQ_RAW     /* struct str: the value's JSON as it is */
};
struct pinexq_texts {
    const struct str *items; /* of the request's memory; not NULL when the member was there */
    size_t count;
};
struct pinexq_ids {
    const int64_t *items; /* likewise */
    size_t count;
};
struct pinexq_member {
    const char *name;
    enum pinexq_type type;
    bool required;
    void *out; /* untouched when the member is missing or null */
    enum pinexq_kind kind;
};

/* The request's body; an empty one is an empty object. */
MUST_CHECK bool pinexq_body_read(struct request *req, const struct pinexq_member *members,
                                 size_t count, struct err *err);
/* An object within: `place` ("Filter") is put in front of what is wrong. NULL: it is the body. */
MUST_CHECK bool pinexq_object_read(struct request *req, const char *place, struct str raw,
                                   const struct pinexq_member *members, size_t count,
                                   struct err *err);
/* Texts as the JSON array that the store's filters take; of the request's memory. ERR_BUSY. */
MUST_CHECK bool pinexq_texts_json(struct request *req, const struct pinexq_texts *texts,
                                  struct str *out, struct err *err);

#endif
