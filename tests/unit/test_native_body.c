/* Control messages and query parameters read by a table; lease tokens as text. */
#include "http/native/native.h"
#include "http/native/native_body.h"
#include "http/server_own.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct read {
    int64_t count, wait_us;
    bool all;
    char *name;
    struct str raw;
};

static struct server server;
static struct loop loop = {.server = &server};
static struct conn conn = {.loop = &loop};

static struct request *request_with(const char *uri, const char *body)
{
    OWNED_MEM char *head = xasprintf("GET %s HTTP/1.1\r\n\r\n", uri);
    struct request *req = request_new(&conn, head, strlen(head));
    if (body) {
        req->body = xstrdup(body);
        req->body_len = strlen(body);
    }
    return req;
}

/* Reads a body or, when it is NULL, the query; the text of the refusal in `err`. */
static bool read_all(struct request *req, bool query, struct read *out, struct err *err)
{
    *out = (struct read){.count = 7};
    const struct member members[] = {
        {.name = "count", .type = MEMBER_I64, .min = 1, .max = 10, .out = &out->count},
        {.name = "name", .type = MEMBER_TEXT, .out = &out->name},
        {.name = "wait_s", .type = MEMBER_SECONDS, .max = 60000000, .out = &out->wait_us},
        {.name = "all", .type = MEMBER_BOOL, .out = &out->all},
        {.name = "raw", .type = MEMBER_RAW, .out = &out->raw},
    };
    return query ? native_query_read(req, members, 2, err)
                 : native_body_read(req, members, sizeof members / sizeof *members, err);
}

static void a_body_s_members_are_read_by_their_names(void **state)
{
    (void)state;
    struct read out;
    struct err err = {0};
    struct request *req =
        request_with("/", " {\"wait_s\": 1.5, \"count\":10,\"na\\u006de\":\"\\u00e9\",\"all\":true,"
                          "\"raw\":[1, 2]} ");
    assert_true(read_all(req, false, &out, &err));
    assert_int_equal(out.count, 10);
    assert_int_equal(out.wait_us, 1500000);
    assert_string_equal(out.name, "\xc3\xa9");
    assert_true(out.all);
    assert_true(str_is(out.raw, "[1, 2]"));
    request_free(req);
}

static void what_is_missing_or_null_stays_as_it_was(void **state)
{
    (void)state;
    static const char *const bodies[] = {"", " \n", "{}", "{\"count\":null,\"name\":null}"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct read out;
        struct err err = {0};
        struct request *req = request_with("/", bodies[i]);
        assert_true(read_all(req, false, &out, &err));
        assert_int_equal(out.count, 7);
        assert_null(out.name);
        request_free(req);
    }
}

static void what_does_not_fit_is_refused_and_named(void **state)
{
    (void)state;
    static const struct {
        const char *body, *says;
    } cases[] = {
        {"{\"count\":0}", "count: expected a whole number from 1 to 10, not 0"},
        {"{\"count\":11}", "count: expected a whole number from 1 to 10, not 11"},
        {"{\"count\":1.0}", "count: expected a whole number from 1 to 10, not 1.0"},
        {"{\"count\":\"1\"}", "count: expected a whole number from 1 to 10, not \"1\""},
        {"{\"wait_s\":-0.1}", "wait_s: expected seconds from 0 to 60, not -0.1"},
        {"{\"wait_s\":60.1}", "wait_s: expected seconds from 0 to 60, not 60.1"},
        {"{\"wait_s\":true}", "wait_s: expected seconds from 0 to 60, not true"},
        {"{\"all\":1}", "all: expected true or false, not 1"},
        {"{\"name\":\"\"}", "name: expected a text that is not empty, not \"\""},
        {"{\"name\":\"a\\u0000\"}", "name: expected a text that is not empty, not \"a\\u0000\""},
        {"{\"name\":[]}", "name: expected a text that is not empty, not []"},
        {"{\"other\":1}", "unknown member \"other\""},
        {"{\"count\":1", "body: byte 10: "},
        {"[]", "body: byte 0: "},
        {"{} {}", "body: byte 3: "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct read out;
        struct err err = {0};
        struct request *req = request_with("/", cases[i].body);
        assert_false(read_all(req, false, &out, &err));
        assert_int_equal(err.code, ERR_INVALID);
        if (strncmp(err.text, cases[i].says, strlen(cases[i].says)) != 0)
            fail_msg("%s: %s", cases[i].body, err.text);
        request_free(req);
    }
}

static void a_required_member_is_missed(void **state)
{
    (void)state;
    static const char *const bodies[] = {"", "{}", "{\"name\":null}"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        char *name = NULL;
        struct err err = {0};
        const struct member member = {
            .name = "name", .type = MEMBER_TEXT, .required = true, .out = &name};
        struct request *req = request_with("/", bodies[i]);
        assert_false(native_body_read(req, &member, 1, &err));
        assert_string_equal(err.text, "name: is required");
        request_free(req);
    }
}

static void a_query_s_parameters_are_read_by_their_names(void **state)
{
    (void)state;
    struct read out;
    struct err err = {0};
    struct request *req = request_with("/x?name=a%20b+c&count=3", NULL);
    assert_true(read_all(req, true, &out, &err));
    assert_int_equal(out.count, 3);
    assert_string_equal(out.name, "a b c");
    request_free(req);
}

static void an_odd_query_is_refused(void **state)
{
    (void)state;
    static const char *const queries[] = {"/x?count=", "/x?count=11", "/x?count=1e1",
                                          "/x?wait_s=1"};
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        struct read out;
        struct err err = {0};
        struct request *req = request_with(queries[i], NULL);
        assert_false(read_all(req, true, &out, &err));
        assert_int_equal(err.code, ERR_INVALID);
        request_free(req);
    }
}

static void a_token_is_written_and_read_back(void **state)
{
    (void)state;
    uint8_t token[LEASE_TOKEN_BYTES], back[LEASE_TOKEN_BYTES];
    char text[NATIVE_TOKEN_TEXT + 1];
    struct err err = {0};
    for (size_t i = 0; i < sizeof token; i++)
        token[i] = (uint8_t)(i * 17);
    native_token_write(token, text);
    assert_string_equal(text, "00112233445566778899aabbccddeeff");
    assert_true(native_token_read(str_of(text), back, &err));
    assert_memory_equal(token, back, sizeof token);
}

static void what_cannot_be_a_token_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "00112233445566778899aabbccddeef", "00112233445566778899aabbccddeeff0",
        "00112233445566778899AABBCCDDEEFF", "0011223344556677 8899aabbccddeef"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        uint8_t token[LEASE_TOKEN_BYTES] = {42};
        struct err err = {0};
        assert_false(native_token_read(str_of(texts[i]), token, &err));
        assert_int_equal(err.code, ERR_INVALID);
        assert_int_equal(token[0], 42);
    }
}

static int setup(void **state)
{
    (void)state;
    bodies_init(&server.bodies, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    requests_release(&loop);
    bodies_release(&server.bodies);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_s_members_are_read_by_their_names),
        cmocka_unit_test(what_is_missing_or_null_stays_as_it_was),
        cmocka_unit_test(what_does_not_fit_is_refused_and_named),
        cmocka_unit_test(a_required_member_is_missed),
        cmocka_unit_test(a_query_s_parameters_are_read_by_their_names),
        cmocka_unit_test(an_odd_query_is_refused),
        cmocka_unit_test(a_token_is_written_and_read_back),
        cmocka_unit_test(what_cannot_be_a_token_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
