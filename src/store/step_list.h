/* step_list.h: what the lists of step jobs and artifacts share; step_job_store.c and
 * artifact_store.c include it.
 *
 * A list has one statement for each way in and each order, all of them literals. What a filter does
 * not ask for is NULL, or 0 for ids, and then holds of all rows. */
#ifndef PENSTOCK_STORE_STEP_LIST_H
#define PENSTOCK_STORE_STEP_LIST_H

#include "store/step_job_store.h"
#include "store/stmt.h"

/* What holds for both; `x` is the table's alias, `thing` the number of enum step_thing. */
#define STEP_LIST_WHERE(x, thing)                                                                  \
    " (:hidden IS NULL OR " x ".hidden = :hidden)"                                                 \
    " AND (:name IS NULL OR instr(" x ".name, :name) > 0)"                                         \
    " AND " x ".created_at_us >= :from_us AND " x ".created_at_us < :before_us"                    \
    " AND (:step = 0 OR " x ".step_id = :step)"                                                    \
    " AND (:folder IS NULL OR " x ".folder = :folder"                                              \
    "  OR (:below AND substr(" x ".folder, 1, length(:folder)) = :folder))"                        \
    " AND (:tags_all IS NULL OR NOT EXISTS (SELECT 1 FROM json_each(:tags_all) e"                  \
    "  WHERE NOT EXISTS (SELECT 1 FROM step_tag t WHERE t.owner = :owner AND t.thing = " thing     \
    "  AND t.tag = e.value AND t.id = " x ".id)))"                                                 \
    " AND (:tags_any IS NULL OR EXISTS (SELECT 1 FROM json_each(:tags_any) e"                      \
    "  JOIN step_tag t ON t.owner = :owner AND t.thing = " thing                                   \
    "  AND t.tag = e.value AND t.id = " x ".id))"
/* The way in by one tag, in the order of ids (`g.id`): what comes first is found first. */
#define STEP_LIST_WITH_TAG(table, x, thing)                                                        \
    " FROM step_tag g CROSS JOIN " table " " x " ON " x ".id = g.id WHERE g.owner = :owner"        \
    " AND g.thing = " thing " AND g.tag = :with_tag AND " x ".owner = :owner AND"
/* The way in by several: those that have one of :tags. */
#define STEP_LIST_TAGGED(table, x, thing)                                                          \
    " FROM (SELECT DISTINCT t.id FROM json_each(:tags) e CROSS JOIN step_tag t"                    \
    "  ON t.owner = :owner AND t.thing = " thing " AND t.tag = e.value) g"                         \
    " CROSS JOIN " table " " x " ON " x ".id = g.id WHERE " x ".owner = :owner AND"

/* A range of ids (struct step_range) in each way in, and where the range that begins there ends
 * when it is to have so many rows of the way: the first of them beyond. */
#define STEP_RANGE(x) " AND " x ".id > :range_after AND " x ".id <= :range_to"
#define STEP_RANGE_TAGGED(table, x, thing)                                                         \
    " FROM (SELECT DISTINCT t.id FROM json_each(:tags) e CROSS JOIN step_tag t"                    \
    "  ON t.owner = :owner AND t.thing = " thing                                                   \
    " AND t.tag = e.value" STEP_RANGE("t") ") g"                                                   \
                                           " CROSS JOIN " table " " x " ON " x                     \
                                           ".id = g.id WHERE " x ".owner = :owner AND"
#define STEP_RANGE_END(x, from)                                                                    \
    "SELECT " x ".id" from " AND " x ".id > :range_after ORDER BY " x ".id LIMIT 1 OFFSET :rows"
#define STEP_RANGE_END_WITH_TAG(thing)                                                             \
    STEP_RANGE_END("g", " FROM step_tag g WHERE g.owner = :owner AND g.thing = " thing             \
                        " AND g.tag = :with_tag")
/* Of several tags: the first end of all. */
#define STEP_RANGE_END_TAGGED(thing)                                                               \
    "SELECT min((SELECT t.id FROM step_tag t WHERE t.owner = :owner AND t.thing = " thing          \
    "  AND t.tag = e.value AND t.id > :range_after ORDER BY t.id LIMIT 1 OFFSET :rows))"           \
    " FROM json_each(:tags) e"
/* Those found, with the columns that lists are in the order of. */
#define STEP_RANGE_FOUND(x, columns, found) "SELECT " x ".id, " columns found
/* How many of those found there are, and their tags: each once. */
#define STEP_RANGE_COUNT(found) "SELECT count(*)" found
#define STEP_RANGE_TAGS(x, found)                                                                  \
    "SELECT DISTINCT e.value FROM (SELECT " x ".tags AS tags" found " AND " x ".tags <> '[]') f"   \
    " CROSS JOIN json_each(f.tags) e"

/* The orders by a column: equal ones in the order of creation. */
#define STEP_ORDER_UP(x, column, after)                                                            \
    " AND (" x "." column ", " x ".id) > (" after ", :after_id)"                                   \
    " ORDER BY " x "." column ", " x ".id LIMIT :limit OFFSET :offset"
#define STEP_ORDER_DOWN(x, column, after)                                                          \
    " AND (:goes_on = 0 OR " x "." column " < " after "  OR (" x "." column " = " after " AND " x  \
    ".id > :after_id))"                                                                            \
    " ORDER BY " x "." column " DESC, " x ".id LIMIT :limit OFFSET :offset"
#define STEP_ORDER_NEW(x)                                                                          \
    " AND (:goes_on = 0 OR " x ".id < :after_id) ORDER BY " x ".id DESC LIMIT :limit"              \
    " OFFSET :offset"
#define STEP_ORDER_OLD(x) " AND " x ".id > :after_id ORDER BY " x ".id LIMIT :limit OFFSET :offset"

enum step_key { STEP_KEY_ID, STEP_KEY_TEXT, STEP_KEY_NUMBER };

/* The owner's name: no pointer is the empty one. */
struct str step_list_owner(const struct step_filter *filter);
/* Binds what STEP_LIST_WHERE names. */
void step_list_bind(struct stmt *q, const struct step_filter *filter);
/* Binds what an order names; its key is of that kind. */
void step_list_bind_page(struct stmt *q, const struct step_page *page, enum step_key key);
/* Binds what STEP_RANGE names. */
void step_list_bind_range(struct stmt *q, const struct step_range *range);
/* Runs a statement that ends a range: `*to`, INT64_MAX when there are no more rows. */
MUST_CHECK bool step_list_range_end(struct stmt *q, const struct step_range *range, int64_t rows,
                                    int64_t *to, struct err *err);
/* Gives the places of a STEP_RANGE_FOUND to `each`, the texts borrowed; the key is in that column
 * (0: there is none but the id). */
MUST_CHECK bool step_list_found(struct stmt *q, enum step_key key, int column,
                                void (*each)(void *context, int64_t id, struct str text,
                                             int64_t number),
                                void *context, struct err *err);
/* Gives the texts of a statement's only column to `each`. */
MUST_CHECK bool step_list_texts(struct stmt *q, void (*each)(void *context, struct str text),
                                void *context, struct err *err);
/* Binds a property that selects. */
void step_list_bind_only(struct stmt *q, const char *name, enum step_only only);
/* The tag by which a way in leads, decoded into `out`: the first of those that must all be there,
 * or the only one of those of which one must be. False: there is none. */
bool step_list_tag(const struct step_filter *filter, struct buf *out);
/* Reads the rows: an id and its key. */
MUST_CHECK bool step_list_rows(struct stmt *q, enum step_key key, int64_t limit,
                               struct step_place *places, size_t *count, struct err *err);

#endif
