/* test_record_queue.c: claimed records on their way through a program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run/record_queue.h"

#include <stdlib.h>

static void add_from(struct record_queue *q, const char *text, bool same_clock,
                     struct claim_answer *out)
{
    struct err err = {0};
    OWNED_BUF struct buf answer;
    buf_init(&answer, BUF_NO_CAP);
    buf_add_text(&answer, text);
    if (!record_queue_add(q, &answer, 1000, same_clock, out, &err))
        fail_msg("%s", err.text);
}

static void add(struct record_queue *q, const char *text, struct claim_answer *out)
{
    add_from(q, text, false, out);
}

static void assert_piece(const struct record_queue *q, size_t most, const char *want)
{
    struct str piece = record_queue_piece(q, most);
    OWNED_MEM char *text = xstrndup(piece.ptr ? piece.ptr : "", piece.len);
    assert_string_equal(text, want);
}

#define LEASE "{\"lease\":{\"token\":\"tok\",\"ends_at\":null},"

static void an_answer_is_read_and_its_records_stand_as_lines(void **state)
{
    (void)state;
    OWNED(record_queue) struct record_queue *q = record_queue_new();
    struct claim_answer answer;
    add(q,
        LEASE "\"records\":[[7,{\"a\":\n 1}], [8,\"],[1,2\"],[9,null]],\"finished\":false,"
              "\"slots\":5,\"starts\":null,\"alone\":false,\"later\":[1]}",
        &answer);
    assert_string_equal(answer.lease, "tok");
    free(answer.lease);
    assert_int_equal(answer.count, 3);
    assert_int_equal(answer.slots, 5);
    assert_false(answer.finished);
    assert_false(answer.paced);
    assert_piece(q, 1, "{\"a\":  1}\n");
    assert_piece(q, 2, "{\"a\":  1}\n\"],[1,2\"\n");
    assert_piece(q, 99, "{\"a\":  1}\n\"],[1,2\"\nnull\n");
    assert_int_equal(record_queue_head(q)->number, 7);
    assert_int_equal(record_queue_bytes(q), 10 + 9 + 5);
}

static void an_answer_without_records(void **state)
{
    (void)state;
    OWNED(record_queue) struct record_queue *q = record_queue_new();
    struct claim_answer answer;
    add(q, "{\"lease\":null,\"records\":[],\"finished\":true}", &answer);
    assert_null(answer.lease);
    assert_true(answer.finished);
    assert_int_equal(answer.slots, -1);
    assert_null(record_queue_head(q));
    assert_null(record_queue_next(q));
    assert_piece(q, 9, "");
}

static void what_is_no_answer_is_refused_and_leaves_nothing(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "[]",
        "{\"records\":{}}",
        "{\"tasks\":{}}",
        "{\"tasks\":[{\"id\":0}]}",
        "{\"tasks\":[{\"id\":1},{\"i\":1}]}",
        "{\"tasks\":[7]}",
        "{\"records\":[[1,2],[3]]}",
        "{\"records\":[[1,2],[-3,2]]}",
        "{\"records\":[[1,2],[3,4,5]]}",
        "{\"records\":[[1,2]],\"finished\":1}",
        "{\"records\":[[1,2]],\"lease\":{}}",
        "{\"records\":[[1,2]],\"slots\":\"x\"}",
        "{\"records\":[[1,2]],\"starts\":{\"first_s\":-1,\"every_s\":1}}",
        "{\"records\":[[1,2]],\"starts\":{\"first_s\":1,\"every_s\":1,\"alone_s\":-1}}",
        LEASE "\"records\":[[1,2]]} x",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        OWNED(record_queue) struct record_queue *q = record_queue_new();
        OWNED_BUF struct buf text;
        struct claim_answer answer;
        struct err err = {0};
        buf_init(&text, BUF_NO_CAP);
        buf_add_text(&text, rows[i]);
        assert_false(record_queue_add(q, &text, 0, false, &answer, &err));
        assert_int_equal(err.code, ERR_INTERNAL);
        assert_null(answer.lease);
        assert_null(record_queue_head(q));
        assert_int_equal(record_queue_bytes(q), 0);
    }
}

static void records_are_fed_answered_and_fed_again(void **state)
{
    (void)state;
    OWNED(record_queue) struct record_queue *q = record_queue_new();
    struct claim_answer answer;
    add(q, "{\"records\":[[0,10],[1,11],[2,12]]}", &answer);
    add(q, "{\"records\":[[3,13]]}", &answer);
    assert_int_equal(record_queue_wrote(q, 4), 2); /* "10\n1" */
    assert_true(record_queue_is_torn(q));
    assert_int_equal(record_queue_fed(q), 1);
    assert_int_equal(record_queue_unfed(q), 3);
    assert_piece(q, 1, "1\n");
    assert_int_equal(record_queue_wrote(q, 2), 0);
    assert_false(record_queue_is_torn(q));
    record_queue_pop(q);
    assert_int_equal(record_queue_head(q)->number, 1);
    assert_int_equal(record_queue_wrote(q, 3), 1);
    assert_piece(q, 9, "13\n"); /* of another answer */
    record_queue_rewind(q);
    assert_int_equal(record_queue_fed(q), 0);
    assert_piece(q, 9, "11\n12\n");
    record_queue_pop(q); /* given up without being fed */
    assert_piece(q, 1, "12\n");
    record_queue_clear(q);
    assert_null(record_queue_head(q));
    assert_int_equal(record_queue_bytes(q), 0);
    add(q, "{\"records\":[[4,14]]}", &answer);
    assert_piece(q, 9, "14\n");
}

