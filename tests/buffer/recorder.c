/* Records what a process does to the files below one folder, in order: preloaded into the real store by a test.
 *
 * Every record is: kind (1 byte), length of the name (1), name, offset (8), length (8), bytes. The name is a path
 * below RECORD_FOLDER, `.` for that itself. Kinds for bytes: w write, t truncate, f make at least so long, s sync.
 * Kinds for names: c a new file, d a new folder, l another name (the bytes), m a new name instead (the bytes),
 * u unlink, n sync of a folder. A line on standard output is `a`. Shared memory (-shm) is left out: it is made
 * anew at every start. Files copied by the kernel (copy_file_range, sendfile) are not seen.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static int out = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(type, name, ...) static type (*real)(__VA_ARGS__); if (!real) real = dlsym(RTLD_NEXT, #name)
#define LOCKED(does) do { pthread_mutex_lock(&lock); does; pthread_mutex_unlock(&lock); } while (0)

static const char *wanted(const char *path) {
    const char *folder = getenv("RECORD_FOLDER");
    size_t length = folder ? strlen(folder) : 0;
    if (!folder || strncmp(path, folder, length)) return NULL;
    if (!path[length]) return ".";
    const char *name = path + length + 1;
    if (path[length] != '/' || strstr(name, "-shm") || strstr(name, " (deleted)") || strlen(name) > 255) return NULL;
    return name;
}

/* The name of an open file now, whatever it was called when it was opened. */
static const char *named(int fd, char *path, size_t room) {
    char link[64];
    if (!getenv("RECORD_FOLDER")) return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, room - 1);
    if (length <= 0) return NULL;
    path[length] = 0;
    return wanted(path);
}

static const char *at(int dir, const char *name, char *path, size_t room) {
    if (name[0] == '/' || dir == AT_FDCWD) return wanted(name);
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
    ssize_t length = readlink(link, path, room - 260);
    if (length <= 0) return NULL;
    snprintf(path + length, room - length, "/%.250s", name);
    return wanted(path);
}

static void put(char kind, const char *name, uint64_t offset, uint64_t length, const void *bytes) {
    REAL(ssize_t, write, int, const void *, size_t);
    if (out < 0) {
        static int (*opening)(const char *, int, ...);
        if (!opening) opening = dlsym(RTLD_NEXT, "open64");
        out = opening(getenv("RECORD_OUT"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    }
    size_t named = strlen(name), held = bytes ? length : 0, total = 2 + named + 16 + held;
    char *record = malloc(total), *at = record;
    *at++ = kind; *at++ = (char)named;
    memcpy(at, name, named); at += named;
    memcpy(at, &offset, 8); at += 8;
    memcpy(at, &length, 8); at += 8;
    if (held) memcpy(at, bytes, held);
    if (real(out, record, total) != (ssize_t)total) abort();
    free(record);
}

/* -- bytes ------------------------------------------------------------------------------------------------- */

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
    char path[4096];
    pthread_mutex_lock(&lock);
    const char *name = named(fd, path, sizeof path);
    ssize_t done = real(fd, bytes, length, offset);
    if (done > 0 && name) put('w', name, offset, done, bytes);
    pthread_mutex_unlock(&lock);
    return done;
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) { return pwrite64(fd, bytes, length, offset); }

/* What the process under test was told, among the writes: a line on standard output. */
ssize_t write(int fd, const void *bytes, size_t length) {
    REAL(ssize_t, write, int, const void *, size_t);
    if (!getenv("RECORD_FOLDER")) return real(fd, bytes, length);
    if (fd == 1) {
        LOCKED(put('a', "said", 0, length, bytes));
        return (ssize_t)length;
    }
    char path[4096];
    pthread_mutex_lock(&lock);
    const char *name = named(fd, path, sizeof path);
    off64_t offset = name ? lseek64(fd, 0, SEEK_CUR) : 0;
    ssize_t done = real(fd, bytes, length);
    if (done > 0 && name) put('w', name, offset, done, bytes);
    pthread_mutex_unlock(&lock);
    return done;
}
static void sized(int fd, char kind, off64_t length) {
    char path[4096];
    const char *name = named(fd, path, sizeof path);
    if (name) LOCKED(put(kind, name, 0, length, 0));
}
int ftruncate64(int fd, off64_t length) { REAL(int, ftruncate64, int, off64_t); int r = real(fd, length); if (!r) sized(fd, 't', length); return r; }
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }
int posix_fallocate64(int fd, off64_t offset, off64_t length) {
    REAL(int, posix_fallocate64, int, off64_t, off64_t);
    int r = real(fd, offset, length);
    if (!r) sized(fd, 'f', offset + length);
    return r;
}
int posix_fallocate(int fd, off_t offset, off_t length) { return posix_fallocate64(fd, offset, length); }
static void synced(int fd) {
    struct stat about;
    sized(fd, !fstat(fd, &about) && S_ISDIR(about.st_mode) ? 'n' : 's', 0);
}
int fsync(int fd) { REAL(int, fsync, int); int r = real(fd); if (!r) synced(fd); return r; }
int fdatasync(int fd) { REAL(int, fdatasync, int); int r = real(fd); if (!r) synced(fd); return r; }

