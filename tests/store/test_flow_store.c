/* test_flow_store.c: flows, their nodes and what their Workers share, on every engine. */
#include "store_fixture.h"

#include "store/flow_context_store.h"
#include "store/flow_store.h"

#include <stdio.h>

static struct flow_store_row flow_row(int64_t id, const char *name)
{
    return (struct flow_store_row){.id = id,
                                   .name = str_of(name),
                                   .mode = FLOW_SHELL,
                                   .state = JOB_RUNNING,
                                   .stops = true,
                                   .run = 2,
                                   .max_running = 3,
                                   .gap_us = 4,
                                   .pools = STR("{\"a\":1}"),
                                   .variables = STR("{}"),
                                   .nodes = 2,
                                   .kept = 1,
                                   .first_task = 7,
                                   .tasks = 1,
                                   .lock_task = 7,
                                   .lock_fence = 9,
                                   .counts = {1, 0, 1, 0, 0, 0, 0},
                                   .created_at_us = 10,
                                   .started_at_us = 11};
}

static const struct flow_node_row nodes[] = {
    {.place = 0,
     .id = 5,
     .mark = FLOW_PENDING,
     .run = 2,
     .task = 7,
     .ahead_us = 30,
     .usual_us = 20,
     .print = UINT64_C(0xffffffffffffff01),
     .name = STR_INIT("five"),
     .logfile = STR_INIT("/l"),
     .after = STR_INIT("[6]")},
    {.place = 1,
     .id = 6,
     .mark = FLOW_COMPLETED,
     .run = 1,
     .attempts = 2,
     .code = 0,
     .has_code = true,
     .started_at_us = 3,
     .ended_at_us = 9,
     .name = STR_INIT("six"),
     .after = STR_INIT("[]")},
};

struct heard {
    char text[2000];
};

static bool hear_flow(void *context, const struct flow_store_row *r, struct err *err)
{
    struct heard *h = context;
    size_t len = strlen(h->text);
    (void)err;
    snprintf(h->text + len, sizeof h->text - len,
             "%d:%.*s,%d,%s,%d,%d,%d,%d,%.*s,%.*s,%d,%d,%d,%d,%d,%d,%d%d%d,%d,%d,%d|", (int)r->id,
             (int)r->name.len, r->name.ptr, r->mode, job_state_name(r->state), r->stops,
             (int)r->run, (int)r->max_running, (int)r->gap_us, (int)r->pools.len, r->pools.ptr,
             (int)r->variables.len, r->variables.ptr, (int)r->nodes, (int)r->kept,
             (int)r->first_task, (int)r->tasks, (int)r->lock_task, (int)r->lock_fence,
             (int)r->counts[0], (int)r->counts[1], (int)r->counts[2], (int)r->created_at_us,
             (int)r->started_at_us, (int)r->ended_at_us);
    return true;
}

static bool hear_node(void *context, const struct flow_node_row *r, struct err *err)
{
    struct heard *h = context;
    size_t len = strlen(h->text);
    (void)err;
    snprintf(h->text + len, sizeof h->text - len,
             "%d:%d%c run %d task %d tries %d code %d%d %d-%d %d %d %llx %.*s %s %.*s %.*s|",
             (int)r->place, r->id, flow_mark_letter(r->mark), (int)r->run, (int)r->task,
             (int)r->attempts, r->has_code, (int)r->code, (int)r->started_at_us,
             (int)r->ended_at_us, (int)r->usual_us, (int)r->ahead_us, (unsigned long long)r->print,
             (int)r->name.len, r->name.ptr, r->logfile.ptr ? "log" : "-", (int)r->after.len,
             r->after.ptr, (int)r->error.len, r->error.ptr ? r->error.ptr : "");
    return true;
}

static void assert_flows(struct fixture *f, const char *expected)
{
    struct heard h = {""};
    OK(f, flow_store_load(f->tx, hear_flow, &h, &f->err));
    assert_string_equal(h.text, expected);
}

static void assert_nodes(struct fixture *f, int64_t from, int mark, int64_t limit,
                         const char *expected)
{
    struct heard h = {""};
    OK(f, flow_node_store_walk(f->tx, 1, from, mark >= 0, (enum flow_mark)(mark >= 0 ? mark : 0),
                               limit, hear_node, &h, &f->err));
    assert_string_equal(h.text, expected);
}

#define FIVE "0:5P run 2 task 7 tries 0 code 00 0-0 20 30 ffffffffffffff01 five log [6] |"
#define SIX "1:6C run 1 task 0 tries 2 code 10 3-9 0 0 0 six - [] |"

static void put_all(struct fixture *f)
{
    struct flow_store_row a = flow_row(1, "a"), b = flow_row(2, "b");
    fixture_begin(f);
    OK(f, flow_store_put(f->tx, &b, &f->err));
    OK(f, flow_store_put(f->tx, &a, &f->err));
    OK(f, flow_node_store_replace(f->tx, 1, nodes, 2, &f->err));
    fixture_commit(f);
}

