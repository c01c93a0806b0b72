/* step_feed.c: see step_feed.h. A ring of entries; each follower has the number that it reads next.
 * An entry that a later one of the same job makes needless is marked, and told to nobody. Who has
 * read all there was goes on with the first entry of its owner's that comes then: it neither looks
 * at others' nor falls behind because of them. */
#include "engine/step_feed.h"

#include "core/table.h"

#include <pthread.h>
#include <stdlib.h>

/* Where the last entry of a job is, by a hash of its id: one that is overwritten by another job's
 * only means that an entry is told needlessly. */
enum { LASTS_BITS = 17, LASTS = 1 << LASTS_BITS };

struct kept {
    int64_t job, at_us;
    struct owner *owner;
    uint8_t kind;
    bool outdated;
};

struct owner {
    struct str name; /* owned */
    uint64_t hash;   /* of it */
    struct step_follower *followers;
    uint64_t added; /* the first entry since they were woken; 0: none */
    struct owner *next_added;
};

struct step_follower {
    struct step_feed *feed;
    struct step_follower *next, *prev;
    struct owner *owner;
    uint64_t at; /* the number that it reads next, unless it waits */
    bool waits;  /* it has read all there was */
    void (*wake)(void *context);
    void *context;
};

struct step_feed {
    pthread_mutex_t lock; /* guards all */
    struct kept *ring;    /* made with the first entry */
    uint64_t *lasts;
    uint64_t next; /* number of the entry to come; from 1 on */
    struct table owners;
    struct owner *added; /* whose followers are to be woken; by next_added */
};

static uint64_t hash_name(struct str name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ (unsigned char)name.ptr[i]) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 32;
}

static uint64_t owner_hash(const void *item)
{
    return ((const struct owner *)item)->hash;
}

static bool owner_is(const void *item, const void *ask)
{
    const struct str *a = &((const struct owner *)item)->name, *b = ask;
    return a->len == b->len && (a->len == 0 || memcmp(a->ptr, b->ptr, a->len) == 0);
}

static const struct table_kind by_name = {owner_hash, owner_is};

struct step_feed *step_feed_new(void)
{
    struct step_feed *f = xcalloc(1, sizeof *f);
    pthread_mutex_init(&f->lock, NULL);
    f->next = 1;
    return f;
}

void step_feed_free(struct step_feed *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->owners.size; i++) {
        struct owner *owner = f->owners.slots[i];
        if (owner)
            free((char *)(uintptr_t)owner->name.ptr);
        free(owner);
    }
    free(f->owners.slots);
    free(f->ring);
    free(f->lasts);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

/* --- under the lock --- */

static struct owner *owner_of(struct step_feed *f, struct str name)
{
    uint64_t hash = hash_name(name);
    struct owner *owner = table_find(&f->owners, &by_name, hash, &name);
    if (owner)
        return owner;
    owner = xcalloc(1, sizeof *owner);
    owner->name = (struct str){xstrndup(name.len ? name.ptr : "", name.len), name.len};
    owner->hash = hash;
    table_add(&f->owners, &by_name, owner);
    return owner;
}

static struct kept *entry_at(const struct step_feed *f, uint64_t number)
{
    return &f->ring[number % STEP_FEED_ENTRIES];
}

static uint64_t first_kept(const struct step_feed *f)
{
    return f->next > STEP_FEED_ENTRIES ? f->next - STEP_FEED_ENTRIES : 1;
}

static uint64_t *last_of(const struct step_feed *f, int64_t job)
{
    return &f->lasts[(uint64_t)job * UINT64_C(0x9e3779b97f4a7c15) >> (64 - LASTS_BITS)];
}

/* The job's last entry, 0: none is known. */
static uint64_t find_last(const struct step_feed *f, int64_t job)
{
    uint64_t last = f->ring ? *last_of(f, job) : 0;
    return last >= first_kept(f) && entry_at(f, last)->job == job ? last : 0;
}

static void add(struct step_feed *f, struct owner *owner, int64_t job, enum step_feed_kind kind,
                int64_t now_us)
{
    if (!f->ring) {
        f->ring = xcalloc(STEP_FEED_ENTRIES, sizeof *f->ring);
        f->lasts = xcalloc(LASTS, sizeof *f->lasts);
    }
    uint64_t before = find_last(f, job);
    if (before)
        entry_at(f, before)->outdated = true;
    if (!owner->added) {
        owner->added = f->next;
        owner->next_added = f->added;
        f->added = owner;
    }
    *last_of(f, job) = f->next;
    *entry_at(f, f->next++) =
        (struct kept){.job = job, .at_us = now_us, .owner = owner, .kind = (uint8_t)kind};
}

