/* top_screen.c: see top_screen.h. */
#include "cli/top_screen.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/terminal.h"
#include "cli/answer_member.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

/* --- as text --- */

static void add_cell(struct table *table, char *text)
{
    table_cell(table, str_of(text), COLOUR_NONE);
    free(text);
}

static char *rate_text(double rate)
{
    return rate < 0 ? xstrdup("-") : xasprintf(rate < 100 ? "%.1f" : "%.0f", rate);
}

/* What a row is made of, beside its element. */
struct context {
    const struct top_sample *now, *before;
    struct table *table;
};

static void add_queue(const struct context *c, struct str queue)
{
    static const char *const states[] = {"pending", "running", "blocked", "completed", "failed"};
    struct str counts = answer_raw(queue, "counts");
    OWNED_MEM char *name = answer_text(queue, "name");
    add_cell(c->table, xasprintf("%s%s", name, answer_flag(queue, "paused") ? " (paused)" : ""));
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        add_cell(c->table, answer_count(answer_i64(counts, states[i])));
    add_cell(c->table, rate_text(top_sample_rate(c->now, c->before, queue)));
}

static void add_running(const struct context *c, struct str task)
{
    bool told = answer_raw(task, "progress").len > 0;
    add_cell(c->table, answer_text(task, "id"));
    add_cell(c->table, answer_text(task, "function"));
    add_cell(c->table, answer_text(task, "queue"));
    add_cell(c->table, answer_text(task, "key"));
    add_cell(c->table, answer_ago(task, "started_at"));
    add_cell(c->table,
             told ? xasprintf("%.0f %%", 100 * answer_double(task, "progress")) : xstrdup("-"));
    add_cell(c->table, answer_text(task, "worker"));
}

static void add_worker(const struct context *c, struct str session)
{
    add_cell(c->table, answer_text(session, "worker"));
    add_cell(c->table, answer_count(answer_i64(session, "holding")));
    add_cell(c->table, answer_ago(session, "since"));
    add_cell(c->table, answer_ago(session, "last_at"));
}

static void add_error(const struct context *c, struct str group)
{
    struct str example = answer_raw(group, "example");
    add_cell(c->table, answer_count(answer_i64(group, "count")));
    add_cell(c->table, answer_text(group, "function"));
    add_cell(c->table, answer_text(group, "type"));
    add_cell(c->table, answer_ago(group, "last_at"));
    add_cell(c->table, answer_text(example, "message"));
}

static const struct section {
    const char *titles[9];
    void (*add)(const struct context *c, struct str element);
} sections[TOP_LIST_COUNT] = {
    [TOP_QUEUES] = {{"QUEUE", ">PENDING", ">RUNNING", ">BLOCKED", ">DONE", ">FAILED", ">ENDS/S"},
                    add_queue},
    [TOP_RUNNING] = {{">RUNNING", "FUNCTION", "QUEUE", "KEY", ">FOR", ">PROGRESS", "WORKER"},
                     add_running},
    [TOP_WORKERS] = {{"WORKER", ">HOLDS", ">HERE FOR", ">LAST WORD"}, add_worker},
    [TOP_ERRORS] = {{">FAILED", "FUNCTION", "ERROR", ">LAST", "MESSAGE"}, add_error},
};

static void print_section(const struct top_sample *now, const struct top_sample *before,
                          enum top_list list, int most, FILE *out)
{
    const struct section *section = &sections[list];
    OWNED(table) struct table *table = table_new(section->titles);
    struct context context = {now, before, table};
    struct json j;
    struct str element;
    int count = 0;
    json_open(&j, top_sample_list(now, list));
    json_enter(&j, '[');
    while (json_item(&j) && json_value(&j, &element))
        if (++count <= most || most == 0)
            section->add(&context, element);
    table_print(table, out);
    if (most > 0 && count > most)
        fprintf(out, "... and %d more\n", count - most);
}

void top_print(const struct top_sample *now, const struct top_sample *before, int most, FILE *out)
{
    for (int list = 0; list < TOP_LIST_COUNT; list++) {
        if (list > 0)
            fputc('\n', out);
        print_section(now, before, (enum top_list)list, most, out);
    }
}

/* --- on a terminal --- */

struct top_screen {
    struct termios before;
    sigset_t mask_before;
    int signals; /* signalfd */
};

bool top_screen_open(struct top_screen **out, struct err *err)
{
    struct top_screen *s = xcalloc(1, sizeof *s);
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGWINCH);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    if (tcgetattr(STDIN_FILENO, &s->before) < 0) {
        free(s);
        return err_set(err, ERR_IO, "the terminal cannot be read: %s", strerror(errno));
    }
    pthread_sigmask(SIG_BLOCK, &signals, &s->mask_before);
    s->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s->signals < 0) {
        pthread_sigmask(SIG_SETMASK, &s->mask_before, NULL);
        free(s);
        return err_set(err, ERR_IO, "signals cannot be read: %s", strerror(errno));
    }
    struct termios raw = s->before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
    fputs("\033[?1049h\033[?25l", stdout);
    fflush(stdout);
    *out = s;
    return true;
}

