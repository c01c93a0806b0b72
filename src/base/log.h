/* log.h: one event a line on stderr, unless it is sent elsewhere: `2026-… level event key=value …`.
 *
 * error: someone must act. warn: we coped. info: the service changed. debug: everything else.
 * Values are quoted and control characters escaped where needed; payloads and secrets are never
 * logged. Threads: any; a line is one write(2). */
#ifndef PENSTOCK_BASE_LOG_H
#define PENSTOCK_BASE_LOG_H

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Lines above this level are dropped. Default LOG_INFO. */
void log_set_level(enum log_level level);

/* Where lines go from now on, instead of standard error; borrowed. Before other threads log. */
void log_set_fd(int fd);

/* A line is built value by value, so that the compiler checks each format:
 *     struct log_line *line = log_begin(LOG_INFO, "job.started");
 *     log_value(line, "job", "%s", name);
 *     log_end(line); */
struct log_line;
struct log_line *log_begin(enum log_level level, const char *event); /* NULL when dropped */
void log_value(struct log_line *line, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void log_end(struct log_line *line); /* writes and frees; NULL is fine */

/* The common case: an event with one value. */
#define LOG1(level, event, key, ...)                                                               \
    do {                                                                                           \
        struct log_line *line_ = log_begin((level), (event));                                      \
        log_value(line_, (key), __VA_ARGS__);                                                      \
        log_end(line_);                                                                            \
    } while (0)

#endif
