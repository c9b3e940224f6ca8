/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files that appear whole or not at all. */
#include "config.h"
#include <bragg/output.h>

#include <bragg/number.h>

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct bragg_output {
    FILE *stream;
    bool force;
    char *path;      /* the name it will have */
    char *temporary; /* in the same folder, so that rename() is atomic */
};

static void output_free(bragg_output *o)
{
    if (!o)
        return;
    free(o->path);
    free(o->temporary);
    free(o);
}

enum { LETTERS = 6, LONGEST_NAME = 255 };

/* "dir/name" -> "dir/.name." and room for letters; a name that would become too long for a
 * folder is left out. */
static char *temporary_name(const char *path)
{
    const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
    size_t size = strlen(path) + sizeof ".bragg." + LETTERS;
    char *name = malloc(size);
    if (name)
        snprintf(name, size, "%.*s.%s.", (int)(file - path), path, strlen(file) + LETTERS + 2 > LONGEST_NAME ? "bragg" : file);
    return name;
}

/* Makes a file of letters that no other has.  mkstemp() would make 0600, and a program can
 * only learn its umask by changing it, under the feet of its other threads. */
static int make_temporary(char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    char *end = name + strlen(name);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = (uint64_t)now.tv_nsec ^ (uint64_t)now.tv_sec << 30 ^ (uint64_t)getpid() << 44;
    for (int tries = 0; tries < 1000; tries++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        for (int k = 0; k < LETTERS; k++)
            end[k] = letters[(seed >> (22 + 7 * k)) % (sizeof letters - 1)];
        end[LETTERS] = '\0';
        int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

bragg_status bragg_output_refused(const char *path, int cause, bragg_error *err)
{
    const char *slash = strrchr(path, '/');
    struct stat info;
    char folder[4096] = ".";
    if (slash)
        snprintf(folder, sizeof folder, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return bragg_fail(err, BRAGG_EINVAL, "'%s': expected a file name, found a folder", path);
    if (stat(folder, &info) < 0)
        return bragg_fail(err, bragg_status_of_errno(errno), "'%s': cannot write here: %s", path, errno == ENOENT ? "the folder is not there" : strerror(errno));
    if (!S_ISDIR(info.st_mode))
        return bragg_fail(err, BRAGG_EIO, "'%s': cannot write here: '%s' is a file, expected a folder", path, folder);
    bool closed = cause == EACCES || cause == EPERM || cause == EROFS || cause == ENOENT; /* ENOENT: /proc takes none */
    return bragg_fail(err, bragg_status_of_errno(cause), "'%s': cannot write here: %s%s", path, cause == ENOENT ? "the folder takes no files" : strerror(cause),
                      closed ? "; name a place that can be written" : "");
}

static bragg_status open_temporary(bragg_output *o, bragg_error *err)
{
    int fd = make_temporary(o->temporary);
    if (fd < 0)
        return bragg_output_refused(o->path, errno, err);
    o->stream = fdopen(fd, "wb");
    if (o->stream)
        return BRAGG_OK;
    close(fd);
    unlink(o->temporary);
    return bragg_fail(err, BRAGG_ENOMEM, "'%s': no memory for a stream", o->path);
}

bragg_status bragg_output_open(const char *path, bool force, bragg_output **out, bragg_error *err)
{
    struct stat info;
    *out = NULL;
    if (!path) /* the caller's arena had no room for it */
        return bragg_fail(err, BRAGG_ENOMEM, "no room for the name of a file");
    bool there = stat(path, &info) == 0;
    if (!there && errno != ENOENT) /* a folder that went away, a link that leads in a circle, a name that is too long */
        return bragg_output_refused(path, errno, err);
    if (there && S_ISDIR(info.st_mode))
        return bragg_fail(err, BRAGG_EINVAL, "'%s': expected a file name, found a folder", path);
    if (!there && lstat(path, &info) == 0)
        return bragg_fail(err, BRAGG_EINVAL, "'%s': expected a file name, found a symbolic link to nothing", path);
    if (there && !S_ISREG(info.st_mode))
        return bragg_fail(err, BRAGG_EINVAL, "'%s': expected a file name, found a device or a pipe", path);
    if (there && !force)
        return bragg_fail(err, BRAGG_EEXIST, "'%s': exists already; --force overwrites it", path);
    bragg_output *o = calloc(1, sizeof *o);
    char *real = there ? realpath(path, NULL) : NULL;
    if (o) {
        o->force = force;
        o->path = real ? real : strdup(path);
        o->temporary = o->path ? temporary_name(o->path) : NULL;
    } else {
        free(real);
    }
    bragg_status st = o && o->temporary ? open_temporary(o, err)
                                        : bragg_fail(err, BRAGG_ENOMEM, "'%s': no memory", path);
    if (st < 0)
        output_free(o);
    else
        *out = o;
    return st;
}

FILE *bragg_output_stream(bragg_output *output)
{
    return output->stream;
}

const char *bragg_output_temporary(const bragg_output *output)
{
    return output->temporary;
}

/* link() fails where the name exists, rename() replaces it.  File systems
 * without hard links answer EPERM and the like: there a last look must do. */
static int appear(const bragg_output *o)
{
    if (o->force)
        return rename(o->temporary, o->path);
    if (link(o->temporary, o->path) == 0)
        return unlink(o->temporary);
    if (errno == EEXIST || access(o->path, F_OK) == 0)
        return errno = EEXIST, -1;
    return rename(o->temporary, o->path);
}

bragg_status bragg_output_commit(bragg_output *o, bragg_error *err)
{
    errno = 0;
    bool whole = !ferror(o->stream) && fflush(o->stream) == 0 && fsync(fileno(o->stream)) == 0;
    int cause = errno;
    if (fclose(o->stream) && whole)
        whole = false, cause = errno;
    bragg_status st = BRAGG_OK;
    if (!whole)
        st = bragg_fail(err, BRAGG_EIO, "'%s': not written: %s", o->path,
                        strerror(cause ? cause : EIO));
    else if (appear(o))
        st = errno == EEXIST
                 ? bragg_fail(err, BRAGG_EEXIST, "'%s': was made meanwhile; --force overwrites it", o->path)
                 : bragg_fail(err, bragg_status_of_errno(errno), "'%s': cannot rename: %s", o->path, strerror(errno));
    if (st < 0)
        unlink(o->temporary);
    output_free(o);
    return st;
}

void bragg_output_abandon(bragg_output *o)
{
    if (!o)
        return;
    fclose(o->stream);
    unlink(o->temporary);
    output_free(o);
}

void bragg_output_numbers(FILE *to, const char *key, const double *value, size_t n, const char *end)
{
    char text[BRAGG_NUMBER_TEXT];
    fprintf(to, "%s: [", key);
    for (size_t k = 0; k < n; k++)
        fprintf(to, "%s%s", k ? ", " : "", bragg_number_print(text, value[k]));
    fprintf(to, "]%s", end);
}

void bragg_output_number(FILE *to, const char *key, double value, int digits, const char *end)
{
    char text[BRAGG_NUMBER_TEXT];
    if (isfinite(value))
        fprintf(to, "%s = %s%s", key, bragg_number_print_digits(text, value, digits), end);
}
