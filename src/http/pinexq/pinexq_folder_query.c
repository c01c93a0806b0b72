/* pinexq_folder_query.c: queries of folders: those of the asker, and for who sees the things of all
 * owners those of all, or of one (pinexq.h). */
#include "http/pinexq/pinexq.h"
#include "http/pinexq/pinexq_body.h"
#include "http/pinexq/pinexq_folder.h"
#include "http/pinexq/pinexq_query.h"

static const struct pinexq_sort sorts[] = {{"Path", FOLDERS_BY_PATH},
                                           {"Name", FOLDERS_BY_NAME},
                                           {"CreatedAt", FOLDERS_BY_CREATED},
                                           {NULL, 0}};

/* The two kinds of query. */
struct kind {
    const char *path, *class;
    bool of_all;
};
static const struct kind own = {PINEXQ_FOLDERS_PATH, "FolderQueryResult", false};
static const struct kind admin = {PINEXQ_ADMIN_FOLDERS_PATH, "AdminFolderQueryResult", true};

struct folder_filter {
    int64_t parent; /* 0: not set */
    struct str name, prefix, user;
};

static bool read_filter(struct request *req, const struct kind *kind,
                        const struct pinexq_query *query, struct folder_filter *out,
                        struct err *err)
{
    const struct pinexq_member members[] = {
        {"ParentFolder", PINEXQ_URL, false, &out->parent, PINEXQ_FOLDER},
        {"NameContains", PINEXQ_TEXT, false, &out->name, 0},
        {"PathPrefix", PINEXQ_TEXT, false, &out->prefix, 0},
        {"UserUrl", PINEXQ_TEXT, false, &out->user, 0},
    };
    struct str ignored;
    size_t count = sizeof members / sizeof *members - !kind->of_all;
    return pinexq_object_read(req, "Filter", query->filter, members, count, err) &&
           (!out->user.ptr || pinexq_user_read("Filter.UserUrl", out->user, &ignored, err));
}

static bool create(struct request *req, const struct kind *kind, struct reply *reply,
                   struct err *err)
{
    struct pinexq_query query;
    struct folder_filter filter = {0};
    return pinexq_query_posted(req, sorts, &query, err) &&
           read_filter(req, kind, &query, &filter, err) &&
           pinexq_query_created(req, reply, kind->path, &query, err);
}

/* Where the page ends: what its order looks at. */
static struct step_place last_of(const struct op_folders *ask)
{
    const struct folder_view *view = &ask->views[ask->count - 1];
    struct step_place last = {.id = view->id};
    if (ask->list.order == FOLDERS_BY_CREATED)
        last.number = view->created_at_us;
    else if (ask->list.order == FOLDERS_BY_PATH)
        last.text = view->path;
    return last;
}

static bool write_page(struct request *req, const struct kind *kind, const struct op_folders *ask,
                       struct reply *reply, struct err *err)
{
    const struct pinexq_query *query = request_state(req);
    struct step_place last = {0, 0, NULL};
    OWNED_MEM char *name = NULL;
    OWNED_BUF struct buf b;
    struct siren s;
    if (!pinexq_begin(req, &s, &b, err))
        return false;
    if (ask->count) {
        struct str part = pinexq_folder_name(&ask->views[ask->count - 1]);
        name = xstrndup(part.ptr, part.len);
        last = last_of(ask);
        if (ask->list.order == FOLDERS_BY_NAME)
            last.text = name;
    }
    const struct pinexq_found found = {ask->total, ask->count, ask->more, &last};
    siren_entity(&s, kind->class, NULL);
    pinexq_query_counts(&s, query, &found);
    for (size_t i = 0; i < ask->count; i++)
        pinexq_write_folder(&s, &ask->views[i], "item", pinexq_may_work(req));
    pinexq_query_links(&s, kind->path, query, &found);
    siren_end(&s);
    return pinexq_reply(reply, &b, err);
}

static bool finish_own(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    return write_page(req, &own, &op->folders, reply, err);
}

static bool finish_admin(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    return write_page(req, &admin, &op->folders, reply, err);
}

static void ask_for(struct op_folders *ask, const struct kind *kind,
                    const struct pinexq_query *query, const struct folder_filter *filter)
{
    struct err ignored;
    ask->list.below = !filter->parent;
    ask->list.of_all = kind->of_all && !filter->user.ptr;
    if (filter->user.ptr)
        (void)!pinexq_user_read("", filter->user, &ask->by.owner, &ignored);
    ask->list.name = filter->name;
    ask->list.prefix = filter->prefix;
    ask->list.order = query->sort < 0 ? FOLDERS_BY_PATH : (enum folders_order)query->sort;
    ask->list.descending = query->descending;
    ask->list.offset = query->offset;
    ask->list.limit = query->size;
    ask->list.after = query->after_text;
    ask->list.after_number = query->after_number;
    ask->list.after_id = query->after_id;
}

static bool show_page(struct request *req, const struct kind *kind, route_finish *finish,
                      struct err *err)
{
    struct pinexq_query *query = request_alloc(req, sizeof *query);
    struct folder_filter filter = {0};
    if (!query)
        return err_set(err, ERR_BUSY, "memory is out");
    if (!pinexq_query_read(req, sorts, query, err) || !read_filter(req, kind, query, &filter, err))
        return false;
    struct op *op = pinexq_folders_op(req, FOLDERS_LIST, filter.parent);
    ask_for(&op->folders, kind, query, &filter);
    request_set_state(req, query);
    return request_call(req, finish);
}

static bool may_see_all(const struct request *req, struct err *err)
{
    return pinexq_sees_all(req) ||
           err_set(err, ERR_FORBIDDEN, "folders of all owners are shown on the local socket only");
}

bool pinexq_folder_query_create(struct request *req, struct reply *reply, struct err *err)
{
    return create(req, &own, reply, err);
}

bool pinexq_folder_query_page(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return show_page(req, &own, finish_own, err);
}

bool pinexq_admin_folder_query_create(struct request *req, struct reply *reply, struct err *err)
{
    return may_see_all(req, err) && create(req, &admin, reply, err);
}

bool pinexq_admin_folder_query_page(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return may_see_all(req, err) && show_page(req, &admin, finish_admin, err);
}
