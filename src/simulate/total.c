/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Total scattering: the integrated pattern of a sample in its container, from
 * small angles to high Q, for pair distribution functions. */
#include "config.h"
#include "truth.h"

#include <bragg/path.h>
#include <bragg/pattern.h>
#include <bragg/pdf.h>
#include <bragg/thread.h>
#include <bragg/units.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Per atom, in electron units: <f^2>, <f>^2 and what is incoherent. */
static bragg_pdf_weights weights_of(const bragg_composition *c, double q_invang, double wavelength_ang)
{
    bragg_pdf_options o = BRAGG_PDF_OPTIONS_INIT;
    o.wavelength_ang = wavelength_ang;
    o.compton = o.anomalous = true;
    return bragg_pdf_weights_at(c, &o, q_invang);
}

static bragg_composition content_of(const bragg_structure *s)
{
    bragg_composition c = { 0 };
    for (size_t j = 0; j < s->n_atoms; j++) {
        const bragg_scatterer *f = &s->scatterer[s->atom[j].scatterer];
        size_t k = 0;
        while (k < c.n && strcmp(c.scatterer[k].name, f->name))
            k++;
        if (k == BRAGG_COMPOSITION_ELEMENTS)
            continue;
        if (k == c.n)
            c.scatterer[c.n++] = *f;
        c.count[k] += s->atom[j].multiplicity * s->atom[j].occupancy;
    }
    return c;
}

/* ---------------------------------------------------------- the sample */

typedef struct transform {
    const bragg_truth *t;
    const double *g;             /* G(r) of an infinite range of Q */
    size_t n;
    double step_ang, *s;         /* S(Q) - 1 */
} transform;

/* S(Q) - 1 = 1/Q int G(r) sin(Qr) dr. */
static bragg_status transform_some(void *payload, size_t first, size_t last, bragg_error *err)
{
    const transform *x = payload;
    for (size_t i = first; i < last; i++) {
        double q = x->t->total.first + x->t->total.step * (double)i, sum = 0;
        /* sin(q r) at equal steps by rotation, afresh every 512 points */
        double c = cos(q * x->step_ang), s = sin(q * x->step_ang), re = 1, im = 0;
        for (size_t k = 0; k < x->n; k++) {
            if (k % 512 == 0) {
                re = cos(q * x->step_ang * (double)k);
                im = sin(q * x->step_ang * (double)k);
            }
            sum += x->g[k] * im;
            double turned = re * c - im * s;
            im = re * s + im * c;
            re = turned;
        }
        x->s[i] = sum * x->step_ang / q;
    }
    return BRAGG_OK;
    (void)err;
}

static bragg_structure *copy_at(const bragg_truth *t, const truth_phase *p, const truth_shot *s)
{
    bragg_structure *copy = bragg_structure_copy(p->structure);
    double cell[6], uiso = bragg_truth_mean(t, &p->uiso, s, NAN);
    if (!copy)
        return NULL;
    bragg_truth_cell(t, p, s, cell);
    for (int k = 0; k < 6; k++)
        (&copy->cell.a)[k] = cell[k] * (k < 3 ? 1 : BRAGG_DEG);
    for (size_t j = 0; j < copy->n_atoms; j++) {
        if (!isnan(uiso))
            copy->atom[j].uiso_ang2 = uiso;
        if (isfinite(p->z))
            copy->atom[j].x[2] = p->z;
    }
    return copy;
}

/* Coherent and incoherent scattering an atom of one phase into out[t->total.n]. */
static bragg_status scatter_phase(const bragg_truth *t, const truth_phase *p, const truth_shot *s, double *out, bragg_error *err)
{
    bragg_pdf_shape shape = BRAGG_PDF_SHAPE_INIT;
    shape.rstep_ang = 0.01;
    shape.qdamp_invang = t->total.qdamp;
    shape.qbroad_invang = t->total.qbroad;
    shape.delta2_ang2 = p->delta2;
    shape.spdiameter_ang = 10 * bragg_truth_mean(t, &p->size_nm, s, 0);
    shape.n = (size_t)ceil(4.5 / t->total.qdamp / shape.rstep_ang); /* the envelope is 4e-5 there */
    bragg_structure *copy = copy_at(t, p, s);
    double *g = malloc((shape.n + t->total.n) * sizeof *g);
    bragg_status st = copy && g ? bragg_pdf_model(copy, &shape, g, NULL, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for G(r)");
    transform x = { t, g, shape.n, shape.rstep_ang, g ? g + shape.n : NULL };
    if (st == BRAGG_OK)
        st = bragg_parallel_for(t->total.n, 64, transform_some, &x, err);
    bragg_composition content = { 0 };
    if (st == BRAGG_OK)
        content = content_of(copy);
    for (size_t i = 0; i < t->total.n && st == BRAGG_OK; i++) {
        bragg_pdf_weights w = weights_of(&content, t->total.first + t->total.step * (double)i, t->radiation.wavelength_ang[0]);
        out[i] = fmax(w.square + w.mean2 * x.s[i], 0) + w.compton;
    }
    bragg_structure_free(copy);
    free(g);
    return st < 0 ? bragg_context(err, st, "phase %s", p->name) : st;
}

/* ------------------------------------------------------- the container */

/* Silica glass an atom: independent atoms, the first sharp diffraction peak, and
 * Si-O, O-O and Si-Si of the tetrahedra as the Debye equation has them (R. L.
 * Mozzi & B. E. Warren, J. Appl. Cryst. 2 (1969) 164). */
static double silica(double q, const bragg_scatterer *si, const bragg_scatterer *o, double wavelength_ang)
{
    static const struct { double r, n, u; int kind; } pairs[] = { { 1.62, 4, 0.045, 1 }, { 2.65, 6, 0.09, 2 }, { 3.12, 4, 0.12, 0 }, { 4.15, 12, 0.2, 1 } };
    bragg_composition c = { 2, { *si, *o }, { 1, 2 } };
    bragg_pdf_weights w = weights_of(&c, q, wavelength_ang);
    double f[2] = { bragg_scatterer_f0(si, q / (4 * BRAGG_PI)), bragg_scatterer_f0(o, q / (4 * BRAGG_PI)) }, sum = w.square;
    for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++) {
        double each = pairs[k].kind == 0 ? f[0] * f[0] : pairs[k].kind == 1 ? 2 * f[0] * f[1] : 2 * f[1] * f[1];
        sum += each * pairs[k].n / 3 * sin(q * pairs[k].r) / (q * pairs[k].r) * exp(-q * q * pairs[k].u * pairs[k].u / 2);
    }
    sum += 0.9 * w.mean2 * exp(-0.5 * pow((q - 1.52) / 0.24, 2)) - 0.7 * w.mean2 * exp(-0.5 * pow(q / 0.9, 2));
    return fmax(sum, 0.1 * w.square) + w.compton;
}

