/* blob.c: see blob.h. */
#include "io/blob.h"

#include "base/fault.h"
#include "base/file.h"
#include "base/own.h"

#include <assert.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* So much is written before the disk is set to work on it, that the sync at the end is short. */
#define PUSH_BYTES (INT64_C(4) << 20)
/* "aa/bb/" and the name; "new/", the name, a point and a number. */
enum { VERIFY_BYTES = 256 << 10 };
enum { PLACE_SIZE = 6 + BLOB_NAME_SIZE, MARK_SIZE = 4 + BLOB_NAME_SIZE + 24, FOLDERS = 65536 };

struct blob_pin {
    struct blobs *blobs;
    struct blob_pin *prev, *next; /* guarded by blobs.lock */
    struct blob_hash hash;
    int64_t bytes;
    char mark[MARK_SIZE];
};

struct blobs {
    int fd;                       /* blobs/ */
    atomic_llong serial;          /* of the last name in new/ */
    atomic_bool left;             /* marks may be there that no pin is of */
    pthread_mutex_t lock;         /* leaf; the calls that must not be parted are made under it */
    struct blob_pin *first;       /* guarded by lock */
    uint8_t durable[FOLDERS / 8]; /* which of the folders aa/bb are known to be; guarded by lock */
    bool durable_upper[256];      /* and which of the folders aa; guarded by lock */
};

struct blob_writer {
    struct blobs *blobs;
    int fd;
    char name[MARK_SIZE]; /* below blobs/; empty once it has its place */
    EVP_MD_CTX *digest;
    int64_t bytes, pushed;
};

struct blob_reader {
    int fd;
    EVP_MD_CTX *digest;
    struct blob_hash want;
    int64_t bytes, at;
    bool verified, damaged;
};

/* --- names --- */

void blob_hash_of(struct str bytes, struct blob_hash *out)
{
    int done = EVP_Digest(bytes.ptr, bytes.len, out->bytes, NULL, EVP_sha256(), NULL);
    assert(done == 1);
}

void blob_name(const struct blob_hash *hash, char out[BLOB_NAME_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < BLOB_HASH_BYTES; i++) {
        out[2 * i] = digits[hash->bytes[i] >> 4];
        out[2 * i + 1] = digits[hash->bytes[i] & 15];
    }
    out[BLOB_NAME_SIZE - 1] = '\0';
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool blob_name_read(struct str text, struct blob_hash *out, struct err *err)
{
    struct blob_hash hash = {{0}};
    bool good = text.len == BLOB_NAME_SIZE - 1;
    for (size_t i = 0; good && i < BLOB_HASH_BYTES; i++) {
        int high = digit_of(text.ptr[2 * i]), low = digit_of(text.ptr[2 * i + 1]);
        good = high >= 0 && low >= 0;
        if (good)
            hash.bytes[i] = (uint8_t)(high << 4 | low);
    }
    if (!good)
        return err_set(err, ERR_INVALID, "a blob's name is 64 hexadecimal digits, its SHA-256");
    *out = hash;
    return true;
}

bool blob_hash_same(const struct blob_hash *a, const struct blob_hash *b)
{
    return memcmp(a->bytes, b->bytes, BLOB_HASH_BYTES) == 0;
}

static void place_of(const struct blob_hash *hash, char out[PLACE_SIZE])
{
    char name[BLOB_NAME_SIZE];
    blob_name(hash, name);
    snprintf(out, PLACE_SIZE, "%.2s/%.2s/%s", name, name + 2, name);
}

static void next_name(struct blobs *b, const struct blob_hash *hash, char out[MARK_SIZE])
{
    char name[BLOB_NAME_SIZE] = "";
    long long serial = atomic_fetch_add(&b->serial, 1) + 1;
    if (hash)
        blob_name(hash, name);
    snprintf(out, MARK_SIZE, "new/%s%s%lld", name, hash ? "." : "", serial);
}

/* Not file_sync: a file of its own that could not be synced puts nothing else in doubt, for nothing
 * refers to it. */
static bool sync_own(int fd, const char *what, struct err *err)
{
    if (!FAULT("blob.sync") && fsync(fd) == 0)
        return true;
    return err_errno(err, errno, "sync %s", what);
}

static bool sync_folder(int fd, struct err *err)
{
    return sync_own(fd, "the folder of blobs", err);
}

/* --- the folder --- */

static bool make_folder(int dir_fd, const char *name, struct err *err)
{
    if (mkdirat(dir_fd, name, 0700) == 0 || errno == EEXIST)
        return true;
    return err_errno(err, errno, "make the folder of blobs %s", name);
}

static DIR *open_listing(int dir_fd, const char *name, struct err *err)
{
    OWNED_FD int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir)
        err_errno(err, errno, "list the folder of blobs");
    else
        (void)TAKE_FD(fd); /* the listing's now */
    return dir;
}

