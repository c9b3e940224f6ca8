/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Processes that mpirun or srun have started to share one run.  Waiting sleeps between
 * looks: MPI's own waiting takes a core that another rank may need. */
#include "config.h"
#include "cli.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifdef HAVE_MPI
#include <mpi.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#endif

#ifdef HAVE_MPI

typedef struct letter {
    MPI_Request request;
    void *bytes;
} letter;

struct cli_peers {
    bragg_peers peers; /* first */
    letter *sent;      /* not gone yet */
    size_t n_sent, room;
};

static void doze(void)
{
    struct timespec t = { 0, 1000000 };
    nanosleep(&t, NULL);
}

static void drop_gone(cli_peers *p)
{
    for (size_t k = 0; k < p->n_sent;) {
        int gone = 0;
        MPI_Test(&p->sent[k].request, &gone, MPI_STATUS_IGNORE);
        if (!gone) {
            k++;
            continue;
        }
        free(p->sent[k].bytes);
        p->sent[k] = p->sent[--p->n_sent];
    }
}

static bragg_status send(void *payload, const void *bytes, size_t n, bragg_error *err)
{
    cli_peers *p = payload;
    drop_gone(p);
    bragg_status st = bragg_array_grow(&p->sent, &p->room, p->n_sent + 1, sizeof *p->sent, err);
    void *own = st == BRAGG_OK ? malloc(n) : NULL;
    if (!own)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a message");
    memcpy(own, bytes, n);
    letter *l = &p->sent[p->n_sent++];
    l->bytes = own;
    MPI_Isend(own, (int)n, MPI_BYTE, 0, 0, MPI_COMM_WORLD, &l->request);
    return BRAGG_OK;
}

static bragg_status receive(void *payload, bool wait, void **bytes, size_t *n, bragg_error *err)
{
    MPI_Status from;
    int there = 0, size = 0;
    *bytes = NULL;
    *n = 0;
    for (MPI_Iprobe(MPI_ANY_SOURCE, 0, MPI_COMM_WORLD, &there, &from); !there && wait; MPI_Iprobe(MPI_ANY_SOURCE, 0, MPI_COMM_WORLD, &there, &from))
        doze();
    if (!there)
        return BRAGG_OK;
    MPI_Get_count(&from, MPI_BYTE, &size);
    if (!(*bytes = malloc((size_t)size + 1)))
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a message of %d bytes", size);
    MPI_Recv(*bytes, size, MPI_BYTE, from.MPI_SOURCE, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    *n = (size_t)size;
    return BRAGG_OK;
    (void)payload;
}

static bragg_status broadcast(void *payload, void *bytes, size_t n, bragg_error *err)
{
    enum { PIECE = 1 << 26 };
    for (size_t at = 0; at < n; at += PIECE) {
        MPI_Request request;
        int done = 0;
        MPI_Ibcast((char *)bytes + at, (int)(n - at < PIECE ? n - at : PIECE), MPI_BYTE, 0, MPI_COMM_WORLD, &request);
        for (MPI_Test(&request, &done, MPI_STATUS_IGNORE); !done; MPI_Test(&request, &done, MPI_STATUS_IGNORE))
            doze();
    }
    return BRAGG_OK;
    (void)payload, (void)err;
}

/* Without a launcher MPI is not even begun. */
static bool launched(void)
{
    static const char *const marks[] = { "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK" };
    for (size_t k = 0; k < sizeof marks / sizeof *marks; k++)
        if (getenv(marks[k]))
            return true;
    return false;
}

bragg_status cli_peers_begin(cli_peers **out, bragg_error *err)
{
    *out = NULL;
    if (!launched())
        return BRAGG_OK;
    int provided = MPI_THREAD_SINGLE;
    cli_peers *p = calloc(1, sizeof *p);
    if (!p)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for peers");
    MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &provided);
#ifdef _OPENMP
    if (provided < MPI_THREAD_SERIALIZED)
        omp_set_num_threads(1);
#endif
    p->peers = (bragg_peers){ .payload = p, .send = send, .receive = receive, .broadcast = broadcast };
    MPI_Comm_rank(MPI_COMM_WORLD, &p->peers.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &p->peers.size);
    *out = p;
    return BRAGG_OK;
}

bragg_peers *cli_peers_of(cli_peers *p) { return p ? &p->peers : NULL; }

/* A rank that fails where the others go on takes them with it: they would wait for ever. */
void cli_peers_end(cli_peers *p, int exit_status)
{
    if (!p)
        return;
    if (exit_status && p->peers.apart)
        MPI_Abort(MPI_COMM_WORLD, exit_status);
    while (p->n_sent) {
        drop_gone(p);
        doze();
    }
    MPI_Finalize();
    free(p->sent);
    free(p);
}

#else

struct cli_peers {
    bragg_peers peers;
};

/* Each would take itself for the only one. */
bragg_status cli_peers_begin(cli_peers **out, bragg_error *err)
{
    static const char *const marks[] = { "OMPI_COMM_WORLD_SIZE", "PMI_SIZE" };
    *out = NULL;
    for (size_t k = 0; k < sizeof marks / sizeof *marks; k++) {
        const char *text = getenv(marks[k]);
        double n = 1;
        if (text && bragg_number_parse(text, &n) && n > 1)
            return bragg_fail(err, BRAGG_ENOSUPPORT, "mpirun: expected a build with MPI to share a run among %g processes, this one has none", n);
    }
    return BRAGG_OK;
}

bragg_peers *cli_peers_of(cli_peers *p) { return p ? &p->peers : NULL; }

void cli_peers_end(cli_peers *p, int exit_status) { (void)p, (void)exit_status; }

#endif
