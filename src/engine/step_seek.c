/* step_seek.c: see step_seek.h. What may be on the page is kept, with room for as many more; when
 * that is full it is put in order, and the half that is behind the page is let go. From then on the
 * last that was kept tells at once what need not be. */
#include "engine/step_seek.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct step_seek {
    struct step_page page; /* its text is owned */
    struct step_place *places;
    size_t count, wanted;
    bool full; /* the first `wanted` are in order, and no others are before them */
};

struct step_seek *step_seek_new(const struct step_page *page)
{
    assert(page->limit >= 0 && page->offset >= 0 && page->limit + page->offset <= STEP_SEEK_MAX);
    struct step_seek *seek = xcalloc(1, sizeof *seek);
    struct str text = page->goes_on && page->after_text.ptr ? page->after_text : STR("");
    seek->page = *page;
    seek->page.after_text = (struct str){xstrndup(text.ptr, text.len), text.len};
    seek->wanted = (size_t)(page->offset + page->limit) + 1;
    seek->places = xcalloc(2 * seek->wanted, sizeof *seek->places);
    return seek;
}

static void drop(struct step_seek *seek, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        free(TAKE(seek->places[i].text));
}

void step_seek_free(struct step_seek *seek)
{
    if (!seek)
        return;
    drop(seek, 0, seek->count);
    free(seek->places);
    free((char *)(uintptr_t)seek->page.after_text.ptr);
    free(seek);
}

/* --- the order: equal keys keep that of creation --- */

struct key {
    struct str text;
    int64_t number, id;
};

static int compare_texts(struct str a, struct str b)
{
    int by = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
    return by ? by : (a.len > b.len) - (a.len < b.len);
}

static int compare(const struct step_page *page, const struct key *a, const struct key *b)
{
    int by = compare_texts(a->text, b->text);
    by = by ? by : (a->number > b->number) - (a->number < b->number);
    int ids = (a->id > b->id) - (a->id < b->id);
    if (page->sort == STEP_SORT_CREATED)
        return page->descending ? -ids : ids;
    by = page->descending ? -by : by;
    return by ? by : ids;
}

static struct key key_of(const struct step_place *place)
{
    return (struct key){place->text ? str_of(place->text) : STR(""), place->number, place->id};
}

static int compare_places(const void *a, const void *b, void *seek)
{
    const struct key x = key_of(a), y = key_of(b);
    return compare(&((const struct step_seek *)seek)->page, &x, &y);
}

static bool is_wanted(const struct step_seek *seek, const struct key *key)
{
    const struct step_page *page = &seek->page;
    const struct key after = {page->after_text, page->after_number, page->after_id};
    if (page->goes_on && compare(page, key, &after) <= 0)
        return false;
    if (!seek->full)
        return true;
    const struct key last = key_of(&seek->places[seek->wanted - 1]);
    return compare(page, key, &last) < 0;
}

/* --- what is kept --- */

static void sort_out(struct step_seek *seek)
{
    qsort_r(seek->places, seek->count, sizeof *seek->places, compare_places, seek);
    if (seek->count < seek->wanted)
        return;
    drop(seek, seek->wanted, seek->count);
    seek->count = seek->wanted;
    seek->full = true;
}

void step_seek_add(void *context, int64_t id, struct str text, int64_t number)
{
    struct step_seek *seek = context;
    const struct key key = {text.ptr ? text : STR(""), number, id};
    if (!is_wanted(seek, &key))
        return;
    if (seek->count == 2 * seek->wanted)
        sort_out(seek);
    seek->places[seek->count++] = (struct step_place){
        .id = id, .number = number, .text = text.len ? xstrndup(text.ptr, text.len) : NULL};
}

struct step_place *step_seek_take(struct step_seek *seek, size_t *count)
{
    sort_out(seek);
    size_t offset = (size_t)seek->page.offset;
    size_t over = seek->count < offset ? seek->count : offset;
    drop(seek, 0, over);
    *count = seek->count - over;
    memmove(seek->places, seek->places + over, *count * sizeof *seek->places);
    seek->count = 0;
    return TAKE(seek->places);
}
