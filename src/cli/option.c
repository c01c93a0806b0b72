/* option.c: see option.h. */
#include "cli/option.h"

#include "base/parse.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct given {
    const struct option *option;
    const char *value;
};

struct options {
    option_tables tables;
    struct given *given;
    const char **arguments;
    size_t given_count, argument_count;
};

enum { NEAR_ENOUGH = 2, WORD_MAX = 64, SUGGESTIONS_MAX = 128 };

static size_t min_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many letters must be put in, taken out or changed to make `b` of `a` (Levenshtein). */
static size_t distance(const char *a, const char *b)
{
    size_t row[WORD_MAX + 1], length = strlen(b);
    if (strlen(a) > WORD_MAX || length > WORD_MAX)
        return WORD_MAX;
    for (size_t j = 0; j <= length; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= length; j++) {
            size_t above = row[j];
            size_t changed = diagonal + (a[i - 1] != b[j - 1]);
            row[j] = min_of(changed, min_of(above, row[j - 1]) + 1);
            diagonal = above;
        }
    }
    return row[length];
}

const char *option_nearest(const char *word, const char *const *words, size_t count)
{
    const char *best = NULL;
    size_t least = NEAR_ENOUGH + 1;
    for (size_t i = 0; i < count; i++) {
        size_t d = distance(word, words[i]);
        /* The beginning of a name, typed and left there, is near as well. */
        if (d > NEAR_ENOUGH && strlen(word) >= 3 && strncmp(word, words[i], strlen(word)) == 0)
            d = NEAR_ENOUGH;
        if (d < least && d < strlen(words[i])) {
            least = d;
            best = words[i];
        }
    }
    return best;
}

static const struct option *find(option_tables tables, const char *name, size_t len)
{
    for (option_tables t = tables; t && *t; t++)
        for (const struct option *o = *t; o->name; o++)
            if (strlen(o->name) == len && strncmp(o->name, name, len) == 0)
                return o;
    return NULL;
}

static const struct option *find_letter(option_tables tables, const char *word)
{
    for (option_tables t = tables; t && *t; t++)
        for (const struct option *o = *t; o->name; o++)
            if (o->letter && word[0] == '-' && word[1] == o->letter && !word[2])
                return o;
    return NULL;
}

static bool refuse_unknown(option_tables tables, const char *name, struct err *err)
{
    const char *names[SUGGESTIONS_MAX];
    size_t count = 0;
    for (option_tables t = tables; t && *t; t++)
        for (const struct option *o = *t; o->name && count < SUGGESTIONS_MAX; o++)
            names[count++] = o->name;
    const char *nearest = option_nearest(name, names, count);
    if (nearest)
        return err_set(err, ERR_INVALID, "no option --%s; do you mean --%s?", name, nearest);
    return err_set(err, ERR_INVALID, "no option --%s", name);
}

/* Takes an option with its value, which may be the next word. */
static bool take_one(struct options *o, const struct option *option, const char *value, int argc,
                     char **argv, int *at, struct err *err)
{
    if (!option->value && value)
        return err_set(err, ERR_INVALID, "--%s takes no value", option->name);
    if (option->value && !value) {
        if (*at + 1 >= argc)
            return err_set(err, ERR_INVALID, "--%s needs a value (%s)", option->name,
                           option->value);
        value = argv[++*at];
    }
    if (!option->many && options_count(o, option->name) > 0)
        return err_set(err, ERR_INVALID, "--%s is given twice", option->name);
    o->given[o->given_count++] = (struct given){option, value};
    return true;
}

/* Reads the option at argv[*at]. */
static bool read_one(struct options *o, int argc, char **argv, int *at, struct err *err)
{
    const char *name = argv[*at] + 2;
    size_t len = strcspn(name, "=");
    const char *value = name[len] ? name + len + 1 : NULL;
    const struct option *option = find(o->tables, name, len);
    if (!option) {
        OWNED_MEM char *plain = xstrndup(name, len);
        return refuse_unknown(o->tables, plain, err);
    }
    return take_one(o, option, value, argc, argv, at, err);
}