static void flows_come_back_as_they_were_put(void **state)
{
    struct fixture *f = *state;
    bool found = false;
    put_all(f);
    fixture_begin(f);
    assert_flows(f, "1:a,1,running,1,2,3,4,{\"a\":1},{},2,1,7,1,7,9,101,10,11,0|"
                    "2:b,1,running,1,2,3,4,{\"a\":1},{},2,1,7,1,7,9,101,10,11,0|");
    struct flow_store_row other = flow_row(1, "ignored");
    other.mode = FLOW_PYTHON;
    other.state = JOB_FAILED;
    other.stops = false;
    other.ended_at_us = 99;
    other.created_at_us = 5;
    OK(f, flow_store_put(f->tx, &other, &f->err));
    OK(f, flow_store_delete(f->tx, 2, 1, &f->err));
    OK(f, flow_store_delete(f->tx, 77, 1, &f->err));
    assert_flows(f, "1:a,0,failed,0,2,3,4,{\"a\":1},{},2,1,7,1,7,9,101,10,11,99|");
    OK(f, flow_store_exists(f->tx, 1, &found, &f->err));
    assert_true(found);
    OK(f, flow_store_exists(f->tx, 2, &found, &f->err));
    assert_false(found);
    fixture_commit(f);
}

static void a_name_is_one_flows(void **state)
{
    struct fixture *f = *state;
    struct flow_store_row other = flow_row(3, "a");
    put_all(f);
    fixture_begin(f);
    REFUSED(f, ERR_CONFLICT, flow_store_put(f->tx, &other, &f->err));
    fixture_roll_back(f);
}

static void nodes_are_walked_and_end(void **state)
{
    struct fixture *f = *state;
    int64_t place = 0;
    put_all(f);
    fixture_begin(f);
    assert_nodes(f, 0, -1, 10, FIVE SIX);
    assert_nodes(f, 1, -1, 10, SIX);
    assert_nodes(f, 0, -1, 1, FIVE);
    assert_nodes(f, 0, FLOW_COMPLETED, 10, SIX);
    assert_nodes(f, 0, FLOW_FAILED, 10, "");
    struct flow_node_row end = {.place = 0,
                                .id = 5,
                                .mark = FLOW_FAILED,
                                .run = 2,
                                .attempts = 3,
                                .has_code = true,
                                .code = -9,
                                .started_at_us = 4,
                                .ended_at_us = 6,
                                .error = STR_INIT("{}")};
    OK(f, flow_node_store_end(f->tx, 1, &end, &f->err));
    assert_nodes(f, 0, -1, 1,
                 "0:5F run 2 task 7 tries 3 code 1-9 4-6 20 30 ffffffffffffff01 five log [6] {}|");
    end.mark = FLOW_COMPLETED;
    end.usual_us = 2;
    end.error = (struct str){NULL, 0};
    OK(f, flow_node_store_end(f->tx, 1, &end, &f->err));
    assert_nodes(f, 0, -1, 1,
                 "0:5C run 2 task 7 tries 3 code 1-9 4-6 2 30 ffffffffffffff01 five log [6] |");
    OK(f, flow_node_store_place(f->tx, 1, 6, &place, &f->err));
    assert_int_equal(place, 1);
    OK(f, flow_node_store_place(f->tx, 1, 9, &place, &f->err));
    assert_int_equal(place, -1);
    end.place = 9;
    REFUSED(f, ERR_NOT_FOUND, flow_node_store_end(f->tx, 1, &end, &f->err));
    OK(f, flow_node_store_replace(f->tx, 1, nodes, 1, &f->err));
    assert_nodes(f, 0, -1, 10, FIVE);
    OK(f, flow_store_delete(f->tx, 1, 1, &f->err));
    assert_nodes(f, 0, -1, 10, "");
    fixture_commit(f);
}

static bool stop_node(void *context, const struct flow_node_row *r, struct err *err)
{
    (void)r;
    ++*(int *)context;
    return err_set(err, ERR_LIMIT, "enough");
}

static void a_walk_may_be_ended(void **state)
{
    struct fixture *f = *state;
    int told = 0;
    put_all(f);
    fixture_begin(f);
    REFUSED(f, ERR_LIMIT,
            flow_node_store_walk(f->tx, 1, 0, false, FLOW_PENDING, 9, stop_node, &told, &f->err));
    assert_int_equal(told, 1);
    fixture_roll_back(f);
}

static void say(void *context, const char *fault)
{
    strncat(context, fault, 500);
    strncat(context, "|", 2);
}

static void what_does_not_fit_is_told(void **state)
{
    struct fixture *f = *state;
    char told[2000] = "";
    put_all(f);
    fixture_begin(f);
    OK(f, flow_store_check(f->tx, say, told, &f->err));
    assert_string_equal(told, "flow 2 has 0 nodes, not 2|");
    struct flow_store_row wrong = flow_row(1, "a");
    wrong.counts[FLOW_COMPLETED] = 2;
    OK(f, flow_store_put(f->tx, &wrong, &f->err));
    OK(f, flow_store_delete(f->tx, 2, 1, &f->err));
    *told = '\0';
    OK(f, flow_store_check(f->tx, say, told, &f->err));
    assert_string_equal(told, "flow 1: its counts are not those of its nodes|");
    fixture_commit(f);
}

