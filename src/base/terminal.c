/* terminal.c: see terminal.h. */
#include "base/terminal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

bool terminal_is(FILE *out)
{
    return isatty(fileno(out)) == 1;
}

int terminal_columns(FILE *out)
{
    struct winsize size;
    if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}

static bool coloured(FILE *out)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return terminal_is(out) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

const char *terminal_colour(FILE *out, enum colour colour)
{
    static const char *const codes[] = {
        [COLOUR_NONE] = "\033[0m",  [COLOUR_GOOD] = "\033[32m", [COLOUR_BAD] = "\033[31m",
        [COLOUR_WARN] = "\033[33m", [COLOUR_FAINT] = "\033[2m",
    };
    return coloured(out) ? codes[colour] : "";
}

void count_text(int64_t number, char out[COUNT_TEXT_SIZE])
{
    char digits[COUNT_TEXT_SIZE];
    int len = snprintf(digits, sizeof digits, "%" PRId64, number);
    int first = number < 0;
    char *to = out;
    for (int i = 0; i < len; i++) {
        if (i > first && (len - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
}

void span_text(double seconds, char out[SPAN_TEXT_SIZE])
{
    int64_t s = seconds < 0      ? 0
                : seconds > 1e12 ? INT64_C(1000000000000)
                                 : (int64_t)(seconds + 0.5);
    int64_t minutes = s / 60 % 60, hours = s / 3600;
    if (s < 60)
        snprintf(out, SPAN_TEXT_SIZE, "%" PRId64 " s", s);
    else if (hours == 0)
        snprintf(out, SPAN_TEXT_SIZE, "%" PRId64 ":%02" PRId64, minutes, s % 60);
    else if (hours < 48)
        snprintf(out, SPAN_TEXT_SIZE, "%" PRId64 ":%02" PRId64 ":%02" PRId64, hours, minutes,
                 s % 60);
    else
        snprintf(out, SPAN_TEXT_SIZE, "%" PRId64 " d %" PRId64 " h", hours / 24, hours % 24);
}

struct cell {
    char *text;
    int width;
    enum colour colour;
};

struct table {
    const char *const *titles;
    size_t columns, count, room;
    struct cell *cells;
};

/* Columns that a text takes; bytes when it is no text of this locale. */
static int width_of(const char *text)
{
    size_t wide = mbstowcs(NULL, text, 0);
    if (wide == (size_t)-1)
        return (int)strlen(text);
    OWNED_MEM wchar_t *letters = xcalloc(wide + 1, sizeof *letters);
    mbstowcs(letters, text, wide + 1);
    int width = wcswidth(letters, wide);
    return width < 0 ? (int)wide : width;
}

struct table *table_new(const char *const *titles)
{
    struct table *t = xcalloc(1, sizeof *t);
    t->titles = titles;
    while (titles[t->columns])
        t->columns++;
    return t;
}

void table_cell(struct table *t, struct str text, enum colour colour)
{
    if (t->count == t->room) {
        t->room = t->room ? 2 * t->room : 64;
        t->cells = xrealloc(t->cells, t->room * sizeof *t->cells);
    }
    char *copy = xstrndup(text.ptr ? text.ptr : "", text.len);
    for (char *c = copy; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    t->cells[t->count++] = (struct cell){copy, width_of(copy), colour};
}

static void print_cell(FILE *out, const char *text, int width, int room, bool right, bool last,
                       enum colour colour)
{
    const char *on = colour == COLOUR_NONE ? "" : terminal_colour(out, colour);
    const char *off = *on ? terminal_colour(out, COLOUR_NONE) : "";
    int gap = room - width;
    fprintf(out, "%*s%s%s%s%*s", right ? gap : 0, "", on, text, off,
            right ? (last ? 0 : 2) : (last ? 0 : gap + 2), "");
}

void table_print(const struct table *t, FILE *out)
{
    assert(t->count % t->columns == 0);
    OWNED_MEM int *widths = xcalloc(t->columns, sizeof *widths);
    for (size_t c = 0; c < t->columns; c++) {
        widths[c] = width_of(t->titles[c] + (t->titles[c][0] == '>'));
        for (size_t i = c; i < t->count; i += t->columns)
            if (t->cells[i].width > widths[c])
                widths[c] = t->cells[i].width;
    }
    for (size_t i = 0; i < t->columns + t->count; i++) {
        size_t c = i % t->columns;
        bool right = t->titles[c][0] == '>', last = c + 1 == t->columns;
        if (i < t->columns) {
            const char *title = t->titles[c] + right;
            print_cell(out, title, width_of(title), widths[c], right, last, COLOUR_FAINT);
        } else {
            const struct cell *cell = &t->cells[i - t->columns];
            print_cell(out, cell->text, cell->width, widths[c], right, last, cell->colour);
        }
        if (last)
            fputc('\n', out);
    }
}

void table_free(struct table *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->count; i++)
        free(t->cells[i].text);
    free(t->cells);
    free(t);
}