/* -- names ------------------------------------------------------------------------------------------------- */

#define MODE int mode = 0; if (flags & O_CREAT) { va_list rest; va_start(rest, flags); mode = va_arg(rest, int); va_end(rest); }
int open64(const char *path, int flags, ...) {
    MODE REAL(int, open64, const char *, int, ...);
    const char *name = (flags & (O_CREAT | O_TRUNC)) ? wanted(path) : NULL;
    if (!name) return real(path, flags, mode);
    struct stat about;
    pthread_mutex_lock(&lock);
    int fresh = stat(path, &about) != 0, fd = real(path, flags, mode);
    if (fd >= 0 && fresh) put('c', name, 0, 0, 0);
    else if (fd >= 0 && flags & O_TRUNC) put('t', name, 0, 0, 0);
    pthread_mutex_unlock(&lock);
    return fd;
}
int open(const char *path, int flags, ...) { MODE return open64(path, flags, mode); }
int mkdir(const char *path, mode_t mode) {
    REAL(int, mkdir, const char *, mode_t);
    pthread_mutex_lock(&lock);
    int r = real(path, mode), kept = errno;
    if (!r && wanted(path)) put('d', wanted(path), 0, 0, 0);
    pthread_mutex_unlock(&lock);
    errno = kept;
    return r;
}
int unlink(const char *path) {
    REAL(int, unlink, const char *);
    pthread_mutex_lock(&lock);
    int r = real(path), kept = errno;
    if (!r && wanted(path)) put('u', wanted(path), 0, 0, 0);
    pthread_mutex_unlock(&lock);
    errno = kept;
    return r;
}
int link(const char *from, const char *to) {
    REAL(int, link, const char *, const char *);
    pthread_mutex_lock(&lock);
    int r = real(from, to), kept = errno;
    if (!r && wanted(from) && wanted(to)) put('l', wanted(from), 0, strlen(wanted(to)), wanted(to));
    pthread_mutex_unlock(&lock);
    errno = kept;
    return r;
}
int renameat(int from_dir, const char *from, int to_dir, const char *to) {
    REAL(int, renameat, int, const char *, int, const char *);
    char left[4096], right[4096];
    pthread_mutex_lock(&lock);
    const char *old = at(from_dir, from, left, sizeof left), *new = at(to_dir, to, right, sizeof right);
    int r = real(from_dir, from, to_dir, to), kept = errno;
    if (!r && old && new) put('m', old, 0, strlen(new), new);
    pthread_mutex_unlock(&lock);
    errno = kept;
    return r;
}
int rename(const char *from, const char *to) { return renameat(AT_FDCWD, from, AT_FDCWD, to); }
