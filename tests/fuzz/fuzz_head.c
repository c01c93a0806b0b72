/* Heads of requests and bodies in chunks. A head that is read lies in its own text, says one length
 * or is refused, and is found by its names; chunks give the same body however their bytes come, and
 * never more than there are. */
#include "base/buf.h"
#include "fuzz.h"
#include "http/body_chunks.h"
#include "http/request_head.h"

static bool lies_in(const struct request_head *h, const char *text, const char *from, size_t len)
{
    return text >= from && text + strlen(text) < from + len && h->text == from;
}

static void look_at_head(const uint8_t *data, size_t size)
{
    static struct request_head h;
    size_t len = head_size((struct str){(const char *)data, size});
    if (len == 0 || len > HEAD_MAX_BYTES)
        return;
    /* As large as the text, so that a step beyond it is seen. */
    char *text = xcalloc(1, len);
    memcpy(text, data, len);
    head_read(text, len, &h);
    HOLDS(h.length >= -1 && h.length <= HEAD_LENGTH_HUGE);
    HOLDS(!h.unclear == !h.status);
    HOLDS(h.unclear || lies_in(&h, h.method, text, len));
    HOLDS(h.unclear || lies_in(&h, h.target, text, len));
    for (size_t i = 0; i < h.count; i++) {
        const char *name = text + h.fields[i].name;
        HOLDS(lies_in(&h, name, text, len) && strlen(name) == h.fields[i].name_len);
        HOLDS(lies_in(&h, text + h.fields[i].value, text, len));
        HOLDS(head_find(&h, name) && head_find(&h, name) <= text + h.fields[i].value);
    }
    free(text);
}

static enum chunks_got read_all(struct str bytes, size_t piece, struct buf *body, size_t *left)
{
    struct body_chunks c = {0};
    size_t at = 0;
    for (;;) {
        size_t here = bytes.len - at < piece ? bytes.len - at : piece, used = 0;
        struct str data = {0};
        enum chunks_got got = chunks_read(&c, (struct str){bytes.ptr + at, here}, &used, &data);
        HOLDS(used <= here);
        at += used;
        *left = bytes.len - at;
        if (got == CHUNKS_DATA) {
            HOLDS(data.len > 0 && data.len <= used);
            buf_add_str(body, data);
        } else if (got != CHUNKS_MORE || at == bytes.len) {
            return got;
        }
    }
}

static void look_at_chunks(const uint8_t *data, size_t size)
{
    struct str bytes = {(const char *)data, size};
    OWNED_BUF struct buf whole;
    buf_init(&whole, BUF_NO_CAP);
    OWNED_BUF struct buf again;
    buf_init(&again, BUF_NO_CAP);
    size_t left = 0, left_again = 0;
    enum chunks_got got = read_all(bytes, size ? size : 1, &whole, &left);
    HOLDS(read_all(bytes, 1 + size / 7, &again, &left_again) == got);
    HOLDS(str_eq(buf_str(&whole), buf_str(&again)) && left == left_again);
    HOLDS(whole.len <= size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    look_at_head(data, size);
    look_at_chunks(data, size);
    return 0;
}
