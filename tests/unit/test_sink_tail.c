/* What rides: written but not synced, and handed to the caller, who gives it back after a crash. */
#include "sink_temp.h"

static void assert_ridden(struct sink *s, const char *text)
{
    assert_true(str_is(sink_ridden(s), text));
}

static void what_rides_is_in_the_file_and_in_the_caller_s_hands(void **state)
{
    struct temp *t = *state;
    temp_write(t, "out", "old");
    OWNED(sink) struct sink *s = open_new(t, "out");
    add(t, s, "1\n");
    add(t, s, "2\n");
    assert_true(sink_may_ride(s));
    ride(t, s);
    assert_file(t, "out", "old\n1\n2\n");
    assert_ridden(s, "\n1\n2\n"); /* whatever the place asked for is part of it */
    assert_int_equal(sink_length(s), 8);
    assert_int_equal(sink_synced(s), 3);
    sink_commit(s);
    assert_ridden(s, "");
    add(t, s, "3\n");
    ride(t, s);
    assert_ridden(s, "3\n");
    sink_commit(s);
    assert_int_equal(sink_synced(s), 3);
}

static void rows_ride_with_their_header(void **state)
{
    struct temp *t = *state;
    OWNED(sink) struct sink *s = open_new(t, "out.csv");
    add(t, s, "{\"a\":1,\"b\":\"x\"}\n");
    ride(t, s);
    assert_ridden(s, "a,b\n1,x\n");
    sink_commit(s);
    add(t, s, "{\"a\":2,\"b\":\"y\"}\n");
    ride(t, s);
    assert_ridden(s, "2,y\n");
    sink_commit(s);
    assert_file(t, "out.csv", "a,b\n1,x\n2,y\n");
}

static void a_flush_syncs_the_tail_with_and_without_more(void **state)
{
    struct temp *t = *state;
    OWNED(sink) struct sink *s = open_new(t, "out");
    for (int more = 0; more < 2; more++) {
        add(t, s, "1\n");
        ride(t, s);
        sink_commit(s);
        assert_true(sink_synced(s) < sink_length(s));
        if (more)
            add(t, s, "2\n");
        flush(t, s);
        assert_int_equal(sink_synced(s), sink_length(s));
        assert_ridden(s, "");
        sink_commit(s);
    }
    assert_file(t, "out", "1\n1\n2\n");
}

static void what_is_large_or_compressed_or_comes_behind_too_much_does_not_ride(void **state)
{
    struct temp *t = *state;
    enum { LARGE = 200000, PIECE = 60000 };
    OWNED_MEM char *line = xcalloc(1, LARGE + 1);
    memset(line, '1', LARGE - 1);
    line[LARGE - 1] = '\n';
    OWNED(sink) struct sink *packed = open_new(t, "out.jsonl.gz");
    add(t, packed, "1\n");
    assert_false(sink_may_ride(packed));
    OWNED(sink) struct sink *s = open_new(t, "out");
    add(t, s, line);
    assert_false(sink_may_ride(s));
    commit(t, s);
    line[PIECE - 1] = '\n';
    line[PIECE] = '\0';
    int rode = 0;
    for (;; rode++) {
        assert_true(rode < 100);
        add(t, s, line);
        if (!sink_may_ride(s))
            break;
        ride(t, s);
        sink_commit(s);
    }
    assert_true(rode > 2);
    commit(t, s);
    add(t, s, "1\n");
    assert_true(sink_may_ride(s));
}

/* Whatever a crash has left of the tail, and behind it. */
static void a_tail_is_written_anew_on_opening(void **state)
{
    static const char *const left[] = {"1\n",   "1\n2",        "1\n2\n3\n",
                                       "1\nzz", "1\nzzzz4\nx", "1\n2\n3\nlost\n"};
    struct temp *t = *state;
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
        temp_write(t, "out", left[i]);
        OWNED(sink) struct sink *s = open_with_tail(t, "out", 6, NULL, "2\n3\n");
        assert_non_null(s);
        assert_file(t, "out", "1\n2\n3\n");
        assert_int_equal(sink_length(s), 6);
        assert_int_equal(sink_synced(s), 6);
        add(t, s, "4\n");
        commit(t, s);
        assert_file(t, "out", "1\n2\n3\n4\n");
    }
}

