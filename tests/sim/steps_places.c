/* steps_places.c: folders in the simulation of steps: made by what is put into them, made, moved,
 * deleted and cleared (steps_sim.h). */
#include "steps_sim.h"

/* --- the model --- */

void choose_folder(char path[FOLDER_TEXT])
{
    int depth = pick(4);
    memset(path, 0, FOLDER_TEXT);
    path[0] = '/';
    for (int i = 0; i < depth; i++) {
        path[1 + 2 * i] = (char)('a' + pick(2));
        path[2 + 2 * i] = '/';
    }
}

bool is_below(const char *path, const char *folder)
{
    return strncmp(path, folder, strlen(folder)) == 0;
}

static int find_folder(const struct model *m, int owner, const char *path)
{
    for (int i = 0; i < m->folder_count; i++)
        if (!m->folders[i].gone && m->folders[i].owner == owner &&
            strcmp(m->folders[i].path, path) == 0)
            return i;
    return NONE;
}

static void parent_of(const char *path, char out[FOLDER_TEXT])
{
    size_t len = strlen(path) - 1;
    memset(out, 0, FOLDER_TEXT);
    while (len > 0 && path[len - 1] != '/')
        len--;
    memcpy(out, path, len);
}

void model_need_folder(struct model *m, int owner, const char *path)
{
    char parent[FOLDER_TEXT];
    if (strcmp(path, "/") == 0 || find_folder(m, owner, path) != NONE)
        return;
    parent_of(path, parent);
    model_need_folder(m, owner, parent);
    int place = 0;
    while (place < m->folder_count && !m->folders[place].gone)
        place++;
    MUST(place < FOLDERS, "too many folders");
    m->folder_count += place == m->folder_count;
    m->folders[place] = (struct known_folder){.id = NONE, .owner = owner};
    snprintf(m->folders[place].path, FOLDER_TEXT, "%s", path);
}

static bool is_empty(const struct model *m, const struct known_folder *f)
{
    for (int i = 0; i < m->folder_count; i++)
        if (&m->folders[i] != f && !m->folders[i].gone && m->folders[i].owner == f->owner &&
            is_below(m->folders[i].path, f->path))
            return false;
    for (int i = 0; i < m->job_count; i++)
        if (!m->jobs[i].gone && m->jobs[i].owner == f->owner &&
            is_below(m->jobs[i].folder, f->path))
            return false;
    for (int i = 0; i < m->artifact_count; i++)
        if (!m->artifacts[i].gone && m->artifacts[i].owner == f->owner &&
            is_below(m->artifacts[i].folder, f->path))
            return false;
    return true;
}

static void rename_path(char path[FOLDER_TEXT], const char *from, const char *to)
{
    char moved[2 * FOLDER_TEXT];
    if (!is_below(path, from))
        return;
    snprintf(moved, sizeof moved, "%s%s", to, path + strlen(from));
    MUST(strlen(moved) < FOLDER_TEXT, "the path %s is too long", moved);
    memset(path, 0, FOLDER_TEXT);
    memcpy(path, moved, strlen(moved));
}

static void move_all(struct model *m, int owner, const char *from, const char *to)
{
    for (int i = 0; i < m->folder_count; i++)
        if (m->folders[i].owner == owner && !m->folders[i].gone)
            rename_path(m->folders[i].path, from, to);
    for (int i = 0; i < m->job_count; i++)
        if (m->jobs[i].owner == owner && !m->jobs[i].gone)
            rename_path(m->jobs[i].folder, from, to);
    for (int i = 0; i < m->artifact_count; i++)
        if (m->artifacts[i].owner == owner && !m->artifacts[i].gone)
            rename_path(m->artifacts[i].folder, from, to);
}

/* What may go does, until nothing more may; how many. */
static int clear(struct model *m, int owner, const char *path)
{
    int gone = 0;
    for (bool more = true; more;) {
        more = false;
        for (int i = 0; i < m->job_count; i++)
            if (is_below(m->jobs[i].folder, path) &&
                model_end(m, owner, i, STEP_JOB_END_DELETE) == ERR_NONE) {
                more = true;
                gone++;
            }
        for (int i = 0; i < m->artifact_count; i++)
            if (is_below(m->artifacts[i].folder, path) &&
                model_delete_artifact(m, owner, i) == ERR_NONE) {
                more = true;
                gone++;
            }
    }
    return gone;
}

/* --- the ops --- */

static void prepare(struct op *op, enum folders_verb verb, int owner, int folder)
{
    op_init(op, OP_FOLDERS);
    op->folders.verb = verb;
    op->folders.by = asker(owner);
    op->folders.id = folder == NONE ? 0 : world->model.folders[folder].id;
    op->folders.parent = -1;
    op->folders.keeps_steps = true;
}

