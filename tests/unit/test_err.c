/* test_err.c: errors are one line, told once, with context in front. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"

#include <errno.h>
#include <string.h>

static void setting_states_code_and_text_and_is_false(void **state)
{
    (void)state;
    struct err err = {0};
    assert_false(err_set(&err, ERR_CONFLICT, "job %d is done, cannot be %s", 17, "cancelled"));
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_string_equal(err.text, "job 17 is done, cannot be cancelled");
}

static void context_goes_in_front(void **state)
{
    (void)state;
    struct err err = {0};
    err_set(&err, ERR_IO, "no such device");
    assert_false(err_add(&err, "open %s", "a"));
    assert_false(err_add(&err, "job %d", 3));
    assert_string_equal(err.text, "job 3: open a: no such device");
    assert_int_equal(err.code, ERR_IO);
}

static void a_system_error_gets_its_code_and_words(void **state)
{
    (void)state;
    static const struct {
        int number;
        enum err_code code;
    } rows[] = {{ENOSPC, ERR_NO_SPACE},  {EDQUOT, ERR_NO_SPACE}, {EFBIG, ERR_NO_SPACE},
                {ENOENT, ERR_NOT_FOUND}, {EIO, ERR_IO},          {EACCES, ERR_IO}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err err = {0};
        assert_false(err_errno(&err, rows[i].number, "write %s", "out.jsonl"));
        assert_int_equal(err.code, rows[i].code);
        assert_int_equal(strncmp(err.text, "write out.jsonl: ", 17), 0);
        assert_string_equal(err.text + 17, strerror(rows[i].number));
    }
}

static void a_text_is_one_line_and_cut_at_the_end(void **state)
{
    (void)state;
    struct err err = {0};
    char path[2000];
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    err_set(&err, ERR_IO, "a\nb\x1b[31m\tc");
    assert_string_equal(err.text, "a b [31m c");
    err_add(&err, "x\ny");
    assert_string_equal(err.text, "x y: a b [31m c");
    err_set(&err, ERR_IO, "%s", path);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    err_add(&err, "%s", path);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    /* However long the path, the reason is there. */
    err_errno(&err, EIO, "%s", path);
    assert_non_null(strstr(err.text, strerror(EIO)));
    err_set(&err, ERR_IO, "%s", path);
    err_add(&err, "job 3");
    assert_int_equal(strncmp(err.text, "job 3: pppp", 11), 0);
}

static void every_code_has_its_name_and_exit_status(void **state)
{
    (void)state;
    for (int code = 0; code < ERR_CODE_COUNT; code++) {
        assert_non_null(err_name((enum err_code)code));
        for (int other = 0; other < code; other++)
            assert_string_not_equal(err_name((enum err_code)code), err_name((enum err_code)other));
        int status = err_exit_status((enum err_code)code);
        bool of_flows = status == 3 || status == 70;
        assert_true(status == 0
                        ? code == ERR_NONE
                        : status == 1 || status == 2 || status == 75 || of_flows || status > 128);
    }
    assert_string_equal(err_name(ERR_NOT_FOUND), "not-found");
    assert_string_equal(err_name(ERR_CODE_COUNT), "internal");
    assert_int_equal(err_exit_status(ERR_INVALID), 2);
    assert_int_equal(err_exit_status(ERR_BUSY), 75);
    assert_int_equal(err_exit_status(ERR_NO_SPACE), 75);
    assert_int_equal(err_exit_status(ERR_NOT_STARTED), 3);
    assert_int_equal(err_exit_status(ERR_BROKEN), 70);
    assert_int_equal(err_exit_status(ERR_INTERRUPTED), 130);
    assert_int_equal(err_exit_status(ERR_TERMINATED), 143);
    assert_int_equal(err_exit_status(ERR_CODE_COUNT), 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(setting_states_code_and_text_and_is_false),
        cmocka_unit_test(context_goes_in_front),
        cmocka_unit_test(a_system_error_gets_its_code_and_words),
        cmocka_unit_test(a_text_is_one_line_and_cut_at_the_end),
        cmocka_unit_test(every_code_has_its_name_and_exit_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
