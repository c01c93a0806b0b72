#include "http/body_chunks.h"

/* Nobody needs more of what is skipped. */
enum { EXTRAS_MAX = 16 << 10 };
/* 2^60 bytes are more than any limit. */
enum { DIGITS_MAX = 15 };

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void size_byte(struct body_chunks *c, char byte)
{
    int digit = hex_digit(byte);
    if (digit >= 0 && c->digits < DIGITS_MAX) {
        c->left = c->left * 16 + digit;
        c->digits++;
        return;
    }
    if (c->digits == 0 || digit >= 0)
        c->at = CHUNK_BROKEN;
    else if (byte == '\r')
        c->at = CHUNK_SIZE_END;
    else if (byte == ';' || byte == ' ' || byte == '\t')
        c->at = CHUNK_EXTENSION;
    else
        c->at = CHUNK_BROKEN;
}

/* What is skipped has no line ends of its own making. */
static void skipped_byte(struct body_chunks *c, char byte)
{
    if (byte == '\n' || byte == '\0' || c->extras++ == EXTRAS_MAX)
        c->at = CHUNK_BROKEN;
}

static void size_end_byte(struct body_chunks *c, char byte)
{
    if (byte != '\n') {
        c->at = CHUNK_BROKEN;
        return;
    }
    c->at = c->left > 0 ? CHUNK_DATA : CHUNK_TRAILER;
    c->digits = 0;
    c->line = 0;
}

static void trailer_byte(struct body_chunks *c, char byte)
{
    if (byte == '\r') {
        c->at = CHUNK_TRAILER_LF;
        return;
    }
    c->line++;
    skipped_byte(c, byte);
}

/* One byte of what is no data. */
static void take_byte(struct body_chunks *c, char byte)
{
    switch (c->at) {
    case CHUNK_SIZE:
        size_byte(c, byte);
        break;
    case CHUNK_EXTENSION:
        if (byte == '\r')
            c->at = CHUNK_SIZE_END;
        else
            skipped_byte(c, byte);
        break;
    case CHUNK_SIZE_END:
        size_end_byte(c, byte);
        break;
    case CHUNK_DATA_CR:
        c->at = byte == '\r' ? CHUNK_DATA_LF : CHUNK_BROKEN;
        break;
    case CHUNK_DATA_LF:
        c->at = byte == '\n' ? CHUNK_SIZE : CHUNK_BROKEN;
        break;
    case CHUNK_TRAILER:
        trailer_byte(c, byte);
        break;
    case CHUNK_TRAILER_LF:
        c->at = byte != '\n' ? CHUNK_BROKEN : c->line > 0 ? CHUNK_TRAILER : CHUNK_OVER;
        c->line = 0;
        break;
    case CHUNK_DATA:
    case CHUNK_OVER:
    case CHUNK_BROKEN:
        break;
    }
}

enum chunks_got chunks_read(struct body_chunks *c, struct str in, size_t *used, struct str *data)
{
    for (*used = 0; *used < in.len || c->at == CHUNK_OVER || c->at == CHUNK_BROKEN;) {
        if (c->at == CHUNK_OVER)
            return CHUNKS_END;
        if (c->at == CHUNK_BROKEN)
            return CHUNKS_BROKEN;
        if (c->at != CHUNK_DATA) {
            take_byte(c, in.ptr[(*used)++]);
            continue;
        }
        size_t here = in.len - *used;
        size_t len = (int64_t)here < c->left ? here : (size_t)c->left;
        *data = (struct str){in.ptr + *used, len};
        *used += len;
        c->left -= (int64_t)len;
        if (c->left == 0)
            c->at = CHUNK_DATA_CR;
        return CHUNKS_DATA;
    }
    return CHUNKS_MORE;
}