static void starts_are_pieces_of_their_own_and_records_alone_are_one(void **state)
{
    (void)state;
    OWNED(record_queue) struct record_queue *q = record_queue_new();
    struct claim_answer answer;
    add(q, "{\"records\":[[0,10],[1,11]],\"starts\":{\"first_s\":0.5,\"every_s\":2}}", &answer);
    assert_true(answer.paced);
    assert_int_equal(record_queue_next(q)->not_before_us, 501000);
    assert_piece(q, 9, "10\n");
    record_queue_wrote(q, 3);
    assert_int_equal(record_queue_next(q)->not_before_us, 2501000);
    assert_true(record_queue_next(q)->every_us > 1999999);
    record_queue_clear(q);
    add(q, "{\"records\":[[5,1],[6,2]],\"alone\":true}", &answer);
    assert_true(answer.alone);
    assert_piece(q, 9, "1\n2\n");
    assert_true(record_queue_head(q)->alone);
}

static void on_one_machine_starts_count_from_when_the_server_answered(void **state)
{
    (void)state;
    static const char paced[] = "{\"records\":[[0,10]],\"starts\":{\"first_s\":0.5,\"every_s\":2,"
                                "\"clock_s\":0.0004}}";
    OWNED(record_queue) struct record_queue *q = record_queue_new();
    struct claim_answer answer;
    add_from(q, paced, true, &answer);
    assert_int_equal(record_queue_next(q)->not_before_us, 500400);
    record_queue_clear(q);
    add_from(q, paced, false, &answer);
    assert_int_equal(record_queue_next(q)->not_before_us, 501000);
}

static void what_is_late_can_be_dropped_and_the_rest_goes_on(void **state)
{
    (void)state;
    static const char soon[] = "{\"records\":[[0,10],[1,11],[2,12]],"
                               "\"starts\":{\"first_s\":0,\"every_s\":1,\"alone_s\":0.5}}";
    static const char later[] = "{\"records\":[[3,13],[4,14]],"
                                "\"starts\":{\"first_s\":1.5,\"every_s\":1,\"clock_s\":0.1}}";
    OWNED(record_queue) struct record_queue *q = record_queue_new();
    struct claim_answer answer;
    add(q, soon, &answer);
    assert_int_equal(answer.alone_until_us, 501000);
    add(q, later, &answer);
    assert_int_equal(answer.alone_until_us, 1000);
    record_queue_wrote(q, 3); /* 10, */
    record_queue_wrote(q, 1); /* and a part of 11, which is begun */
    assert_int_equal(record_queue_drop_before(q, 1501000), 0);
    assert_int_equal(record_queue_drop_before(q, 2001001), 2); /* 12 and 13 */
    assert_int_equal(record_queue_bytes(q), 9);
    assert_false(record_queue_has(q, 2));
    record_queue_wrote(q, 2);
    assert_piece(q, 9, "14\n");
    record_queue_pop(q);
    record_queue_pop(q);
    assert_int_equal(record_queue_drop_before(q, INT64_MAX), 1);
    assert_null(record_queue_head(q));
    assert_int_equal(record_queue_bytes(q), 0);
    add(q, "{\"records\":[[5,1]]}", &answer); /* at any time */
    assert_int_equal(record_queue_drop_before(q, INT64_MAX), 0);
    assert_piece(q, 9, "1\n");
}

