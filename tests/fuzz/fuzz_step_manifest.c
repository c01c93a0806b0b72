/* Manifests of steps and parameters of their jobs: the first line is a manifest, the second what is
 * configured, the rest the defaults. What is taken keeps its bounds; what was checked is filled to
 * an object that is JSON, lacks nothing and passes the check. */
#include "base/json.h"
#include "core/json_schema.h"
#include "core/step.h"
#include "core/step_job.h"
#include "fuzz.h"

#include <string.h>

static void look_at_slots(const struct step_slot *slots, size_t count)
{
    HOLDS(count <= STEP_SLOTS_MAX);
    for (size_t i = 0; i < count; i++) {
        HOLDS(slots[i].name && str_is_utf8(str_of(slots[i].name)));
        HOLDS(slots[i].min >= 0 && slots[i].max >= -1);
        HOLDS(step_slot_find(slots, count, str_of(slots[i].name)) == (int64_t)i);
    }
}

static void look_at_parameters(const char *schema, struct str given, struct str defaults)
{
    struct err err = {.code = ERR_NONE};
    struct str missing = {NULL, 0};
    bool complete = json_schema_complete(str_of(schema), given, defaults, &missing);
    HOLDS(complete || missing.len > 0);
    bool fits = json_schema_check_given(str_of(schema), given, "parameters", &err);
    HOLDS(fits || err.code == ERR_INVALID);
    OWNED_BUF struct buf filled;
    buf_init(&filled, BUF_NO_CAP);
    json_schema_fill(str_of(schema), given, defaults, &filled);
    HOLDS(json_check(buf_str(&filled), NULL, NULL));
    HOLDS(json_type_of(buf_str(&filled)) == JSON_OBJECT);
    HOLDS(!complete || json_schema_complete(str_of(schema), buf_str(&filled), STR(""), &missing));
    /* What is whole and passes as a part passes as a whole. */
    if (fits && complete && defaults.len == 0 && json_same(buf_str(&filled), given))
        HOLDS(json_schema_check(str_of(schema), given, "parameters", &err));
}

static bool is_object(struct str text)
{
    return json_check(text, NULL, NULL) && json_type_of(text) == JSON_OBJECT;
}

static struct str line_of(struct str *rest)
{
    const char *end = rest->len ? memchr(rest->ptr, '\n', rest->len) : NULL;
    struct str line = {rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len};
    size_t gone = line.len + (end ? 1 : 0);
    *rest = (struct str){rest->ptr + gone, rest->len - gone};
    return str_trim(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = {(const char *)data, size};
    struct str manifest = line_of(&rest), given = line_of(&rest), defaults = str_trim(rest);
    struct step_manifest m = {0};
    struct err err = {.code = ERR_NONE};
    if (!step_manifest_read(manifest, &m, &err)) {
        HOLDS(err.code == ERR_INVALID || err.code == ERR_LIMIT);
        return 0;
    }
    HOLDS(json_check(manifest, NULL, NULL));
    HOLDS(m.name && m.version && str_is_utf8(str_of(m.name)));
    look_at_slots(m.inputs, m.input_count);
    look_at_slots(m.outputs, m.output_count);
    HOLDS(!m.parameters || json_check(str_of(m.parameters), NULL, NULL));
    HOLDS(!m.returns || json_check(str_of(m.returns), NULL, NULL));
    if (m.parameters && is_object(given) && (defaults.len == 0 || is_object(defaults)))
        look_at_parameters(m.parameters, given, defaults);
    step_manifest_release(&m);
    return 0;
}
