/* run_config.c: see run_config.h. */
#include "cli/run_config.h"

#include "base/json.h"
#include "core/job.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum key_type {
    KEY_INPUT,
    KEY_PATH,    /* relative to the folder of the file */
    KEY_TEXT,    /* empty or None: off */
    KEY_COUNT_1, /* a whole number from 1 on */
    KEY_COUNT_0, /* from 0 on */
    KEY_RPM,
    KEY_SECONDS,
    KEY_LEVEL,
    KEY_IGNORED /* every result is written at once: there are no batches to size */
};

static const struct key {
    const char *name, *option; /* the option that wins, NULL: none */
    enum key_type type;
    size_t at;         /* in struct run_settings */
    const char *usual; /* when neither says anything */
} keys[] = {
#define AT(field) offsetof(struct run_settings, field)
    {"INPUT_FILE", "input", KEY_INPUT, 0, "data/input.jsonl"},
    {"OUTPUT_FILE", "output", KEY_PATH, AT(output), "data/output.jsonl"},
    {"ERROR_FILE", "errors", KEY_PATH, AT(errors), "data/error.jsonl"},
    {"LOG_FILE", "log", KEY_PATH, AT(log), "logs/processor.log"},
    {"ID_KEY", "id-key", KEY_TEXT, AT(id_key), "id"},
    {"RERUN_KEY", "rerun-key", KEY_TEXT, AT(rerun_key), "force_rerun"},
    {"MAX_CONCURRENCY", "concurrency", KEY_COUNT_1, AT(concurrency), NULL},
    {"REQUESTS_PER_MINUTE", "rpm", KEY_RPM, AT(rpm), NULL},
    {"WRITE_BATCH_SIZE", NULL, KEY_IGNORED, 0, NULL},
    {"MAX_RETRIES", "retries", KEY_COUNT_0, AT(retries), NULL},
    {"RETRY_INITIAL_DELAY", "retry-delay", KEY_SECONDS, AT(retry_delay_us), NULL},
    {"LOG_LEVEL", NULL, KEY_LEVEL, AT(log_level), NULL},
};

static bool wrong(const struct run_settings *s, const struct key *key, struct str value,
                  const char *expected, struct err *err)
{
    return err_set(err, ERR_INVALID, "%s in %s is %.*s: it must be %s", key->name, s->config,
                   value.len > 100 ? 100 : (int)value.len, value.ptr, expected);
}

/* A path of the file, relative to where the file is; "." adds nothing. */
static char *placed(const struct run_settings *s, const char *path)
{
    bool plain = path[0] == '/' || strcmp(path, "-") == 0 || strcmp(s->base, ".") == 0;
    return plain ? xstrdup(path) : xasprintf("%s/%s", s->base, path);
}

static enum log_level level_of(const char *word)
{
    static const struct {
        const char *word;
        enum log_level level;
    } words[] = {{"DEBUG", LOG_DEBUG}, {"WARNING", LOG_WARN},   {"WARN", LOG_WARN},
                 {"ERROR", LOG_ERROR}, {"CRITICAL", LOG_ERROR}, {"FATAL", LOG_ERROR}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(word, words[i].word) == 0)
            return words[i].level;
    return LOG_INFO;
}

static bool take_text(struct run_settings *s, const struct key *key, struct str value,
                      struct err *err)
{
    char **to = (char **)(void *)((char *)s + key->at);
    bool off = json_type_of(value) == JSON_NULL;
    OWNED_MEM char *text = off ? NULL : json_take_text(value);
    if (!text && !off)
        return wrong(s, key, value, "a text", err);
    if (text && *text) {
        free(*to);
        *to = key->type == KEY_PATH ? placed(s, text) : TAKE(text);
        return true;
    }
    if (strcmp(key->name, "OUTPUT_FILE") == 0)
        return wrong(s, key, value, "the name of a file", err);
    free(TAKE(*to));
    return true;
}

static bool take_input(struct run_settings *s, const struct key *key, struct str value,
                       struct err *err)
{
    OWNED_MEM char *text = json_take_text(value);
    if (!text || !*text)
        return wrong(s, key, value, "the name of a file", err);
    OWNED_MEM char *path = placed(s, text);
    return run_settings_add_inputs(s, path, key->name, err);
}

