/* exec_life.c: see exec_life.h. */
#include "base/clock.h"
#include "run/exec_answer.h"
#include "run/exec_life_own.h"

#include <assert.h>
#include <stdlib.h>

enum {
    WHY_MAX_BYTES = 64 << 10,
    SECOND_US = 1000000,
    FLUSH_LOOK_US = 50000,   /* how long it is silent until we look whether it waits for us, */
    FLUSH_US = 300000,       /* and until we believe it when that cannot be seen */
    LEAVE_US = 10000000,     /* from the end of its input, or its last answer, to its own end */
    LAST_WORDS_US = 1000000, /* from the end of its output to its own end */
    MEMORY_LOOK_US = 1000000,
    READS_AT_ONCE = 8,
    FAILURES_TOLD = 1000,
    TOO_LATE_US = 5000, /* beside others a start must not be later */
    BUFFER_LEAST = 4096 /* who keeps answers in a buffer prints so much at once */
};
/* Answers that wait to be settled: above, it is listened to no more. */
#define UNSETTLED_MAX_BYTES ((size_t)32 << 20)

struct exec_life *exec_life_new(const struct exec_life_plan *plan)
{
    struct exec_life *l = xcalloc(1, sizeof *l);
    l->plan = *plan;
    l->slots = -1;
    l->again_wait_us = AGAIN_FIRST_US;
    l->due_us = NEVER_US;
    buf_init(&l->why, WHY_MAX_BYTES);
    feed_window_init(&l->window);
    return l;
}

void exec_life_free(struct exec_life *l)
{
    if (!l)
        return;
    line_program_free(l->program);
    buf_release(&l->why);
    free(l);
}

void exec_life_set_slots(struct exec_life *l, int64_t slots)
{
    l->slots = slots;
}

void exec_life_set_alone_until(struct exec_life *l, int64_t until_us)
{
    l->alone_until_us = until_us;
}

int64_t exec_life_late_before_us(const struct exec_life *l)
{
    return l->late_before_us;
}

void exec_life_set_settled(struct exec_life *l, bool settled)
{
    l->settled = settled;
}

bool exec_life_is_on(const struct exec_life *l)
{
    return l->program != NULL;
}

int64_t exec_life_ran(const struct exec_life *l)
{
    return l->ran;
}

/* A record that was written in part is in its hands, too. */
size_t exec_life_running(const struct exec_life *l)
{
    return record_queue_fed(l->plan.queue) + record_queue_is_torn(l->plan.queue);
}

static void close_input(struct exec_life *l, int64_t now_us)
{
    assert(!record_queue_is_torn(l->plan.queue));
    line_program_close_input(l->program);
    l->input_closed = true;
    l->quiet_us = now_us;
}

void exec_life_end(struct exec_life *l)
{
    line_program_free(TAKE(l->program));
    record_queue_rewind(l->plan.queue);
    l->input_closed = l->input_refused = l->pipe_full = l->retiring = false;
    l->killed_for = NULL;
    l->begun = l->answered = l->silent_us = 0;
    l->due_us = l->window.probe_us = NEVER_US;
}

void exec_life_kill(struct exec_life *l)
{
    exec_life_end(l);
}

/* ---- feeding ---- */

/* How many records it may be given now, and when the next one may start if that is a matter of
 * time. A record that was begun is always finished. */
