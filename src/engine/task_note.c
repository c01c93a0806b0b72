/* task_note.c: what of a task is to be stored. */
#include "engine/engine_state.h"

#include "base/json.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

struct task_note *note_new(struct engine *e, struct task *t, struct task_leaf *leaf)
{
    (void)e;
    struct task_note *note = xcalloc(1, sizeof *note);
    note->t = t;
    note->leaf = leaf;
    note->row.id = t->id;
    note->row.state = JOB_PENDING;
    t->change = note;
    return note;
}

void note_free(struct engine *e, struct task_note *note)
{
    if (!note)
        return;
    if (note->t)
        note->t->change = NULL;
    leaf_put(e, note->leaf);
    free(note->options);
    free(note->error);
    free(note->error_type);
    free(note);
}

static char *copy(struct str text)
{
    return text.ptr ? xstrndup(text.ptr, text.len) : NULL;
}

struct task_note *note_of_row(struct engine *e, struct task *t, const struct task_row *row)
{
    struct task_leaf *leaf =
        leaf_get(e, task_queue(t), task_function(t), task_key_name(t), row->batch);
    struct task_note *note = note_new(e, t, leaf);
    note->row = *row;
    note->options = copy(row->options);
    note->row.options = str_of(note->options);
    note->row.error = note->row.error_type = (struct str){NULL, 0};
    note_set_error(note, row->error, row->error_type);
    if (row->unique.ptr)
        note->unique = unique_key_of(row->unique, e->tasks->seed);
    note->row.key = note->row.batch = note->row.lock = note->row.unique = (struct str){NULL, 0};
    note->row.arguments = note->row.result = (struct str){NULL, 0};
    note->row.arguments_blob = note->row.result_blob = (struct task_blob){NULL, 0};
    return note;
}

struct needing {
    struct engine *e;
    struct task *t;
};

static bool take_row(void *context, const struct task_row *row, struct err *err)
{
    struct needing *needing = context;
    (void)err;
    return note_of_row(needing->e, needing->t, row) != NULL;
}

struct task_note *note_need(struct engine *e, struct task *t, struct err *err)
{
    struct needing needing = {e, t};
    bool found = false;
    if (t->change)
        return t->change;
    OWNED(tx) struct tx *tx = NULL;
    if (!tx_begin(e->store, &tx, err) ||
        !task_store_read(tx, t->id, &found, take_row, &needing, err))
        return NULL;
    if (!found)
        err_set(err, ERR_STORE, "task %" PRId64 " is not in the store", t->id);
    return t->change;
}

struct task_note *note_must(struct engine *e, struct task *t)
{
    struct err err = {0};
    struct task_note *note = note_need(e, t, &err);
    if (!note)
        e->building.tasks.broken = err;
    return note;
}

/* Puts the note on the list of what the group stores. */
static void touch(struct engine *e, struct task_note *note)
{
    struct task_group *g = &e->building.tasks;
    if (note->in_group)
        return;
    note->in_group = true;
    note->event = 0;
    if (g->note_count == g->note_cap) {
        g->note_cap = g->note_cap ? g->note_cap * 2 : 64;
        g->notes = xrealloc(g->notes, g->note_cap * sizeof(void *));
    }
    g->notes[g->note_count++] = note;
}

void note_write(struct engine *e, struct task_note *note, enum task_write write)
{
    touch(e, note);
    /* A start is part of the row that is inserted; two different ones are more than each. */
    if (write == WRITE_START && note->inserts && note->write == WRITE_NOTHING)
        return;
    if (note->write == WRITE_NOTHING)
        note->write = write;
    else if (note->write != write)
        note->write = WRITE_SAVE;
}

void note_move(struct engine *e, struct task_note *note, enum job_state state)
{
    enum job_state before = note->row.state;
    note->row.state = state;
    if (before != state)
        leaf_count(e, note->leaf, before, state);
}

/* The group's event of that kind that may tell of the note: none that is before what was told of it
 * last, so that the order of what happened to a task is the order of the events. */
static struct task_event *event_for(struct task_group *g, struct task_note *note, const char *kind)
{
    size_t first = note->event ? note->event - 1 : 0;
    for (size_t i = g->event_count; i-- > first;)
        if (strcmp(g->events[i].kind, kind) == 0) {
            note->event = i + 1;
            return &g->events[i];
        }
    if (g->event_count == g->event_cap) {
        g->event_cap = g->event_cap ? g->event_cap * 2 : 8;
        g->events = xrealloc(g->events, g->event_cap * sizeof *g->events);
    }
    struct task_event *event = &g->events[g->event_count++];
    *event = (struct task_event){.kind = kind};
    buf_init(&event->detail, BUF_NO_CAP);
    buf_add_text(&event->detail, "{\"tasks\":");
    note->event = g->event_count;
    return event;
}

void note_event(struct engine *e, struct task_note *note, const char *kind)
{
    touch(e, note);
    struct task_event *event = event_for(&e->building.tasks, note, kind);
    struct buf *out = &event->detail;
    buf_add_char(out, out->data[out->len - 1] == ':' ? '[' : ',');
    buf_add_char(out, '[');
    buf_add_i64(out, note->row.id);
    buf_add_char(out, ',');
    buf_add_i64(out, note->t ? note->t->fence : note->row.fence);
    buf_add_char(out, ',');
    buf_add_i64(out, note->row.session);
    buf_add_char(out, ']');
}

struct task_blob note_blob(const struct task_blob_ref *ref)
{
    return ref->bytes ? (struct task_blob){ref->hash.bytes, ref->bytes}
                      : (struct task_blob){NULL, 0};
}

struct task_blob_ref task_blob_ref_of(const struct task_blob *blob)
{
    struct task_blob_ref ref = {.bytes = 0};
    if (!blob->hash)
        return ref;
    /* One of which the store has no row is missed when it is read. */
    ref.bytes = blob->bytes > 0 ? blob->bytes : 1;
    memcpy(ref.hash.bytes, blob->hash, sizeof ref.hash.bytes);
    return ref;
}

void note_set_error(struct task_note *note, struct str error, struct str type)
{
    free(note->error);
    free(note->error_type);
    note->error = copy(error);
    note->error_type = error.ptr ? xstrndup(type.ptr ? type.ptr : "", type.len) : NULL;
    note->row.error = str_of(note->error);
    note->row.error_type = str_of(note->error_type);
}
