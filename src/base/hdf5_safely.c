/* SPDX-License-Identifier: GPL-3.0-or-later */
/* HDF5 files are tried by a child before they are read here.
 *
 *      parent   holds the turn ── fork ───────────── waits ── answer: acts itself ─ reads on
 *                                   └─ child: acts ── answer ── _exit   no answer: damaged
 *
 * The child does what the parent is about to do, not less: a file dies at its superblock as
 * well as in a heap that only one attribute needs.  It does it once as long as the file keeps
 * its inode, size and times, so that a stack of thousands of frames costs two children (one
 * opens, one reads a frame) and a file a frame two each: 2 ms and the first frame read twice,
 * with a gigabyte in memory 60 ms for the tables of pages.  A process of another program
 * instead of fork would be quicker there, and a helper to install and to find.
 *
 * The lock of the turn is held over the fork, so that no other thread is within HDF5; glibc
 * sees to its own locks.  A child that cannot be made, or stands still (a filter with threads
 * of its own may, after a fork), has shown nothing: then we go on without. */
#include "config.h"

#ifdef HAVE_HDF5

#include "hdf5_safely.h"

#include <bragg/hash.h>
#include <bragg/hdf5.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KEPT = 64, MOST_DEATHS = 8, MOST_CPU_S = 30, MOST_S = 120 };
/* Memory beyond what there is: a gigabyte, and up to seven more for a large file.  A damaged header
 * says how long it is, and HDF5 fills that with zeros behind the end of the file. */
#define MOST_BYTES ((rlim_t)1 << 30)
#define MOST_MORE ((rlim_t)7 << 30)

/* What is known of a file; whoever has the turn has these too, and no result depends on them. */
typedef struct trial {
    char key[BRAGG_HASH_TEXT];
    bool good;
    unsigned deaths; /* any: each act on it is tried; MOST_DEATHS: none is */
} trial;

static trial trials[KEPT];
static size_t n_trials;
static bool child;

typedef struct answer {
    bragg_status status;
    int failed;
    bragg_error err;
} answer;

bool bragg_hdf5_rehearses(void) { return child; }

/* NULL when the file is not to be seen. */
static trial *find(const char *path, const char *what)
{
    struct stat is;
    char text[6000], key[BRAGG_HASH_TEXT];
    if (stat(path, &is))
        return NULL;
    int n = snprintf(text, sizeof text, "%llu %llu %lld %lld.%09ld %lld.%09ld %s", (unsigned long long)is.st_dev, (unsigned long long)is.st_ino, (long long)is.st_size,
                     (long long)is.st_mtim.tv_sec, is.st_mtim.tv_nsec, (long long)is.st_ctim.tv_sec, is.st_ctim.tv_nsec, what);
    bragg_hash_bytes(text, n < (int)sizeof text ? (size_t)n : sizeof text, key);
    for (size_t k = 0; k < KEPT; k++)
        if (!strcmp(trials[k].key, key))
            return &trials[k];
    trial *t = &trials[n_trials++ % KEPT];
    *t = (trial){ .good = false };
    memcpy(t->key, key, sizeof key);
    return t;
}

/* A child dies alone: without a word, a core, or all the memory. */
static void confine(const char *path)
{
    struct stat is;
    struct rlimit core = { 0, 0 }, cpu = { MOST_CPU_S, MOST_CPU_S + 1 };
    sigset_t all;
    int null = open("/dev/null", O_RDWR);
    if (null >= 0) {
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
    }
    setrlimit(RLIMIT_CORE, &core);
    setrlimit(RLIMIT_CPU, &cpu);
#ifdef BRAGG_SANITIZE
    (void)path, (void)is;
#else /* sanitizers have more for their shadow than any limit */
    unsigned long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%llu", &pages) == 1 && pages) {
        rlim_t more = stat(path, &is) || is.st_size < 0 ? 0 : (rlim_t)is.st_size > MOST_MORE / 8 ? MOST_MORE : 8 * (rlim_t)is.st_size;
        rlim_t most = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + MOST_BYTES + more;
        setrlimit(RLIMIT_AS, &(struct rlimit){ most, most });
    }
    if (f)
        fclose(f);
#endif
    signal(SIGALRM, SIG_DFL);
    signal(SIGXCPU, SIG_DFL);
    sigemptyset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    alarm(MOST_S);
}

static bool tell(int way, const answer *a)
{
    size_t n = 0;
    ssize_t more;
    while (n < sizeof *a && ((more = write(way, (const char *)a + n, sizeof *a - n)) > 0 || (more < 0 && errno == EINTR)))
        n += more > 0 ? (size_t)more : 0;
    return n == sizeof *a;
}

/* _exit: what is buffered, registered or half written belongs to the parent. */
static _Noreturn void rehearse(int way, const char *path, hdf5_act *act, void *payload)
{
    answer a = { .err = BRAGG_ERROR_INIT };
    child = true;
    confine(path);
    a.status = act(payload, &a.err);
    a.failed = bragg_hdf5_failed();
    _exit(!tell(way, &a));
}

static bool hear(int way, answer *a)
{
    size_t n = 0;
    ssize_t more;
    while (n < sizeof *a && ((more = read(way, (char *)a + n, sizeof *a - n)) > 0 || (more < 0 && errno == EINTR)))
        n += more > 0 ? (size_t)more : 0;
    return n == sizeof *a;
}

/* Somebody stopped it, or it stood still: nothing is known of the file. */
static bool is_inconclusive(int status)
{
    int by = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    return by == SIGALRM || by == SIGINT || by == SIGTERM || by == SIGHUP || by == SIGQUIT;
}

static bragg_status damaged(const char *path, int status, bragg_error *err)
{
    char how[64] = "ends the program";
    int by = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (by == SIGXCPU || (by == SIGKILL))
        snprintf(how, sizeof how, "comes to no end on it");
    else if (by)
        snprintf(how, sizeof how, "fails on it (signal %d)", by);
    return bragg_fail(err, BRAGG_EDATA, "'%s': damaged: the HDF5 library %s: copy it anew from where it was written, or leave it out", path, how);
}

/* BRAGG_OK: may be done here. */
static bragg_status try(const char *path, trial *t, hdf5_act *act, void *payload, bragg_error *err)
{
    answer a = { .status = BRAGG_OK };
    int way[2], status = 0;
    if (pipe2(way, O_CLOEXEC))
        return BRAGG_OK;
    pid_t pid = fork();
    if (pid == 0)
        rehearse(way[1], path, act, payload);
    close(way[1]);
    bool whole = pid > 0 && hear(way[0], &a);
    close(way[0]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (pid < 0 || (!whole && is_inconclusive(status)))
        return BRAGG_OK;
    if (!whole) {
        t->deaths++;
        return damaged(path, status, err);
    }
    t->good = a.status >= 0 && !t->deaths;
    bragg_hdf5_note(a.failed);
    return a.status < 0 ? bragg_fail(err, a.status, "%s", a.err.text) : BRAGG_OK;
}

bragg_status bragg_hdf5_safely(const char *path, const char *what, hdf5_act *act, void *payload, bragg_error *err)
{
    trial *t = child ? NULL : find(path, what);
    bragg_status st = BRAGG_OK;
    if (t && t->deaths >= MOST_DEATHS)
        st = damaged(path, 0, err);
    else if (t && !t->good)
        st = try(path, t, act, payload, err);
    return st < 0 ? st : act(payload, err);
}

#endif
