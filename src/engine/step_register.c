/* step_register.c: steps: registered, found, listed, edited. All of them are in memory, so lists
 * are made there. */
#include "engine/engine_state.h"

#include "base/json.h"
#include "core/json_schema.h"
#include "core/semver.h"

#include <inttypes.h>
#include <stdlib.h>

enum { PARAMETERS_MAX = 1000 };

static void show(struct op_steps *all, const struct step_entry *entry)
{
    all->views = xrealloc(all->views, (all->count + 1) * sizeof *all->views);
    all->views[all->count++] = (struct step_view){step_hold(entry->now), entry->jobs, -1};
}

/* An owner's jobs wait in a queue of their own, of public steps, too. */
static int64_t workers_of(const struct engine *e, const struct step_asker *by, const struct step *s)
{
    OWNED_MEM char *queue = step_queue_name(by->everyone ? str_of(s->owner) : by->owner);
    OWNED_MEM char *function = step_function_name(s);
    return task_sessions_taking(e, queue, function, INT64_MAX);
}

/* --- finding --- */

static struct step_entry *find_exact(struct engine *e, struct str owner, const char *name,
                                     const char *version)
{
    for (size_t i = 0; i < e->steps->count; i++) {
        struct step_entry *entry = e->steps->entries[i];
        if (entry->now && str_is(owner, entry->now->owner) &&
            strcmp(entry->now->manifest.name, name) == 0 &&
            strcmp(entry->now->manifest.version, version) == 0)
            return entry;
    }
    return NULL;
}

/* How willingly it is taken where nobody says which: 0: only if there is no other. */
static int rank(const struct step *s, struct str owner)
{
    int current = !s->deprecated_at_us && !s->hidden && !step_is_prerelease(s);
    return current * 2 + str_is(owner, s->owner);
}

/* Whether a comes before b. */
static bool is_better(const struct step *a, const struct step *b, struct str owner)
{
    int by = rank(a, owner) - rank(b, owner);
    return by ? by > 0 : step_compare(a, b) < 0;
}

struct step_entry *steps_find(struct engine *e, const struct step_asker *by, struct str name,
                              struct str version, struct err *err)
{
    struct step_entry *best = NULL;
    for (size_t i = 0; i < e->steps->count; i++) {
        struct step_entry *entry = e->steps->entries[i];
        const struct step *s = entry->now;
        if (!s || !str_is(name, s->manifest.name) ||
            !(by->everyone || step_is_open_to(s, by->owner)) ||
            (version.len && !semver_matches(version, str_of(s->manifest.version))))
            continue;
        if (!best || is_better(s, best->now, by->owner))
            best = entry;
    }
    if (!best)
        err_set(err, ERR_NOT_FOUND, "there is no step %.*s%s%.*s",
                name.len > 100 ? 100 : (int)name.len, name.ptr, version.len ? ":" : "",
                version.len > 40 ? 40 : (int)version.len, version.ptr ? version.ptr : "");
    return best;
}

static struct step_entry *find_asked(struct engine *e, const struct op_steps *ask, struct err *err)
{
    if (ask->id > 0)
        return steps_entry_for(e, &ask->by, ask->id, err);
    if (ask->version.len && !semver_pattern_check(ask->version, err))
        return NULL;
    return steps_find(e, &ask->by, ask->name, ask->version, err);
}

/* The same, to be changed: only its owner does. */
static struct step_entry *find_own(struct engine *e, const struct op_steps *ask, struct err *err)
{
    struct step_entry *entry = find_asked(e, ask, err);
    if (entry && !ask->by.everyone && !str_is(ask->by.owner, entry->now->owner)) {
        err_set(err, ERR_FORBIDDEN, "step %" PRId64 " is another owner's", entry->id);
        return NULL;
    }
    return entry;
}

/* --- registering --- */

static bool same_manifest(const struct step *s, struct str manifest)
{
    return json_same(str_trim(str_of(s->manifest.text)), str_trim(manifest));
}

