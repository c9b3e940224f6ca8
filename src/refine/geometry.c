/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Distances and angles of the refined structures with esds from the full covariance. */
#include "config.h"
#include "wording.h"

#include <bragg/array.h>
#include <bragg/csv.h>
#include <bragg/output.h>
#include <bragg/units.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Neighbours are those within 3.6 angstrom and 1.3 times the shortest distance of an
 * atom, atoms sharing its site aside: the first shell, without a table of radii. */
static const double farthest_ang = 3.6, shell = 1.3, same_site_ang = 0.3;

typedef struct contact {
    size_t from, to;
    const bragg_symop *op;
    size_t op_number;
    int cell[3];            /* translation after the operation */
    double distance;
} contact;

/* ----------------------------------------------------------- one phase */

/* Cell (angstrom, deg) and coordinates of all atoms in a row: what may move. */
typedef struct place {
    const bragg_model *m;
    const phase *p;
    double *v;
    double *gradient;       /* by rows of the table */
} place;

static size_t row_of(const place *s, size_t k)
{
    return k < 6 ? s->p->cell_row + k : s->p->atom_row + (k - 6) / 3 * BRAGG_ATOM_ROWS + BRAGG_ATOM_X + (k - 6) % 3;
}

static void between(const double *v, const contact *c, double f[3])
{
    const double *from = v + 6 + 3 * c->from, *to = v + 6 + 3 * c->to;
    for (int i = 0; i < 3; i++) {
        f[i] = c->op->t[i] + c->cell[i] - from[i];
        for (int j = 0; j < 3; j++)
            f[i] += c->op->r[i][j] * to[j];
    }
}

static double dot(const double *v, const double a[3], const double b[3])
{
    double x = cos(v[3] * BRAGG_DEG), y = cos(v[4] * BRAGG_DEG), z = cos(v[5] * BRAGG_DEG);
    return v[0] * v[0] * a[0] * b[0] + v[1] * v[1] * a[1] * b[1] + v[2] * v[2] * a[2] * b[2] + v[1] * v[2] * x * (a[1] * b[2] + a[2] * b[1]) +
           v[0] * v[2] * y * (a[0] * b[2] + a[2] * b[0]) + v[0] * v[1] * z * (a[0] * b[1] + a[1] * b[0]);
}

/* Distance of c, or the angle between c and d in degrees. */
static double measure(const double *v, const contact *c, const contact *d)
{
    double a[3], b[3];
    between(v, c, a);
    if (!d)
        return sqrt(dot(v, a, a));
    between(v, d, b);
    double cosine = dot(v, a, b) / sqrt(dot(v, a, a) * dot(v, b, b));
    return acos(fmin(fmax(cosine, -1), 1)) / BRAGG_DEG;
}

/* By central differences: a distance is smooth, an angle is but at 0 and 180 deg,
 * where the esd has no first order and none is given. */
static bragg_quantity with_esd(const place *s, const bragg_fit *f, const contact *c, const contact *d)
{
    bragg_quantity q = { measure(s->v, c, d), NAN };
    size_t n = 6 + 3 * s->p->structure->n_atoms;
    if (d && (q.value < 1e-3 || q.value > 180 - 1e-3))
        return q;
    memset(s->gradient, 0, s->m->params.n * sizeof *s->gradient);
    for (size_t k = 0; k < n; k++) {
        size_t atom = k < 6 ? c->from : (k - 6) / 3;
        if (atom != c->from && atom != c->to && (!d || atom != d->to))
            continue;
        double keep = s->v[k], step = 1e-5 * fmax(1, fabs(keep));
        s->v[k] = keep + step;
        double above = measure(s->v, c, d);
        s->v[k] = keep - step;
        s->gradient[row_of(s, k)] = (above - measure(s->v, c, d)) / (2 * step);
        s->v[k] = keep;
    }
    double variance = bragg_fit_variance(f, &s->m->params, s->gradient);
    q.esd = variance > 1e-16 ? sqrt(variance) : NAN;
    return q;
}

