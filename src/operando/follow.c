/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Waiting for frames: told by the kernel where it can (inotify), else by looking. */
#include "config.h"
#include "operando.h"

#include <bragg/datetime.h>
#include <bragg/path.h>
#include <dirent.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/inotify.h>
#endif

enum { CLOSED = 64 };

struct seq_watch {
    char *folder;
    dev_t device;         /* that the folder stood on when it was last there */
    int fd;               /* of inotify; -1: only looking */
    double patience_s;
    double poll_s, soon_s; /* soon: when a file may have rested long enough; 0: nothing to wait for */
    char closed[CLOSED][256]; /* files that were closed or moved here last, a ring */
    size_t n_closed;
    size_t known;         /* items whose size is remembered */
    off_t *size;
    double *since;        /* when the size was first seen, or the folder last missed */
};

/* Network file systems tell nothing of what other machines write, so that looking goes
 * on beside inotify, more seldom. */
bragg_status bragg_watch_new(const char *folder, double patience_s, seq_watch **out, bragg_error *err)
{
    seq_watch *w = calloc(1, sizeof *w);
    *out = w;
    if (w)
        w->fd = -1;
    if (!w || !(w->folder = strdup(folder ? folder : ".")))
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a watch");
    struct stat info;
    w->device = stat(w->folder, &info) == 0 ? info.st_dev : 0;
#ifdef __linux__
    w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (w->fd >= 0 && inotify_add_watch(w->fd, w->folder, IN_CLOSE_WRITE | IN_MOVED_TO | IN_MODIFY) < 0) {
        close(w->fd);
        w->fd = -1;
    }
#endif
    w->patience_s = patience_s;
    w->poll_s = w->fd >= 0 ? 0.5 : 0.1;
    return BRAGG_OK;
}

void bragg_watch_free(seq_watch *w)
{
    if (!w)
        return;
    if (w->fd >= 0)
        close(w->fd);
    free(w->size);
    free(w->since);
    free(w->folder);
    free(w);
}

static void note_events(seq_watch *w)
{
#ifdef __linux__
    _Alignas(struct inotify_event) char events[4096];
    for (ssize_t n; w->fd >= 0 && (n = read(w->fd, events, sizeof events)) > 0;)
        for (char *at = events; at < events + n;) {
            const struct inotify_event *e = (const struct inotify_event *)(const void *)at;
            if (e->len && e->mask & (IN_CLOSE_WRITE | IN_MOVED_TO))
                snprintf(w->closed[w->n_closed++ % CLOSED], sizeof *w->closed, "%s", e->name);
            at += sizeof *e + e->len;
        }
#else
    (void)w;
#endif
}

static bool was_closed(const seq_watch *w, const char *file)
{
    const char *slash = strrchr(file, '/'), *base = slash ? slash + 1 : file;
    for (size_t k = 0; k < CLOSED; k++)
        if (!strcmp(w->closed[k], base))
            return true;
    return false;
}

/* Until something happens, or for the time between looks. */
void bragg_watch_wait(seq_watch *w)
{
    struct pollfd p = { w->fd, POLLIN, 0 };
    double wait_s = w->soon_s > 0 ? fmin(w->soon_s, w->poll_s) : w->poll_s;
    w->soon_s = 0;
    if (w->fd < 0 || poll(&p, 1, (int)ceil(1000 * wait_s)) < 0) {
        struct timespec t = { 0, (long)(1e9 * wait_s) };
        nanosleep(&t, NULL);
        return;
    }
    note_events(w);
}

static bool next_is_there(const bragg_frames *f, size_t k)
{
    bragg_pattern *p = NULL;
    double exposure;
    bool there = k + 1 < bragg_frames_count(f) && bragg_frames_read(f, k + 1, &p, &exposure, NULL) >= 0;
    bragg_pattern_free(p);
    return there;
}

static bool remember(seq_watch *w, size_t k, double now)
{
    if (k < w->known)
        return true;
    size_t n = 2 * (k + 16);
    off_t *size = realloc(w->size, n * sizeof *size);
    double *since = size ? realloc(w->since, n * sizeof *since) : NULL;
    w->size = size ? size : w->size;
    w->since = since ? since : w->since;
    if (!size || !since)
        return false;
    for (size_t i = w->known; i < n; i++)
        size[i] = -1, since[i] = now;
    w->known = n;
    return true;
}