static bool meet_existing(struct op *op, const struct step_entry *entry)
{
    struct op_steps *ask = &op->steps;
    if (!ask->same_is_fine || !same_manifest(entry->now, ask->manifest))
        return err_set(&op->err, ERR_CONFLICT, "there is a step %s:%s already%s",
                       entry->now->manifest.name, entry->now->manifest.version,
                       ask->same_is_fine ? ", with another manifest: give this one another version"
                                         : "");
    ask->existing = true;
    show(ask, entry);
    return true;
}

/* Parameters are looked up one by one in what a job and the schema say, on this thread: there is an
 * end to how many. */
static bool check_parameters(struct str schema, struct err *err)
{
    static const char *const lists[] = {"properties", "required"};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        struct json j;
        struct str list, raw;
        size_t count = 0;
        if (!schema.len || !json_find(schema, lists[i], &list))
            continue;
        json_open(&j, list);
        if (json_type_of(list) == JSON_ARRAY && json_enter(&j, '['))
            while (json_item(&j) && json_value(&j, &raw))
                count++;
        else if (json_type_of(list) == JSON_OBJECT && json_enter(&j, '{'))
            while (json_member(&j, &raw) && json_value(&j, &raw))
                count++;
        if (count > PARAMETERS_MAX)
            return err_set(err, ERR_LIMIT, "parameters.%s: more than %d", lists[i], PARAMETERS_MAX);
    }
    return true;
}

static bool add_step(struct engine *e, struct op *op)
{
    struct op_steps *ask = &op->steps;
    struct step *s = step_new();
    if (!step_manifest_read(ask->manifest, &s->manifest, &op->err) ||
        !check_parameters(str_of(s->manifest.parameters), &op->err)) {
        step_free(s);
        return false;
    }
    const struct step_entry *old =
        find_exact(e, ask->by.owner, s->manifest.name, s->manifest.version);
    if (old) {
        step_free(s);
        return meet_existing(op, old);
    }
    s->id = steps_new_id(e);
    s->owner = xstrndup(ask->by.owner.ptr ? ask->by.owner.ptr : "", ask->by.owner.len);
    s->created_by = xstrndup(ask->by.name.ptr ? ask->by.name.ptr : "", ask->by.name.len);
    s->folder = xstrdup("/");
    s->created_at_us = s->modified_at_us = e->now.wall_us;
    struct step_entry *entry = steps_add_entry(e, s->id);
    steps_put_step(e, entry, s);
    show(ask, entry);
    return true;
}

/* --- editing --- */

static char *text_of(struct str text)
{
    return text.ptr ? xstrndup(text.ptr, text.len) : NULL;
}

static void set_text(char **to, struct str text)
{
    free(*to);
    *to = text_of(text);
}

static bool set_tags(struct step *s, const struct op_steps *ask, struct err *err)
{
    struct step_tags tags;
    if (!step_tags_make(ask->tags, ask->tag_count, &tags, err))
        return false;
    step_tags_release(&s->tags);
    s->tags = tags;
    return true;
}

static bool set_defaults(struct step *s, struct str defaults, struct err *err)
{
    if (defaults.ptr && json_type_of(defaults) != JSON_OBJECT)
        return err_set(err, ERR_INVALID, "defaults: expected an object");
    if (defaults.ptr && !s->manifest.parameters)
        return err_set(err, ERR_INVALID, "defaults: the step has no parameters");
    if (defaults.ptr &&
        !json_schema_check_given(str_of(s->manifest.parameters), defaults, "defaults", err))
        return false;
    set_text(&s->defaults, defaults);
    return true;
}

static bool set_folder(struct engine *e, struct step *s, const struct op_steps *ask,
                       struct err *err)
{
    char *made = NULL;
    if (!steps_folder_wanted(e, &ask->by, ask->folder, ask->folder_id, &made, err))
        return false;
    free(s->folder);
    s->folder = made;
    return true;
}

