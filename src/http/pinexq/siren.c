/* siren.c: see siren.h. */
#include "http/pinexq/siren.h"

#include "base/clock.h"

#include <assert.h>

/* What opens and closes each part; properties are always there. */
static const struct {
    const char *name;
    char open, close;
} part_forms[] = {
    [SIREN_PROPERTIES] = {"properties", '{', '}'},
    [SIREN_ENTITIES] = {"entities", '[', ']'},
    [SIREN_ACTIONS] = {"actions", '[', ']'},
    [SIREN_LINKS] = {"links", '[', ']'},
};

static void text(struct json_out *o, const char *name, const char *value)
{
    json_out_name(o, name);
    json_out_text(o, value);
}

static void word_list(struct json_out *o, const char *name, const char *word, const char *more)
{
    json_out_name(o, name);
    json_out_open(o, '[');
    json_out_text(o, word);
    if (more)
        json_out_text(o, more);
    json_out_close(o, ']');
}

/* --- parts --- */

void siren_begin(struct siren *s, struct buf *buf, struct str root)
{
    *s = (struct siren){.root = root, .depth = -1};
    json_out_init(&s->out, buf);
}

/* Goes to a part of the open entity. */
static void enter(struct siren *s, enum siren_part part)
{
    assert(s->depth >= 0);
    enum siren_part *now = &s->parts[s->depth];
    assert(*now <= part);
    if (*now == part)
        return;
    json_out_close(&s->out, part_forms[*now].close);
    json_out_name(&s->out, part_forms[part].name);
    json_out_open(&s->out, part_forms[part].open);
    *now = part;
}

void siren_entity(struct siren *s, const char *class, const char *rel)
{
    assert(s->depth + 1 < SIREN_DEPTH_MAX && (s->depth >= 0) == (rel != NULL));
    if (rel)
        enter(s, SIREN_ENTITIES);
    s->parts[++s->depth] = SIREN_PROPERTIES;
    json_out_open(&s->out, '{');
    word_list(&s->out, "class", class, NULL);
    if (rel)
        word_list(&s->out, "rel", rel, NULL);
    json_out_name(&s->out, part_forms[SIREN_PROPERTIES].name);
    json_out_open(&s->out, part_forms[SIREN_PROPERTIES].open);
}

void siren_end(struct siren *s)
{
    assert(s->depth >= 0);
    json_out_close(&s->out, part_forms[s->parts[s->depth--]].close);
    json_out_close(&s->out, '}');
}

/* --- properties --- */

struct json_out *siren_property(struct siren *s, const char *name)
{
    enter(s, SIREN_PROPERTIES);
    json_out_name(&s->out, name);
    return &s->out;
}

void siren_text(struct siren *s, const char *name, const char *value)
{
    json_out_text(siren_property(s, name), value);
}

void siren_number(struct siren *s, const char *name, int64_t value)
{
    json_out_i64(siren_property(s, name), value);
}

void siren_flag(struct siren *s, const char *name, bool value)
{
    json_out_bool(siren_property(s, name), value);
}

/* With microseconds: filters by a time that was read must find what has it. */
void siren_time(struct siren *s, const char *name, int64_t at_us)
{
    char shown[CLOCK_TEXT_SIZE];
    struct json_out *o = siren_property(s, name);
    if (at_us <= 0) {
        json_out_null(o);
        return;
    }
    clock_text(at_us, shown);
    size_t zone = strlen(shown) - 1;
    int64_t below_ms = at_us % 1000;
    shown[zone] = (char)('0' + below_ms / 100);
    shown[zone + 1] = (char)('0' + below_ms / 10 % 10);
    shown[zone + 2] = (char)('0' + below_ms % 10);
    memcpy(shown + zone + 3, "Z", sizeof "Z");
    json_out_text(o, shown);
}

static void tag_detail(struct json_out *o, const char *whole)
{
    struct step_tag tag;
    step_tag_split(str_of(whole), &tag);
    json_out_open(o, '{');
    json_out_name(o, "Key");
    json_out_str(o, tag.key);
    json_out_name(o, "Value");
    if (tag.type == STEP_TAG_KEY_ONLY)
        json_out_null(o);
    else
        json_out_str(o, tag.value);
    text(o, "Type", step_tag_type_names[tag.type]);
    json_out_close(o, '}');
}

void siren_texts(struct siren *s, const char *name, const struct step_tags *texts)
{
    struct json_out *o = siren_property(s, name);
    json_out_open(o, '[');
    for (size_t i = 0; i < texts->count; i++)
        json_out_text(o, texts->items[i]);
    json_out_close(o, ']');
}

void siren_tags(struct siren *s, const struct step_tags *tags)
{
    siren_texts(s, "Tags", tags);
    struct json_out *o = siren_property(s, "TagDetails");
    json_out_open(o, '[');
    for (size_t i = 0; i < tags->count; i++)
        tag_detail(o, tags->items[i]);
    json_out_close(o, ']');
}

/* --- actions, links --- */

/* A root is checked, and all else in an address is made here: nothing is to be escaped. */
static void write_href(struct siren *s, const struct pinexq_href *href)
{
    json_out_name(&s->out, "href");
    json_out_raw(&s->out, STR("\""));
    pinexq_href_write(s->out.buf, s->root, href);
    buf_add_char(s->out.buf, '"');
}

static void write_field(struct json_out *o, const struct siren_action *action)
{
    json_out_open(o, '{');
    text(o, "name", action->parameters);
    text(o, "type", "application/json");
    if (action->value) {
        json_out_name(o, "value");
        json_out_raw(o, str_of(action->value));
    }
    json_out_close(o, '}');
}

static void write_file_field(struct json_out *o)
{
    json_out_open(o, '{');
    text(o, "name", "UploadFile");
    text(o, "type", "file");
    json_out_name(o, "allowMultiple");
    json_out_bool(o, false);
    json_out_close(o, '}');
}

void siren_act(struct siren *s, const struct siren_action *action, const struct pinexq_href *href)
{
    struct json_out *o = &s->out;
    enter(s, SIREN_ACTIONS);
    json_out_open(o, '{');
    text(o, "name", action->name);
    text(o, "method", action->method);
    write_href(s, href);
    if (action->uploads)
        word_list(o, "class", "FileUploadAction", "FileUploadActionWithParameter");
    else if (action->destroys)
        word_list(o, "class", "Destructive", NULL);
    if (action->uploads || action->parameters) {
        text(o, "type", action->uploads ? "multipart/form-data" : "application/json");
        json_out_name(o, "fields");
        json_out_open(o, '[');
        if (action->uploads)
            write_file_field(o);
        if (action->parameters)
            write_field(o, action);
        json_out_close(o, ']');
    }
    json_out_close(o, '}');
}

void siren_link(struct siren *s, const char *rel, const struct pinexq_href *href)
{
    siren_link_typed(s, rel, SIREN_MEDIA_TYPE, href);
}

void siren_link_typed(struct siren *s, const char *rel, const char *type,
                      const struct pinexq_href *href)
{
    enter(s, SIREN_LINKS);
    json_out_open(&s->out, '{');
    word_list(&s->out, "rel", rel, NULL);
    write_href(s, href);
    if (type)
        text(&s->out, "type", type);
    json_out_close(&s->out, '}');
}
