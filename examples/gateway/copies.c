/* copies.c - the data of backends that the gateway runs, as archives made by the system's tar.

   An archive is written, or unpacked, under a temporary name, and is in its place with one rename: at any instant, what
   was there before or all of what comes after. The preserved copy is taken as what it is, our own. An archive from
   elsewhere may have been made by anybody: one with a link that leads out of the data, or anything that is no file,
   directory or link, is refused as a whole. tar itself refuses names that lead out, and writes through no link. */

#include "gateway.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define WALK_FDS 16 /* at most, while a tree is walked */
#define COPY "copy.tar"
#define ARCHIVE_NAME_MAX 100u

/* ---- programs of the system */

/* It ends with the worker. -> it succeeded */
static bool run(const char *const *args) {
    char *argv[8] = {0}; /* exec promises not to write to them, but its type does not say so */
    pid_t worker = getpid(), child;
    int status;
    memcpy(argv, args, sizeof argv - sizeof *argv);
    child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        unsetenv("TAR_OPTIONS");
        if (getppid() == worker) execvp(argv[0], argv);
        _exit(127);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* ---- trees */

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at) {
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static bool try_to_remove(const char *path) {
    return nftw(path, remove_one, WALK_FDS, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT;
}

/* With directories out of which nothing may be taken. */
static bool remove_tree(const char *path) {
    const char *const open_up[8] = {"chmod", "-R", "u+rwx", path};
    if (try_to_remove(path)) return true;
    run(open_up); /* as far as they are ours */
    return try_to_remove(path);
}

static bool has_suffix(const char *name, const char *suffix) {
    size_t n = strlen(name), m = strlen(suffix);
    return n >= m && strcmp(name + n - m, suffix) == 0;
}

static bool is_stale(const char *name) {
    return has_suffix(name, ".tmp");
}

/* What may go with a backend: not the copy, nor the files whose locks count. */
static bool is_its_own(const char *name) {
    return strcmp(name, COPY) != 0 && strcmp(name, "fence") != 0 && strcmp(name, "running") != 0;
}

static bool remove_where(const struct process *p, bool (*wanted)(const char *name)) {
    char path[PROCESS_PATH_SIZE];
    const struct dirent *e;
    bool ok = true;
    process_path(path, p, "");
    DIR *d = opendir(path);
    while (d != NULL && (e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || !wanted(e->d_name)) continue;
        process_path(path, p, e->d_name);
        ok = remove_tree(path) && ok;
    }
    if (d != NULL) closedir(d);
    return ok && d != NULL;
}

void process_tidy(const struct process *p) {
    remove_where(p, is_stale);
}

static bool is_empty(const char *path) {
    DIR *d = opendir(path);
    unsigned n = 0;
    while (d != NULL && n < 3 && readdir(d) != NULL) n++;
    if (d != NULL) closedir(d);
    return n < 3; /* itself and its parent */
}

static bool exists(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0 || errno != ENOENT; /* what cannot be seen may be there */
}

/* ---- where */

static bool is_archive_name(mcpsess_str name) {
    static const char allowed[] = "-_.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    if (name.len == 0 || name.len > ARCHIVE_NAME_MAX || name.ptr[0] == '.') return false;
    for (size_t i = 0; i < name.len; i++) {
        if (memchr(allowed, name.ptr[i], sizeof allowed - 1) == NULL) return false;
    }
    return true;
}

static void archives_path(char *out, const struct process *p) {
    snprintf(out, PROCESS_PATH_SIZE, "%s/.archives", p->all->dir);
}

/* Below the directory of all, and nowhere else. -> false: it is not such a name */
static bool archive_path(char *out, const struct process *p) {
    mcpsess_str name = p->call->where;
    if (!is_archive_name(name)) return false;
    archives_path(out, p);
    if (mkdir(out, 0700) != 0 && errno != EEXIST) return false;
    snprintf(out, PROCESS_PATH_SIZE, "%s/.archives/%.*s.tar", p->all->dir, (int)name.len, name.ptr);
    return true;
}

static void temporary(char *out, const struct process *p, const char *name) {
    char own[64];
    snprintf(own, sizeof own, "%s.%" PRIu64 ".tmp", name, p->call->fence);
    process_path(out, p, own);
}

static bool sync_home(const struct process *p) {
    char home[PROCESS_PATH_SIZE];
    process_path(home, p, "");
    return process_sync(home);
}

/* ---- steps of a worker */

/* Not if somebody else had a say meanwhile: it may have changed while it was read. */
static int put_archive(const struct process *p, const char *fresh, const char *place) {
    char archives[PROCESS_PATH_SIZE];
    int fd, rc = process_fence(p, true, &fd);
    if (rc != MCPSESS_OK) return rc;
    archives_path(archives, p);
    if (rename(fresh, place) != 0 || !process_sync(archives)) rc = MCPSESS_E_IO;
    close(fd);
    return rc;
}

static int work_export(struct process *p) {
    char data[PROCESS_PATH_SIZE], fresh[PROCESS_PATH_SIZE], place[PROCESS_PATH_SIZE];
    const char *const args[8] = {"tar", "-C", data, "-cf", fresh, "."};
    bool aside = p->call->where.len == 0;
    int fd, rc = process_fence(p, true, &fd);
    if (rc != MCPSESS_OK) return rc;
    process_tidy(p);
    close(fd);
    process_path(data, p, "data");
    temporary(fresh, p, "copy");
    if (!aside && !archive_path(place, p)) return MCPSESS_E_ARG;
    if (!exists(data)) return MCPSESS_MISS;
    umask(077);
    if (!run(args) || !process_sync(fresh)) rc = MCPSESS_E_IO;
    if (rc == MCPSESS_OK && !aside) rc = put_archive(p, fresh, place);
    if (rc != MCPSESS_OK) unlink(fresh); /* the disk may be full */
    return rc;
}

static int work_keep_copy(struct process *p) {
    char fresh[PROCESS_PATH_SIZE], copy[PROCESS_PATH_SIZE];
    int fd, rc = process_fence(p, true, &fd);
    if (rc != MCPSESS_OK) return rc;
    temporary(fresh, p, "copy");
    process_path(copy, p, COPY);
    if (link(fresh, copy) != 0) rc = errno == EEXIST ? MCPSESS_EXISTS : MCPSESS_E_IO; /* rename would overwrite one */
    if (rc == MCPSESS_OK && (unlink(fresh) != 0 || !sync_home(p))) rc = MCPSESS_E_IO;
    close(fd);
    return rc;
}

static int work_drop_copy(struct process *p) {
    char copy[PROCESS_PATH_SIZE];
    int fd, rc = process_fence(p, true, &fd);
    if (rc != MCPSESS_OK) return rc;
    process_path(copy, p, COPY);
    if (unlink(copy) != 0) rc = errno == ENOENT ? MCPSESS_MISS : MCPSESS_E_IO;
    else if (!sync_home(p)) rc = MCPSESS_E_IO;
    close(fd);
    return rc;
}

/* Up only at its beginning, and not further than the link is deep: what follows cannot lead out, as each directory is
   one, or a link of which the same holds. */
static bool stays_inside(const char *target, int depth) {
    bool down = false;
    if (target[0] == '/') return false;
    while (*target != '\0') {
        size_t n = strcspn(target, "/");
        bool up = n == 2 && strncmp(target, "..", 2) == 0;
        if (up && (down || --depth < 0)) return false;
        down = !up;
        target += n + strspn(target + n, "/");
    }
    return true;
}

static int check_one(const char *path, const struct stat *st, int kind, struct FTW *at) {
    char target[PROCESS_PATH_SIZE];
    if (kind == FTW_D) return 0;
    if (kind == FTW_F) return S_ISREG(st->st_mode) ? 0 : -1;
    if (kind != FTW_SL) return -1;
    ssize_t n = readlink(path, target, sizeof target - 1);
    if (n < 0) return -1;
    target[n] = '\0';
    return stays_inside(target, at->level - 1) ? 0 : -1;
}

static bool sync_tree(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && syncfs(fd) == 0;
    if (fd >= 0) close(fd);
    return ok;
}

/* What was there until now is what is temporary then. */
static int take_place(const struct process *p, const char *fresh) {
    char data[PROCESS_PATH_SIZE];
    int fd, rc = process_fence(p, true, &fd);
    if (rc != MCPSESS_OK) return rc;
    process_path(data, p, "data");
    if (mkdir(data, 0700) != 0 && errno != EEXIST) rc = MCPSESS_E_IO;
    else if (renameat2(AT_FDCWD, fresh, AT_FDCWD, data, RENAME_EXCHANGE) != 0 || !sync_home(p)) rc = MCPSESS_E_IO;
    close(fd);
    return rc;
}

/* -> OK, E_FORMAT, E_IO */
static int unpack(const char *from, const char *to, bool foreign) {
    const char *const args[8] = {"tar", "-C", to, "-xpf", from};
    if (!run(args) || (foreign && nftw(to, check_one, WALK_FDS, FTW_PHYS) != 0)) return MCPSESS_E_FORMAT;
    return chmod(to, 0700) == 0 && sync_tree(to) ? MCPSESS_OK : MCPSESS_E_IO; /* the archive has a mode for it, too */
}

static int work_import(struct process *p) {
    char from[PROCESS_PATH_SIZE], fresh[PROCESS_PATH_SIZE];
    bool foreign = p->call->where.len > 0;
    int fd, rc = process_fence(p, true, &fd);
    if (rc != MCPSESS_OK) return rc;
    process_tidy(p);
    close(fd);
    process_path(from, p, COPY);
    temporary(fresh, p, "import");
    if (foreign && !archive_path(from, p)) return MCPSESS_E_ARG;
    if (!exists(from)) return MCPSESS_MISS;
    if (mkdir(fresh, 0700) != 0) return MCPSESS_E_IO;
    rc = unpack(from, fresh, foreign);
    if (rc == MCPSESS_OK) rc = take_place(p, fresh);
    remove_tree(fresh);
    return rc;
}

static bool gone_already(int rc) {
    return rc == 0 || errno == ENOENT;
}

/* From the first rename on its data is gone, and with the record so is the backend: a crash later leaves what is of
   no use to anybody. */
static int work_remove(struct process *p) {
    char data[PROCESS_PATH_SIZE], gone[PROCESS_PATH_SIZE], record[PROCESS_PATH_SIZE];
    int fd, rc = process_fence(p, true, &fd);
    if (rc != MCPSESS_OK) return rc;
    process_path(data, p, "data");
    process_path(record, p, "record");
    temporary(gone, p, "gone");
    bool there = exists(data) || exists(record);
    bool ok = remove_tree(gone) && gone_already(rename(data, gone)) && gone_already(unlink(record));
    ok = ok && sync_home(p) && remove_where(p, is_its_own);
    close(fd);
    if (!ok) return MCPSESS_E_IO;
    return there ? MCPSESS_OK : MCPSESS_MISS;
}

/* ---- steps that are done at once */

static int look_stat_copy(struct process *p) {
    char copy[PROCESS_PATH_SIZE];
    struct stat st;
    process_path(copy, p, COPY);
    if (stat(copy, &st) != 0) return errno == ENOENT ? MCPSESS_MISS : MCPSESS_E_IO;
    p->call->bytes = (uint64_t)st.st_size;
    return MCPSESS_OK;
}

static int look_find_orphan(struct process *p) {
    char data[PROCESS_PATH_SIZE], record[PROCESS_PATH_SIZE];
    process_path(data, p, "data");
    process_path(record, p, "record");
    return !exists(record) && !is_empty(data) ? MCPSESS_OK : MCPSESS_MISS;
}

#define STEP(name, look, work)                                                              \
    static mcpsess_op *begin_##name(void *user, mcpsess_backend_call *call, uint64_t now) { \
        static const struct process_step step = {look, work, false};                        \
        return process_begin(user, &step, call, now);                                       \
    }
STEP(export_data, NULL, work_export)
STEP(keep_copy, NULL, work_keep_copy)
STEP(stat_copy, look_stat_copy, NULL)
STEP(import_data, NULL, work_import)
STEP(drop_copy, NULL, work_drop_copy)
STEP(remove, NULL, work_remove)
STEP(find_orphan, look_find_orphan, NULL)
#undef STEP

void copies_driver(mcpsess_backend_driver *d) {
    d->export_data = begin_export_data;
    d->keep_copy = begin_keep_copy;
    d->stat_copy = begin_stat_copy;
    d->import_data = begin_import_data;
    d->drop_copy = begin_drop_copy;
    d->remove = begin_remove;
    d->find_orphan = begin_find_orphan;
}