bool options_read(option_tables tables, int argc, char **argv, struct options **out,
                  struct err *err)
{
    OWNED(options) struct options *o = xcalloc(1, sizeof *o);
    o->tables = tables;
    o->given = xcalloc((size_t)argc + 1, sizeof *o->given);
    o->arguments = xcalloc((size_t)argc + 1, sizeof *o->arguments);
    bool open = true;
    for (int at = 0; at < argc; at++) {
        const struct option *lettered = open ? find_letter(tables, argv[at]) : NULL;
        if (open && strcmp(argv[at], "--") == 0)
            open = false;
        else if (lettered) {
            if (!take_one(o, lettered, NULL, argc, argv, &at, err))
                return false;
        } else if (open && strncmp(argv[at], "--", 2) == 0) {
            if (!read_one(o, argc, argv, &at, err))
                return false;
        } else if (open && argv[at][0] == '-' && argv[at][1])
            return err_set(err, ERR_INVALID, "no option %s; options have long names (--help)",
                           argv[at]);
        else
            o->arguments[o->argument_count++] = argv[at];
    }
    *out = TAKE(o);
    return true;
}

void options_free(struct options *o)
{
    if (!o)
        return;
    free(o->given);
    free(o->arguments);
    free(o);
}

static const struct option *must_find(const struct options *o, const char *name)
{
    const struct option *option = find(o->tables, name, strlen(name));
    assert(option);
    return option;
}

const char *options_at(const struct options *o, const char *name, size_t i)
{
    const struct option *option = must_find(o, name);
    for (size_t k = 0; k < o->given_count; k++)
        if (o->given[k].option == option && i-- == 0)
            return o->given[k].value;
    return NULL;
}

size_t options_count(const struct options *o, const char *name)
{
    const struct option *option = must_find(o, name);
    size_t count = 0;
    for (size_t k = 0; k < o->given_count; k++)
        count += o->given[k].option == option;
    return count;
}

bool options_has(const struct options *o, const char *name)
{
    return options_count(o, name) > 0;
}

const char *options_text(const struct options *o, const char *name)
{
    const struct option *option = must_find(o, name);
    if (options_has(o, name))
        return options_at(o, name, 0);
    const char *value = option->variable ? getenv(option->variable) : NULL;
    return value && *value ? value : NULL;
}

bool options_i64(const struct options *o, const char *name, int64_t min, int64_t max,
                 int64_t fallback, int64_t *out, struct err *err)
{
    const char *text = options_text(o, name);
    if (!text) {
        *out = fallback;
        return true;
    }
    return parse_i64(str_of(text), min, max, out, err) || err_add(err, "--%s", name);
}

bool options_bytes(const struct options *o, const char *name, int64_t min, int64_t max,
                   int64_t fallback, int64_t *out, struct err *err)
{
    const char *text = options_text(o, name);
    if (!text) {
        *out = fallback;
        return true;
    }
    return parse_bytes(str_of(text), min, max, out, err) || err_add(err, "--%s", name);
}

bool options_word(const struct options *o, const char *name, const char *const *words, int fallback,
                  int *out, struct err *err)
{
    const char *text = options_text(o, name);
    size_t count = 0;
    if (!text) {
        *out = fallback;
        return true;
    }
    for (; words[count]; count++)
        if (strcmp(words[count], text) == 0) {
            *out = (int)count;
            return true;
        }
    OWNED_BUF struct buf list;
    buf_init(&list, 256);
    for (size_t i = 0; i < count; i++)
        buf_add_format(&list, "%s%s", i ? ", " : "", words[i]);
    return err_set(err, ERR_INVALID, "--%s: \"%s\" is none of %.*s", name, text, (int)list.len,
                   list.data);
}

size_t options_argument_count(const struct options *o)
{
    return o->argument_count;
}

const char *options_argument(const struct options *o, size_t i)
{
    return i < o->argument_count ? o->arguments[i] : NULL;
}