static bool edit(struct engine *e, struct step *s, const struct op_steps *ask, struct err *err)
{
    if (((ask->sets & STEP_SETS_TAGS) && !set_tags(s, ask, err)) ||
        ((ask->sets & STEP_SETS_DEFAULTS) && !set_defaults(s, ask->defaults, err)) ||
        ((ask->sets & STEP_SETS_FOLDER) && !set_folder(e, s, ask, err)))
        return false;
    if (ask->sets & STEP_SETS_TITLE)
        set_text(&s->title, ask->title);
    if (ask->sets & STEP_SETS_HIDDEN)
        s->hidden = ask->hidden;
    if (ask->sets & STEP_SETS_PUBLIC)
        s->is_public = ask->is_public;
    if (ask->sets & STEP_SETS_CODE_HASH)
        set_text(&s->code_hash, ask->code_hash);
    if (ask->sets & STEP_SETS_DEPRECATION) {
        set_text(&s->deprecation, ask->deprecation);
        s->deprecated_at_us = ask->deprecation.ptr ? e->now.wall_us : 0;
    }
    s->modified_at_us = e->now.wall_us;
    return true;
}

static bool edit_step(struct engine *e, struct op *op)
{
    struct step_entry *entry = find_own(e, &op->steps, &op->err);
    if (!entry)
        return false;
    struct step *copy = step_copy(entry->now);
    if (!edit(e, copy, &op->steps, &op->err)) {
        step_free(copy);
        return false;
    }
    steps_put_step(e, entry, copy);
    show(&op->steps, entry);
    return true;
}

bool steps_delete_step(struct engine *e, struct step_entry *entry, struct err *err)
{
    if (entry->jobs > 0)
        return err_set(err, ERR_CONFLICT,
                       "%" PRId64 " jobs have selected step %s:%s: delete them first", entry->jobs,
                       entry->now->manifest.name, entry->now->manifest.version);
    steps_put_step(e, entry, NULL);
    return true;
}

static bool delete_step(struct engine *e, struct op *op)
{
    struct step_entry *entry = find_own(e, &op->steps, &op->err);
    return entry && steps_delete_step(e, entry, &op->err);
}

/* --- lists --- */

static bool has(const char *text, struct str part)
{
    return !part.ptr || part.len == 0 || (text && memmem(text, strlen(text), part.ptr, part.len));
}

static bool is_selected(enum step_only only, bool property)
{
    return only == STEP_BOTH || (only == STEP_ONLY) == property;
}

static bool has_tags(const struct step *s, const struct op_steps *ask)
{
    bool any = ask->list.any_count == 0;
    for (size_t i = 0; i < ask->list.all_count; i++)
        if (!step_tags_have(&s->tags, ask->list.tags_all[i]))
            return false;
    for (size_t i = 0; i < ask->list.any_count && !any; i++)
        any = step_tags_have(&s->tags, ask->list.tags_any[i]);
    return any;
}

static bool is_in_folder(const struct step *s, struct str folder, bool below)
{
    if (!folder.ptr || str_is(folder, s->folder))
        return true;
    return below && strncmp(s->folder, folder.ptr, folder.len) == 0;
}

static const char *title_of(const struct step *s)
{
    return s->title ? s->title : s->manifest.title ? s->manifest.title : "";
}

static bool matches(const struct step *s, const struct op_steps *ask)
{
    const struct step_manifest *m = &s->manifest;
    if (!ask->by.everyone && !step_is_open_to(s, ask->by.owner))
        return false;
    if (ask->list.name_is ? !str_is(ask->list.name, m->name) : !has(m->name, ask->list.name))
        return false;
    return (!ask->list.version.len || semver_matches(ask->list.version, str_of(m->version))) &&
           has(title_of(s), ask->list.title) &&
           (has(m->short_description, ask->list.description) ||
            has(m->long_description, ask->list.description)) &&
           (!ask->list.procon_version.ptr ||
            (m->procon_version && str_is(ask->list.procon_version, m->procon_version))) &&
           is_selected(ask->list.hidden, s->hidden) &&
           is_selected(ask->list.deprecated, s->deprecated_at_us != 0) &&
           is_selected(ask->list.prerelease, step_is_prerelease(s)) &&
           is_selected(ask->list.is_public, s->is_public) &&
           is_in_folder(s, ask->list.folder, ask->list.below) && has_tags(s, ask);
}

