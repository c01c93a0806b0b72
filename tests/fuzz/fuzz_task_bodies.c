/* Bodies about tasks: what is to be enqueued, what is settled, what is claimed. What is taken was
 * JSON; each value that is kept raw is JSON, each name is a name, each place is one of the list. */
#include "base/json.h"
#include "base/own.h"
#include "core/task.h"
#include "fuzz.h"
#include "http/native/task_settlement.h"

static void look_at_name(struct str name)
{
    HOLDS(name.len <= TASK_NAME_MAX_BYTES);
    HOLDS(str_is_utf8(name));
    for (size_t i = 0; i < name.len; i++)
        HOLDS((unsigned char)name.ptr[i] >= ' ');
}

static void look_at_tasks(const struct new_tasks *l)
{
    for (size_t i = 0; i < l->count; i++) {
        const struct task_new *t = &l->tasks[i];
        const struct str names[] = {t->function, t->queue, t->key, t->batch, t->lock, t->unique};
        HOLDS(t->function.len > 0);
        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            look_at_name(names[k]);
        HOLDS(t->arguments.len == 0 || json_check(t->arguments, NULL, NULL));
        HOLDS(t->options.len == 0 || json_type_of(t->options) == JSON_OBJECT);
        HOLDS(t->options.len == 0 || json_check(t->options, NULL, NULL));
        HOLDS(t->priority >= TASK_PRIORITY_MIN && t->priority <= TASK_PRIORITY_MAX);
        HOLDS(t->max_attempts >= 0 && t->delay_us >= 0 && t->run_at_us >= 0);
        for (size_t k = 0; k < t->after_count; k++)
            HOLDS(t->after[k] != 0 && t->after[k] >= -(int64_t)l->count);
    }
}

static void look_at_claim(const struct task_claim_body *c)
{
    HOLDS(c->max >= 0 && c->max <= TASK_CLAIM_MAX && c->wait_us >= 0);
    HOLDS(!c->queues == (c->queue_count == 0) && !c->functions == (c->function_count == 0));
    for (size_t i = 0; i < c->queue_count; i++)
        look_at_name(c->queues[i]);
    for (size_t i = 0; i < c->function_count; i++)
        look_at_name(c->functions[i]);
    for (size_t i = 0; i < c->holds_count; i++)
        HOLDS(c->holds[i] > 0);
}

static void look_at_settlement(const struct task_settlement *s)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct task_settle_entry *entry = &s->entries[i];
        HOLDS(entry->id > 0 && entry->retry_after_us >= 0);
        HOLDS(entry->value.len == 0 || json_check(entry->value, NULL, NULL));
        HOLDS(entry->outcome != TASK_FAILED || json_type_of(entry->value) == JSON_OBJECT);
        HOLDS(str_is_utf8(entry->type));
    }
    look_at_tasks(&s->enqueue);
    if (s->claims)
        look_at_claim(&s->claim);
}

/* Each reader gets a copy of its own, of its very size: they write over it. */
static char *copy_of(const uint8_t *data, size_t size)
{
    char *body = xcalloc(size + !size, 1);
    if (size)
        memcpy(body, data, size);
    return body;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {.code = ERR_NONE};
    bool json = json_check((struct str){(const char *)data, size}, NULL, NULL);
    struct new_tasks tasks = {0};
    OWNED_MEM char *first = copy_of(data, size);
    if (new_tasks_read(&tasks, first, size, &err)) {
        HOLDS(json);
        look_at_tasks(&tasks);
    } else {
        HOLDS(err.code == ERR_INVALID || err.code == ERR_LIMIT);
    }
    new_tasks_release(&tasks);

    struct task_settlement settlement = {0};
    OWNED_MEM char *second = copy_of(data, size);
    if (task_settlement_read(&settlement, second, size, &err)) {
        HOLDS(json);
        look_at_settlement(&settlement);
    } else {
        HOLDS(err.code == ERR_INVALID || err.code == ERR_LIMIT);
    }
    task_settlement_release(&settlement);

    struct task_claim_body claim = {0};
    struct json j;
    OWNED_MEM char *third = copy_of(data, size);
    json_open(&j, (struct str){third, size});
    if (task_claim_body_read(&claim, &j, false, &err) && json_end(&j)) {
        HOLDS(json);
        look_at_claim(&claim);
    }
    task_claim_body_release(&claim);
    return 0;
}
