/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Preloaded, plays a failing disk below the folder DISK_UNDER, for the program and for every
 * library it reads with.  Streams of fopen() and fdopen() are rebuilt upon our own read and
 * write, because the C library's own calls cannot be replaced.
 *
 * DISK_HOW=short    each read and write does at most half of what it is asked for
 *          eintr    call N of read or write is interrupted
 *          eio      call N of read, write or fsync fails
 *          enospc   from call N on nothing can be written or made
 *          gone     from call N on the folder is a network folder that went away
 * DISK_AT=N         counted from 1 over the calls that HOW is about
 * DISK_COUNT=FILE   writes how many calls there were */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

typedef enum how { HOW_NONE, HOW_SHORT, HOW_EINTR, HOW_EIO, HOW_ENOSPC, HOW_GONE } how;
typedef enum call { CALL_READ, CALL_WRITE, CALL_SYNC, CALL_MAKE, CALL_LOOK } call;

static how mode;
static long fail_at;
static atomic_long calls;
static const char *under;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void begin(void)
{
    static const char *const names[] = { "", "short", "eintr", "eio", "enospc", "gone" };
    const char *say = getenv("DISK_HOW"), *at = getenv("DISK_AT");
    under = getenv("DISK_UNDER");
    fail_at = at ? strtol(at, NULL, 10) : 0;
    for (int k = 1; say && under && k < 6; k++)
        if (!strcmp(say, names[k]))
            mode = k;
}

__attribute__((destructor)) static void end(void)
{
    const char *path = getenv("DISK_COUNT");
    int fd = path ? REAL(open)(path, O_WRONLY | O_CREAT | O_TRUNC, 0666) : -1;
    if (fd >= 0) {
        dprintf(fd, "%ld\n", atomic_load(&calls));
        close(fd);
    }
}

static bool path_counts(const char *path)
{
    char whole[2 * PATH_MAX];
    if (!mode || !path)
        return false;
    if (*path != '/') {
        if (!getcwd(whole, PATH_MAX))
            return false;
        size_t n = strlen(whole);
        snprintf(whole + n, sizeof whole - n, "/%s", path);
        path = whole;
    }
    return !strncmp(path, under, strlen(under));
}

static bool fd_counts(int fd)
{
    char link[64], path[PATH_MAX];
    if (!mode)
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0)
        return false;
    path[n] = 0;
    return path_counts(path);
}

/* the error that this call ends with, or 0 */
static int fault(call what)
{
    bool counts = mode == HOW_GONE || (mode == HOW_ENOSPC && what != CALL_READ && what != CALL_LOOK) ||
                  (mode == HOW_EIO && what <= CALL_SYNC) || (mode == HOW_EINTR && what <= CALL_WRITE);
    if (!counts)
        return 0;
    long now = atomic_fetch_add(&calls, 1) + 1;
    bool sticks = mode == HOW_GONE || mode == HOW_ENOSPC;
    if (!fail_at || now < fail_at || (now > fail_at && !sticks))
        return 0;
    return mode == HOW_EIO ? EIO : mode == HOW_EINTR ? EINTR : mode == HOW_ENOSPC ? ENOSPC : ESTALE;
}

static bool fails(bool ours, call what)
{
    int cause = ours ? fault(what) : 0;
    if (cause)
        errno = cause;
    return cause;
}

static size_t fewer(bool ours, size_t n)
{
    if (!ours || mode != HOW_SHORT || n < 2)
        return n;
    atomic_fetch_add(&calls, 1);
    return n / 2;
}

ssize_t read(int fd, void *to, size_t n)
{
    bool ours = fd_counts(fd);
    return fails(ours, CALL_READ) ? -1 : REAL(read)(fd, to, fewer(ours, n));
}

ssize_t __read_chk(int fd, void *to, size_t n, size_t room);
ssize_t __read_chk(int fd, void *to, size_t n, size_t room)
{
    return n > room ? abort(), -1 : read(fd, to, n);
}

ssize_t pread(int fd, void *to, size_t n, off_t at)
{
    bool ours = fd_counts(fd);
    return fails(ours, CALL_READ) ? -1 : REAL(pread)(fd, to, fewer(ours, n), at);
}

ssize_t pread64(int fd, void *to, size_t n, off64_t at)
{
    return pread(fd, to, n, at);
}

ssize_t write(int fd, const void *from, size_t n)
{
    bool ours = fd_counts(fd);
    return fails(ours, CALL_WRITE) ? -1 : REAL(write)(fd, from, fewer(ours, n));
}

ssize_t pwrite(int fd, const void *from, size_t n, off_t at)
{
    bool ours = fd_counts(fd);
    return fails(ours, CALL_WRITE) ? -1 : REAL(pwrite)(fd, from, fewer(ours, n), at);
}

ssize_t pwrite64(int fd, const void *from, size_t n, off64_t at)
{
    return pwrite(fd, from, n, at);
}