/* The number that it reads next, if that is there. What it waits for came with the first entry
 * that was added since, and that it may have read already, when it looked before it was woken. */
static uint64_t place_of(const struct step_follower *who)
{
    uint64_t added = who->owner->added ? who->owner->added : who->feed->next;
    return who->waits && added > who->at ? added : who->at;
}

static void wake(struct step_feed *f)
{
    for (struct owner *owner = NULL; (owner = f->added);) {
        for (struct step_follower *who = owner->followers; who; who = who->next)
            if (who->waits) {
                who->at = place_of(who);
                who->waits = false;
                who->wake(who->context);
            }
        f->added = owner->next_added;
        owner->added = 0;
    }
}

/* --- adding --- */

void step_feed_add(struct step_feed *f, struct str owner, int64_t job, enum step_feed_kind kind,
                   int64_t now_us)
{
    pthread_mutex_lock(&f->lock);
    add(f, owner_of(f, owner), job, kind, now_us);
    pthread_mutex_unlock(&f->lock);
}

void step_feed_wake(struct step_feed *f)
{
    pthread_mutex_lock(&f->lock);
    wake(f);
    pthread_mutex_unlock(&f->lock);
}

/* Whether somebody who follows has read the job's last entry; or it is not kept any more. */
static bool was_read(const struct step_feed *f, const struct owner *owner, int64_t job)
{
    uint64_t last = find_last(f, job);
    for (const struct step_follower *who = owner->followers; who; who = who->next)
        if (place_of(who) > last)
            return true;
    return false;
}

void step_feed_repeat(struct step_feed *f, struct str owner, int64_t job, int64_t now_us)
{
    pthread_mutex_lock(&f->lock);
    struct owner *whose = owner_of(f, owner);
    if (was_read(f, whose, job)) {
        add(f, whose, job, STEP_FEED_CHANGED, now_us);
        wake(f);
    }
    pthread_mutex_unlock(&f->lock);
}

/* --- following --- */

static uint64_t first_since(const struct step_feed *f, int64_t since_us)
{
    uint64_t at = f->next;
    while (at > first_kept(f) && entry_at(f, at - 1)->at_us >= since_us)
        at--;
    return at;
}

struct step_follower *step_feed_follow(struct step_feed *f, struct str owner, int64_t now_us,
                                       void (*wake_it)(void *context), void *context)
{
    struct step_follower *who = xcalloc(1, sizeof *who);
    pthread_mutex_lock(&f->lock);
    *who = (struct step_follower){.feed = f,
                                  .owner = owner_of(f, owner),
                                  .at = first_since(f, now_us - STEP_FEED_KEEP_US),
                                  .wake = wake_it,
                                  .context = context};
    who->next = who->owner->followers;
    if (who->next)
        who->next->prev = who;
    who->owner->followers = who;
    pthread_mutex_unlock(&f->lock);
    return who;
}

bool step_follower_take(struct step_follower *who, struct step_feed_entry *out, size_t max,
                        size_t *count)
{
    struct step_feed *f = who->feed;
    *count = 0;
    pthread_mutex_lock(&f->lock);
    who->at = place_of(who);
    bool whole = who->at >= first_kept(f);
    for (; whole && who->at < f->next && *count < max; who->at++) {
        const struct kept *k = entry_at(f, who->at);
        if (k->owner == who->owner && !k->outdated)
            out[(*count)++] =
                (struct step_feed_entry){.job = k->job, .kind = (enum step_feed_kind)k->kind};
    }
    who->waits = whole && *count == 0;
    pthread_mutex_unlock(&f->lock);
    return whole;
}

void step_follower_free(struct step_follower *who)
{
    if (!who)
        return;
    struct step_feed *f = who->feed;
    pthread_mutex_lock(&f->lock);
    if (who->prev)
        who->prev->next = who->next;
    else
        who->owner->followers = who->next;
    if (who->next)
        who->next->prev = who->prev;
    pthread_mutex_unlock(&f->lock);
    free(who);
}