static size_t allowance(struct exec_life *l, int64_t now_us)
{
    const struct queued_record *next = record_queue_next(l->plan.queue);
    const struct queued_record *head = record_queue_head(l->plan.queue);
    size_t running = exec_life_running(l), most = 0;
    l->due_us = NEVER_US;
    l->late_before_us = 0;
    if (record_queue_is_torn(l->plan.queue))
        return 1;
    if (l->winding_up || l->retiring || !next)
        return 0;
    /* What was lost with a worker goes together, and with nothing else. */
    if (running > 0 ? next->alone != head->alone : next->alone && !l->settled)
        return 0;
    most = l->window.size > running ? l->window.size - running : 0;
    if (!most)
        feed_window_is_full(&l->window, now_us);
    if (l->slots >= 0 && (size_t)l->slots < running + most)
        most = (size_t)l->slots > running ? (size_t)l->slots - running : 0;
    if (l->suspects && l->ration - (size_t)l->begun < most)
        most = l->ration - (size_t)l->begun;
    if (l->plan.max_records && (size_t)(l->plan.max_records - l->begun) < most)
        most = (size_t)(l->plan.max_records - l->begun);
    if (next->not_before_us && most > 0) {
        /* Others have kept to their times meanwhile: one more would make a second too full. */
        if (!next->alone && now_us > l->alone_until_us &&
            next->not_before_us < now_us - TOO_LATE_US) {
            l->late_before_us = now_us - TOO_LATE_US;
            return 0;
        }
        double due = l->start_us + 0.996 * next->every_us;
        if (due < (double)next->not_before_us)
            due = (double)next->not_before_us;
        if (due > (double)now_us) {
            l->due_us = (int64_t)due + 1;
            return 0;
        }
        /* A start that was a little late does not move those behind it, or the rate would never be
         * reached; one that was very late does, or they would come in a crowd. */
        double late = (double)now_us - 0.1 * next->every_us;
        l->start_us = due > late ? due : late;
        most = 1;
    }
    return most;
}

/* Whether this life has got all it is to get. */
static bool is_full_life(const struct exec_life *l)
{
    const struct queued_record *head = record_queue_head(l->plan.queue);
    if (l->begun == 0 || record_queue_is_torn(l->plan.queue))
        return false;
    return l->winding_up || l->retiring || (l->suspects && (size_t)l->begun >= l->ration) ||
           (l->plan.max_records && l->begun >= l->plan.max_records) ||
           (head && head->alone && l->keeps && !l->proven &&
            record_queue_unfed(l->plan.queue) == 0);
}

static void feed(struct exec_life *l, int64_t now_us)
{
    l->pipe_full = false;
    while (!l->input_closed && !l->input_refused) {
        size_t most = allowance(l, now_us), wrote = 0;
        struct str piece = most ? record_queue_piece(l->plan.queue, most) : (struct str){0};
        if (!piece.len)
            break;
        size_t running = exec_life_running(l);
        l->input_refused = !line_program_write(l->program, piece, &wrote);
        l->begun += (int64_t)record_queue_wrote(l->plan.queue, wrote);
        if (wrote > 0)
            l->fed_us = now_us;
        if (wrote > 0 && running == 0)
            l->quiet_us = now_us;
        if (l->input_refused)
            l->quiet_us = now_us;
        l->pipe_full = wrote < piece.len;
        if (l->pipe_full)
            break;
    }
    if (!l->input_closed && !l->input_refused && is_full_life(l))
        close_input(l, now_us);
}

/* ---- listening ---- */

/* With thousands of failures, the list of them is the place to look. */
void exec_life_tell(struct exec_life *l, int64_t record, struct str why)
{
    if (l->failures_told++ < FAILURES_TOLD)
        worker_control_log_record(l->plan.control, record, "error", why);
}

static bool too_many(struct exec_life *l, struct str line, struct err *err)
{
    int shown = line.len > 80 ? 80 : (int)line.len;
    return err_set(err, ERR_INVALID,
                   "the program printed more lines than it was given records (%lld and one more: "
                   "\"%.*s\"): it must print one line for each, and answers it gave before may "
                   "stand with the wrong records",
                   (long long)l->answered, shown, line.ptr);
}

bool exec_life_take(struct exec_life *l, struct str line, int64_t now_us, struct err *err)
{
    if (record_queue_fed(l->plan.queue) == 0)
        return too_many(l, line, err);
    int64_t record = record_queue_head(l->plan.queue)->number;
    if (!exec_answer_take(line, record, l->plan.outcomes, &l->why))
        exec_life_tell(l, record, buf_str(&l->why));
    record_queue_pop(l->plan.queue);
    l->answered++;
    l->ran++;
    l->ever_answered++;
    l->quiet_us = now_us;
    if (l->suspects)
        l->suspects--;
    return true;
}

static bool take_answers(struct exec_life *l, int64_t now_us, struct err *err)
{
    struct str line;
    int64_t before = l->answered;
    while (line_program_line(l->program, &line))
        if (!exec_life_take(l, line, now_us, err))
            return false;
    if (l->answered == before)
        return true;
    feed_window_answered(&l->window, (size_t)(l->answered - before), now_us);
    l->again_wait_us = AGAIN_FIRST_US;
    l->fruitless = 0;
    return true;
}

