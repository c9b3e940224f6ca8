/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Frames that have lost their way are fitted anew from the frames beside them.
 *
 * A block whose anchor has lost its way is lost as a whole, the frames beside it are not.
 * Once all are done each frame that fits worse than its neighbour is tried from there, from
 * left to right and back.  What is tried depends on rows alone, and a mended row says in
 * which pass it was, so that a run that was stopped between goes on to the same result. */
#include "config.h"
#include "run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const seq_held nothing;

enum { NOT_MENDED, FORWARD, BACKWARD };

/* No lattice moves by a hundredth from one frame to the next: two phases alike have been
 * taken for each other, or one has gone astray. */
static bool leaps(const seq_shape *s, const double *a, const double *b)
{
    for (size_t k = 0; k < s->n_params; k++) {
        double from = a[seq_value(s, k)], to = b[seq_value(s, k)], e = hypot(a[seq_esd(s, k)], b[seq_esd(s, k)]);
        if (strstr(s->name[k], ".cell.") && fabs(to - from) > 0.01 * from && (fabs(to - from) > 10 * e || e > 0.01 * from)) /* an esd as large as that: it stands nowhere */
            return true;
    }
    return false;
}

static bool lost(const run *r, const double *own, const double *beside)
{
    double more = fmax(0.04, 4 / sqrt(2.0 * (double)(r->n_grid + 1)));
    if (!seq_is_done(own) || !seq_is_done(beside))
        return false;
    return (own[ROW_GOF] > (1 + more) * beside[ROW_GOF] && bragg_run_disagreement(r->shape, own, beside) > 10) || leaps(r->shape, own, beside);
}

/* Room for a row. */
static bragg_status mend_one(run *r, size_t p, seq_held own, seq_held from, int pass, seq_curves *c, double *row, bragg_error *err)
{
    double keep_restarted = own.row[ROW_RESTARTED];
    char message[256];
    seq_worker *w;
    bragg_status st = bragg_run_borrow(r, &w, err);
    if (st < 0)
        return st;
    own.row[ROW_RESTARTED] = 2; /* a start from nothing was tried the first time */
    st = bragg_run_compute(r, w, p, from, own, nothing, row, message, c, err);
    own.row[ROW_RESTARTED] = keep_restarted;
    bragg_run_return(r, w);
    if (st < 0 || !seq_is_done(row) || !bragg_run_better(r->shape, row, own.row, r->n_grid))
        return st;
    row[ROW_PATH] = own.row[ROW_PATH];
    row[ROW_MENDED] = pass;
    return bragg_run_keep(r, frame_at(r, p), row, message, c, err);
}

bragg_status bragg_run_mend(run *r, bragg_error *err)
{
    size_t columns = r->shape->columns;
    double *row = bragg_run_rows(r, 3, err);
    bool returned = false;
    seq_curves c;
    seq_held own, from;
    bragg_status st = row ? bragg_run_curves(r, &c, err) : BRAGG_ENOMEM;
    for (size_t p = 0; p < r->n; p++)
        returned |= mark_at(r, p)->mended == BACKWARD;
    for (int pass = returned ? BACKWARD : FORWARD; pass <= BACKWARD; pass++)
        for (size_t j = 1; j < r->n && st == BRAGG_OK && !r->stop; j++) {
            size_t p = pass == FORWARD ? j : r->n - 1 - j, beside = pass == FORWARD ? p - 1 : p + 1;
            if (mark_at(r, p)->mended == pass)
                continue;
            st = bragg_run_hold(r, p, row + columns, &own, err);
            if (st == BRAGG_OK)
                st = bragg_run_hold(r, beside, row + 2 * columns, &from, err);
            if (st < 0 || !lost(r, own.row, from.row))
                continue;
            st = mend_one(r, p, own, from, pass, &c, row, err);
            r->stop = r->stop || !bragg_progress(r->o->observer, r->done, r->n);
        }
    if (row)
        free(c.observed);
    free(row);
    return st;
}
