/* test_node_log.c: logs of nodes: made with their folders, banners, the last lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "run/node_log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/penstock-node-log-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int drop_folder(void **state)
{
    (void)state;
    OWNED_MEM char *command = xasprintf("rm -rf '%s'", folder);
    return system(command);
}

static void write_text(const char *path, const char *text)
{
    FILE *out = fopen(path, "we");
    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, strlen(text), out), strlen(text));
    assert_int_equal(fclose(out), 0);
}

static char *tail_of(const char *path, int64_t from, int lines)
{
    struct buf out;
    buf_init(&out, BUF_NO_CAP);
    buf_add_text(&out, "");
    node_log_tail(path, from, lines, &out);
    return buf_take(&out);
}

static void assert_tail(const char *text, int64_t from, int lines, const char *want)
{
    OWNED_MEM char *path = xasprintf("%s/tail", folder);
    write_text(path, text);
    OWNED_MEM char *got = tail_of(path, from, lines);
    assert_string_equal(got, want);
}

static void missing_folders_are_made_and_it_is_appended_to(void **state)
{
    struct err err;
    int64_t length = -1;
    int fd = -1;
    (void)state;
    OWNED_MEM char *path = xasprintf("%s/a/b/c.log", folder);
    assert_true(node_log_open(path, &fd, &length, &err));
    assert_int_equal(length, 0);
    assert_int_equal(write(fd, "one\n", 4), 4);
    close(fd);
    assert_true(node_log_open(path, &fd, &length, &err));
    assert_int_equal(length, 4);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    close(fd);
}

static void what_is_in_the_way_is_told_with_its_path(void **state)
{
    struct err err;
    int64_t length = 0;
    int fd = -1;
    (void)state;
    OWNED_MEM char *file = xasprintf("%s/file", folder);
    OWNED_MEM char *path = xasprintf("%s/inside.log", file);
    write_text(file, "x");
    assert_false(node_log_open(path, &fd, &length, &err));
    assert_non_null(strstr(err.text, path));
    assert_int_equal(fd, -1);
    assert_false(node_log_open(folder, &fd, &length, &err));
    assert_int_equal(fd, -1);
}

static void banners_name_the_attempt_and_the_wait(void **state)
{
    struct err err;
    int64_t length = 0;
    int fd = -1;
    OWNED_BUF struct buf text;
    (void)state;
    OWNED_MEM char *path = xasprintf("%s/banner", folder);
    struct node_banner b = {.node = 4, .name = "Load", .attempt = 1, .max_attempts = 1};
    setenv("TZ", "UTC", 1);
    assert_true(node_log_open(path, &fd, &length, &err));
    node_log_begin(fd, &b);
    b.max_attempts = 3;
    b.attempt = 2;
    b.wait_s = 0.5;
    node_log_begin(fd, &b);
    node_log_end(path, &b, "failed with code 3", 1.5);
    close(fd);
    buf_init(&text, 4096);
    assert_true(file_read_all(path, 4096, &text, &err));
    buf_add_char(&text, '\0');
    assert_string_equal(
        text.data,
        "==== 1970-01-01 00:00:00 node 4 \"Load\": starts ====\n"
        "==== 1970-01-01 00:00:00 node 4 \"Load\": attempt 2 of 3 starts after a wait of 0.5 s "
        "====\n"
        "==== 1970-01-01 00:00:00 node 4 \"Load\": attempt 2 of 3 failed with code 3 after 1.500 s "
        "====\n");
    node_log_end("/no/such/file", &b, "x", 0); /* is left out */
}

static void the_last_lines_without_banners(void **state)
{
    (void)state;
    assert_tail("one\ntwo\nthree\n", 0, 2, "two\nthree\n");
    assert_tail("one\ntwo\nthree", 0, 2, "two\nthree\n");
    assert_tail("one\n", 0, 9, "one\n");
    assert_tail("==== a ====\none\ntwo\n==== b ====\n", 0, 2, "one\ntwo\n");
    assert_tail("==== a ====\n", 0, 3, "");
    assert_tail("old\nnew\n", 4, 9, "new\n");
    assert_tail("", 0, 3, "");
    assert_tail("a\n\n\nb\n", 0, 3, "\n\nb\n");
    assert_tail("a\001b\tc\rd\n", 0, 3, "a?b\tc?d\n");
    assert_tail("caf\303\251 \377\200 \355\240\200 \177\n", 0, 3, "caf\303\251 ?? ??? ?\n");
    assert_tail("one\n", 100, 3, "");
}

static void a_long_line_is_cut_at_its_front(void **state)
{
    (void)state;
    OWNED_MEM char *text = xcalloc(1, 100001);
    memset(text, 'x', 100000);
    OWNED_MEM char *path = xasprintf("%s/long", folder);
    write_text(path, text);
    OWNED_MEM char *got = tail_of(path, 0, 5);
    assert_in_range(strlen(got), 4000, 10000);
    assert_int_equal(got[0], 'x');
}

static void what_is_no_file_has_no_lines(void **state)
{
    (void)state;
    OWNED_MEM char *path = xasprintf("%s/fifo", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    OWNED_MEM char *got = tail_of(path, 0, 5);
    assert_string_equal(got, "");
    OWNED_MEM char *missing = tail_of("/no/such/file", 0, 5);
    assert_string_equal(missing, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_folders_are_made_and_it_is_appended_to),
        cmocka_unit_test(what_is_in_the_way_is_told_with_its_path),
        cmocka_unit_test(banners_name_the_attempt_and_the_wait),
        cmocka_unit_test(the_last_lines_without_banners),
        cmocka_unit_test(a_long_line_is_cut_at_its_front),
        cmocka_unit_test(what_is_no_file_has_no_lines),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
