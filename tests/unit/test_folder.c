/* What a request can name: files below the data folders and nothing else. */
#include "io_temp.h"

static void assert_opens(struct temp *t, const char *path, const char *below)
{
    OWNED_FD int fd = -1;
    OWNED_MEM char *name = NULL;
    OWNED_MEM char *other = NULL;
    if (!folders_open(t->folders, path, O_RDONLY, &fd, &name, &t->err))
        fail_msg("%s: %s", path, t->err.text);
    assert_string_equal(name, temp_path(t, below));
    assert_true(folders_name(t->folders, path, &other, &t->err));
    assert_string_equal(name, other);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void assert_refused(struct temp *t, const char *path, enum err_code code)
{
    int fd = -1;
    char *name = NULL;
    assert_false(folders_open(t->folders, path, O_RDONLY, &fd, &name, &t->err));
    if (t->err.code != code)
        fail_msg("%s: %s: %s", path, err_name(t->err.code), t->err.text);
    assert_int_equal(fd, -1);
    assert_null(name);
}

static void a_file_has_one_normal_form(void **state)
{
    struct temp *t = *state;
    mkdir(temp_path(t, "sub"), 0755);
    temp_write(t, "sub/in.jsonl", "1\n");
    static const char *const forms[] = {"sub/in.jsonl", "./sub//in.jsonl", "sub/./in.jsonl",
                                        "sub/x/../in.jsonl", "sub/../sub/in.jsonl"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char absolute[256];
        assert_opens(t, forms[i], "sub/in.jsonl");
        snprintf(absolute, sizeof absolute, "%s/%s", t->dir, forms[i]);
        assert_opens(t, absolute, "sub/in.jsonl");
    }
}

static void paths_outside_are_refused(void **state)
{
    struct temp *t = *state;
    assert_refused(t, "/etc/passwd", ERR_FORBIDDEN);
    assert_refused(t, "../etc/passwd", ERR_FORBIDDEN);
    assert_refused(t, "a/../../etc/passwd", ERR_FORBIDDEN);
    assert_refused(t, temp_path(t, "../passwd"), ERR_FORBIDDEN);
    char sibling[256];
    snprintf(sibling, sizeof sibling, "%sx/passwd", t->dir);
    assert_refused(t, sibling, ERR_FORBIDDEN);
    assert_refused(t, "", ERR_INVALID);
}

static void a_folder_closed_off_is_refused_by_any_way_in(void **state)
{
    struct temp *t = *state;
    mkdir(temp_path(t, "state"), 0755);
    mkdir(temp_path(t, "statement"), 0755);
    temp_write(t, "state/store.db", "1\n");
    temp_write(t, "statement/in.jsonl", "1\n");
    if (symlink("state", temp_path(t, "way")) || symlink("state/store.db", temp_path(t, "db")))
        fail_msg("symlink");
    assert_opens(t, "state/store.db", "state/store.db");
    assert_true(folders_close_off(t->folders, temp_path(t, "state"), &t->err));
    static const char *const ways[] = {
        "state/store.db", "state/new", "way/store.db",
        "way/new",        "db",        "statement/../state/store.db"};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        assert_refused(t, ways[i], ERR_FORBIDDEN);
    int dir_fd = -1;
    char *base = NULL;
    assert_false(folders_open_parent(t->folders, "state/store.db", &dir_fd, &base, &t->err));
    assert_int_equal(t->err.code, ERR_FORBIDDEN);
    assert_opens(t, "statement/in.jsonl", "statement/in.jsonl");
}

static void a_second_name_of_a_closed_file_is_refused_and_others_not(void **state)
{
    struct temp *t = *state;
    mkdir(temp_path(t, "state"), 0755);
    temp_write(t, "state/store.db", "secret");
    temp_write(t, "in.jsonl", "1\n");
    OWNED_MEM char *store = xstrdup(temp_path(t, "state/store.db"));
    OWNED_MEM char *in = xstrdup(temp_path(t, "in.jsonl"));
    assert_int_equal(link(store, temp_path(t, "innocent.jsonl")), 0);
    assert_int_equal(link(in, temp_path(t, "second.jsonl")), 0);
    assert_true(folders_close_off(t->folders, temp_path(t, "state"), &t->err));
    assert_refused(t, "innocent.jsonl", ERR_FORBIDDEN);
    assert_error(t, ERR_FORBIDDEN, "by another name");
    char *name = NULL;
    assert_false(folders_name(t->folders, "innocent.jsonl", &name, &t->err));
    assert_opens(t, "second.jsonl", "second.jsonl");
    assert_int_equal(unlink(store), 0); /* it is a file of the state folder no longer */
    assert_opens(t, "innocent.jsonl", "innocent.jsonl");
}

static void links_that_lead_out_are_refused_and_others_not(void **state)
{
    struct temp *t = *state;
    temp_write(t, "in.jsonl", "1\n");
    mkdir(temp_path(t, "sub"), 0755);
    assert_int_equal(symlink("/etc/passwd", temp_path(t, "passwd")), 0);
    assert_int_equal(symlink("/etc", temp_path(t, "etc")), 0);
    assert_int_equal(symlink("../..", temp_path(t, "sub/up")), 0);
    assert_int_equal(symlink("../in.jsonl", temp_path(t, "sub/near")), 0);
    assert_int_equal(symlink("loop", temp_path(t, "loop")), 0);
    assert_refused(t, "passwd", ERR_FORBIDDEN);
    assert_refused(t, "etc/passwd", ERR_FORBIDDEN);
    assert_refused(t, "sub/up/etc/passwd", ERR_FORBIDDEN);
    assert_refused(t, "loop", ERR_FORBIDDEN);
    assert_opens(t, "sub/near", "in.jsonl");
    int fd;
    assert_false(folders_open(t->folders, "etc/new", O_WRONLY | O_CREAT, &fd, NULL, &t->err));
    assert_error(t, ERR_FORBIDDEN, "etc/new");
    char *base;
    assert_false(folders_open_parent(t->folders, "etc/new", &fd, &base, &t->err));
    assert_error(t, ERR_FORBIDDEN, "etc/new");
}

static void what_is_no_file_is_refused_without_blocking(void **state)
{
    struct temp *t = *state;
    mkdir(temp_path(t, "sub"), 0755);
    assert_int_equal(mkfifo(temp_path(t, "fifo"), 0644), 0);
    assert_refused(t, "fifo", ERR_INVALID);
    assert_refused(t, "sub", ERR_INVALID);
    assert_refused(t, ".", ERR_INVALID);
    assert_refused(t, t->dir, ERR_INVALID);
    char *name;
    assert_false(folders_name(t->folders, "fifo", &name, &t->err));
    assert_error(t, ERR_INVALID, "not a file");
    int fd;
    assert_false(folders_open(t->folders, "fifo", O_WRONLY, &fd, NULL, &t->err));
    assert_error(t, ERR_INVALID, "not a file");
}

static void missing_files_and_folders_are_told_apart(void **state)
{
    struct temp *t = *state;
    char *name = NULL;
    assert_refused(t, "none.jsonl", ERR_NOT_FOUND);
    assert_true(folders_name(t->folders, "none.jsonl", &name, &t->err));
    assert_string_equal(name, temp_path(t, "none.jsonl"));
    free(TAKE(name));
    assert_false(folders_name(t->folders, "none/none.jsonl", &name, &t->err));
    assert_error(t, ERR_NOT_FOUND, "folder");
    temp_write(t, "in.jsonl", "1\n");
    assert_refused(t, "in.jsonl/x", ERR_INVALID);
    int fd;
    assert_false(folders_open(t->folders, "no/new", O_WRONLY | O_CREAT, &fd, NULL, &t->err));
    assert_error(t, ERR_NOT_FOUND, "no/new");
}

static void new_files_are_made_and_their_folder_is_found(void **state)
{
    struct temp *t = *state;
    int fd;
    char *base;
    assert_true(folders_open(t->folders, "new", O_WRONLY | O_CREAT, &fd, NULL, &t->err));
    close(fd);
    assert_true(folders_open_parent(t->folders, "./new", &fd, &base, &t->err));
    assert_string_equal(base, "new");
    assert_int_equal(unlinkat(fd, base, 0), 0);
    free(base);
    close(fd);
    assert_refused(t, "new", ERR_NOT_FOUND);
}

static void a_link_gives_a_file_no_second_name(void **state)
{
    struct temp *t = *state;
    char *name = NULL;
    mkdir(temp_path(t, "sub"), 0755);
    assert_int_equal(symlink("sub", temp_path(t, "way")), 0);
    assert_int_equal(symlink("none", temp_path(t, "dead")), 0);
    assert_true(folders_name(t->folders, "way/new", &name, &t->err));
    assert_string_equal(name, temp_path(t, "sub/new"));
    free(TAKE(name));
    temp_write(t, "sub/new", "1\n");
    assert_opens(t, "way/new", "sub/new");
    assert_false(folders_name(t->folders, "dead", &name, &t->err));
    assert_error(t, ERR_INVALID, "leads nowhere");
}

static void a_folder_that_was_moved_keeps_its_name(void **state)
{
    struct temp *t = *state;
    OWNED(folders) struct folders *f = folders_new();
    OWNED_MEM char *name = NULL;
    OWNED_MEM char *moved = xstrdup(temp_path(t, "moved"));
    mkdir(temp_path(t, "here"), 0755);
    assert_true(folders_add(f, temp_path(t, "here"), &t->err));
    assert_int_equal(rename(temp_path(t, "here"), moved), 0);
    assert_true(folders_name(f, "new", &name, &t->err));
    assert_string_equal(name, temp_path(t, "here/new"));
}

static void hard_links_are_one_file(void **state)
{
    struct temp *t = *state;
    struct file_id in, link_id, other;
    temp_write(t, "in", "1\n");
    temp_write(t, "other", "1\n");
    OWNED_MEM char *second = xstrdup(temp_path(t, "second"));
    assert_true(folders_file_id(t->folders, "in", &in));
    assert_false(in.many_names);
    assert_int_equal(link(temp_path(t, "in"), second), 0);
    assert_true(folders_file_id(t->folders, "in", &in));
    assert_true(folders_file_id(t->folders, "second", &link_id));
    assert_true(folders_file_id(t->folders, "other", &other));
    assert_true(in.many_names && link_id.many_names && file_id_same(&in, &link_id));
    assert_false(other.many_names || file_id_same(&in, &other));
    assert_false(folders_file_id(t->folders, "none", &other));
    assert_false(folders_file_id(t->folders, "../in", &other));
}

static void several_folders_may_be_added_under_either_name(void **state)
{
    struct temp *t = *state;
    mkdir(temp_path(t, "real"), 0755);
    temp_write(t, "real/in", "1\n");
    assert_int_equal(symlink("real", temp_path(t, "link")), 0);
    OWNED(folders) struct folders *f = folders_new();
    char given[256];
    OWNED_FD int fd = -1;
    OWNED_MEM char *name = NULL;
    assert_false(folders_open(f, "in", O_RDONLY, &fd, NULL, &t->err));
    assert_error(t, ERR_FORBIDDEN, "no data folder");
    assert_true(folders_add(f, "/usr", &t->err));
    assert_true(folders_add(f, temp_path(t, "link"), &t->err));
    snprintf(given, sizeof given, "%s", temp_path(t, "link/in"));
    assert_true(folders_open(f, given, O_RDONLY, &fd, &name, &t->err));
    assert_string_equal(name, temp_path(t, "real/in"));
    close(TAKE_FD(fd));
    assert_true(folders_open(f, temp_path(t, "real/in"), O_RDONLY, &fd, NULL, &t->err));
    assert_false(folders_add(f, temp_path(t, "none"), &t->err));
    assert_error(t, ERR_NOT_FOUND, "none");
    assert_false(folders_add(f, temp_path(t, "real/in"), &t->err));
    assert_error(t, ERR_INVALID, "not a folder");
}

static void the_root_may_be_the_folder(void **state)
{
    struct temp *t = *state;
    OWNED(folders) struct folders *f = folders_new();
    OWNED_MEM char *name = NULL;
    OWNED_FD int fd = -1;
    temp_write(t, "in", "1\n");
    assert_true(folders_add(f, "/", &t->err));
    assert_true(folders_open(f, temp_path(t, "in"), O_RDONLY, &fd, &name, &t->err));
    assert_string_equal(name, temp_path(t, "in"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(a_file_has_one_normal_form),
        UNIT(paths_outside_are_refused),
        UNIT(a_second_name_of_a_closed_file_is_refused_and_others_not),
        UNIT(links_that_lead_out_are_refused_and_others_not),
        UNIT(a_folder_closed_off_is_refused_by_any_way_in),
        UNIT(what_is_no_file_is_refused_without_blocking),
        UNIT(missing_files_and_folders_are_told_apart),
        UNIT(new_files_are_made_and_their_folder_is_found),
        UNIT(a_link_gives_a_file_no_second_name),
        UNIT(a_folder_that_was_moved_keeps_its_name),
        UNIT(hard_links_are_one_file),
        UNIT(several_folders_may_be_added_under_either_name),
        UNIT(the_root_may_be_the_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