static void a_file_that_lacks_more_than_the_tail_is_refused(void **state)
{
    struct temp *t = *state;
    temp_write(t, "out", "1");
    assert_null(open_with_tail(t, "out", 6, NULL, "2\n3\n"));
    assert_error(t, ERR_GONE, "shorter");
    assert_file(t, "out", "1");
}

/* Somebody has put another file there while nobody looked. */
static void another_file_is_neither_cut_nor_written_over(void **state)
{
    static const char *const others[] = {"x\n2\n3\n", "x\n", "my own lines\nand more\n"};
    struct temp *t = *state;
    temp_write(t, "out", "");
    struct sink_start start = {.committed_bytes = 6, .tail = STR("2\n3\n")};
    {
        OWNED(sink) struct sink *s = open_new(t, "out");
        add(t, s, "1\n");
        commit(t, s);
        assert_true(sink_take_seal(s, &start.seal, &t->err));
        assert_int_equal(start.seal.end_bytes, 2);
        assert_int_equal(start.seal.len, 2);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct sink *s = NULL;
        temp_write(t, "out", others[i]);
        assert_false(sink_open(&t->spec, t->folders, &start, &s, &t->err));
        assert_error(t, ERR_GONE, "is not the file that results were written to");
        assert_file(t, "out", others[i]);
    }
    temp_write(t, "out", "1\nzz");
    OWNED(sink) struct sink *s = NULL;
    assert_true(sink_open(&t->spec, t->folders, &start, &s, &t->err));
    assert_file(t, "out", "1\n2\n3\n");
}

/* Nothing of it was ever synced: it may hold anything, but must be the same file. */
static void a_file_of_a_tail_alone_is_known_by_what_the_system_calls_it(void **state)
{
    static const char *const left[] = {"", "1", "1\n2\n3\n", "1\n2\n3\nlost", "no such bytes"};
    struct temp *t = *state;
    struct sink_start start = {.committed_bytes = 6, .tail = STR("1\n2\n3\n")};
    temp_write(t, "out", "");
    {
        OWNED(sink) struct sink *s = open_at(t, "out", 0, NULL);
        assert_true(sink_take_seal(s, &start.seal, &t->err));
        assert_int_equal(start.seal.end_bytes, 0);
        assert_true(start.seal.len > 0);
    }
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
        OWNED(sink) struct sink *s = NULL;
        temp_write(t, "out", left[i]);
        assert_true(sink_open(&t->spec, t->folders, &start, &s, &t->err));
        assert_file(t, "out", "1\n2\n3\n");
    }
    struct sink *s = NULL;
    OWNED_MEM char *out = xstrdup(temp_path(t, "out"));
    temp_write(t, "other", "my own\n");
    assert_int_equal(rename(temp_path(t, "other"), out), 0);
    assert_false(sink_open(&t->spec, t->folders, &start, &s, &t->err));
    assert_error(t, ERR_GONE, "is not the file");
    assert_file(t, "out", "my own\n");
}

static void a_piece_of_the_file_can_be_compared(void **state)
{
    struct temp *t = *state;
    bool holds = false;
    temp_write(t, "out", "1\n2\n");
    OWNED(sink) struct sink *s = open_at(t, "out", 4, NULL);
    assert_true(sink_holds(s, 2, STR("2\n"), &holds, &t->err));
    assert_true(holds);
    assert_true(sink_holds(s, 2, STR("3\n"), &holds, &t->err));
    assert_false(holds);
    assert_true(sink_holds(s, 2, STR("2\n3\n"), &holds, &t->err));
    assert_false(holds);
}

#ifdef PENSTOCK_FAULTS
static void what_did_not_get_to_ride_leaves_no_trace(void **state)
{
    static const struct {
        const char *plan;
        enum err_code code;
    } faults[] = {
        {"sink.write:1:full", ERR_NO_SPACE},
        {"sink.written:1:fail", ERR_IO},
        {"file.write:1:full", ERR_NO_SPACE},
    };
    static const char *const names[] = {"out.jsonl", "out.csv"};
    struct temp *t = *state;
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
            OWNED(sink) struct sink *s = open_new(t, names[k]);
            add(t, s, "[0,0]\n");
            ride(t, s);
            sink_commit(s);
            int64_t length = sink_length(s);
            add(t, s, "{\"lost\":1}\n");
            fault_set(faults[i].plan);
            assert_false(sink_ride(s, &t->err));
            fault_set(NULL);
            assert_int_equal(t->err.code, faults[i].code);
            assert_true(sink_undo(s, &t->err));
            assert_ridden(s, "");
            assert_int_equal(sink_length(s), length);
            add(t, s, "[1,1]\n");
            ride(t, s);
            assert_ridden(s, k ? "1,1\n" : "[1,1]\n");
            sink_commit(s);
            assert_file(t, names[k], k ? "0,0\n1,1\n" : "[0,0]\n[1,1]\n");
            flush(t, s);
            assert_true(sink_remove(s, &t->err));
        }
    }
}

