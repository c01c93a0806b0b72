/* step.c: see step.h. */
#include "core/step.h"

#include "base/json.h"
#include "core/json_schema.h"
#include "core/semver.h"

#include <assert.h>
#include <stdlib.h>

static const char queue_base[] = "steps";

/* --- manifests --- */

static void slots_release(struct step_slot *slots, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(slots[i].name);
        free(slots[i].title);
        free(slots[i].description);
        free(slots[i].media_type);
    }
    free(slots);
}

void step_manifest_release(struct step_manifest *m)
{
    char *const texts[] = {m->text,
                           m->name,
                           m->version,
                           m->title,
                           m->short_description,
                           m->long_description,
                           m->procon_version,
                           m->parameters,
                           m->returns};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
    slots_release(m->inputs, m->input_count);
    slots_release(m->outputs, m->output_count);
    *m = (struct step_manifest){0};
}

static size_t char_count(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

/* A text that may be missing or null. */
static bool take_text(struct str object, const char *name, size_t max_bytes, char **out,
                      struct err *err)
{
    struct str raw;
    if (!json_find(object, name, &raw) || json_type_of(raw) == JSON_NULL)
        return true;
    *out = json_take_text(raw);
    if (!*out)
        return err_set(err, ERR_INVALID, "%s: expected a text", name);
    return strlen(*out) <= max_bytes ||
           err_set(err, ERR_INVALID, "%s: more than %zu bytes", name, max_bytes);
}

/* A schema that may be missing or null. */
static bool take_schema(struct str object, const char *name, char **out, struct err *err)
{
    struct str raw;
    if (!json_find(object, name, &raw) || json_type_of(raw) == JSON_NULL)
        return true;
    if (json_type_of(raw) != JSON_OBJECT)
        return err_set(err, ERR_INVALID, "%s: expected a JSON schema, an object", name);
    *out = xstrndup(raw.ptr, raw.len);
    return true;
}

static bool take_count(struct str object, const char *name, int64_t *out, struct err *err)
{
    struct str raw;
    if (!json_find(object, name, &raw))
        return true;
    if (json_type_of(raw) == JSON_NULL) {
        *out = -1;
        return true;
    }
    return json_i64(raw, 0, INT32_MAX, out) ||
           err_set(err, ERR_INVALID, "%s: expected a number from 0 on", name);
}

/* 1 to 100 characters, none of them a control character, and no "/" or ":", which separate. */
static bool name_is_fine(const char *name)
{
    for (const char *at = name; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f || *at == '/' || *at == ':')
            return false;
    return *name && char_count(name) <= STEP_NAME_MAX_CHARS;
}

static bool read_slot(struct str raw, struct step_slot *slot, struct err *err)
{
    *slot = (struct step_slot){.min = 1, .max = 1};
    if (json_type_of(raw) != JSON_OBJECT)
        return err_set(err, ERR_INVALID, "expected an object");
    if (!take_text(raw, "name", STEP_TEXT_MAX_BYTES, &slot->name, err) ||
        !take_text(raw, "title", STEP_TEXT_MAX_BYTES, &slot->title, err) ||
        !take_text(raw, "description", STEP_TEXT_MAX_BYTES, &slot->description, err) ||
        !take_text(raw, "mediatype", 255, &slot->media_type, err) ||
        !take_count(raw, "minSlots", &slot->min, err) ||
        !take_count(raw, "maxSlots", &slot->max, err))
        return false;
    if (!slot->name || !name_is_fine(slot->name))
        return err_set(err, ERR_INVALID,
                       "name: expected 1 to 100 characters without control characters, / and :");
    if (slot->min < 0)
        slot->min = 0;
    return slot->max == -1 || slot->max >= slot->min ||
           err_set(err, ERR_INVALID, "maxSlots is less than minSlots");
}

static bool read_slots(struct str object, const char *name, struct step_slot **out, size_t *count,
                       struct err *err)
{
    struct str list, raw;
    struct json j;
    if (!json_find(object, name, &list) || json_type_of(list) == JSON_NULL)
        return true;
    if (json_type_of(list) != JSON_ARRAY)
        return err_set(err, ERR_INVALID, "%s: expected a list", name);
    json_open(&j, list);
    (void)json_enter(&j, '[');
    while (json_item(&j) && json_value(&j, &raw)) {
        if (*count == STEP_SLOTS_MAX)
            return err_set(err, ERR_INVALID, "%s: more than %d", name, STEP_SLOTS_MAX);
        *out = xrealloc(*out, (*count + 1) * sizeof **out);
        struct step_slot *slot = &(*out)[(*count)++];
        if (!read_slot(raw, slot, err))
            return err_add(err, "%s[%zu]", name, *count - 1);
        if (step_slot_find(*out, *count - 1, str_of(slot->name)) >= 0)
            return err_set(err, ERR_INVALID, "%s[%zu]: there is a slot of that name already", name,
                           *count - 1);
    }
    return true;
}

static bool read_manifest(struct str json, struct step_manifest *m, struct err *err)
{
    struct semver version;
    if (!take_text(json, "function_name", STEP_TEXT_MAX_BYTES, &m->name, err) ||
        !take_text(json, "version", STEP_TEXT_MAX_BYTES, &m->version, err) ||
        !take_text(json, "title", STEP_TEXT_MAX_BYTES, &m->title, err) ||
        !take_text(json, "short_description", STEP_TEXT_MAX_BYTES, &m->short_description, err) ||
        !take_text(json, "long_description", STEP_TEXT_MAX_BYTES, &m->long_description, err) ||
        !take_text(json, "procon_version", SEMVER_MAX_BYTES * 4, &m->procon_version, err) ||
        !take_schema(json, "parameters", &m->parameters, err) ||
        !take_schema(json, "returns", &m->returns, err))
        return false;
    if (!m->name || !name_is_fine(m->name))
        return err_set(err, ERR_INVALID,
                       "function_name: expected 1 to 100 characters without "
                       "control characters, / and :");
    if (!semver_parse(m->version ? str_of(m->version) : STR(""), &version, err))
        return err_add(err, "version");
    return read_slots(json, "input_dataslots", &m->inputs, &m->input_count, err) &&
           read_slots(json, "output_dataslots", &m->outputs, &m->output_count, err);
}

bool step_manifest_read(struct str json, struct step_manifest *out, struct err *err)
{
    const char *fault = NULL;
    size_t at = 0;
    struct step_manifest m = {0};
    if (!json_check(json, &at, &fault))
        return err_set(err, ERR_INVALID, "the manifest: byte %zu: %s", at, fault);
    if (json_type_of(str_trim(json)) != JSON_OBJECT)
        return err_set(err, ERR_INVALID, "the manifest is no JSON object");
    if (!read_manifest(str_trim(json), &m, err)) {
        step_manifest_release(&m);
        return false;
    }
    m.text = xstrndup(json.ptr, json.len);
    *out = m;
    return true;
}

int64_t step_slot_find(const struct step_slot *slots, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++)
        if (str_is(name, slots[i].name))
            return (int64_t)i;
    return -1;
}