/* Whether its answers come faster than they are taken: it has to wait. */
static bool is_behind(const struct exec_life *l)
{
    return outcomes_bytes(l->plan.outcomes) > UNSETTLED_MAX_BYTES;
}

static bool listen_to(struct exec_life *l, int64_t now_us, struct err *err)
{
    if (is_behind(l))
        l->quiet_us = now_us; /* it is not its own silence */
    int64_t heard = line_program_printed(l->program), answered = l->answered;
    for (int i = 0; i < READS_AT_ONCE && !is_behind(l); i++) {
        int64_t before = line_program_printed(l->program);
        if (!line_program_read(l->program, err))
            return false;
        if (line_program_printed(l->program) == before)
            break;
        if (!take_answers(l, now_us, err))
            return false;
    }
    heard = line_program_printed(l->program) - heard;
    if (heard < BUFFER_LEAST && l->answered > answered &&
        (!l->input_closed || exec_life_running(l) > 0))
        l->proven = true;
    if (line_program_output(l->program) < 0 && !l->silent_us)
        l->silent_us = now_us;
    return true;
}

/* Everything it printed before it ended. */
static bool hear_last_words(struct exec_life *l, int64_t now_us, struct err *err)
{
    int64_t before = -1;
    while (line_program_output(l->program) >= 0 && line_program_printed(l->program) != before) {
        before = line_program_printed(l->program);
        if (!line_program_read(l->program, err) || !take_answers(l, now_us, err))
            return false;
    }
    return true;
}

/* ---- time ---- */

static bool is_late(const struct exec_life *l, int64_t now_us)
{
    return l->plan.timeout_us && exec_life_running(l) > 0 &&
           now_us - l->quiet_us >= l->plan.timeout_us;
}

/* How long it must be silent until its input is closed because it seems to wait for that: by
 * whether limits keep records back, whether it is known to answer without that, and what it does
 * now. A program that works on many records at once may well wait for input with its hands full. */
static int64_t flush_wait_us(const struct exec_life *l, enum program_mood mood)
{
    bool limited = l->supply == SUPPLY_LIMITED, reads = mood == PROGRAM_READS;
    if (l->proven)
        return limited || !reads ? 60 * SECOND_US : 2 * SECOND_US;
    if (limited)
        return reads ? SECOND_US : 5 * SECOND_US;
    return reads ? FLUSH_LOOK_US : FLUSH_US;
}

/* When to look whether its input is to be closed. */
static int64_t flush_look_us(const struct exec_life *l)
{
    if (l->supply == SUPPLY_COMING || l->input_closed || l->input_refused || l->pipe_full ||
        l->due_us != NEVER_US || exec_life_running(l) == 0)
        return NEVER_US;
    int64_t from_us = l->fed_us > l->quiet_us ? l->fed_us : l->quiet_us;
    return (l->looked_us > from_us ? l->looked_us : from_us) + FLUSH_LOOK_US;
}

static void flush_if_due(struct exec_life *l, int64_t now_us)
{
    if (flush_look_us(l) > now_us)
        return;
    int64_t from_us = l->fed_us > l->quiet_us ? l->fed_us : l->quiet_us;
    enum program_mood mood = line_program_mood(l->program);
    l->looked_us = now_us;
    if (mood == PROGRAM_BUSY || now_us - from_us < flush_wait_us(l, mood))
        return;
    if (!l->told && l->supply == SUPPLY_LIMITED)
        worker_control_log(l->plan.control, "warning",
                           "the program has %zu records and says nothing: its input is ended so "
                           "that it answers; let it flush its output after every line",
                           exec_life_running(l));
    l->told |= l->supply == SUPPLY_LIMITED;
    l->keeps = true;
    close_input(l, now_us);
}

/* When it is to be killed, because it has nothing more to say and does not end. */
static int64_t overdue_us(const struct exec_life *l)
{
    if (l->killed_for)
        return NEVER_US;
    if (l->silent_us)
        return l->silent_us + LAST_WORDS_US;
    if (l->input_refused || (l->input_closed && exec_life_running(l) == 0))
        return l->quiet_us + LEAVE_US;
    return NEVER_US;
}

