/* csv_header.c: see csv_header.h. */
#include "io/csv_header.h"

/* The text is stored with each commit of the job. */
enum { KEPT_BYTES = 16 << 10, SHOWN_BYTES = 48 };

static const char member[] = "{\"header\":";

char *csv_header_text(const char *names, const size_t *ends, size_t count)
{
    struct buf text;
    buf_init(&text, BUF_NO_CAP);
    if (!count || ends[count - 1] > KEPT_BYTES)
        return NULL;
    buf_add_text(&text, member);
    for (size_t i = 0, at = 0; i < count; at = ends[i++]) {
        buf_add_char(&text, i ? ',' : '[');
        buf_add(&text, names + at, ends[i] - at - 1);
    }
    buf_add_text(&text, "]}");
    return buf_take(&text);
}

bool csv_header_is_text(const char *kept)
{
    return strncmp(kept, member, sizeof member - 1) == 0;
}

/* The list of names, as far as there is room for it in a message. */
static struct str shown(const char *text, const char **more)
{
    struct str list = str_of(text);
    list.ptr += sizeof member - 1;
    list.len -= sizeof member; /* and the last bracket */
    *more = list.len > SHOWN_BYTES ? "..." : "";
    if (list.len > SHOWN_BYTES)
        list.len = SHOWN_BYTES;
    while (list.len && (list.ptr[list.len] & 0xc0) == 0x80) /* not within a letter */
        list.len--;
    return list;
}

bool csv_header_check(const char *name, const char *now, const char *before, struct err *err)
{
    const char *more_now = NULL, *more_before = NULL;
    if (strcmp(now, before) == 0)
        return true;
    struct str is = shown(now, &more_now), was = shown(before, &more_before);
    return err_set(err, ERR_CONFLICT,
                   "the header of %s is %.*s%s now, it was %.*s%s when the job was started", name,
                   (int)is.len, is.ptr, more_now, (int)was.len, was.ptr, more_before);
}
