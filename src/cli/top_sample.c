/* top_sample.c: see top_sample.h. */
#include "cli/top_sample.h"

#include "base/clock.h"
#include "base/json.h"
#include "cli/answer_member.h"

static const struct {
    const char *path, *member, *name;
} lists[TOP_LIST_COUNT] = {
    [TOP_QUEUES] = {"/v1/queues", "queues", "queues"},
    [TOP_RUNNING] = {"/v1/tasks?state=running&limit=100", "tasks", "running"},
    [TOP_WORKERS] = {"/v1/workers", "workers", "workers"},
    [TOP_ERRORS] = {"/v1/tasks/errors", "errors", "errors"},
};

void top_sample_init(struct top_sample *s)
{
    for (size_t i = 0; i < TOP_LIST_COUNT; i++)
        buf_init(&s->answers[i], BUF_NO_CAP);
    s->at_us = 0;
}

void top_sample_release(struct top_sample *s)
{
    for (size_t i = 0; i < TOP_LIST_COUNT; i++)
        buf_release(&s->answers[i]);
}

bool top_sample_take(struct client *client, struct top_sample *s, struct err *err)
{
    for (size_t i = 0; i < TOP_LIST_COUNT; i++) {
        s->answers[i].len = 0;
        if (!client_ask(client, "GET", lists[i].path, STR(""), &s->answers[i], err))
            return false;
        if (!json_check(buf_str(&s->answers[i]), NULL, NULL))
            return err_set(err, ERR_INTERNAL, "the server's answer to %s is no JSON",
                           lists[i].path);
        if (i == TOP_QUEUES)
            s->at_us = clock_now().mono_us;
    }
    return true;
}

struct str top_sample_list(const struct top_sample *s, enum top_list list)
{
    struct str found = answer_raw(buf_str(&s->answers[list]), lists[list].member);
    return found.len > 0 && json_type_of(found) == JSON_ARRAY ? found : STR("[]");
}

const char *top_list_name(enum top_list list)
{
    return lists[list].name;
}

/* How many of a queue's tasks have ended. */
static int64_t ended(struct str queue)
{
    struct str counts = answer_raw(queue, "counts");
    return answer_i64(counts, "completed") + answer_i64(counts, "failed") +
           answer_i64(counts, "cancelled");
}

double top_sample_rate(const struct top_sample *now, const struct top_sample *before,
                       struct str queue)
{
    struct json j;
    struct str old, name = answer_raw(queue, "name");
    if (before->at_us == 0 || now->at_us <= before->at_us)
        return -1;
    json_open(&j, top_sample_list(before, TOP_QUEUES));
    json_enter(&j, '[');
    while (json_item(&j) && json_value(&j, &old))
        if (str_eq(answer_raw(old, "name"), name)) {
            /* What is deleted meanwhile is no work undone. */
            int64_t more = ended(queue) - ended(old);
            return more > 0 ? (double)more * 1e6 / (double)(now->at_us - before->at_us) : 0;
        }
    return -1;
}
