#include "http/request_head.h"

#include <assert.h>
#include <strings.h>

/* What a method and a header's name may be made of (RFC 9110, 5.6.2): a bit a character, letters,
 * digits and !#$%&'*+-.^_`|~. */
static bool is_token(char c)
{
    static const uint64_t bits[4] = {UINT64_C(0x03ff6cfa00000000), UINT64_C(0x57ffffffc7fffffe)};
    unsigned char byte = (unsigned char)c;
    return bits[byte / 64] >> byte % 64 & 1;
}

/* What may stand in a header's value: all but control characters, of which a tab is none here. */
static bool is_text(char c)
{
    unsigned char byte = (unsigned char)c;
    return (byte >= ' ' && byte != 0x7f) || byte == '\t';
}

size_t head_size(struct str bytes)
{
    const char *end = memmem(bytes.ptr, bytes.len, "\r\n\r\n", 4);
    return end ? (size_t)(end - bytes.ptr) + 4 : 0;
}

static void refuse(struct request_head *h, int status, const char *why)
{
    if (h->unclear)
        return;
    h->unclear = why;
    h->status = status;
}

static size_t token_length(const char *text, const char *end)
{
    const char *p = text;
    while (p < end && is_token(*p))
        p++;
    return (size_t)(p - text);
}

/* "HTTP/1.1" and what is as good. */
static void read_version(const char *text, size_t len, struct request_head *h)
{
    bool is_version = len == 8 && memcmp(text, "HTTP/", 5) == 0 && text[5] >= '0' &&
                      text[5] <= '9' && text[6] == '.' && text[7] >= '0' && text[7] <= '9';
    if (!is_version)
        refuse(h, 400, "the first line is no request of HTTP/1.1");
    else if (text[5] != '1')
        refuse(h, 505, "this server speaks HTTP/1.1");
    h->http_1_1 = !is_version || text[7] != '0';
}

/* "GET /path?query HTTP/1.1" from `line` to `end`. */
static void read_first_line(char *line, char *end, struct request_head *h)
{
    char *target = line + token_length(line, end);
    bool has_method = target > line && target < end && *target == ' ';
    char *after = has_method ? target + 1 : end;
    while (after < end && (unsigned char)*after > ' ' && *after != 0x7f)
        after++;
    bool whole = has_method && after > target + 1 && after < end && *after == ' ';
    if (!whole) {
        refuse(h, 400, "the first line is no request of HTTP/1.1");
        return;
    }
    read_version(after + 1, (size_t)(end - after - 1), h);
    *target = *after = '\0';
    h->method = line;
    h->target = target + 1;
}

static bool has_word(const char *value, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = value; *at;) {
        at += strspn(at, " \t,");
        size_t have = strcspn(at, " \t,");
        if (have == len && strncasecmp(at, word, len) == 0)
            return true;
        at += have;
    }
    return false;
}

/* Digits only: "+5", "5, 5" and "0x5" are other lengths to others. */
static void read_length(const char *value, struct request_head *h)
{
    int64_t length = 0;
    const char *at = value;
    for (; *at >= '0' && *at <= '9'; at++)
        length =
            length > HEAD_LENGTH_HUGE / 10 - 1 ? HEAD_LENGTH_HUGE / 10 : length * 10 + (*at - '0');
    if (at == value || *at)
        refuse(h, 400, "the Content-Length is no number");
    h->length = length >= HEAD_LENGTH_HUGE / 10 - 1 ? HEAD_LENGTH_HUGE : length;
}

struct seen {
    int hosts, lengths, codings;
};

/* What the header says of the request's frame. */
static void see(const char *name, size_t name_len, const char *value, struct request_head *h,
                struct seen *seen)
{
    switch (name_len) {
    case 4:
        seen->hosts += strcasecmp(name, "Host") == 0;
        break;
    case 6:
        if (strcasecmp(name, "Expect") == 0)
            h->expects = h->http_1_1 && strcasecmp(value, "100-continue") == 0;
        break;
    case 10:
        if (strcasecmp(name, "Connection") == 0) {
            h->closes |= has_word(value, "close");
            h->keeps |= has_word(value, "keep-alive");
        }
        break;
    case 14:
        if (strcasecmp(name, "Content-Length") == 0 && seen->lengths++ == 0)
            read_length(value, h);
        break;
    case 17:
        if (strcasecmp(name, "Transfer-Encoding") != 0)
            break;
        seen->codings++;
        h->length = -1;
        if (strcasecmp(value, "chunked") != 0)
            refuse(h, 400, "the only Transfer-Encoding that is known is chunked");
        break;
    default:
        break;
    }
}

/* One header from `line` to `end`. */
static void read_field(char *line, char *end, struct request_head *h, struct seen *seen)
{
    size_t name_len = token_length(line, end);
    char *colon = line + name_len;
    if (*line == ' ' || *line == '\t')
        refuse(h, 400, "a header goes on in a second line");
    else if (colon < end && (*colon == ' ' || *colon == '\t'))
        refuse(h, 400, "a header's name has a blank in it");
    else if (name_len == 0 || colon == end || *colon != ':')
        refuse(h, 400, "a header has no name");
    else if (h->count == HEAD_MAX_HEADERS)
        refuse(h, 431, "there are too many headers");
    if (h->unclear)
        return;
    char *value = colon + 1;
    for (const char *p = value; p < end; p++)
        if (!is_text(*p)) {
            refuse(h, 400, "a header has a control character in it");
            return;
        }
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *colon = *end = '\0';
    h->fields[h->count++] = (struct head_field){(uint16_t)(line - h->text), (uint16_t)name_len,
                                                (uint16_t)(value - h->text)};
    see(line, name_len, value, h, seen);
}

static void judge(const struct seen *seen, struct request_head *h)
{
    if (seen->hosts > 1)
        refuse(h, 400, "there is more than one Host header");
    if (seen->lengths + seen->codings > 1)
        refuse(h, 400, "the length of the body is told more than once");
    if (seen->codings && !h->http_1_1)
        refuse(h, 400, "HTTP/1.0 knows no Transfer-Encoding");
}

/* Not the fields: `count` says how many there are. */
static void begin(struct request_head *h, const char *text)
{
    h->method = "GET";
    h->target = "/";
    h->http_1_1 = true;
    h->length = 0;
    h->closes = h->keeps = h->expects = false;
    h->unclear = NULL;
    h->status = 0;
    h->text = text;
    h->count = 0;
}

void head_read(char *text, size_t len, struct request_head *out)
{
    assert(len >= 4 && len <= HEAD_MAX_BYTES);
    struct seen seen = {0};
    char *line = text, *last = text + len - 2; /* the empty line */
    begin(out, text);
    for (bool first = true; line < last && !out->unclear; first = false) {
        char *end = memchr(line, '\r', (size_t)(last - line));
        /* The head ends at its first empty line, so that there is a line end. */
        assert(end);
        if (end[1] != '\n')
            refuse(out, 400, "a line does not end as HTTP's lines do");
        else if (first)
            read_first_line(line, end, out);
        else
            read_field(line, end, out, &seen);
        line = end + 2;
    }
    judge(&seen, out);
}

void head_too_large(struct request_head *out)
{
    begin(out, "");
    refuse(out, 431, "the request's headers are larger than 16 KiB");
}

const char *head_find(const struct request_head *h, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < h->count; i++) {
        const struct head_field *f = &h->fields[i];
        if (f->name_len == len && strcasecmp(h->text + f->name, name) == 0)
            return h->text + f->value;
    }
    return NULL;
}