static void what_rode_with_a_commit_that_failed_is_undone(void **state)
{
    struct temp *t = *state;
    OWNED(sink) struct sink *s = open_new(t, "out");
    add(t, s, "1\n");
    ride(t, s);
    sink_commit(s);
    add(t, s, "lost\n");
    ride(t, s);
    assert_true(sink_undo(s, &t->err));
    assert_ridden(s, "");
    assert_file(t, "out", "1\n");
    assert_int_equal(sink_synced(s), 0);
    /* A sync of what is cut off again has not synced more than there is. */
    add(t, s, "lost\n");
    flush(t, s);
    assert_true(sink_undo(s, &t->err));
    assert_int_equal(sink_synced(s), 2);
    add(t, s, "2\n");
    ride(t, s);
    assert_ridden(s, "2\n");
    sink_commit(s);
    assert_file(t, "out", "1\n2\n");
}

/* A sync that is never asked for, as the transaction beside it failed, has synced nothing. */
static void what_was_written_and_not_synced_is_undone(void **state)
{
    struct temp *t = *state;
    struct sink_seal seal;
    OWNED(sink) struct sink *s = open_new(t, "out");
    add(t, s, "1\n");
    ride(t, s);
    sink_commit(s);
    add(t, s, "lost\n");
    assert_true(sink_write(s, &t->err));
    assert_file(t, "out", "1\nlost\n");
    assert_int_equal(sink_synced(s), 7); /* as it will be */
    assert_true(sink_take_seal(s, &seal, &t->err));
    assert_true(str_is((struct str){seal.bytes, seal.len}, "1\nlost\n"));
    assert_true(sink_undo(s, &t->err));
    assert_file(t, "out", "1\n");
    assert_int_equal(sink_synced(s), 0);
    fault_set("file.sync:1:fail");
    assert_true(sink_sync(s, &t->err)); /* nothing is owed */
    assert_true(sink_write(s, &t->err));
    assert_false(sink_sync(s, &t->err));
    fault_set(NULL);
    assert_int_equal(t->err.code, ERR_FATAL);
}

/* The store has it still: it is no reason to stop. */
static void a_tail_that_cannot_be_written_or_synced_keeps_the_file_closed(void **state)
{
    static const char *const plans[] = {"file.write:1:full", "file.sync:1:fail"};
    struct temp *t = *state;
    for (size_t i = 0; i < 2; i++) {
        temp_write(t, "out", "1\n");
        fault_set(plans[i]);
        assert_null(open_with_tail(t, "out", 4, NULL, "2\n"));
        fault_set(NULL);
        assert_int_equal(t->err.code, i ? ERR_IO : ERR_NO_SPACE);
        OWNED(sink) struct sink *s = open_with_tail(t, "out", 4, NULL, "2\n");
        assert_non_null(s);
        assert_file(t, "out", "1\n2\n");
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(what_rides_is_in_the_file_and_in_the_caller_s_hands),
        UNIT(rows_ride_with_their_header),
        UNIT(a_flush_syncs_the_tail_with_and_without_more),
        UNIT(what_is_large_or_compressed_or_comes_behind_too_much_does_not_ride),
        UNIT(a_tail_is_written_anew_on_opening),
        UNIT(a_file_that_lacks_more_than_the_tail_is_refused),
        UNIT(another_file_is_neither_cut_nor_written_over),
        UNIT(a_file_of_a_tail_alone_is_known_by_what_the_system_calls_it),
        UNIT(a_piece_of_the_file_can_be_compared),
#ifdef PENSTOCK_FAULTS
        UNIT(what_did_not_get_to_ride_leaves_no_trace),
        UNIT(what_rode_with_a_commit_that_failed_is_undone),
        UNIT(what_was_written_and_not_synced_is_undone),
        UNIT(a_tail_that_cannot_be_written_or_synced_keeps_the_file_closed),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
