/* step_list.c: see step_list.h. */
#include "store/step_list.h"

#include "base/json.h"

#include <stdlib.h>

void step_list_bind_only(struct stmt *q, const char *name, enum step_only only)
{
    if (only == STEP_BOTH)
        stmt_bind_text(q, name, NULL);
    else
        stmt_bind_i64(q, name, only == STEP_ONLY);
}

struct str step_list_owner(const struct step_filter *filter)
{
    return (struct str){filter->owner.len ? filter->owner.ptr : "", filter->owner.len};
}

void step_list_bind(struct stmt *q, const struct step_filter *filter)
{
    stmt_bind_str(q, ":owner", step_list_owner(filter));
    stmt_bind_str(q, ":name", filter->name);
    step_list_bind_only(q, ":hidden", filter->hidden);
    stmt_bind_i64(q, ":from_us", filter->created_from_us);
    stmt_bind_i64(q, ":before_us",
                  filter->created_before_us ? filter->created_before_us : INT64_MAX);
    stmt_bind_i64(q, ":step", filter->step);
    stmt_bind_str(q, ":folder", filter->folder);
    stmt_bind_i64(q, ":below", filter->below);
    stmt_bind_str(q, ":tags_all", filter->tags_all);
    stmt_bind_str(q, ":tags_any", filter->tags_any);
}

void step_list_bind_page(struct stmt *q, const struct step_page *page, enum step_key key)
{
    bool on = page->goes_on;
    stmt_bind_i64(q, ":after_id", on ? page->after_id : 0);
    stmt_bind_i64(q, ":limit", page->limit);
    stmt_bind_i64(q, ":offset", page->offset);
    if (page->descending)
        stmt_bind_i64(q, ":goes_on", on);
    if (key == STEP_KEY_TEXT)
        stmt_bind_str(q, ":after_text", on && page->after_text.ptr ? page->after_text : STR(""));
    if (key == STEP_KEY_NUMBER)
        stmt_bind_i64(q, ":after_number", on ? page->after_number : -1);
    if (page->work)
        stmt_limit(q, page->work);
}

void step_list_bind_range(struct stmt *q, const struct step_range *range)
{
    stmt_bind_i64(q, ":range_after", range->after);
    stmt_bind_i64(q, ":range_to", range->to);
}

bool step_list_range_end(struct stmt *q, const struct step_range *range, int64_t rows, int64_t *to,
                         struct err *err)
{
    stmt_bind_i64(q, ":range_after", range->after);
    stmt_bind_i64(q, ":rows", rows);
    int64_t id = 0;
    if (stmt_only_i64(q, &id, err) == ROW_FAILED)
        return err_add(err, "list");
    *to = id > 0 ? id : INT64_MAX; /* min() of nothing is a row of NULL: 0 */
    return true;
}

bool step_list_found(struct stmt *q, enum step_key key, int column,
                     void (*each)(void *context, int64_t id, struct str text, int64_t number),
                     void *context, struct err *err)
{
    enum row got = ROW_FAILED;
    while ((got = stmt_step(q, err)) == ROW_HERE)
        each(context, stmt_i64(q, 0), key == STEP_KEY_TEXT ? stmt_text(q, column) : STR(""),
             key == STEP_KEY_NUMBER ? stmt_i64(q, column) : 0);
    return got == ROW_NONE || err_add(err, "list");
}

bool step_list_texts(struct stmt *q, void (*each)(void *context, struct str text), void *context,
                     struct err *err)
{
    enum row got = ROW_FAILED;
    while ((got = stmt_step(q, err)) == ROW_HERE)
        each(context, stmt_text(q, 0));
    return got == ROW_NONE || err_add(err, "list");
}

bool step_list_tag(const struct step_filter *filter, struct buf *out)
{
    struct str all = filter->tags_all, any = filter->tags_any, first, more;
    struct json j;
    json_open(&j, all.ptr ? all : any.ptr ? any : STR("[]"));
    if (!json_enter(&j, '[') || !json_item(&j) || !json_value(&j, &first))
        return false;
    bool only = !json_item(&j) || !json_value(&j, &more);
    return (all.ptr || only) && json_text(first, out);
}

bool step_list_rows(struct stmt *q, enum step_key key, int64_t limit, struct step_place *places,
                    size_t *count, struct err *err)
{
    size_t got = 0;
    enum row row = ROW_NONE;
    while ((int64_t)got < limit && (row = stmt_step(q, err)) == ROW_HERE) {
        struct step_place *place = &places[got++];
        *place = (struct step_place){.id = stmt_i64(q, 0)};
        if (key == STEP_KEY_TEXT)
            place->text = stmt_take_text(q, 1);
        else if (key == STEP_KEY_NUMBER)
            place->number = stmt_i64(q, 1);
    }
    if (row == ROW_FAILED) {
        for (size_t i = 0; i < got; i++)
            free(TAKE(places[i].text));
        return err_add(err, "list");
    }
    *count = got;
    return true;
}