static enum err_code may_see(int owner, int folder)
{
    const struct known_folder *f = &world->model.folders[folder];
    return f->gone || f->owner != owner ? ERR_NOT_FOUND : ERR_NONE;
}

static void create(int owner)
{
    char path[FOLDER_TEXT];
    struct op op;
    choose_folder(path);
    prepare(&op, FOLDERS_CREATE, owner, NONE);
    op.folders.id = -1;
    op.folders.path = str_of(path);
    bool taken = strcmp(path, "/") == 0 || find_folder(&world->model, owner, path) != NONE;
    SAY("  create %s\n", path);
    if (!taken)
        model_need_folder(&world->asked, owner, path);
    dare(&op, taken ? ERR_CONFLICT : ERR_NONE);
    op_release(&op);
}

/* Whether all paths beneath it stay short enough for the model. */
static bool fits(const struct model *m, int owner, const char *from, const char *to)
{
    size_t longest = strlen(from);
    for (int i = 0; i < m->folder_count; i++)
        if (m->folders[i].owner == owner && !m->folders[i].gone &&
            is_below(m->folders[i].path, from) && strlen(m->folders[i].path) > longest)
            longest = strlen(m->folders[i].path);
    return longest - strlen(from) + strlen(to) < FOLDER_TEXT / 2;
}

/* Another name, another parent (NONE: the root), or both. */
static void move(int owner, int folder)
{
    const struct model *m = &world->model;
    char above[FOLDER_TEXT] = "/", to[2 * FOLDER_TEXT], from[FOLDER_TEXT];
    const char name[2] = {(char)('a' + pick(3)), 0};
    int parent = m->folder_count && pick(2) ? pick(m->folder_count) : NONE;
    enum err_code code = may_see(owner, folder);
    struct op op;
    memcpy(from, m->folders[folder].path, sizeof from);
    if (parent != NONE)
        memcpy(above, m->folders[parent].path, sizeof above);
    snprintf(to, sizeof to, "%s%s/", above, name);
    if (!fits(m, owner, from, to))
        return;
    prepare(&op, FOLDERS_EDIT, owner, folder);
    op.folders.name = str_of(name);
    op.folders.parent = parent == NONE ? 0 : m->folders[parent].id;
    SAY("  move %s to %s\n", from, to);
    if (code == ERR_NONE && parent != NONE)
        code = may_see(owner, parent);
    bool moves = code == ERR_NONE && strcmp(from, to) != 0;
    if (moves && (is_below(to, from) || find_folder(m, owner, to) != NONE))
        code = ERR_CONFLICT;
    else if (moves)
        move_all(&world->asked, owner, from, to);
    dare(&op, code);
    op_release(&op);
}

static void delete_folder(int owner, int folder)
{
    struct op op;
    enum err_code code = may_see(owner, folder);
    prepare(&op, FOLDERS_DELETE, owner, folder);
    SAY("  delete %s\n", world->model.folders[folder].path);
    if (code == ERR_NONE && !is_empty(&world->model, &world->model.folders[folder]))
        code = ERR_CONFLICT;
    if (code == ERR_NONE)
        world->asked.folders[folder].gone = true;
    dare(&op, code);
    op_release(&op);
}

static void clear_folder(int owner, int folder)
{
    struct op op;
    enum err_code code = folder == NONE ? ERR_NONE : may_see(owner, folder);
    const char *path = folder == NONE ? "/" : world->model.folders[folder].path;
    prepare(&op, FOLDERS_CLEAR, owner, folder);
    int gone = code == ERR_NONE ? clear(&world->asked, owner, path) : 0;
    SAY("  clear %s: %d\n", path, gone);
    if (dare(&op, code))
        MUST(op.folders.deleted == gone && !op.folders.more, "%lld things of %s went, not %d",
             (long long)op.folders.deleted, path, gone);
    op_release(&op);
}

void clear_all_of(int owner)
{
    world->asked = world->model;
    clear_folder(owner, NONE);
}

void verb_folder(void)
{
    const struct model *m = &world->model;
    int owner = pick(OWNERS), folder = m->folder_count ? pick(m->folder_count) : NONE;
    world->asked = *m;
    if (folder == NONE || pick(4) == 0)
        create(owner);
    else if (pick(5) == 0)
        clear_folder(owner, pick(8) ? folder : NONE);
    else if (pick(2))
        delete_folder(owner, folder);
    else
        move(owner, folder);
}