int fsync(int fd)
{
    return fails(fd_counts(fd), CALL_SYNC) ? -1 : REAL(fsync)(fd);
}

int fdatasync(int fd)
{
    return fails(fd_counts(fd), CALL_SYNC) ? -1 : REAL(fdatasync)(fd);
}

int ftruncate(int fd, off_t size)
{
    return fails(fd_counts(fd), CALL_MAKE) ? -1 : REAL(ftruncate)(fd, size);
}

int ftruncate64(int fd, off64_t size)
{
    return ftruncate(fd, size);
}

static int open_as(const char *path, int flags, mode_t bits)
{
    if (fails(path_counts(path), flags & O_CREAT ? CALL_MAKE : CALL_LOOK))
        return -1;
    return REAL(open)(path, flags, bits);
}

int open(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t bits = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
    va_end(more);
    return open_as(path, flags, bits);
}

int open64(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t bits = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
    va_end(more);
    return open_as(path, flags, bits);
}

int mkstemp(char *pattern)
{
    return fails(path_counts(pattern), CALL_MAKE) ? -1 : REAL(mkstemp)(pattern);
}

int mkstemp64(char *pattern)
{
    return mkstemp(pattern);
}

int mkdir(const char *path, mode_t bits)
{
    return fails(path_counts(path), CALL_MAKE) ? -1 : REAL(mkdir)(path, bits);
}

int link(const char *from, const char *to)
{
    return fails(path_counts(to), CALL_MAKE) ? -1 : REAL(link)(from, to);
}

int rename(const char *from, const char *to)
{
    return fails(path_counts(to), CALL_LOOK) ? -1 : REAL(rename)(from, to);
}

int unlink(const char *path)
{
    return fails(path_counts(path), CALL_LOOK) ? -1 : REAL(unlink)(path);
}

int stat(const char *restrict path, struct stat *restrict info)
{
    return fails(path_counts(path), CALL_LOOK) ? -1 : REAL(stat)(path, info);
}

DIR *opendir(const char *path)
{
    return fails(path_counts(path), CALL_LOOK) ? NULL : REAL(opendir)(path);
}

/* Streams: a cookie that holds the descriptor, and a table from stream to descriptor. */
typedef struct stream {
    FILE *file;
    int fd;
} stream;
static stream *streams[256];
static pthread_mutex_t streams_lock = PTHREAD_MUTEX_INITIALIZER;

static ssize_t stream_read(void *cookie, char *to, size_t n)
{
    return read(((stream *)cookie)->fd, to, n);
}

/* as the C library's own: goes on after a short write, and answers 0 for an error */
static ssize_t stream_write(void *cookie, const char *from, size_t n)
{
    size_t done = 0;
    while (done < n) {
        ssize_t k = write(((stream *)cookie)->fd, from + done, n - done);
        if (k < 0)
            return 0;
        done += (size_t)k;
    }
    return (ssize_t)done;
}

static int stream_seek(void *cookie, off64_t *at, int whence)
{
    off64_t to = lseek(((stream *)cookie)->fd, *at, whence);
    *at = to;
    return to < 0 ? -1 : 0;
}

static int stream_close(void *cookie)
{
    stream *s = cookie;
    pthread_mutex_lock(&streams_lock);
    for (int k = 0; k < 256; k++)
        if (streams[k] == s)
            streams[k] = NULL;
    pthread_mutex_unlock(&streams_lock);
    int rc = close(s->fd);
    free(s);
    return rc;
}

FILE *fdopen(int fd, const char *access_mode)
{
    if (!fd_counts(fd))
        return REAL(fdopen)(fd, access_mode);
    stream *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->fd = fd;
    s->file = fopencookie(s, access_mode, (cookie_io_functions_t){ stream_read, stream_write, stream_seek, stream_close });
    pthread_mutex_lock(&streams_lock);
    int k = 0;
    while (k < 255 && streams[k])
        k++;
    streams[k] = s;
    pthread_mutex_unlock(&streams_lock);
    return s->file;
}

FILE *fopen(const char *restrict path, const char *restrict access_mode)
{
    if (!path_counts(path))
        return REAL(fopen)(path, access_mode);
    int flags = strchr(access_mode, '+') ? O_RDWR : *access_mode == 'r' ? O_RDONLY : O_WRONLY;
    flags |= *access_mode == 'w' ? O_CREAT | O_TRUNC : *access_mode == 'a' ? O_CREAT | O_APPEND : 0;
    int fd = open_as(path, flags, 0666);
    return fd < 0 ? NULL : fdopen(fd, access_mode);
}

FILE *fopen64(const char *restrict path, const char *restrict access_mode)
{
    return fopen(path, access_mode);
}

int fileno(FILE *file)
{
    int fd = -1;
    pthread_mutex_lock(&streams_lock);
    for (int k = 0; k < 256; k++)
        if (streams[k] && streams[k]->file == file)
            fd = streams[k]->fd;
    pthread_mutex_unlock(&streams_lock);
    return fd >= 0 ? fd : REAL(fileno)(file);
}