static bragg_status fill_container(const bragg_truth *t, double *out, bragg_error *err)
{
    bragg_scatterer si, o;
    bragg_status st = bragg_scatterer_find("Si", &si, NULL, err);
    if (st == BRAGG_OK)
        st = bragg_scatterer_find("O", &o, NULL, err);
    for (size_t i = 0; i < t->total.n && st == BRAGG_OK; i++)
        out[i] = silica(t->total.first + t->total.step * (double)i, &si, &o, t->radiation.wavelength_ang[0]);
    return st;
}

/* ---------------------------------------------------------------- write */

/* A bin of the detector is a ring: the more pixels, the better its mean. */
static bragg_status write_one(const bragg_truth *t, size_t shot, const double *mean, const char *path, bool force, bragg_error *err)
{
    bragg_pattern *p = bragg_pattern_new(t->total.n, BRAGG_AXIS_Q);
    gsl_rng *rng = bragg_truth_random();
    bragg_status st = p && rng ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a pattern");
    if (rng)
        gsl_rng_set(rng, bragg_truth_seed(t->seed, shot, 23));
    for (size_t i = 0; i < t->total.n && st == BRAGG_OK; i++) {
        p->x[i] = t->total.first + t->total.step * (double)i;
        double pixels = t->total.pixels * p->x[i], counts = bragg_truth_counts(rng, mean[i] * pixels);
        p->y[i] = counts / pixels;
        p->sigma[i] = sqrt(fmax(counts, 1)) / pixels;
    }
    if (st == BRAGG_OK) {
        p->wavelength_ang = t->radiation.wavelength_ang[0];
        st = bragg_pattern_write_text(p, path, force, err);
    }
    free(rng);
    bragg_pattern_free(p);
    return st;
}

/* Intensities of one shot: atoms of the sample, of the container, and air. */
static bragg_status fill_shot(const bragg_truth *t, const truth_shot *s, const double *container, double unit, double *own, double *mean, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    for (size_t i = 0; i < t->total.n; i++)
        mean[i] = unit * (s->container * container[i] + t->total.air * exp(-(t->total.first + t->total.step * (double)i) / 1.7) + t->total.flat);
    for (size_t k = 0; k < s->scene->n && st == BRAGG_OK; k++) {
        double amount = bragg_truth_mean(t, &s->scene->phase[k].weight, s, 1);
        st = scatter_phase(t, &s->scene->phase[k], s, own, err);
        for (size_t i = 0; i < t->total.n && st == BRAGG_OK; i++)
            mean[i] += unit * amount * own[i];
    }
    return st;
}

bragg_status bragg_truth_write_total(const bragg_truth *t, const char *dir, bool force, const bragg_observer *observer, bragg_error *err)
{
    size_t n = t->total.n;
    double *v = malloc(3 * n * sizeof *v);
    bragg_status st = v ? fill_container(t, v, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for %zu points", n);
    for (size_t k = 0; k < t->n_shots && st == BRAGG_OK; k++) {
        const truth_shot *s = &t->shot[k];
        char name[300];
        snprintf(name, sizeof name, "%.250s.xye", s->name);
        if (!bragg_progress(observer, k, t->n_shots))
            st = BRAGG_STOPPED;
        if (st == BRAGG_OK) /* counts are those of one atom's electron^2 in a pixel */
            st = fill_shot(t, s, v, s->counts, v + n, v + 2 * n, err);
        if (st == BRAGG_OK)
            st = write_one(t, k, v + 2 * n, bragg_path_join(t->arena, dir, name), force, err);
    }
    free(v);
    return st;
}
