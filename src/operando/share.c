/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A run shared by several processes: what they say to each other.
 *
 *      rank 0   anchors ──► all     its blocks, store, mending, results
 *      others              their blocks ──► parcels of a frame each ──► rank 0, then the end
 *
 *  A parcel is a head, the row, the message and the curves, as they lie in memory: all
 *  ranks run one program. */
#include "config.h"
#include "operando.h"

#include <stdlib.h>
#include <string.h>

typedef struct head {
    uint64_t frame;          /* UINT64_MAX: the end, and an error follows */
    uint64_t rank;
} head;

bool bragg_peers_several(const bragg_peers *p) { return p && p->size > 1; }
bool bragg_peers_other(const bragg_peers *p) { return p && p->rank > 0; }

static bragg_status send_error(const bragg_peers *p, const bragg_error *what, bragg_error *err)
{
    struct { head h; bragg_error e; } out = { { UINT64_MAX, (uint64_t)p->rank }, *what };
    return p->send(p->payload, &out, sizeof out, err);
}

/* The lowest rank's error that has one. */
static bragg_status gather_errors(const bragg_peers *p, bragg_error *worst, bragg_error *err)
{
    int lowest = worst->status < 0 ? 0 : p->size;
    for (int k = 1; k < p->size; k++) {
        struct { head h; bragg_error e; } in;
        void *bytes;
        size_t n;
        bragg_status st = p->receive(p->payload, true, &bytes, &n, err);
        if (st < 0)
            return st;
        bool whole = n == sizeof in;
        if (whole)
            memcpy(&in, bytes, sizeof in);
        free(bytes);
        if (!whole)
            return bragg_fail(err, BRAGG_EINTERNAL, "peers: expected %zu bytes, found %zu", sizeof in, n);
        if (in.e.status < 0 && (int)in.h.rank < lowest) {
            lowest = (int)in.h.rank;
            *worst = (bragg_error)BRAGG_ERROR_INIT;
            bragg_fail(worst, in.e.status, "rank %d: %.900s", lowest, in.e.text);
        }
    }
    return BRAGG_OK;
}

bragg_status bragg_peers_agree(const bragg_peers *p, bragg_status mine, bragg_error *err)
{
    bragg_error all = BRAGG_ERROR_INIT, own = BRAGG_ERROR_INIT;
    if (!bragg_peers_several(p))
        return mine;
    if (mine < 0)
        bragg_fail(&all, mine, "%s", err ? err->text : "");
    bragg_status st = p->rank ? send_error(p, &all, &own) : gather_errors(p, &all, &own);
    if (st == BRAGG_OK)
        st = p->broadcast(p->payload, &all, sizeof all, &own);
    if (st < 0)
        return bragg_fail(err, st, "%s", own.text);
    if (all.status < 0 && err)
        *err = all;
    return all.status < 0 ? all.status : mine;
}

bragg_status bragg_share_end(const bragg_peers *p, bragg_status st, bragg_error *err)
{
    bragg_error what = BRAGG_ERROR_INIT;
    if (st < 0)
        bragg_fail(&what, st, "%s", err ? err->text : "");
    return send_error(p, &what, err);
}

static void place(const seq_parcel *t, char *bytes, char *at[4], size_t size[4])
{
    size[0] = t->columns * sizeof(double), size[1] = sizeof t->message, size[2] = t->points ? 3 * t->points * sizeof(float) : 0;
    at[0] = bytes + sizeof(head), at[1] = at[0] + size[0], at[2] = at[1] + size[1];
}

bragg_status bragg_share_send(const bragg_peers *p, const seq_parcel *t, bragg_error *err)
{
    char *at[4];
    size_t size[4];
    place(t, NULL, at, size);
    size_t n = sizeof(head) + size[0] + size[1] + size[2];
    char *bytes = malloc(n);
    if (!bytes)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a parcel");
    head h = { t->k, (uint64_t)p->rank };
    place(t, bytes, at, size);
    memcpy(bytes, &h, sizeof h);
    memcpy(at[0], t->row, size[0]);
    memcpy(at[1], t->message, size[1]);
    if (size[2])
        memcpy(at[2], t->curves.observed, size[2]); /* the three lie in one piece */
    bragg_status st = p->send(p->payload, bytes, n, err);
    free(bytes);
    return st;
}

bragg_status bragg_share_receive(const bragg_peers *p, bool wait, seq_parcel *t, bool *came, bool *end, bragg_error *err)
{
    char *at[4];
    size_t size[4], n = 0;
    head h;
    t->bytes = NULL;
    bragg_status st = p->receive(p->payload, wait, &t->bytes, &n, err);
    *came = st == BRAGG_OK && n > 0;
    *end = false;
    if (!*came)
        return st;
    place(t, t->bytes, at, size);
    memcpy(&h, t->bytes, n < sizeof h ? n : sizeof h);
    if (n >= sizeof h + sizeof(bragg_error) && h.frame == UINT64_MAX) {
        const bragg_error *e = (const bragg_error *)(const void *)((const char *)t->bytes + sizeof h);
        *end = true;
        return e->status < 0 ? bragg_fail(err, e->status, "rank %d: %.900s", (int)h.rank, e->text) : BRAGG_OK;
    }
    if (n != sizeof h + size[0] + size[1] + size[2])
        return bragg_fail(err, BRAGG_EINTERNAL, "peers: expected a parcel of %zu bytes, found %zu", sizeof h + size[0] + size[1] + size[2], n);
    t->k = h.frame;
    t->row = (double *)(void *)at[0];
    memcpy(t->message, at[1], size[1]);
    float *curves = size[2] ? (float *)(void *)at[2] : NULL;
    t->curves = (seq_curves){ curves, curves ? curves + t->points : NULL, curves ? curves + 2 * t->points : NULL };
    return BRAGG_OK;
}
