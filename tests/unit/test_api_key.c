/* What keys look like. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/api_key.h"

static void a_name_is_one_plain_word(void **state)
{
    (void)state;
    struct err err;
    char longest[API_KEY_NAME_MAX + 2];
    memset(longest, 'a', sizeof longest);
    longest[API_KEY_NAME_MAX] = '\0';
    assert_true(api_key_name_check("owner", "laptop-2.a_B", &err));
    assert_true(api_key_name_check("owner", longest, &err));
    longest[API_KEY_NAME_MAX] = 'a';
    longest[API_KEY_NAME_MAX + 1] = '\0';
    static const char *const wrong[] = {"", "a b", "a/b", "é", "a\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(api_key_name_check("owner", wrong[i], &err));
    assert_false(api_key_name_check("owner", longest, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_non_null(strstr(err.text, "owner: expected 1 to 64 letters"));
}

static void scopes_are_known_words_in_one_order(void **state)
{
    (void)state;
    bool wanted[API_KEY_SCOPE_COUNT] = {false};
    char text[API_KEY_SCOPES_SIZE];
    api_key_scopes_write(wanted, text);
    assert_string_equal(text, "");
    assert_false(api_key_scope_mark(STR("root"), wanted));
    assert_false(api_key_scope_mark(STR(""), wanted));
    assert_true(api_key_scope_mark(STR("admin"), wanted));
    assert_true(api_key_scope_mark(STR("read"), wanted));
    assert_true(api_key_scope_mark(STR("admin"), wanted));
    api_key_scopes_write(wanted, text);
    assert_string_equal(text, "read admin");
    assert_true(api_key_scope_mark(STR("work"), wanted));
    api_key_scopes_write(wanted, text);
    assert_string_equal(text, "read work admin");
}

static void a_secret_is_its_random_bytes_in_letters(void **state)
{
    (void)state;
    uint8_t random[API_KEY_RANDOM_BYTES] = {0};
    char secret[API_KEY_SECRET_SIZE];
    api_key_secret(random, secret);
    assert_string_equal(secret, "pk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    memset(random, 0xff, sizeof random);
    api_key_secret(random, secret);
    assert_string_equal(secret, "pk___________________________________________8");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_one_plain_word),
        cmocka_unit_test(scopes_are_known_words_in_one_order),
        cmocka_unit_test(a_secret_is_its_random_bytes_in_letters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
