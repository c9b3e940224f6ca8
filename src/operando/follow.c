/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Waiting for frames: told by the kernel where it can (inotify), else by looking. */
#include "config.h"
#include "operando.h"

#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/inotify.h>
#endif

struct seq_watch {
    int fd;               /* of inotify; -1: only looking */
    double poll_s;
    size_t known;         /* items whose size is remembered */
    off_t *size;
    double *since;        /* when the size was first seen */
};

double bragg_follow_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Network file systems tell nothing of what other machines write, so that looking goes
 * on beside inotify, more seldom. */
bragg_status bragg_watch_new(const char *folder, seq_watch **out, bragg_error *err)
{
    seq_watch *w = calloc(1, sizeof *w);
    *out = w;
    if (!w)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a watch");
    w->fd = -1;
#ifdef __linux__
    w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (w->fd >= 0 && inotify_add_watch(w->fd, folder, IN_CLOSE_WRITE | IN_MOVED_TO | IN_MODIFY) < 0) {
        close(w->fd);
        w->fd = -1;
    }
#endif
    w->poll_s = w->fd >= 0 ? 0.5 : 0.1;
    return BRAGG_OK;
    (void)folder;
}

void bragg_watch_free(seq_watch *w)
{
    if (!w)
        return;
    if (w->fd >= 0)
        close(w->fd);
    free(w->size);
    free(w->since);
    free(w);
}

/* Until something happens, or for the time between looks. */
void bragg_watch_wait(seq_watch *w)
{
    struct pollfd p = { w->fd, POLLIN, 0 };
    char events[4096];
    if (w->fd < 0 || poll(&p, 1, (int)(1000 * w->poll_s)) < 0) {
        struct timespec t = { 0, (long)(1e9 * w->poll_s) };
        nanosleep(&t, NULL);
        return;
    }
    while (w->fd >= 0 && read(w->fd, events, sizeof events) > 0) /* what it was is found by looking */
        ;
}

/* A frame is taken once it can be read whole and its file has kept its size for a
 * moment; one that is not whole after a minute of rest never will be. */
bragg_whole bragg_watch_whole(seq_watch *w, const bragg_frames *f, size_t k, bragg_pattern **p, double *exposure_s, bragg_error *err)
{
    enum { PATIENCE_S = 60 };
    const double settle_s = 0.1;
    struct stat info;
    double now = bragg_follow_now();
    char name[4096];
    const char *file = bragg_frames_item(f, k)->file, *inside = strstr(file, ":/");
    size_t length = inside ? (size_t)(inside - file) : strlen(file);
    *p = NULL;
    if (length >= sizeof name)
        return BRAGG_NEVER_WHOLE;
    memcpy(name, file, length);
    name[length] = 0;
    if (k >= w->known) {
        size_t n = 2 * (k + 16);
        off_t *size = realloc(w->size, n * sizeof *size);
        double *since = size ? realloc(w->since, n * sizeof *since) : NULL;
        w->size = size ? size : w->size;
        w->since = since ? since : w->since;
        if (!size || !since)
            return BRAGG_NOT_WHOLE_YET;
        for (size_t i = w->known; i < n; i++)
            size[i] = -1, since[i] = now;
        w->known = n;
    }
    if (stat(name, &info))
        return now - w->since[k] > PATIENCE_S ? BRAGG_NEVER_WHOLE : BRAGG_NOT_WHOLE_YET;
    if (info.st_size != w->size[k]) {
        w->size[k] = info.st_size;
        w->since[k] = now;
    }
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall); /* at rest before we came */
    double age = (double)(wall.tv_sec - info.st_mtim.tv_sec) + 1e-9 * (double)(wall.tv_nsec - info.st_mtim.tv_nsec);
    double rest = fmax(age, now - w->since[k]);
    if (!(rest > settle_s) || !info.st_size)
        return rest > PATIENCE_S ? BRAGG_NEVER_WHOLE : BRAGG_NOT_WHOLE_YET;
    bragg_error own = BRAGG_ERROR_INIT;
    if (bragg_frames_read(f, k, p, exposure_s, &own) >= 0)
        return BRAGG_WHOLE;
    bragg_fail(err, BRAGG_EDATA, "%s", own.text);
    return rest > 5 ? BRAGG_NEVER_WHOLE : BRAGG_NOT_WHOLE_YET;
}
