/* The head of a request: what is read from it, and what is refused because it could be read in
 * another way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http/request_head.h"

static char text[HEAD_MAX_BYTES + 1];
static struct request_head head;

static void read_text(const char *from)
{
    size_t len = strlen(from);
    assert_true(len < sizeof text);
    memcpy(text, from, len + 1);
    assert_int_equal(head_size((struct str){text, len}), len);
    head_read(text, len, &head);
}

static void is_clear(const char *from)
{
    read_text(from);
    if (head.unclear)
        fail_msg("%s\nis refused: %s", from, head.unclear);
}

static void is_refused(const char *from, int status, const char *why)
{
    read_text(from);
    if (!head.unclear || head.status != status || !strstr(head.unclear, why))
        fail_msg("%s\nis refused with %d: %s", from, head.status,
                 head.unclear ? head.unclear : "(it is not)");
}

#define LINE "POST /a?b=c HTTP/1.1\r\n"

static void a_head_is_read(void **state)
{
    (void)state;
    is_clear(LINE "Host: localhost\r\nX-Odd:\t a  b \t\r\nEmpty:\r\nContent-Length: 12\r\n\r\n");
    assert_string_equal(head.method, "POST");
    assert_string_equal(head.target, "/a?b=c");
    assert_true(head.http_1_1);
    assert_int_equal(head.length, 12);
    assert_int_equal(head.count, 4);
    assert_string_equal(head_find(&head, "host"), "localhost");
    assert_string_equal(head_find(&head, "x-ODD"), "a  b");
    assert_string_equal(head_find(&head, "Empty"), "");
    assert_null(head_find(&head, "Hos"));
    assert_null(head_find(&head, "Host:"));
    is_clear("GET / HTTP/1.1\r\n\r\n");
    assert_int_equal(head.length, 0);
    assert_int_equal(head.count, 0);
    is_clear("GET /\xc3\xa9 HTTP/1.7\r\nx: \xff\r\n\r\n");
    assert_true(head.http_1_1);
}

static void the_first_header_of_a_name_counts(void **state)
{
    (void)state;
    is_clear(LINE "A: 1\r\na: 2\r\n\r\n");
    assert_string_equal(head_find(&head, "A"), "1");
}

static void a_head_ends_at_its_empty_line(void **state)
{
    (void)state;
    assert_int_equal(head_size(STR("GET / HTTP/1.1\r\n\r")), 0);
    assert_int_equal(head_size(STR("")), 0);
    assert_int_equal(head_size(STR("a\r\n\r\nb\r\n\r\n")), 5);
}

static void what_happens_to_the_connection_is_read(void **state)
{
    (void)state;
    is_clear(LINE "Connection: foo, Close\r\n\r\n");
    assert_true(head.closes);
    is_clear(LINE "Connection: closed\r\nConnection: keep-alive\r\n\r\n");
    assert_true(!head.closes && head.keeps);
    is_clear("GET / HTTP/1.0\r\n\r\n");
    assert_true(!head.http_1_1 && !head.keeps);
    is_clear(LINE "Expect: 100-Continue\r\n\r\n");
    assert_true(head.expects);
    is_clear("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n");
    assert_false(head.expects);
}

static void a_length_is_digits(void **state)
{
    (void)state;
    static const char *const odd[] = {"-5", "+5", "5, 5", "0x5", "", "5 5", "1e3"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        OWNED_MEM char *from = xasprintf(LINE "Content-Length: %s\r\n\r\n", odd[i]);
        is_refused(from, 400, "no number");
    }
    is_clear(LINE "content-length: 9223372036854775807\r\n\r\n");
    assert_int_equal(head.length, HEAD_LENGTH_HUGE);
    is_clear(LINE "Content-Length: 99999999999999999999999999999\r\n\r\n");
    assert_int_equal(head.length, HEAD_LENGTH_HUGE);
    is_clear(LINE "Content-Length: 00000000000000000000000000012\r\n\r\n");
    assert_int_equal(head.length, 12);
    is_clear(LINE "Transfer-Encoding: Chunked\r\n\r\n");
    assert_int_equal(head.length, -1);
}

static void what_others_could_read_in_another_way_is_refused(void **state)
{
    (void)state;
    is_refused(LINE "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400, "more than once");
    is_refused(LINE "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
               "more than once");
    is_refused(LINE "Transfer-Encoding: gzip, chunked\r\n\r\n", 400, "only Transfer-Encoding");
    is_refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "HTTP/1.0");
    is_refused(LINE "Host: a\r\nHost: a\r\n\r\n", 400, "Host");
    is_refused(LINE "Content-Length : 1\r\n\r\n", 400, "blank");
    is_refused(LINE "A: 1\r\n 2\r\n\r\n", 400, "second line");
    is_refused(LINE "A: 1\r\n\t2\r\n\r\n", 400, "second line");
    is_refused(LINE "A\r\n\r\n", 400, "no name");
    is_refused(LINE ": 1\r\n\r\n", 400, "no name");
    is_refused(LINE "A(: 1\r\n\r\n", 400, "no name");
    is_refused(LINE "A: 1\nContent-Length: 5\r\n\r\n", 400, "control");
    is_refused(LINE "A: 1\rContent-Length: 5\r\n\r\n", 400, "line");
    is_refused(LINE "A: \x1b[31m\r\n\r\n", 400, "control");
    is_refused(LINE "A: \x7f\r\n\r\n", 400, "control");
}

static void a_nul_is_a_control_character(void **state)
{
    (void)state;
    static const char from[] = LINE "A: b\0c\r\n\r\n";
    memcpy(text, from, sizeof from);
    head_read(text, sizeof from - 1, &head);
    assert_non_null(head.unclear);
}

static void a_first_line_is_of_http_1_1(void **state)
{
    (void)state;
    static const char *const odd[] = {
        "\r\n\r\n",
        "GET\r\n\r\n",
        "GET /\r\n\r\n",
        "GET  / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1 \r\n\r\n",
        "GET / HTTP/1.10\r\n\r\n",
        "GET / http/1.1\r\n\r\n",
        "GET /a b HTTP/1.1\r\n\r\n",
        "GET /\x1b HTTP/1.1\r\n\r\n",
        "GET /\x7f HTTP/1.1\r\n\r\n",
        "GET\t/ HTTP/1.1\r\n\r\n",
        " GET / HTTP/1.1\r\n\r\n",
        "G(T / HTTP/1.1\r\n\r\n",
        "GET / HTTP/x.1\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        is_refused(odd[i], 400, "first line");
    read_text("GET\r\n\r\n");
    assert_string_equal(head.target, "/");
    is_refused("PRI * HTTP/2.0\r\n\r\n", 505, "HTTP/1.1");
}

static void too_many_headers_are_refused(void **state)
{
    (void)state;
    OWNED_BUF struct buf many;
    buf_init(&many, sizeof text);
    buf_add_text(&many, LINE);
    for (int i = 0; i < HEAD_MAX_HEADERS; i++)
        buf_add_text(&many, "a: b\r\n");
    size_t len = many.len;
    buf_add_text(&many, "\r\n");
    buf_add_char(&many, '\0');
    is_clear(many.data);
    assert_int_equal(head.count, HEAD_MAX_HEADERS);
    many.len = len;
    buf_add_text(&many, "a: b\r\n\r\n");
    buf_add_char(&many, '\0');
    is_refused(many.data, 431, "many");
    head_too_large(&head);
    assert_int_equal(head.status, 431);
    assert_null(head_find(&head, "a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_is_read),
        cmocka_unit_test(the_first_header_of_a_name_counts),
        cmocka_unit_test(a_head_ends_at_its_empty_line),
        cmocka_unit_test(what_happens_to_the_connection_is_read),
        cmocka_unit_test(a_length_is_digits),
        cmocka_unit_test(what_others_could_read_in_another_way_is_refused),
        cmocka_unit_test(a_nul_is_a_control_character),
        cmocka_unit_test(a_first_line_is_of_http_1_1),
        cmocka_unit_test(too_many_headers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