static int by_number(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int compare_steps(const struct step *a, const struct step *b, const struct op_steps *ask)
{
    int by = 0;
    switch (ask->list.sort) {
    case STEPS_BY_NAME:
        return ask->list.descending ? -step_compare(a, b) : step_compare(a, b);
    case STEPS_BY_TITLE:
        by = strcmp(title_of(a), title_of(b));
        break;
    case STEPS_BY_CREATED:
        by = by_number(a->created_at_us, b->created_at_us);
        break;
    case STEPS_BY_MODIFIED:
        by = by_number(a->modified_at_us, b->modified_at_us);
        break;
    case STEPS_BY_VERSION:
        by = semver_compare_texts(str_of(a->manifest.version), str_of(b->manifest.version));
        break;
    }
    by = ask->list.descending ? -by : by;
    return by ? by : by_number(a->id, b->id);
}

/* The tags of those that were found, but for those that were asked for. */
static void sum_tags(struct op_steps *ask, struct step_entry *const *found, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < found[i]->now->tags.count; k++) {
            struct str tag = str_of(found[i]->now->tags.items[k]);
            bool asked = false;
            for (size_t n = 0; n < ask->list.all_count; n++)
                asked = asked || str_eq(tag, ask->list.tags_all[n]);
            if (!asked)
                steps_sum_tag(&ask->found, tag);
        }
}

static int compare(const void *x, const void *y, void *context)
{
    return compare_steps((*(struct step_entry *const *)x)->now,
                         (*(struct step_entry *const *)y)->now, context);
}

static bool list(struct engine *e, struct op *op)
{
    struct op_steps *ask = &op->steps;
    size_t count = 0, at = (size_t)ask->list.offset;
    if (ask->list.version.len && !semver_pattern_check(ask->list.version, &op->err))
        return false;
    OWNED_MEM struct step_entry **found = xcalloc(e->steps->count + 1, sizeof(void *));
    for (size_t i = 0; i < e->steps->count; i++)
        if (e->steps->entries[i]->now && matches(e->steps->entries[i]->now, ask))
            found[count++] = e->steps->entries[i];
    qsort_r(found, count, sizeof *found, compare, ask);
    ask->total = (int64_t)count;
    if (ask->list.wants_tags)
        sum_tags(ask, found, count);
    while (ask->list.after && at < count &&
           compare_steps(found[at]->now, ask->list.after, ask) <= 0)
        at++;
    for (; at < count && (int64_t)ask->count < ask->list.limit; at++)
        show(ask, found[at]);
    ask->more = at < count;
    return true;
}

enum op_fate op_steps(struct engine *e, struct op *op)
{
    struct op_steps *ask = &op->steps;
    struct step_entry *entry = NULL;
    bool changes = ask->verb != STEPS_SHOW && ask->verb != STEPS_LIST, good = false;
    if (!steps_are_ready(e, op, &ask->by, changes))
        return FATE_NOW;
    switch (ask->verb) {
    case STEPS_REGISTER:
        good = add_step(e, op);
        break;
    case STEPS_SHOW:
        entry = find_asked(e, ask, &op->err);
        if (entry) {
            show(ask, entry);
            ask->views[0].workers = workers_of(e, &ask->by, entry->now);
        }
        good = entry != NULL;
        break;
    case STEPS_LIST:
        good = list(e, op);
        break;
    case STEPS_EDIT:
        good = edit_step(e, op);
        break;
    case STEPS_DELETE:
        good = delete_step(e, op);
        break;
    }
    return good ? steps_fate(e) : FATE_NOW;
}