static bragg_status add_contact(const place *s, contact next, contact **list, size_t *n, size_t *room, bragg_error *err)
{
    double f[3], g[3], apart[3];
    between(s->v, &next, f);
    next.distance = sqrt(dot(s->v, f, f));
    if (next.distance < same_site_ang || next.distance > farthest_ang)
        return BRAGG_OK;
    for (size_t k = 0; k < *n; k++) { /* special positions come more than once */
        const contact *c = &(*list)[k];
        if (c->from != next.from || c->to != next.to)
            continue;
        between(s->v, c, g);
        for (int i = 0; i < 3; i++)
            apart[i] = f[i] - g[i];
        if (dot(s->v, apart, apart) < 1e-4)
            return BRAGG_OK;
    }
    bragg_status st = bragg_array_grow(list, room, *n + 1, sizeof **list, err);
    if (st == BRAGG_OK)
        (*list)[(*n)++] = next;
    return st;
}

static bragg_status contacts_of(const place *s, size_t from, contact **list, size_t *n, size_t *room, bragg_error *err)
{
    const bragg_symmetry *g = &s->p->structure->symmetry;
    const double *v = s->v;
    int reach[3];
    for (int i = 0; i < 3; i++) /* planes of the cell stand V / (b c sin alpha) apart */
        reach[i] = 1 + (int)(farthest_ang * sqrt(s->p->g[i]));
    bragg_status st = BRAGG_OK;
    for (size_t to = 0; to < s->p->structure->n_atoms && st == BRAGG_OK; to++)
        for (size_t o = 0; o < g->n_ops && st == BRAGG_OK; o++) {
            contact c = { from, to, &g->op[o], o + 1, { 0, 0, 0 }, 0 };
            double f[3];
            int home[3];
            between(v, &c, f);
            for (int i = 0; i < 3; i++)
                home[i] = -(int)lround(f[i]);
            for (int x = -reach[0]; x <= reach[0] && st == BRAGG_OK; x++)
                for (int y = -reach[1]; y <= reach[1] && st == BRAGG_OK; y++)
                    for (int z = -reach[2]; z <= reach[2] && st == BRAGG_OK; z++) {
                        c.cell[0] = home[0] + x;
                        c.cell[1] = home[1] + y;
                        c.cell[2] = home[2] + z;
                        st = add_contact(s, c, list, n, room, err);
                    }
        }
    return st;
}

static int by_distance(const void *a, const void *b)
{
    const contact *x = a, *y = b;
    return x->distance != y->distance ? (x->distance > y->distance) - (x->distance < y->distance) : (x->op_number > y->op_number) - (x->op_number < y->op_number);
}

static size_t first_shell(contact *list, size_t n)
{
    if (n)
        qsort(list, n, sizeof *list, by_distance);
    size_t k = 0;
    while (k < n && list[k].distance <= shell * list[0].distance)
        k++;
    return k;
}

/* -------------------------------------------------------------- writing */

static void put_symmetry(FILE *to, const contact *c, const char *between_words)
{
    fprintf(to, "%s%zu_%d%d%d", between_words, c->op_number, 5 + c->cell[0], 5 + c->cell[1], 5 + c->cell[2]);
}

static void put_quantity(FILE *to, bragg_quantity q)
{
    fputc(',', to);
    bragg_csv_number(to, q.value, 8, ",");
    bragg_csv_number(to, q.esd, 3, "\n");
}

static void put_rows(FILE *to, const place *s, const bragg_fit *f, const contact *list, size_t n)
{
    const bragg_atom *atom = s->p->structure->atom;
    for (size_t k = 0; k < n; k++) {
        bragg_csv_text(to, s->p->name, ",");
        bragg_csv_text(to, atom[list[k].from].label, ",");
        bragg_csv_text(to, atom[list[k].to].label, ",,");
        put_symmetry(to, &list[k], "");
        fprintf(to, ",,distance");
        put_quantity(to, with_esd(s, f, &list[k], NULL));
    }
    for (size_t k = 0; k < n; k++)
        for (size_t l = 0; l < k; l++) {
            bragg_csv_text(to, s->p->name, ",");
            bragg_csv_text(to, atom[list[k].from].label, ",");
            bragg_csv_text(to, atom[list[l].to].label, ",");
            bragg_csv_text(to, atom[list[k].to].label, ",");
            put_symmetry(to, &list[l], "");
            put_symmetry(to, &list[k], ",");
            fprintf(to, ",angle");
            put_quantity(to, with_esd(s, f, &list[l], &list[k]));
        }
}