static bool take_number(struct run_settings *s, const struct key *key, struct str value,
                        struct err *err)
{
    void *to = (char *)s + key->at;
    double number = 0;
    switch (key->type) {
    case KEY_COUNT_0:
        return json_i64(value, 0, RUN_RETRIES_MAX, to) ||
               wrong(s, key, value, "a whole number from 0 to 1000", err);
    case KEY_COUNT_1:
        return json_i64(value, 1, DATA_CONCURRENCY_MAX, to) ||
               wrong(s, key, value, "a whole number from 1 to 1000000", err);
    case KEY_RPM:
        if (!json_double(value, &number) || !(number >= 0 && number <= DATA_RPM_MAX))
            return wrong(s, key, value, "a number from 0 (no limit) to 60000000", err);
        *(double *)to = number;
        return true;
    default:
        if (!json_double(value, &number) ||
            !(number >= 0 && number <= (double)DATA_RETRY_DELAY_MAX_US / 1e6))
            return wrong(s, key, value, "seconds from 0 to 86400", err);
        *(int64_t *)to = (int64_t)(number * 1e6 + 0.5);
        return true;
    }
}

static bool take_key(struct run_settings *s, const struct key *key, struct str value,
                     struct err *err)
{
    OWNED_MEM char *word = NULL;
    switch (key->type) {
    case KEY_INPUT:
        return take_input(s, key, value, err);
    case KEY_PATH:
    case KEY_TEXT:
        return take_text(s, key, value, err);
    case KEY_LEVEL:
        word = json_take_text(value);
        s->log_level = word ? level_of(word) : LOG_INFO;
        return true;
    case KEY_IGNORED:
        return true;
    case KEY_COUNT_0:
    case KEY_COUNT_1:
    case KEY_RPM:
    case KEY_SECONDS:
        break;
    }
    return take_number(s, key, value, err);
}

/* What a folder with config.py leaves out has the values of its tradition. */
static bool take_usual(struct run_settings *s, const struct key *key, struct err *err)
{
    OWNED_BUF struct buf value;
    struct json_out o;
    buf_init(&value, 256);
    if (!key->usual)
        return true;
    json_out_init(&o, &value);
    json_out_text(&o, key->usual);
    return take_key(s, key, buf_str(&value), err);
}

static bool take_settings(struct run_settings *s, const struct options *options, struct str given,
                          struct err *err)
{
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const struct key *key = &keys[i];
        struct str value;
        if (key->option && options_has(options, key->option))
            continue;
        if (!(json_find(given, key->name, &value) ? take_key(s, key, value, err)
                                                  : take_usual(s, key, err)))
            return false;
    }
    return true;
}

/* The decorator's retries are the engine's: one wait holds no slot, and nothing multiplies. */
static bool take_retry(struct run_settings *s, const struct options *options, struct str retry,
                       struct err *err)
{
    struct str value;
    double delay_s = 0;
    if (json_type_of(retry) != JSON_OBJECT)
        return true;
    if (!options_has(options, "retries") && json_find(retry, "retries", &value) &&
        !json_i64(value, 0, RUN_RETRIES_MAX, &s->retries))
        return err_set(err, ERR_INVALID, "the function's retries are %.*s: 0 to %d are possible",
                       (int)value.len, value.ptr, RUN_RETRIES_MAX);
    if (!options_has(options, "retry-delay") && json_find(retry, "delay_s", &value)) {
        if (!json_double(value, &delay_s) ||
            !(delay_s >= 0 && delay_s <= (double)DATA_RETRY_DELAY_MAX_US / 1e6))
            return err_set(err, ERR_INVALID,
                           "the function's retry delay is no time of up to a day");
        s->retry_delay_us = (int64_t)(delay_s * 1e6 + 0.5);
    }
    if (json_find(retry, "factor", &value) &&
        (!json_double(value, &s->retry_factor) || !(s->retry_factor >= 1 && s->retry_factor <= 10)))
        return err_set(err, ERR_INVALID, "the function's backoff factor is not from 1 to 10");
    return true;
}

bool run_config_take(struct run_settings *s, const struct options *options, struct str hello,
                     struct err *err)
{
    struct str value, given = STR("{}");
    if (s->config) {
        if (json_find(hello, "settings", &value) && json_type_of(value) == JSON_OBJECT)
            given = value;
        if (!take_settings(s, options, given, err))
            return false;
        if (!s->id_key)
            free(TAKE(s->rerun_key));
    }
    return !json_find(hello, "retry", &value) || take_retry(s, options, value, err);
}