static bool remove_name(int dir_fd, const char *name, struct err *err)
{
    if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
        return true;
    return err_errno(err, errno, "remove a file of the folder of blobs");
}

/* What was being written when its process died; marks wait for the sweep. */
static bool remove_unfinished(struct blobs *b, struct err *err)
{
    DIR *dir = open_listing(b->fd, "new", err);
    if (!dir)
        return false;
    bool ok = true;
    for (struct dirent *entry = NULL; ok && (entry = readdir(dir));)
        if (entry->d_name[0] != '.' && !strchr(entry->d_name, '.'))
            ok = remove_name(dirfd(dir), entry->d_name, err);
    closedir(dir);
    return ok;
}

bool blobs_open(int state_fd, struct blobs **out, struct err *err)
{
    OWNED(blobs) struct blobs *b = xcalloc(1, sizeof *b);
    b->fd = -1;
    pthread_mutex_init(&b->lock, NULL);
    if (!make_folder(state_fd, "blobs", err))
        return false;
    b->fd = openat(state_fd, "blobs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (b->fd < 0)
        return err_errno(err, errno, "open the folder of blobs");
    if (!make_folder(b->fd, "new", err) || !sync_folder(state_fd, err) ||
        !sync_folder(b->fd, err) || !remove_unfinished(b, err))
        return false;
    *out = TAKE(b);
    return true;
}

void blobs_free(struct blobs *b)
{
    if (!b)
        return;
    assert(!b->first);
    fd_drop(&b->fd);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

/* --- pins --- */

static struct blob_pin *pin_new(struct blobs *b, const struct blob_hash *hash, int64_t bytes)
{
    struct blob_pin *pin = xcalloc(1, sizeof *pin);
    *pin = (struct blob_pin){.blobs = b, .hash = *hash, .bytes = bytes};
    next_name(b, hash, pin->mark);
    pthread_mutex_lock(&b->lock);
    pin->next = b->first;
    if (b->first)
        b->first->prev = pin;
    b->first = pin;
    pthread_mutex_unlock(&b->lock);
    return pin;
}

void blob_pin_free(struct blob_pin *pin, bool known)
{
    if (!pin)
        return;
    struct blobs *b = pin->blobs;
    /* A mark that cannot be removed costs the next sweep a look. */
    if (known)
        (void)unlinkat(b->fd, pin->mark, 0);
    else
        atomic_store(&b->left, true);
    pthread_mutex_lock(&b->lock);
    if (pin->prev)
        pin->prev->next = pin->next;
    else
        b->first = pin->next;
    if (pin->next)
        pin->next->prev = pin->prev;
    pthread_mutex_unlock(&b->lock);
    free(pin);
}

const struct blob_hash *blob_pin_hash(const struct blob_pin *pin)
{
    return &pin->hash;
}

int64_t blob_pin_bytes(const struct blob_pin *pin)
{
    return pin->bytes;
}

/* --- putting --- */

bool blob_begin(struct blobs *b, struct blob_writer **out, struct err *err)
{
    OWNED(blob_writer) struct blob_writer *w = xcalloc(1, sizeof *w);
    w->blobs = b;
    w->digest = EVP_MD_CTX_new();
    next_name(b, NULL, w->name);
    w->fd = openat(b->fd, w->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (w->fd < 0) {
        w->name[0] = '\0';
        return err_errno(err, errno, "begin a blob");
    }
    if (!w->digest || EVP_DigestInit_ex(w->digest, EVP_sha256(), NULL) != 1)
        return err_set(err, ERR_INTERNAL, "begin a blob: OpenSSL gives no SHA-256");
    *out = TAKE(w);
    return true;
}

bool blob_write(struct blob_writer *w, struct str piece, struct err *err)
{
    if (!file_write_at(w->fd, w->bytes, piece.ptr, piece.len, "a blob", err))
        return false;
    if (EVP_DigestUpdate(w->digest, piece.ptr, piece.len) != 1)
        return err_set(err, ERR_INTERNAL, "write a blob: OpenSSL gives no SHA-256");
    w->bytes += (int64_t)piece.len;
    if (w->bytes - w->pushed >= PUSH_BYTES) {
        /* Only to be quick later: whether it worked is told by the sync. */
        (void)sync_file_range(w->fd, w->pushed, w->bytes - w->pushed, SYNC_FILE_RANGE_WRITE);
        w->pushed = w->bytes;
    }
    return true;
}

int64_t blob_written(const struct blob_writer *w)
{
    return w->bytes;
}

void blob_writer_free(struct blob_writer *w)
{
    if (!w)
        return;
    /* What cannot be removed now is at the next start. */
    if (w->name[0])
        (void)unlinkat(w->blobs->fd, w->name, 0);
    fd_drop(&w->fd);
    EVP_MD_CTX_free(w->digest);
    free(w);
}

/* Makes the folders of a place, durably; the upper one may be known to be. */
static bool make_place(struct blobs *b, const char *place, bool has_upper, struct err *err)
{
    char upper[3] = {place[0], place[1], '\0'};
    char both[6] = {place[0], place[1], '/', place[3], place[4], '\0'};
    if (!make_folder(b->fd, upper, err) || !make_folder(b->fd, both, err))
        return false;
    OWNED_FD int upper_fd = openat(b->fd, upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (upper_fd < 0)
        return err_errno(err, errno, "open the folder of blobs %s", upper);
    return (has_upper || sync_folder(b->fd, err)) && sync_folder(upper_fd, err);
}

static bool need_place(struct blobs *b, const struct blob_hash *hash, const char *place,
                       struct err *err)
{
    unsigned number = (unsigned)hash->bytes[0] << 8 | hash->bytes[1];
    uint8_t bit = (uint8_t)(1U << (number % 8));
    pthread_mutex_lock(&b->lock);
    bool is_there = b->durable[number / 8] & bit;
    bool has_upper = b->durable_upper[hash->bytes[0]];
    pthread_mutex_unlock(&b->lock);
    if (is_there)
        return true;
    if (!make_place(b, place, has_upper, err))
        return false;
    pthread_mutex_lock(&b->lock);
    b->durable[number / 8] |= bit;
    b->durable_upper[hash->bytes[0]] = true;
    pthread_mutex_unlock(&b->lock);
    return true;
}

/* Syncs the folder that a place lies in. */
static bool sync_place(const struct blobs *b, const char *place, struct err *err)
{
    char both[6] = {place[0], place[1], '/', place[3], place[4], '\0'};
    OWNED_FD int fd = openat(b->fd, both, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "open the folder of blobs %s", both);
    return sync_folder(fd, err);
}

static bool make_mark(const struct blobs *b, const char *mark, struct err *err)
{
    OWNED_FD int fd = openat(b->fd, mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return fd >= 0 ? true : err_errno(err, errno, "mark a blob");
}

/* The pin is there before the name is. */
static bool move_to_place(struct blob_writer *w, const struct blob_pin *pin, struct err *err)
{
    struct blobs *b = w->blobs;
    char place[PLACE_SIZE];
    place_of(&pin->hash, place);
    if (!need_place(b, &pin->hash, place, err) || !make_mark(b, pin->mark, err))
        return false;
    if (FAULT("blob.marked") || renameat(b->fd, w->name, b->fd, place) != 0)
        return err_errno(err, errno, "put a blob in its place");
    w->name[0] = '\0';
    (void)FAULT("blob.placed"); /* its name is there, perhaps not durably, and no row knows of it */
    return sync_place(b, place, err);
}

bool blob_finish(struct blob_writer *w, const struct blob_hash *want, struct blob_pin **out,
                 struct err *err)
{
    struct blob_hash hash;
    char name[BLOB_NAME_SIZE];
    if (EVP_DigestFinal_ex(w->digest, hash.bytes, NULL) != 1)
        return err_set(err, ERR_INTERNAL, "end a blob: OpenSSL gives no SHA-256");
    blob_name(&hash, name);
    if (want && !blob_hash_same(&hash, want))
        return err_set(err, ERR_INVALID, "these bytes are another blob: %s", name);
    (void)FAULT("blob.written");
    if (!sync_own(w->fd, "a blob", err))
        return false;
    struct blob_pin *pin = pin_new(w->blobs, &hash, w->bytes);
    if (!move_to_place(w, pin, err)) {
        blob_pin_free(pin, false);
        return false;
    }
    *out = pin;
    return true;
}

bool blob_put(struct blobs *b, struct str bytes, struct blob_pin **out, struct err *err)
{
    OWNED(blob_writer) struct blob_writer *w = NULL;
    return blob_begin(b, &w, err) && blob_write(w, bytes, err) && blob_finish(w, NULL, out, err);
}

/* --- reading --- */

bool blob_open(const struct blobs *b, const struct blob_hash *hash, struct blob_reader **out,
               struct err *err)
{
    char place[PLACE_SIZE];
    struct stat st;
    place_of(hash, place);
    OWNED(blob_reader) struct blob_reader *r = xcalloc(1, sizeof *r);
    r->want = *hash;
    r->fd = openat(b->fd, place, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (r->fd < 0 && errno == ENOENT)
        return err_set(err, ERR_NOT_FOUND, "there is no blob %s", place + 6);
    if (r->fd < 0 || fstat(r->fd, &st) != 0)
        return err_errno(err, errno, "open the blob %s", place + 6);
    r->digest = EVP_MD_CTX_new();
    if (!r->digest || EVP_DigestInit_ex(r->digest, EVP_sha256(), NULL) != 1)
        return err_set(err, ERR_INTERNAL, "open a blob: OpenSSL gives no SHA-256");
    r->bytes = st.st_size;
    *out = TAKE(r);
    return true;
}

int64_t blob_reader_bytes(const struct blob_reader *r)
{
    return r->bytes;
}

void blob_reader_limit(struct blob_reader *r, int64_t from, int64_t count)
{
    assert(r->at == 0 && from >= 0 && count >= 0 && from + count <= r->bytes);
    r->verified = count < r->bytes;
    r->at = from;
    r->bytes = from + count;
}

void blob_reader_free(struct blob_reader *r)
{
    if (!r)
        return;
    fd_drop(&r->fd);
    EVP_MD_CTX_free(r->digest);
    free(r);
}

static bool say_damaged(struct blob_reader *r, struct err *err)
{
    char name[BLOB_NAME_SIZE];
    blob_name(&r->want, name);
    r->damaged = true;
    return err_set(err, ERR_STORE, "the blob %s is damaged: its bytes are not what its name says",
                   name);
}

/* All was read: is it what was asked for? */
static bool verify(struct blob_reader *r, struct err *err)
{
    struct blob_hash got;
    if (r->verified)
        return true;
    if (EVP_DigestFinal_ex(r->digest, got.bytes, NULL) != 1)
        return err_set(err, ERR_INTERNAL, "read a blob: OpenSSL gives no SHA-256");
    if (!blob_hash_same(&got, &r->want))
        return say_damaged(r, err);
    r->verified = true;
    return true;
}

bool blob_read(struct blob_reader *r, void *out, size_t max, size_t *got, struct err *err)
{
    int64_t left = r->bytes - r->at;
    size_t want = left < (int64_t)max ? (size_t)left : max, n = 0;
    if (r->damaged)
        return say_damaged(r, err);
    if (!file_read_at(r->fd, r->at, out, want, &n, "a blob", err))
        return false;
    if (n < want)
        return say_damaged(r, err); /* it became shorter */
    if (n > 0 && EVP_DigestUpdate(r->digest, out, n) != 1)
        return err_set(err, ERR_INTERNAL, "read a blob: OpenSSL gives no SHA-256");
    r->at += (int64_t)n;
    if (r->at == r->bytes && !verify(r, err))
        return false;
    *got = n;
    return true;
}

bool blob_verify(struct blob_reader *r, struct err *err)
{
    OWNED_MEM char *portion = xcalloc(1, VERIFY_BYTES);
    size_t got = 0;
    do
        if (!blob_read(r, portion, VERIFY_BYTES, &got, err))
            return false;
    while (r->at < r->bytes);
    r->at = 0;
    r->verified = false;
    if (EVP_DigestInit_ex(r->digest, EVP_sha256(), NULL) != 1)
        return err_set(err, ERR_INTERNAL, "read a blob: OpenSSL gives no SHA-256");
    return true;
}

bool blob_load(const struct blobs *b, const struct blob_hash *hash, struct buf *out,
               struct err *err)
{
    OWNED(blob_reader) struct blob_reader *r = NULL;
    size_t got = 0, before = out->len;
    if (!blob_open(b, hash, &r, err))
        return false;
    if (!buf_reserve(out, (size_t)r->bytes))
        return err_set(err, ERR_LIMIT, "the blob has %lld bytes, more than may be held",
                       (long long)r->bytes);
    do {
        char *end = out->data ? out->data + out->len : NULL;
        if (!blob_read(r, end, out->cap - out->len, &got, err)) {
            out->len = before;
            return false;
        }
        out->len += got;
    } while (r->at < r->bytes);
    return true;
}

/* --- comparing --- */

struct telling {
    void (*each)(void *context, const struct blob_hash *hash, int64_t bytes);
    void *context;
};

/* The folders in folders, down to the files; only names of digits count. */
static bool tell_folder(const struct telling *t, int parent_fd, const char *name, int depth,
                        struct err *err)
{
    struct err no_blob;
    struct blob_hash hash;
    struct stat st;
    DIR *dir = open_listing(parent_fd, name, err);
    if (!dir)
        return false;
    bool ok = true;
    for (struct dirent *entry = NULL; ok && (entry = readdir(dir));) {
        if (depth < 2) {
            bool counts = strlen(entry->d_name) == 2 && isxdigit((unsigned char)*entry->d_name);
            ok = !counts || tell_folder(t, dirfd(dir), entry->d_name, depth + 1, err);
        } else if (blob_name_read(str_of(entry->d_name), &hash, &no_blob) &&
                   fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
            t->each(t->context, &hash, st.st_size);
        }
    }
    closedir(dir);
    return ok;
}

bool blobs_each(const struct blobs *b,
                void (*each)(void *context, const struct blob_hash *hash, int64_t bytes),
                void *context, struct err *err)
{
    struct telling t = {each, context};
    return tell_folder(&t, b->fd, ".", 0, err);
}

bool blob_is_marked(const struct blobs *b, const struct blob_hash *hash, bool *out, struct err *err)
{
    char name[BLOB_NAME_SIZE];
    DIR *dir = open_listing(b->fd, "new", err);
    if (!dir)
        return false;
    blob_name(hash, name);
    *out = false;
    for (struct dirent *entry = NULL; !*out && (entry = readdir(dir));)
        *out = strncmp(entry->d_name, name, BLOB_NAME_SIZE - 1) == 0;
    closedir(dir);
    return true;
}

/* --- removing --- */

bool blobs_left(const struct blobs *b)
{
    return atomic_load(&b->left);
}

bool blobs_mark(struct blobs *b, const struct blob_hash *hash, struct err *err)
{
    char mark[MARK_SIZE];
    atomic_store(&b->left, true);
    next_name(b, hash, mark);
    return make_mark(b, mark, err);
}

static bool has_pin(const struct blobs *b, const struct blob_hash *hash)
{
    for (const struct blob_pin *pin = b->first; pin; pin = pin->next)
        if (blob_hash_same(&pin->hash, hash))
            return true;
    return false;
}

/* Removes the file unless it has a pin; that must not come in between. */
static bool remove_unpinned(struct blobs *b, const struct blob_hash *hash, bool *pinned,
                            struct err *err)
{
    char place[PLACE_SIZE];
    place_of(hash, place);
    pthread_mutex_lock(&b->lock);
    *pinned = has_pin(b, hash);
    int failed = 0;
    if (!*pinned && (FAULT("blob.remove") || unlinkat(b->fd, place, 0) != 0))
        failed = errno;
    pthread_mutex_unlock(&b->lock);
    if (*pinned || failed == ENOENT)
        return true;
    if (failed)
        return err_errno(err, failed, "remove the blob %s", place + 6);
    return sync_place(b, place, err);
}

static bool sweep_mark(struct blobs *b, int new_fd, const char *mark, const struct blob_hash *hash,
                       int known, struct err *err)
{
    bool pinned = false;
    if (!known && !remove_unpinned(b, hash, &pinned, err))
        return false;
    return pinned || remove_name(new_fd, mark, err);
}

bool blobs_sweep(struct blobs *b,
                 int (*known)(void *context, const struct blob_hash *hash, struct err *err),
                 void *context, struct err *err)
{
    struct err no_mark;
    struct blob_hash hash;
    DIR *dir = open_listing(b->fd, "new", err);
    if (!dir)
        return false;
    bool ok = true;
    atomic_store(&b->left, false);
    for (struct dirent *entry = NULL; ok && (entry = readdir(dir));) {
        const char *point = strchr(entry->d_name, '.');
        if (!point || !blob_name_read((struct str){entry->d_name, (size_t)(point - entry->d_name)},
                                      &hash, &no_mark))
            continue;
        pthread_mutex_lock(&b->lock);
        bool pinned = has_pin(b, &hash);
        pthread_mutex_unlock(&b->lock);
        if (pinned)
            continue; /* its row comes, or it is left to a later sweep */
        int is_known = known(context, &hash, err);
        ok = is_known >= 0 && sweep_mark(b, dirfd(dir), entry->d_name, &hash, is_known, err);
    }
    closedir(dir);
    if (!ok)
        atomic_store(&b->left, true);
    return ok;
}