bool step_slot_is_collection(const struct step_slot *slot)
{
    return slot->max != 1;
}

/* --- steps --- */

struct step *step_new(void)
{
    struct step *s = xcalloc(1, sizeof *s);
    atomic_init(&s->refs, 1);
    return s;
}

struct step *step_copy(const struct step *s)
{
    struct step *copy = step_new();
    struct err ignored;
    copy->id = s->id;
    bool good = step_manifest_read(str_of(s->manifest.text), &copy->manifest, &ignored);
    assert(good); /* it was read before */
    copy->owner = xstrdup(s->owner);
    copy->created_by = xstrdup(s->created_by);
    copy->title = xstrdup_or_null(s->title);
    copy->defaults = xstrdup_or_null(s->defaults);
    copy->code_hash = xstrdup_or_null(s->code_hash);
    copy->deprecation = xstrdup_or_null(s->deprecation);
    copy->folder = xstrdup(s->folder);
    copy->folder_id = s->folder_id;
    step_tags_copy(&s->tags, &copy->tags);
    copy->hidden = s->hidden;
    copy->is_public = s->is_public;
    copy->created_at_us = s->created_at_us;
    copy->modified_at_us = s->modified_at_us;
    copy->deprecated_at_us = s->deprecated_at_us;
    return copy;
}

const struct step *step_hold(const struct step *s)
{
    /* The count is not of what the step says. */
    atomic_fetch_add(&((struct step *)(uintptr_t)s)->refs, 1);
    return s;
}

void step_free(const struct step *s)
{
    struct step *own = (struct step *)(uintptr_t)s;
    if (!own || atomic_fetch_sub(&own->refs, 1) > 1)
        return;
    step_manifest_release(&own->manifest);
    free(own->owner);
    free(own->created_by);
    free(own->title);
    free(own->defaults);
    free(own->code_hash);
    free(own->deprecation);
    free(own->folder);
    step_tags_release(&own->tags);
    free(own);
}

bool step_has_parameters(const struct step *s)
{
    struct str properties;
    if (!s->manifest.parameters)
        return false;
    return !json_find(str_of(s->manifest.parameters), "properties", &properties) ||
           !json_same(properties, STR("{}"));
}

bool step_is_prerelease(const struct step *s)
{
    return strchr(s->manifest.version, '-') != NULL;
}

bool step_is_open_to(const struct step *s, struct str owner)
{
    return s->is_public || str_is(owner, s->owner);
}

int step_compare(const struct step *a, const struct step *b)
{
    int by = strcmp(a->manifest.name, b->manifest.name);
    if (!by)
        by = -semver_compare_texts(str_of(a->manifest.version), str_of(b->manifest.version));
    return by ? by : (a->id > b->id) - (a->id < b->id);
}

char *step_queue_name(struct str owner)
{
    return owner.len ? xasprintf("%s/%.*s", queue_base, (int)owner.len, owner.ptr)
                     : xstrdup(queue_base);
}

char *step_function_name(const struct step *s)
{
    return xasprintf("%s:%s", s->manifest.name, s->manifest.version);
}

bool step_queue_is(struct str queue)
{
    size_t len = sizeof queue_base - 1;
    return queue.len >= len && memcmp(queue.ptr, queue_base, len) == 0 &&
           (queue.len == len || queue.ptr[len] == '/');
}
