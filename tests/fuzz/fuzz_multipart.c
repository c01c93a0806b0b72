/* Forms: the first line is the Content-Type, the rest the body. The same is told however the bytes
 * come, and never more bytes than there are; parts end one after the other. */
#include "base/buf.h"
#include "fuzz.h"
#include "http/multipart.h"

struct told {
    struct buf text; /* what was told, in a form that is compared */
    size_t bytes;
    bool within;
};

static bool note_begin(void *context, const struct multipart_part *part, struct err *err)
{
    struct told *t = context;
    (void)err;
    HOLDS(!t->within);
    t->within = true;
    buf_add_char(&t->text, '[');
    buf_add_str(&t->text, part->name);
    buf_add_char(&t->text, '|');
    buf_add_str(&t->text, part->filename);
    buf_add_char(&t->text, '|');
    buf_add_str(&t->text, part->content_type);
    buf_add_char(&t->text, ':');
    return true;
}

static bool note_bytes(void *context, struct str piece, struct err *err)
{
    struct told *t = context;
    (void)err;
    HOLDS(t->within && piece.len > 0);
    t->bytes += piece.len;
    buf_add_str(&t->text, piece);
    return true;
}

static bool note_end(void *context, struct err *err)
{
    struct told *t = context;
    (void)err;
    HOLDS(t->within);
    t->within = false;
    buf_add_char(&t->text, ']');
    return true;
}

static bool read_form(const char *type, struct str body, size_t step, struct told *t,
                      struct err *err)
{
    struct multipart_taker taker = {note_begin, note_bytes, note_end, t};
    OWNED(multipart) struct multipart *m = NULL;
    bool good = multipart_new(type, &taker, &m, err);
    for (size_t at = 0; good && at < body.len; at += step) {
        size_t len = body.len - at < step ? body.len - at : step;
        good = multipart_take(m, (struct str){body.ptr + at, len}, err);
    }
    return good && multipart_end(m, err) && !t->within;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *line_end = size ? memchr(data, '\n', size) : NULL;
    if (!line_end)
        return 0;
    char *type = xstrndup((const char *)data, (size_t)(line_end - (const char *)data));
    struct str body = {line_end + 1, size - strlen(type) - 1};
    if (strlen(type) == (size_t)(line_end - (const char *)data)) {
        struct told whole = {.bytes = 0}, again = {.bytes = 0};
        struct err err = {0}, err_again = {0};
        buf_init(&whole.text, BUF_NO_CAP);
        buf_init(&again.text, BUF_NO_CAP);
        bool good = read_form(type, body, body.len + 1, &whole, &err);
        HOLDS(read_form(type, body, 1 + size % 7, &again, &err_again) == good);
        HOLDS(err.code == err_again.code);
        HOLDS(str_eq(buf_str(&whole.text), buf_str(&again.text)));
        HOLDS(whole.bytes <= body.len);
        buf_release(&whole.text);
        buf_release(&again.text);
    }
    free(type);
    return 0;
}
