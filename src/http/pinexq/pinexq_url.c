/* pinexq_url.c: see pinexq_url.h. */
#include "http/pinexq/pinexq_url.h"

#include <assert.h>
#include <strings.h>

static const char *const kinds[PINEXQ_KIND_COUNT] = {"Job", "WorkData", "ProcessingStep", "Folder"};

/* What stands before the id: a UUID of version 8, which may hold what one likes. */
static const char uuid_start[] = "00000000-0000-8000-8000-";
enum { UUID_START_CHARS = sizeof uuid_start - 1, ID_DIGITS = 12 };

/* --- ids --- */

void pinexq_uuid_write(int64_t id, char out[PINEXQ_UUID_CHARS + 1])
{
    static const char hex[] = "0123456789abcdef";
    assert(id > 0 && id <= PINEXQ_ID_MAX);
    memcpy(out, uuid_start, UUID_START_CHARS);
    for (int i = ID_DIGITS - 1; i >= 0; i--, id >>= 4)
        out[UUID_START_CHARS + i] = hex[id & 15];
    out[PINEXQ_UUID_CHARS] = '\0';
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool pinexq_uuid_read(struct str text, int64_t *out)
{
    int64_t id = 0;
    if (text.len != PINEXQ_UUID_CHARS || memcmp(text.ptr, uuid_start, UUID_START_CHARS) != 0)
        return false;
    for (size_t i = UUID_START_CHARS; i < PINEXQ_UUID_CHARS; i++) {
        int digit = digit_of(text.ptr[i]);
        if (digit < 0)
            return false;
        id = id << 4 | digit;
    }
    if (id == 0)
        return false;
    *out = id;
    return true;
}

/* --- writing --- */

static void write_thing(struct buf *out, const struct pinexq_href *href)
{
    char uuid[PINEXQ_UUID_CHARS + 1];
    pinexq_uuid_write(href->id, uuid);
    buf_add_str(out, STR("/api/"));
    buf_add_text(out, kinds[href->kind]);
    buf_add_char(out, '/');
    buf_add(out, uuid, PINEXQ_UUID_CHARS);
}

void pinexq_href_write(struct buf *out, struct str root, const struct pinexq_href *href)
{
    buf_add_str(out, root);
    if (href->path)
        buf_add_text(out, href->path);
    else
        write_thing(out, href);
    if (href->slot) {
        buf_add_text(out, href->slot);
        buf_add_i64(out, href->place);
    }
    if (href->action) {
        buf_add_char(out, '/');
        buf_add_text(out, href->action);
    }
    if (href->query.len) {
        buf_add_char(out, '?');
        buf_add_str(out, href->query);
    }
}

static bool is_unreserved(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void pinexq_query_escape(struct buf *out, struct str text)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        char escape[] = {'%', hex[c >> 4], hex[c & 15]};
        if (is_unreserved(text.ptr[i]))
            buf_add_char(out, text.ptr[i]);
        else
            buf_add(out, escape, sizeof escape);
    }
}

/* --- reading --- */

/* What follows the last "/api/KIND/", without query, fragment and slashes at its end. */
static struct str last_segment(struct str url, const char *kind)
{
    size_t len = 0;
    while (len < url.len && url.ptr[len] != '?' && url.ptr[len] != '#')
        len++;
    while (len > 0 && url.ptr[len - 1] == '/')
        len--;
    size_t at = len, kind_len = strlen(kind), before = strlen("/api/") + kind_len + 1;
    while (at > 0 && url.ptr[at - 1] != '/')
        at--;
    if (at < before || memcmp(url.ptr + at - before, "/api/", strlen("/api/")) != 0 ||
        memcmp(url.ptr + at - 1 - kind_len, kind, kind_len) != 0)
        return STR("");
    return (struct str){url.ptr + at, len - at};
}

bool pinexq_url_read(const char *member, struct str url, enum pinexq_kind kind, int64_t *out,
                     struct err *err)
{
    int shown = url.len > 100 ? 100 : (int)url.len;
    return pinexq_uuid_read(last_segment(url, kinds[kind]), out) ||
           err_set(err, ERR_INVALID, "%s: expected the URL of a %s, not \"%.*s\"", member,
                   kinds[kind], shown, url.ptr ? url.ptr : "");
}

/* --- roots --- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Letters and signs that a host and its port are made of. */
static bool is_host_char(char c)
{
    return is_unreserved(c) || c == ':' || c == '[' || c == ']';
}

static bool ends_in(struct str text, struct str end)
{
    return text.len >= end.len && memcmp(text.ptr + text.len - end.len, end.ptr, end.len) == 0;
}

bool pinexq_root_make(struct str origin, struct buf *out, struct err *err)
{
    static const struct {
        struct str scheme, port;
    } schemes[] = {{STR_INIT("http://"), STR_INIT(":80")},
                   {STR_INIT("https://"), STR_INIT(":443")}};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        struct str scheme = schemes[i].scheme;
        if (origin.len <= scheme.len || strncasecmp(origin.ptr, scheme.ptr, scheme.len) != 0)
            continue;
        struct str host = {origin.ptr + scheme.len, origin.len - scheme.len};
        if (ends_in(host, schemes[i].port))
            host.len -= schemes[i].port.len;
        size_t good = 0;
        while (good < host.len && is_host_char(host.ptr[good]))
            good++;
        if (good == 0 || good < host.len)
            break;
        buf_add_str(out, scheme);
        for (size_t k = 0; k < host.len; k++)
            buf_add_char(out, lower(host.ptr[k]));
        return true;
    }
    return err_set(err, ERR_INVALID, "the Host header is no name and port");
}