/* It has as much as it may have: is that too little? */
static void probe(struct exec_life *l, int64_t now_us)
{
    if (l->window.probe_us <= now_us)
        feed_window_probed(&l->window, line_program_mood(l->program), l->quiet_us, now_us);
}

static int64_t memory_look_us(const struct exec_life *l)
{
    return l->plan.max_memory_bytes && !l->retiring && !l->input_closed ? l->memory_us : NEVER_US;
}

static void look_at_memory(struct exec_life *l, int64_t now_us)
{
    if (memory_look_us(l) > now_us)
        return;
    l->memory_us = now_us + MEMORY_LOOK_US;
    int64_t bytes = line_program_memory_bytes(l->program);
    if (bytes <= l->plan.max_memory_bytes)
        return;
    worker_control_log(l->plan.control, "info",
                       "the program has %lld bytes of memory: it is started anew",
                       (long long)bytes);
    l->retiring = true;
}

static void kill_overdue(struct exec_life *l)
{
    l->killed_for = l->silent_us       ? "the program closed its output before it answered"
                    : l->input_refused ? "the program closed its input before it answered"
                                       : "the program did not end";
    line_program_kill(l->program);
}

/* ---- the whole ---- */

static bool start(struct exec_life *l, int64_t now_us, struct err *err)
{
    if (line_program_start(l->plan.command, &l->program, err)) {
        l->memory_us = now_us + MEMORY_LOOK_US;
        l->quiet_us = now_us;
        return true;
    }
    if (err->code != ERR_BUSY)
        return false;
    worker_control_log(l->plan.control, "warning", "%s; trying again", err->text);
    exec_end_rest(l, now_us);
    return true;
}

static bool attend(struct exec_life *l, int64_t now_us, struct err *err)
{
    int status = 0;
    bool ended = line_program_has_ended(l->program, &status);
    bool good = ended ? hear_last_words(l, now_us, err) : listen_to(l, now_us, err);
    if (!good)
        return exec_end_too_long(l, err);
    if (ended)
        return exec_end_take(l, status, now_us, err);
    if (is_late(l, now_us))
        exec_end_time_out(l);
    else if (overdue_us(l) <= now_us)
        kill_overdue(l);
    else {
        look_at_memory(l, now_us);
        probe(l, now_us);
        flush_if_due(l, now_us);
    }
    return true;
}

bool exec_life_step(struct exec_life *l, int64_t now_us, enum exec_supply supply, struct err *err)
{
    l->supply = supply;
    if (l->program && !attend(l, now_us, err))
        return false;
    if (!l->program && !l->winding_up && record_queue_next(l->plan.queue) &&
        l->again_us <= now_us && !start(l, now_us, err))
        return false;
    if (l->program)
        feed(l, now_us);
    return true;
}

size_t exec_life_fds(const struct exec_life *l, struct pollfd fds[EXEC_LIFE_FDS])
{
    size_t count = 0;
    if (!l->program)
        return 0;
    if (l->pipe_full && line_program_input(l->program) >= 0)
        fds[count++] = (struct pollfd){.fd = line_program_input(l->program), .events = POLLOUT};
    if (line_program_output(l->program) >= 0 && !is_behind(l))
        fds[count++] = (struct pollfd){.fd = line_program_output(l->program), .events = POLLIN};
    fds[count++] = (struct pollfd){.fd = line_program_end_fd(l->program), .events = POLLIN};
    return count;
}

int64_t exec_life_next_us(struct exec_life *l, enum exec_supply supply)
{
    l->supply = supply;
    bool wanted = !l->winding_up && record_queue_next(l->plan.queue);
    if (!l->program)
        return wanted ? l->again_us : NEVER_US;
    const int64_t times[] = {
        l->due_us,
        flush_look_us(l),
        overdue_us(l),
        l->plan.timeout_us && exec_life_running(l) ? l->quiet_us + l->plan.timeout_us : NEVER_US,
        memory_look_us(l),
        l->window.probe_us,
    };
    int64_t next_us = NEVER_US;
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        if (times[i] < next_us)
            next_us = times[i];
    return next_us;
}

void exec_life_wind_up(struct exec_life *l, int64_t now_us)
{
    l->winding_up = true;
    if (l->program && !l->input_closed && !record_queue_is_torn(l->plan.queue))
        close_input(l, now_us);
}