/* --- the context --- */

static bool hear_value(void *context, const struct flow_context_row *r, struct err *err)
{
    struct heard *h = context;
    size_t len = strlen(h->text);
    (void)err;
    snprintf(h->text + len, sizeof h->text - len, "%.*s v%d %d %s%.*s|", (int)r->key.len,
             r->key.ptr, (int)r->version, (int)r->bytes, r->value.ptr ? "=" : "blob",
             (int)r->value.len, r->value.ptr ? r->value.ptr : "");
    return true;
}

static void assert_value(struct fixture *f, const char *key, const char *expected)
{
    struct heard h = {""};
    bool found = false;
    OK(f, flow_context_store_get(f->tx, 1, str_of(key), &found, hear_value, &h, &f->err));
    assert_string_equal(h.text, expected);
    assert_int_equal(found, *expected != '\0');
}

static void put_value(struct fixture *f, const char *key, const char *value, int64_t only_if,
                      int64_t wanted)
{
    struct flow_context_row row = {.key = str_of(key), .value = str_of(value), .hash = {7}};
    int64_t version = 0;
    bool done = false;
    row.bytes = value ? (int64_t)strlen(value) : 100000;
    OK(f, flow_context_store_put(f->tx, 1, &row, only_if, 50, &done, &version, &f->err));
    assert_int_equal(done, wanted > 0);
    assert_int_equal(version, wanted);
}

static int64_t refs(struct fixture *f)
{
    const uint8_t hash[BLOB_STORE_HASH_BYTES] = {7};
    struct blob_row row = {.refs = -1};
    bool found = false;
    OK(f, blob_store_find(f->tx, hash, &row, &found, &f->err));
    return found ? row.refs : -1;
}

static void values_have_versions_and_blobs_have_references(void **state)
{
    struct fixture *f = *state;
    bool found = false, done = false;
    put_all(f);
    fixture_begin(f);
    assert_value(f, "k", "");
    put_value(f, "k", "one", -1, 1);
    put_value(f, "k", "two", 0, 0);
    put_value(f, "k", "two", 2, 0);
    put_value(f, "k", "two", 1, 2);
    put_value(f, "e", "", 0, 3);
    assert_value(f, "k", "k v2 3 =two|");
    assert_value(f, "e", "e v3 0 =|");
    put_value(f, "k", NULL, 2, 4); /* a blob takes its place */
    assert_value(f, "k", "k v4 100000 blob|");
    put_value(f, "l", NULL, 0, 5);
    assert_int_equal(refs(f), 2);
    put_value(f, "l", "small", 5, 6);
    assert_int_equal(refs(f), 1);
    struct heard h = {""};
    OK(f, flow_context_store_list(f->tx, 1, hear_value, &h, &f->err));
    assert_non_null(strstr(h.text, "e v3 0"));
    OK(f, flow_context_store_delete(f->tx, 1, STR("k"), 3, 60, &found, &done, &f->err));
    assert_true(found && !done);
    OK(f, flow_context_store_delete(f->tx, 1, STR("k"), 4, 60, &found, &done, &f->err));
    assert_true(found && done);
    assert_int_equal(refs(f), 0);
    OK(f, flow_context_store_delete(f->tx, 1, STR("k"), -1, 60, &found, &done, &f->err));
    assert_false(found);
    /* What was deleted comes back with a version that was never given. */
    put_value(f, "k", NULL, 0, 7);
    assert_int_equal(refs(f), 1);
    OK(f, flow_context_store_clear(f->tx, 1, 70, &f->err));
    assert_int_equal(refs(f), 0);
    assert_value(f, "e", "");
    put_value(f, "k", NULL, 0, 8);
    OK(f, flow_store_delete(f->tx, 1, 80, &f->err));
    assert_int_equal(refs(f), 0);
    fixture_commit(f);
}

static void a_value_needs_a_flow(void **state)
{
    struct fixture *f = *state;
    struct flow_context_row row = {.key = STR("k"), .value = STR("v"), .bytes = 1};
    int64_t version = 0;
    bool done = false;
    put_all(f);
    fixture_begin(f);
    REFUSED(f, ERR_NOT_FOUND,
            flow_context_store_put(f->tx, 9, &row, -1, 1, &done, &version, &f->err));
    fixture_roll_back(f);
}

int main(void)
{
    static const struct CMUnitTest cases[] = {
        CASE(flows_come_back_as_they_were_put),
        CASE(a_name_is_one_flows),
        CASE(nodes_are_walked_and_end),
        CASE(a_walk_may_be_ended),
        CASE(what_does_not_fit_is_told),
        CASE(values_have_versions_and_blobs_have_references),
        CASE(a_value_needs_a_flow),
    };
    return RUN(cases);
}
