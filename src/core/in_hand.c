/* in_hand.c: see in_hand.h. Numbers in hand are neighbours mostly, so they stand in blocks of
 * consecutive numbers, each with the bytes of its records one behind the other. A block whose
 * records were all settled is used again as it is: memory that is touched for the first time costs
 * more than all else here. */
#include "core/in_hand.h"

#include <stdlib.h>

enum {
    BLOCK_RECORDS = 32, /* few: one that waits for its retry keeps the room of all */
    PLACES_FIRST = 16,
    BYTES_FIRST = 256,
    SPARE_BYTES_MOST = 32 << 20 /* of all blocks that are not used, with what they hold */
};

struct block {
    struct block *next;        /* among the spare ones */
    int64_t number;            /* of the block */
    size_t count;              /* records in it */
    char *bytes;               /* theirs, and those of records that were put anew since */
    size_t used, room, wanted; /* wanted: of the used bytes, those that a record still has */
    struct held_record records[BLOCK_RECORDS]; /* the key is the number + 1, so that 0 is free */
};

struct in_hand {
    struct block **places; /* open addressing by the block's number */
    size_t place_count;    /* 0 or a power of two */
    size_t block_count, record_count;
    struct block *spare;
    size_t spare_bytes;
};

struct in_hand *in_hand_new(void)
{
    return xcalloc(1, sizeof(struct in_hand));
}

static void block_free(struct block *b)
{
    free(b->bytes);
    free(b);
}

void in_hand_clear(struct in_hand *h)
{
    for (size_t i = 0; i < h->place_count; i++)
        if (h->places[i])
            block_free(h->places[i]);
    while (h->spare) {
        struct block *b = h->spare;
        h->spare = b->next;
        block_free(b);
    }
    free(h->places);
    *h = (struct in_hand){0};
}

void in_hand_free(struct in_hand *h)
{
    if (!h)
        return;
    in_hand_clear(h);
    free(h);
}

static struct block **place_of(const struct in_hand *h, int64_t number)
{
    for (size_t i = (size_t)number & (h->place_count - 1);; i = (i + 1) & (h->place_count - 1))
        if (!h->places[i] || h->places[i]->number == number)
            return &h->places[i];
}

/* Puts all blocks that hold a record into places of their own; `count` is a power of two. */
static void place_anew(struct in_hand *h, size_t count)
{
    struct block **before = h->places;
    size_t before_count = h->place_count;
    h->places = xcalloc(count, sizeof(struct block *));
    h->place_count = count;
    for (size_t i = 0; i < before_count; i++)
        if (before[i])
            *place_of(h, before[i]->number) = before[i];
    free(before);
}

static struct block *block_new(struct in_hand *h)
{
    struct block *b = h->spare;
    if (!b)
        return xcalloc(1, sizeof *b);
    h->spare = b->next;
    h->spare_bytes -= sizeof *b + b->room;
    b->next = NULL;
    return b;
}

static struct block *need_block(struct in_hand *h, int64_t number)
{
    if (h->block_count * 2 >= h->place_count)
        place_anew(h, h->place_count ? h->place_count * 2 : PLACES_FIRST);
    struct block **place = place_of(h, number);
    if (!*place) {
        *place = block_new(h);
        (*place)->number = number;
        h->block_count++;
    }
    return *place;
}

/* Gives the block other memory for its bytes, of which only those of its records move along. */
static void move_bytes(struct block *b, size_t room)
{
    char *bytes = xrealloc(NULL, room);
    size_t used = 0;
    for (size_t i = 0; i < BLOCK_RECORDS; i++) {
        struct held_record *r = &b->records[i];
        if (!r->key || !r->bytes)
            continue;
        if (r->len)
            memcpy(bytes + used, r->bytes, r->len);
        r->bytes = bytes + used;
        used += r->len;
    }
    free(b->bytes);
    b->bytes = bytes;
    b->used = used;
    b->room = room;
}

static char *keep(struct block *b, struct str bytes)
{
    if (b->room - b->used < bytes.len || !b->room) {
        size_t room = b->room ? b->room : BYTES_FIRST;
        while (room < b->wanted + bytes.len)
            room *= 2;
        /* What is not wanted any more may be enough, but not again and again. */
        move_bytes(b, room < 2 * b->wanted ? 2 * room : room);
    }
    char *to = b->bytes + b->used;
    if (bytes.len)
        memcpy(to, bytes.ptr, bytes.len);
    b->used += bytes.len;
    b->wanted += bytes.len;
    return to;
}

static void forget(struct block *b, struct held_record *r)
{
    b->wanted -= r->len;
    b->count--;
    *r = (struct held_record){0};
}

void in_hand_put(struct in_hand *h, int64_t number, struct id id, struct str bytes)
{
    struct block *b = need_block(h, number / BLOCK_RECORDS);
    struct held_record *r = &b->records[number % BLOCK_RECORDS];
    h->record_count += r->key == 0;
    if (r->key)
        forget(b, r);
    b->count++;
    r->key = number + 1;
    r->id = id;
    if (!bytes.ptr)
        return;
    r->bytes = keep(b, bytes);
    r->len = bytes.len;
}

const struct held_record *in_hand_find(const struct in_hand *h, int64_t number)
{
    if (!h->place_count)
        return NULL;
    const struct block *b = *place_of(h, number / BLOCK_RECORDS);
    const struct held_record *r = b ? &b->records[number % BLOCK_RECORDS] : NULL;
    return r && r->key ? r : NULL;
}

/* An empty block waits for other numbers. */
static void put_aside(struct in_hand *h, struct block *b)
{
    if (h->spare_bytes + sizeof *b + b->room > SPARE_BYTES_MOST) {
        block_free(b);
        return;
    }
    b->used = 0;
    b->next = h->spare;
    h->spare = b;
    h->spare_bytes += sizeof *b + b->room;
}

/* A few records that stay must not hold the room of all. */
static void tighten(struct block *b)
{
    if (b->room <= BYTES_FIRST || b->wanted > b->room / 4)
        return;
    size_t room = BYTES_FIRST;
    while (room < b->wanted)
        room *= 2;
    move_bytes(b, room);
}

void in_hand_sweep(struct in_hand *h, bool (*keeps)(void *context, int64_t number), void *context)
{
    struct block **before = TAKE(h->places);
    size_t before_count = h->place_count, left = 0, places = PLACES_FIRST;
    for (size_t i = 0; i < before_count; i++) {
        struct block *b = before[i];
        for (size_t n = 0; b && n < BLOCK_RECORDS; n++) {
            struct held_record *r = &b->records[n];
            if (!r->key || keeps(context, r->key - 1))
                continue;
            forget(b, r);
            h->record_count--;
        }
        if (b && b->count == 0) {
            put_aside(h, b);
            before[i] = NULL;
        } else if (b) {
            tighten(b);
            left++;
        }
    }
    while (places < 2 * left + 2)
        places *= 2;
    h->places = before;
    h->block_count = left;
    place_anew(h, places);
}

int64_t in_hand_count(const struct in_hand *h)
{
    return (int64_t)h->record_count;
}