static void count_up(void *context, int64_t number)
{
    int64_t *next = context;
    assert_int_equal(number, (*next)++);
}

static void many_records_come_and_go(void **state)
{
    (void)state;
    OWNED(record_queue) struct record_queue *q = record_queue_new();
    int64_t made = 0, gone = 0;
    for (int round = 0; round < 40; round++) {
        OWNED_BUF struct buf text;
        struct claim_answer answer;
        struct err err;
        buf_init(&text, BUF_NO_CAP);
        buf_add_text(&text, "{\"records\":[");
        for (int i = 0; i < 500; i++, made++)
            buf_add_format(&text, "%s[%d,\"%d\"]", i ? "," : "", (int)made, (int)made);
        buf_add_text(&text, "]}");
        assert_true(record_queue_add(q, &text, 0, false, &answer, &err));
        for (int i = 0; i < (round < 20 ? 300 : 700); i++, gone++) {
            OWNED_MEM char *want = xasprintf("\"%d\"\n", (int)gone);
            assert_piece(q, 1, want);
            record_queue_wrote(q, strlen(want));
            record_queue_pop(q);
        }
        int64_t next = gone;
        record_queue_each(q, count_up, &next);
        assert_int_equal(next, made);
    }
    assert_null(record_queue_head(q));
    assert_int_equal(record_queue_bytes(q), 0);
}

static void tasks_are_lines_too_and_can_be_taken_out(void **state)
{
    (void)state;
    OWNED(record_queue) struct record_queue *q = record_queue_new();
    struct claim_answer answer;
    add(q,
        "{\"lease\":null,\"tasks\":[{\"id\":3,\"arguments\":{\n}},{\"id\":5}, {\"id\":4}],"
        "\"aborts\":[],\"slots\":null}",
        &answer);
    assert_int_equal(answer.count, 3);
    add(q, "{\"tasks\":[{\"id\":6}]}", &answer);
    assert_piece(q, 9, "{\"id\":3,\"arguments\":{ }}\n{\"id\":5}\n{\"id\":4}\n");
    record_queue_wrote(q, 30);
    assert_true(record_queue_has(q, 5));
    assert_false(record_queue_has(q, 7));
    record_queue_rewind(q);
    record_queue_remove(q, 5);
    assert_false(record_queue_has(q, 5));
    record_queue_remove(q, 3);
    assert_int_equal(record_queue_bytes(q), 18);
    assert_int_equal(record_queue_head(q)->number, 4);
    assert_piece(q, 1, "{\"id\":4}\n");
    record_queue_remove(q, 4); /* the last of its answer */
    assert_piece(q, 1, "{\"id\":6}\n");
    record_queue_remove(q, 6);
    assert_null(record_queue_head(q));
    assert_int_equal(record_queue_bytes(q), 0);
    add(q, "{\"tasks\":[{\"id\":7}]}", &answer);
    assert_piece(q, 1, "{\"id\":7}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_read_and_its_records_stand_as_lines),
        cmocka_unit_test(an_answer_without_records),
        cmocka_unit_test(what_is_no_answer_is_refused_and_leaves_nothing),
        cmocka_unit_test(records_are_fed_answered_and_fed_again),
        cmocka_unit_test(starts_are_pieces_of_their_own_and_records_alone_are_one),
        cmocka_unit_test(on_one_machine_starts_count_from_when_the_server_answered),
        cmocka_unit_test(what_is_late_can_be_dropped_and_the_rest_goes_on),
        cmocka_unit_test(many_records_come_and_go),
        cmocka_unit_test(tasks_are_lines_too_and_can_be_taken_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