/* CIF's loops. */
static void put_bonds(FILE *to, const place *s, const bragg_fit *f, const contact *list, size_t n)
{
    char text[BRAGG_NUMBER_TEXT];
    const bragg_atom *atom = s->p->structure->atom;
    for (size_t k = 0; k < n; k++) {
        bragg_quantity q = with_esd(s, f, &list[k], NULL);
        fprintf(to, " ");
        bragg_refine_put_word(to, atom[list[k].from].label);
        fprintf(to, " ");
        bragg_refine_put_word(to, atom[list[k].to].label);
        put_symmetry(to, &list[k], " ");
        fprintf(to, " %s ?\n", bragg_refine_esd_text(text, q.value, q.esd));
    }
}

static void put_angles(FILE *to, const place *s, const bragg_fit *f, const contact *list, size_t n)
{
    char text[BRAGG_NUMBER_TEXT];
    const bragg_atom *atom = s->p->structure->atom;
    for (size_t k = 0; k < n; k++)
        for (size_t l = 0; l < k; l++) {
            bragg_quantity q = with_esd(s, f, &list[l], &list[k]);
            const char *labels[3] = { atom[list[l].to].label, atom[list[k].from].label, atom[list[k].to].label };
            for (int i = 0; i < 3; i++) {
                fprintf(to, " ");
                bragg_refine_put_word(to, labels[i]);
            }
            put_symmetry(to, &list[l], " ");
            put_symmetry(to, &list[k], " ");
            fprintf(to, " %s ?\n", bragg_refine_esd_text(text, q.value, q.esd));
        }
}

/* Writes what is known of the first shell of one atom. */
typedef void put_shell(FILE *to, const place *s, const bragg_fit *f, const contact *list, size_t n);

static bragg_status each_shell(FILE *to, const bragg_model *m, size_t which, const bragg_fit *f, put_shell *put, bragg_error *err)
{
    const phase *p = &m->phase[which];
    size_t atoms = p->structure->n_atoms, n = 0, room = 0;
    place s = { m, p, malloc((6 + 3 * atoms) * sizeof(double)), malloc((m->params.n + 1) * sizeof(double)) };
    contact *list = NULL;
    bragg_status st = s.v && s.gradient ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for the distances of %s", p->name);
    for (size_t k = 0; k < 6 + 3 * atoms && st == BRAGG_OK; k++)
        s.v[k] = m->params.at[row_of(&s, k)].value;
    for (size_t from = 0; from < atoms && st == BRAGG_OK; from++) {
        n = 0;
        st = contacts_of(&s, from, &list, &n, &room, err);
        if (st == BRAGG_OK)
            put(to, &s, f, list, first_shell(list, n));
    }
    free(list);
    free(s.v);
    free(s.gradient);
    return st;
}

bragg_status bragg_refine_put_geometry(FILE *to, const bragg_model *m, const bragg_fit *f, size_t which, bragg_error *err)
{
    fprintf(to, "loop_\n _geom_bond_atom_site_label_1\n _geom_bond_atom_site_label_2\n _geom_bond_site_symmetry_2\n"
                " _geom_bond_distance\n _geom_bond_publ_flag\n");
    bragg_status st = each_shell(to, m, which, f, put_bonds, err);
    fprintf(to, "loop_\n _geom_angle_atom_site_label_1\n _geom_angle_atom_site_label_2\n _geom_angle_atom_site_label_3\n"
                " _geom_angle_site_symmetry_1\n _geom_angle_site_symmetry_3\n _geom_angle\n _geom_angle_publ_flag\n");
    return st == BRAGG_OK ? each_shell(to, m, which, f, put_angles, err) : st;
}

bragg_status bragg_fit_write_geometry(const bragg_model *m, const bragg_fit *f, const char *path, bool force, bragg_error *err)
{
    bragg_output *out;
    bragg_status st = bragg_output_open(path, force, &out, err);
    if (st < 0)
        return st;
    FILE *to = bragg_output_stream(out);
    fprintf(to, "phase,atom,neighbour,second_neighbour,symmetry,second_symmetry,quantity,value,esd\n");
    for (size_t k = 0; k < m->n_phases && st == BRAGG_OK; k++)
        if (m->phase[k].structure->n_atoms)
            st = each_shell(to, m, k, f, put_rows, err);
    if (st == BRAGG_OK)
        return bragg_output_commit(out, err);
    bragg_output_abandon(out);
    return st;
}