void top_screen_free(struct top_screen *s)
{
    if (!s)
        return;
    fputs("\033[?25h\033[?1049l", stdout);
    fflush(stdout);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &s->before);
    close(s->signals);
    pthread_sigmask(SIG_SETMASK, &s->mask_before, NULL);
    free(s);
}

static void size_of(int *rows, int *columns)
{
    struct winsize size;
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0;
    *rows = known ? size.ws_row : 24;
    *columns = known ? size.ws_col : 80;
}

/* As much of a line as has room: bytes. */
static size_t fitting(const char *line, size_t len, int columns)
{
    mbstate_t state = {0};
    size_t at = 0;
    while (at < len) {
        wchar_t letter = 0;
        size_t bytes = mbrtowc(&letter, line + at, len - at, &state);
        if (bytes == 0 || bytes > len - at) {
            bytes = 1; /* no text of this locale */
            memset(&state, 0, sizeof state);
        }
        int width = wcwidth(letter);
        columns -= width > 0 ? width : bytes == 1;
        if (columns < 0)
            break;
        at += bytes;
    }
    return at;
}

/* The lines of a text in the rows from the second on; what is left of the page is emptied. */
static void draw_lines(const char *text, int rows, int columns)
{
    bool title = true; /* the line behind an empty one */
    for (int row = 1; row < rows && *text; row++) {
        size_t len = strcspn(text, "\n");
        fprintf(stdout, "\r\n%s%.*s%s\033[K", title ? terminal_colour(stdout, COLOUR_FAINT) : "",
                (int)fitting(text, len, columns), text,
                title ? terminal_colour(stdout, COLOUR_NONE) : "");
        title = len == 0;
        text += len + (text[len] == '\n');
    }
    fputs("\033[J", stdout);
    fflush(stdout);
}

static void sums_of(const struct top_sample *now, const struct top_sample *before, int64_t *pending,
                    int64_t *running, double *rate)
{
    struct json j;
    struct str queue;
    *pending = *running = 0;
    *rate = 0;
    json_open(&j, top_sample_list(now, TOP_QUEUES));
    json_enter(&j, '[');
    while (json_item(&j) && json_value(&j, &queue)) {
        struct str counts = answer_raw(queue, "counts");
        double of_queue = top_sample_rate(now, before, queue);
        *pending += answer_i64(counts, "pending");
        *running += answer_i64(counts, "running");
        *rate += of_queue > 0 ? of_queue : 0;
    }
}

void top_screen_draw(struct top_screen *s, const struct top_sample *now,
                     const struct top_sample *before, const char *note)
{
    (void)s;
    int rows = 0, columns = 0;
    int64_t pending = 0, running = 0;
    double rate = 0;
    char *text = NULL, waits[COUNT_TEXT_SIZE], runs[COUNT_TEXT_SIZE];
    size_t len = 0;
    size_of(&rows, &columns);
    FILE *memory = open_memstream(&text, &len);
    if (!memory)
        return;
    /* Four lists, with a title, a line of what is left out and an empty line each. */
    int most = (rows - 1) / TOP_LIST_COUNT - 3;
    top_print(now, before, most > 1 ? most : 1, memory);
    fclose(memory);
    sums_of(now, before, &pending, &running, &rate);
    count_text(pending, waits);
    count_text(running, runs);
    OWNED_MEM char *head =
        note ? xstrdup(note)
             : xasprintf("penstock: %s pending, %s running, %.1f ends/s - q quits", waits, runs,
                         rate);
    fprintf(stdout, "\033[H%.*s\033[K", (int)fitting(head, strlen(head), columns), head);
    draw_lines(text, rows, columns);
    free(text);
}

/* What the keys say that were pressed. */
static bool wants_to_quit(void)
{
    char keys[64];
    ssize_t count = read(STDIN_FILENO, keys, sizeof keys);
    if (count <= 0)
        return count == 0 || errno != EINTR;
    for (ssize_t i = 0; i < count; i++)
        if (keys[i] == 'q' || keys[i] == 'Q')
            return true;
    return false;
}

enum top_event top_screen_wait(struct top_screen *s, int64_t until_us)
{
    for (;;) {
        struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                               {.fd = s->signals, .events = POLLIN}};
        int64_t left_us = until_us - clock_now().mono_us;
        int ready = poll(fds, 2, left_us > 0 ? (int)(left_us / 1000) + 1 : 0);
        if (ready == 0)
            return TOP_TIME;
        struct signalfd_siginfo signal;
        if (fds[1].revents && read(s->signals, &signal, sizeof signal) == sizeof signal)
            return signal.ssi_signo == SIGWINCH ? TOP_RESIZED : TOP_QUIT;
        if (fds[0].revents && wants_to_quit())
            return TOP_QUIT;
    }
}
