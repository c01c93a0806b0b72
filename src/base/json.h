/* json.h: the one JSON reader and writer of the program.
 *
 * Reading is a cursor over borrowed bytes: nothing is copied, no tree is built. What the cursor has
 * passed is valid: strict RFC 8259 (no comments, no NaN, no trailing comma, no leading zero), well-
 * formed UTF-8, no lone surrogate escape, at most JSON_DEPTH_LIMIT containers inside each other.
 * What is entered by hand counts apart from the values inside it, so that whatever is a record
 * alone is one inside a message too. Numbers are never converted unless asked, so that every digit
 * is kept. Control messages and records are read by the same functions; a record is just a value
 * that nobody enters.
 *
 *     struct json j;
 *     json_open(&j, text);
 *     if (json_enter(&j, '['))
 *         while (json_item(&j)) {
 *             struct str value;
 *             if (!json_value(&j, &value))
 *                 break;
 *             ...
 *         }
 *     if (!json_end(&j))
 *         return err_set(err, ERR_INVALID, "byte %zu: %s", json_fault_at(&j), j.fault);
 *
 * Faults stick: after the first one every call answers false, so one look at the end is enough. An
 * element that was announced (json_item, json_member) and not read is passed over, and checked, by
 * the next call. Reading what was not announced is a mistake of the program and asserted.
 * Threads: a cursor belongs to one thread; there is no shared state. */
#ifndef PENSTOCK_BASE_JSON_H
#define PENSTOCK_BASE_JSON_H

#include "base/buf.h"

#define JSON_DEPTH_LIMIT 64

enum json_type {
    JSON_NONE, /* a fault, or nothing left */
    JSON_OBJECT,
    JSON_ARRAY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL
};

struct json {
    const char *start, *at, *end;
    const char *fault; /* NULL, or why the text is no JSON: static, lower case */
    uint64_t objects;  /* of the containers we are in, innermost in bit 0: whether an object */
    uint64_t begun;    /* likewise: whether an element was announced in it */
    int depth;
    bool due; /* a value was announced and not passed */
};

/* Starts at the text's only value. The bytes stay the caller's and must outlive the cursor. */
void json_open(struct json *j, struct str text);
/* Type of the value that comes next, by its first character; nothing is passed or checked. */
enum json_type json_peek(struct json *j);
/* Goes into the object ('{') or array ('[') that comes next. False when something else comes: that
 * is a fault ("expected an object"). Who does not want the fault peeks first. */
bool json_enter(struct json *j, char bracket);
/* In an array: true when another element follows; false when the array has ended (and was left). */
bool json_item(struct json *j);
/* In an object: true when another member follows, its name in *name: raw, with quotes, escapes not
 * undone (json_text undoes them; json_name_is compares). False when the object has ended. */
bool json_member(struct json *j, struct str *name);
/* Passes one whole value; *raw is its bytes without blanks around, borrowed from the text. The
 * workhorse: validates at gigabytes a second. */
bool json_value(struct json *j, struct str *raw);
/* True when no fault was met, the value was read to its end and only blanks are left. Otherwise
 * `fault` says why. */
bool json_end(struct json *j);
/* Where the fault is: offset in bytes from the start, of the first byte that cannot be right; the
 * length of the text when it ended too early. */
size_t json_fault_at(const struct json *j);

/* Whether the text is exactly one value, blanks around allowed. On false *fault_at and *fault (both
 * may be NULL) say where and why. */
bool json_check(struct str text, size_t *fault_at, const char **fault);

/* The same, and of an object the raw values of the members that are wanted, in one pass: the last
 * one where a name is doubled, an empty one with a NULL pointer where there is none. */
struct json_wanted {
    const char *name;
    size_t name_len;
    struct str value;
};
bool json_check_members(struct str text, struct json_wanted *wanted, size_t count, size_t *fault_at,
                        const char **fault);

/* The following take a raw value as json_value gave it, hence valid. */
enum json_type json_type_of(struct str raw);
/* Whether a name, or any string, means `name` once its escapes are undone. */
bool json_name_is(struct str raw_name, const char *name);
/* A string's text, escapes undone, appended to out (look at out->full). False when raw is no string
 * (nothing appended). May hold NUL characters. */
bool json_text(struct str raw, struct buf *out);
/* The same as a C string to be freed, NULL when raw is no string or holds a NUL character. */
char *json_take_text(struct str raw);
/* The same for people: a NUL character is U+FFFD. NULL when raw is no string. */
char *json_take_shown(struct str raw);
/* A whole number in [min, max], written without fraction or exponent. */
bool json_i64(struct str raw, int64_t min, int64_t max, int64_t *out);
/* The nearest double; false when raw is no number or none is near (1e999). */
bool json_double(struct str raw, double *out);
bool json_bool(struct str raw, bool *out);
/* The member of an object by its name, the last one when doubled. False when raw is no object or
 * has no such member. */
bool json_find(struct str raw_object, const char *name, struct str *value);

/* Writing: appended to a buf; commas are put by the writer. No JSON is put together with printf. */
struct json_out {
    struct buf *buf;
    bool comma; /* whether a comma is due before the next element */
};

void json_out_init(struct json_out *o, struct buf *buf);
void json_out_open(struct json_out *o, char bracket);  /* '{' or '[' */
void json_out_close(struct json_out *o, char bracket); /* '}' or ']' */
void json_out_name(struct json_out *o, const char *name);
void json_out_text(struct json_out *o, const char *text); /* NULL writes null */
void json_out_str(struct json_out *o, struct str text);   /* escaped; bad UTF-8 becomes U+FFFD */
void json_out_i64(struct json_out *o, int64_t number);
void json_out_double(struct json_out *o,
                     double number); /* shortest that reads back; nan/inf: null */
void json_out_bool(struct json_out *o, bool value);
void json_out_null(struct json_out *o);
void json_out_raw(struct json_out *o, struct str raw); /* a valid value as it is */

#endif
