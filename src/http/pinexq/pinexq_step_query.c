/* pinexq_step_query.c: queries of steps (pinexq.h). */
#include "core/semver.h"
#include "http/native/native_value.h"
#include "http/pinexq/pinexq.h"
#include "http/pinexq/pinexq_body.h"
#include "http/pinexq/pinexq_query.h"
#include "http/pinexq/pinexq_step.h"

#include <stdlib.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))
#define PATH PINEXQ_STEPS_PATH

static const struct pinexq_sort sorts[] = {{"Title", STEPS_BY_TITLE},
                                           {"CreatedAt", STEPS_BY_CREATED},
                                           {"LastModifiedAt", STEPS_BY_MODIFIED},
                                           {"Version", STEPS_BY_VERSION},
                                           {NULL, 0}};

/* --- the filter --- */

static bool read_match(struct str match, struct op_steps *ask, struct err *err)
{
    ask->list.name_is = ask->list.name.ptr && match.ptr && str_is(match, "MatchExact");
    return !match.ptr || ask->list.name_is || str_is(match, "MatchExact") ||
           str_is(match, "Contains") ||
           err_set(err, ERR_INVALID,
                   "Filter.FunctionNameMatchType: expected Contains or MatchExact");
}

/* All that is here is deployed elsewhere. */
static bool read_deployment(struct str state, bool *nothing, struct err *err)
{
    static const char *const others[] = {"Undefined", "NotDeployed", "Platform",
                                         "PlatformSuspended", "ExternalSuspended"};
    if (!state.ptr || str_is(state, "External"))
        return true;
    for (size_t i = 0; i < COUNT(others); i++)
        if (str_is(state, others[i])) {
            *nothing = true;
            return true;
        }
    return err_set(err, ERR_INVALID, "Filter.DeploymentState: there is no state \"%.*s\"",
                   value_shown(state), state.ptr);
}

/* *nothing: no step can match. */
static bool read_filter(struct request *req, const struct pinexq_query *query, struct op_steps *ask,
                        bool *nothing, struct err *err)
{
    struct pinexq_texts all = {NULL, 0}, any = {NULL, 0};
    struct str match = {NULL, 0}, expression = {NULL, 0}, deployment = {NULL, 0};
    const struct pinexq_member members[] = {
        {"FunctionName", PINEXQ_TEXT, false, &ask->list.name, 0},
        {"FunctionNameMatchType", PINEXQ_TEXT, false, &match, 0},
        {"Version", PINEXQ_TEXT, false, &ask->list.version, 0},
        {"TitleContains", PINEXQ_TEXT, false, &ask->list.title, 0},
        {"DescriptionContains", PINEXQ_TEXT, false, &ask->list.description, 0},
        {"TagsByAnd", PINEXQ_TEXTS, false, &all, 0},
        {"TagsByOr", PINEXQ_TEXTS, false, &any, 0},
        {"TagQueryExpression", PINEXQ_TEXT, false, &expression, 0},
        {"ShowHidden", PINEXQ_ONLY, false, &ask->list.hidden, 0},
        {"ShowDeprecated", PINEXQ_ONLY, false, &ask->list.deprecated, 0},
        {"ShowPrerelease", PINEXQ_ONLY, false, &ask->list.prerelease, 0},
        {"IsPublic", PINEXQ_ONLY, false, &ask->list.is_public, 0},
        {"DeploymentState", PINEXQ_TEXT, false, &deployment, 0},
        {"ProConVersion", PINEXQ_TEXT, false, &ask->list.procon_version, 0},
        {"Folder", PINEXQ_TEXT, false, &ask->list.folder, 0},
        {"FolderRecursive", PINEXQ_BOOL, false, &ask->list.below, 0},
    };
    if (!pinexq_object_read(req, "Filter", query->filter, members, COUNT(members), err))
        return false;
    if (expression.len)
        return err_set(err, ERR_INVALID,
                       "Filter.TagQueryExpression: is not understood here: use "
                       "TagsByAnd and TagsByOr");
    ask->list.tags_all = all.items;
    ask->list.all_count = all.count;
    ask->list.tags_any = any.items;
    ask->list.any_count = any.count;
    return read_match(match, ask, err) && read_deployment(deployment, nothing, err);
}

/* --- places --- */

/* What the order looks at, as a page's `next` tells it. */
static struct str key_of(struct request *req, const struct step *step, enum steps_order order)
{
    OWNED_MEM char *text = NULL;
    const char *title = step->title ? step->title : step->manifest.title;
    switch (order) {
    case STEPS_BY_NAME:
        text = xasprintf("%s:%s", step->manifest.name, step->manifest.version);
        break;
    case STEPS_BY_TITLE:
        text = xstrdup(title ? title : "");
        break;
    case STEPS_BY_VERSION:
        text = xstrdup(step->manifest.version);
        break;
    case STEPS_BY_CREATED:
    case STEPS_BY_MODIFIED:
        return (struct str){NULL, 0};
    }
    return str_of(request_strdup(req, str_of(text)));
}