static bool is_empty(const char *folder)
{
    DIR *dir = opendir(folder);
    bool any = false;
    for (struct dirent *e; dir && !any && (e = readdir(dir));)
        any = strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
    if (dir)
        closedir(dir);
    return !any;
}

/* A folder of the network that went away comes back with its frames: until then nothing is
 * said of them.  Where it was mounted it leaves an empty folder of another device; when it is
 * mounted again its device may be new, but it is not empty.  One frame's own folder, beside
 * others that are there, is not waited for. */
static bool folder_is_there(seq_watch *w)
{
    struct stat info;
    if (stat(w->folder, &info) || (info.st_dev != w->device && is_empty(w->folder)))
        return false;
    w->device = info.st_dev;
    return true;
}

/* A frame is taken once it can be read whole and its file has kept its size for a
 * moment; one that is not whole when patience ends never will be.  A detector's file
 * says itself when half of it is missing: it is tried as soon as it is closed, as half a
 * pattern of text is a pattern.  A frame within a file counts when that file's own tables
 * say that it is there. */
bragg_whole bragg_watch_whole(seq_watch *w, const bragg_frames *f, size_t k, bragg_pattern **p, double *exposure_s, bragg_error *err)
{
    static const double broken_s = 5; /* of rest: what cannot be read then is broken */
    double settle_s = 0.1;
    struct stat info;
    double now = bragg_time_running_s();
    char name[4096];
    const char *file = bragg_frames_item(f, k)->file, *inside, *slice;
    size_t length = bragg_path_split(file, &inside, &slice);
    *p = NULL;
    if (length >= sizeof name)
        return BRAGG_NEVER_WHOLE;
    memcpy(name, file, length);
    name[length] = 0;
    if (!remember(w, k, now)) {
        bragg_fail(err, BRAGG_ENOMEM, "no room to wait for %zu frames", k + 1);
        return BRAGG_NEVER_WHOLE;
    }
    if (stat(name, &info)) {
        if (!folder_is_there(w))
            w->since[k] = now;
        return now - w->since[k] > w->patience_s ? BRAGG_NEVER_WHOLE : BRAGG_NOT_WHOLE_YET;
    }
    if (info.st_size != w->size[k]) {
        w->size[k] = info.st_size;
        w->since[k] = now;
    }
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall); /* at rest before we came */
    double age = (double)(wall.tv_sec - info.st_mtim.tv_sec) + 1e-9 * (double)(wall.tv_nsec - info.st_mtim.tv_nsec);
    double rest = fmax(age, now - w->since[k]);
    bool stack = bragg_frames_stack(file);
    if (stack || (bragg_frames_raw(f) && was_closed(w, name)))
        settle_s = 0;
    if (!(rest >= settle_s) || !info.st_size) {
        w->soon_s = settle_s - rest + 1e-3;
        return !info.st_size && rest > w->patience_s ? BRAGG_NEVER_WHOLE : BRAGG_NOT_WHOLE_YET;
    }
    bragg_error own = BRAGG_ERROR_INIT;
    bragg_status st = bragg_frames_read(f, k, p, exposure_s, &own);
    if (st >= 0)
        return BRAGG_WHOLE;
    bragg_fail(err, st == BRAGG_ENOMEM ? st : BRAGG_EDATA, "%s", own.text);
    if (st == BRAGG_ENOMEM) /* which says nothing of the frame */
        return BRAGG_NEVER_WHOLE;
    w->soon_s = 0.1;
    if (!folder_is_there(w) || (st == BRAGG_EIO && stat(name, &info)))
        return BRAGG_NOT_WHOLE_YET; /* it went away while it was read */
    if (stack && st == BRAGG_EIO) /* there will be a frame, unless the next is there already */
        return next_is_there(f, k) ? BRAGG_NEVER_WHOLE : BRAGG_NOT_WHOLE_YET;
    return rest > (stack ? w->patience_s : fmin(broken_s, w->patience_s)) ? BRAGG_NEVER_WHOLE : BRAGG_NOT_WHOLE_YET;
}
