#include "http/planchet/planchet_params.h"

#include "base/parse.h"

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

bool planchet_int(struct str text, int64_t *out)
{
    while (text.len > 0 && is_blank(text.ptr[text.len - 1]))
        text.len--;
    while (text.len > 0 && is_blank(text.ptr[0]))
        text = (struct str){text.ptr + 1, text.len - 1};
    bool negative = text.len > 0 && text.ptr[0] == '-';
    if (text.len > 0 && (text.ptr[0] == '-' || text.ptr[0] == '+'))
        text = (struct str){text.ptr + 1, text.len - 1};
    /* Counted downwards, as there is one more number below zero than above. */
    int64_t value = 0;
    bool digit_before = false, saturated = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '_' && digit_before && i + 1 < text.len) {
            digit_before = false;
            continue;
        }
        if (c < '0' || c > '9')
            return false;
        digit_before = true;
        saturated = saturated || __builtin_mul_overflow(value, 10, &value) ||
                    __builtin_sub_overflow(value, c - '0', &value);
    }
    if (!digit_before)
        return false;
    if (saturated || (!negative && value == INT64_MIN))
        *out = negative ? INT64_MIN : INT64_MAX;
    else
        *out = negative ? value : -value;
    return true;
}

static bool find(struct request *req, struct planchet_faults *f, const char *name, bool required,
                 struct str *value)
{
    if (request_param(req, name, value))
        return true;
    if (required)
        planchet_faults_add(f, (struct planchet_place){"query", name, -1, -1}, FAULT_MISSING);
    return false;
}

struct str planchet_text_param(struct request *req, struct planchet_faults *f, const char *name,
                               bool required)
{
    struct str value = {0};
    find(req, f, name, required, &value);
    return value;
}

bool planchet_bool_param(struct request *req, struct planchet_faults *f, const char *name,
                         bool otherwise, bool required)
{
    struct str text;
    bool value = otherwise;
    if (find(req, f, name, required, &text) && !parse_bool(text, &value))
        planchet_faults_add(f, (struct planchet_place){"query", name, -1, -1}, FAULT_NO_BOOL);
    return value;
}

int64_t planchet_int_param(struct request *req, struct planchet_faults *f, const char *name,
                           int64_t otherwise)
{
    struct str text;
    int64_t value = otherwise;
    if (find(req, f, name, false, &text) && !planchet_int(text, &value))
        planchet_faults_add(f, (struct planchet_place){"query", name, -1, -1}, FAULT_NO_INTEGER);
    return value;
}