/* Where the page ends, of the request's memory. */
static struct step_place *place_of(struct request *req, const struct step *step,
                                   enum steps_order order)
{
    struct step_place *place = request_alloc(req, sizeof *place);
    if (!place)
        return NULL;
    place->id = step->id;
    place->text = (char *)(uintptr_t)key_of(req, step, order).ptr;
    place->number = order == STEPS_BY_MODIFIED ? step->modified_at_us : step->created_at_us;
    return place;
}

static void free_step(void *step)
{
    step_free(step);
}

/* A step that stands where the page before ended, for the order only. */
static const struct step *step_at(struct request *req, const struct pinexq_query *query,
                                  enum steps_order order)
{
    struct step *step = step_new();
    struct step_manifest *m = &step->manifest;
    struct str key = query->after_text;
    const char *colon = key.len ? memrchr(key.ptr, ':', key.len) : NULL;
    size_t name = order == STEPS_BY_NAME && colon ? (size_t)(colon - key.ptr) : 0;
    size_t passed = name ? name + 1 : 0;
    request_own(req, step, free_step);
    step->id = query->after_id;
    step->created_at_us = step->modified_at_us = query->after_number;
    free(m->name);
    free(m->version);
    m->name = xstrndup(key.ptr ? key.ptr : "", name);
    m->version = xstrndup(key.ptr ? key.ptr + passed : "", key.len - passed);
    free(step->title);
    step->title = xstrndup(key.ptr ? key.ptr : "", key.len);
    return step;
}

static enum steps_order order_of(const struct pinexq_query *query)
{
    return query->sort < 0 ? STEPS_BY_NAME : (enum steps_order)query->sort;
}

/* --- handlers --- */

bool pinexq_step_query_create(struct request *req, struct reply *reply, struct err *err)
{
    struct pinexq_query query;
    struct op_steps ask = {.verb = STEPS_LIST};
    bool nothing = false;
    return pinexq_query_posted(req, sorts, &query, err) &&
           read_filter(req, &query, &ask, &nothing, err) &&
           (!ask.list.version.len || semver_pattern_check(ask.list.version, err)) &&
           pinexq_query_created(req, reply, PATH, &query, err);
}

/* `ask` NULL: nothing was found, nor asked for. */
static bool write_page(struct request *req, const struct pinexq_query *query,
                       const struct op_steps *ask, struct reply *reply, struct err *err)
{
    OWNED_BUF struct buf b;
    struct siren s;
    struct pinexq_found found = {.total = 0};
    if (!pinexq_begin(req, &s, &b, err))
        return false;
    if (ask)
        found = (struct pinexq_found){.total = ask->total, .count = ask->count, .more = ask->more};
    if (found.count)
        found.last = place_of(req, ask->views[found.count - 1].step, ask->list.sort);
    siren_entity(&s, "ProcessingStepQueryResult", NULL);
    pinexq_query_counts(&s, query, &found);
    if (query->remaining_tags && ask)
        siren_texts(&s, "RemainingTags", &ask->found);
    for (size_t i = 0; i < found.count; i++)
        pinexq_write_step(&s, req, &ask->views[i], "item");
    pinexq_query_links(&s, PATH, query, &found);
    siren_end(&s);
    return pinexq_reply(reply, &b, err);
}

static bool finish_page(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    return write_page(req, request_state(req), &op->steps, reply, err);
}

bool pinexq_step_query_page(struct request *req, struct reply *reply, struct err *err)
{
    struct pinexq_query *query = request_alloc(req, sizeof *query);
    bool nothing = false;
    if (!query)
        return err_set(err, ERR_BUSY, "memory is out");
    if (!pinexq_query_read(req, sorts, query, err))
        return false;
    struct op_steps *ask = &request_op(req, OP_STEPS)->steps;
    ask->verb = STEPS_LIST;
    request_step_asker(req, &ask->by);
    if (!read_filter(req, query, ask, &nothing, err))
        return false;
    if (nothing)
        return write_page(req, query, NULL, reply, err);
    ask->list.sort = order_of(query);
    ask->list.descending = query->descending;
    ask->list.offset = query->offset;
    ask->list.limit = query->size;
    ask->list.wants_tags = query->remaining_tags;
    if (query->goes_on)
        ask->list.after = step_at(req, query, ask->list.sort);
    request_set_state(req, query);
    return request_call(req, finish_page);
}
