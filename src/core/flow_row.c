/* flow_row.c: see flow_row.h. */
#include "core/flow_row.h"

#include <stdlib.h>

static const char *const python_columns[] = {
    "ID",          "PARENT_IDS",  "MAX_ATTEMPTS", "RETRY_WAIT_TIME", "PROCESS_NAME",
    "MODULE_NAME", "WORKER_NAME", "ARGUMENTS",    "LOGFILE"};
static const char *const shell_columns[] = {
    "ID",           "PARENT_IDS",    "MAX_ATTEMPTS", "RETRY_WAIT_TIME",
    "PROCESS_NAME", "SHELL_COMMAND", "LOGFILE"};

const char *const *flow_columns(enum flow_mode mode, size_t *count, size_t *required)
{
    bool shell = mode == FLOW_SHELL;
    *count = shell ? 7 : 9;
    *required = shell ? 6 : 7;
    return shell ? shell_columns : python_columns;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* What is blank only is nothing at its beginning. */
static struct str trim_blanks(struct str s)
{
    const char *start = s.ptr;
    while (s.len && is_blank(s.ptr[0]))
        s = (struct str){s.ptr + 1, s.len - 1};
    while (s.len && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s.len ? s : (struct str){start, 0};
}

/* The end of what stands before the first `separator` that is in no quotes; text.len when there is
 * none. A quote opens at the start, or behind a blank, a comma, a `=` or the separator, if its
 * partner follows. */
static size_t find_outside(struct str text, char separator)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i], before = i ? text.ptr[i - 1] : separator;
        if (c == separator)
            return i;
        if ((c != '"' && c != '\'') ||
            !(is_blank(before) || before == ',' || before == '=' || before == separator))
            continue;
        const char *partner = memchr(text.ptr + i + 1, c, text.len - i - 1);
        if (partner)
            i = (size_t)(partner - text.ptr);
    }
    return text.len;
}

static uint32_t characters(const char *from, const char *to)
{
    uint32_t count = 0;
    for (; from < to; from++)
        count += ((unsigned char)*from & 0xC0) != 0x80;
    return count;
}

struct flow_problem flow_row_place(const struct flow_row *row, const char *at, const char *field)
{
    return (struct flow_problem){.line = row->line,
                                 .column = row->indent + characters(row->text.ptr, at) + 1,
                                 .field = field};
}

void flow_row_split(struct flow_row *row, enum flow_mode mode, struct flow_problems *problems)
{
    size_t columns = 0, required = 0;
    const char *const *names = flow_columns(mode, &columns, &required);
    struct str rest = row->text;
    size_t count = 0;
    for (bool more = true; more; count++) {
        size_t end = find_outside(rest, '|');
        struct str field = trim_blanks((struct str){rest.ptr, end});
        if (count < columns) {
            row->fields[count] = field;
        } else if (field.len) {
            struct flow_problem extra = flow_row_place(row, field.ptr, "EXTRA");
            flow_problem_add(problems, &extra, "\"%.*s\" stands behind the last column, %s",
                             (int)field.len, field.ptr, names[columns - 1]);
        }
        more = end < rest.len;
        rest = more ? (struct str){rest.ptr + end + 1, rest.len - end - 1} : rest;
    }
    row->count = count < columns ? count : columns;
    if (count < required) {
        struct flow_problem missing =
            flow_row_place(row, row->text.ptr + row->text.len, names[count]);
        flow_problem_add(problems, &missing, "is missing: the row has %zu fields, not %zu or more",
                         count, required);
    }
}

static size_t name_length(struct str s)
{
    size_t len = 0;
    while (len < s.len &&
           (s.ptr[len] == '_' || ((s.ptr[len] | 32) >= 'a' && (s.ptr[len] | 32) <= 'z') ||
            (len > 0 && s.ptr[len] >= '0' && s.ptr[len] <= '9')))
        len++;
    return len;
}

/* Puts in the variable that `rest` begins with; returns how many bytes it took, 0 when it is none
 * that could be put in. */
static size_t expand_one(const struct flow_row *row, struct str rest, const char *column,
                         flow_lookup *lookup, void *context, struct buf *out,
                         struct flow_problems *problems)
{
    static const size_t opening = sizeof "$ENV{" - 1;
    struct flow_problem place = flow_row_place(row, rest.ptr, column);
    struct str inside = {rest.ptr + opening, rest.len - opening};
    size_t len = name_length(inside);
    if (len == 0 || len == inside.len || inside.ptr[len] != '}') {
        const char *end = memchr(inside.ptr, '}', inside.len);
        if (end)
            flow_problem_add(problems, &place, "\"%.*s\" names no variable",
                             (int)(end + 1 - rest.ptr), rest.ptr);
        else
            flow_problem_add(problems, &place, "\"$ENV{\" without its \"}\"");
        return 0;
    }
    OWNED_MEM char *name = xstrndup(inside.ptr, len);
    const char *value = lookup(context, name);
    if (!value) {
        flow_problem_add(problems, &place, "the environment variable %s is not defined", name);
        return 0;
    }
    buf_add_text(out, value);
    return opening + len + 1;
}

char *flow_row_expand(const struct flow_row *row, struct str field, const char *column,
                      flow_lookup *lookup, void *context, struct flow_problems *problems)
{
    struct buf out;
    bool good = true;
    buf_init(&out, BUF_NO_CAP);
    for (size_t i = 0; i < field.len;) {
        struct str rest = {field.ptr + i, field.len - i};
        size_t took = 0;
        if (rest.len >= 5 && memcmp(rest.ptr, "$ENV{", 5) == 0) {
            took = expand_one(row, rest, column, lookup, context, &out, problems);
            good = good && took > 0;
        } else {
            buf_add_char(&out, rest.ptr[0]);
            took = 1;
        }
        i += took ? took : 5;
    }
    if (good)
        return buf_take(&out);
    buf_release(&out);
    return NULL;
}

char *flow_next_argument(struct str *list)
{
    while (list->len) {
        size_t end = find_outside(*list, ',');
        struct str piece = trim_blanks((struct str){list->ptr, end});
        size_t past = end < list->len ? end + 1 : end;
        *list = (struct str){list->ptr + past, list->len - past};
        if (piece.len >= 2 && piece.ptr[0] == '"' && piece.ptr[piece.len - 1] == '"')
            return xstrndup(piece.ptr + 1, piece.len - 2);
        if (piece.len)
            return xstrndup(piece.ptr, piece.len);
    }
    return NULL;
}
