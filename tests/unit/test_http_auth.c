/* Who may call: words of scopes, hosts that are this machine, origins that are our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/server_own.h"

static void a_key_s_scope_is_its_highest_word(void **state)
{
    (void)state;
    assert_int_equal(auth_scope_of_words(""), SCOPE_NONE);
    assert_int_equal(auth_scope_of_words("read"), SCOPE_READ);
    assert_int_equal(auth_scope_of_words("work read"), SCOPE_WORK);
    assert_int_equal(auth_scope_of_words("  read  admin "), SCOPE_ADMIN);
    assert_int_equal(auth_scope_of_words("read,work"), SCOPE_WORK);
    assert_int_equal(auth_scope_of_words("administrator rea READ"), SCOPE_NONE);
}

static void only_names_of_this_machine_are_loopback(void **state)
{
    (void)state;
    static const char *const ours[] = {"localhost", "LOCALHOST:5005", "127.0.0.1", "127.0.0.1:80",
                                       "127.9.9.9", "[::1]",          "[::1]:5005"};
    static const char *const theirs[] = {"",
                                         "evil.example",
                                         "localhost.evil.example",
                                         "127.0.0.1.evil.example",
                                         "127.0.0.1evil",
                                         "127.evil.example:80",
                                         "[::2]:5005",
                                         "[::1",
                                         "[::1].evil.example",
                                         "localhost:x@evil.example",
                                         "0.0.0.0",
                                         "10.0.0.1:5005"};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (!auth_host_is_loopback(ours[i]))
            fail_msg("%s", ours[i]);
    for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++)
        if (auth_host_is_loopback(theirs[i]))
            fail_msg("%s", theirs[i]);
}

static void an_origin_is_own_when_it_is_the_host(void **state)
{
    (void)state;
    assert_true(auth_origin_is_own("http://localhost:5005", "localhost:5005"));
    assert_true(auth_origin_is_own("https://Jobs.example", "jobs.example"));
    assert_false(auth_origin_is_own("http://localhost:8080", "localhost:5005"));
    assert_false(auth_origin_is_own("null", "localhost:5005"));
    assert_false(auth_origin_is_own("http://evil.example", "localhost:5005"));
    assert_false(auth_origin_is_own("http://localhost:5005", NULL));
}

static void the_usual_way_of_asking_depends_on_the_address(void **state)
{
    (void)state;
    struct err err = {0};
    enum auth_mode mode = AUTH_KEYS;
    assert_true(server_auth_default("127.0.0.1", &mode, &err));
    assert_int_equal(mode, AUTH_NONE);
    assert_true(server_auth_default("::1", &mode, &err));
    assert_int_equal(mode, AUTH_NONE);
    assert_true(server_auth_default("0.0.0.0", &mode, &err));
    assert_int_equal(mode, AUTH_KEYS);
    assert_false(server_auth_default("not an address", &mode, &err));
    assert_int_equal(err.code, ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_s_scope_is_its_highest_word),
        cmocka_unit_test(only_names_of_this_machine_are_loopback),
        cmocka_unit_test(an_origin_is_own_when_it_is_the_host),
        cmocka_unit_test(the_usual_way_of_asking_depends_on_the_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
