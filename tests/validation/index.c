/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Does bragg index find cells?  Simulated lists of index-cases.tsv and real patterns of
 * index-patterns.tsv; prints a table.  Arguments: names of cases; none: all. */
#include "config.h"
#include <bragg.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FIELDS = 8, MOST_SHOWN = 60 };
static const double wavelength_ang = 1.540593;

typedef struct tally {
    int n[7], exact[7], derived[7];
} tally;

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A small generator of our own: the same lists everywhere.  S. Vigna, xorshift64*. */
static double uniform(uint64_t *state)
{
    *state ^= *state >> 12, *state ^= *state << 25, *state ^= *state >> 27;
    return (double)((*state * 2685821657736338717u) >> 11) / 9007199254740992.0;
}

static double normal(uint64_t *state)
{
    return sqrt(-2 * log(1 - uniform(state))) * cos(2 * BRAGG_PI * uniform(state));
}

static int split(char *line, char *field[FIELDS])
{
    int n = 0;
    for (char *at = line; at && n < FIELDS; n++) {
        field[n] = at;
        at = strchr(at, '\t');
        if (at)
            *at++ = 0;
    }
    return n;
}

/* A triclinic structure of the given cell: ten atoms of three elements at random. */
static bragg_structure *invent(const double v[6], uint64_t *state)
{
    static const char *const species[] = { "Si", "O", "Ca" };
    bragg_structure *s = bragg_structure_new(10, 3);
    bragg_error err = BRAGG_ERROR_INIT;
    for (int k = 0; k < 6; k++)
        (&s->cell.a)[k] = v[k] * (k < 3 ? 1 : BRAGG_DEG);
    s->name = s->formula = "invented";
    s->n_scatterers = 3;
    for (size_t k = 0; k < 3; k++)
        bragg_scatterer_find(species[k], &s->scatterer[k], NULL, &err);
    s->n_atoms = 10;
    bragg_status st = bragg_symmetry_from_symbol("P -1", &s->symmetry, &err);
    for (int tries = 0; tries < 1000 && st >= 0; tries++) { /* until no two collide */
        for (size_t k = 0; k < s->n_atoms; k++) {
            s->atom[k] = (bragg_atom){ .label = "X", .scatterer = k % 3, .occupancy = 1, .uiso_ang2 = 0.012 };
            for (int i = 0; i < 3; i++)
                s->atom[k].x[i] = uniform(state);
        }
        if (bragg_structure_check(s, NULL) >= 0)
            break;
    }
    return s;
}

typedef struct seen {
    double two_theta, intensity;
} seen;

static int by_angle(const void *a, const void *b)
{
    const bragg_index_line *x = a, *y = b;
    return (x->two_theta_rad > y->two_theta_rad) - (x->two_theta_rad < y->two_theta_rad);
}

/* Lines of the structure as a laboratory sees them: what overlaps is one line. */
static size_t ideal_lines(const bragg_structure *s, double last_deg, seen **out)
{
    bragg_reflection *r;
    bragg_factors *f;
    bragg_error err = BRAGG_ERROR_INIT;
    size_t n = 0, m = 0;
    double g[6], d_min = wavelength_ang / 2 / sin(last_deg / 2 * BRAGG_DEG);
    bragg_cell_reciprocal(&s->cell, g);
    bragg_reflections(&s->cell, &s->symmetry, d_min, 17.6, &r, &n, &err); /* from 5 degrees on */
    bragg_factors_new(s, r, n, false, &f, &err);
    double *f2 = calloc(n + 1, sizeof *f2);
    bragg_factors_evaluate(f, s, g, f2, NULL, NULL, &err);
    *out = calloc(n + 1, sizeof **out);
    for (size_t k = 0; k < n; k++) {
        double t = 2 * asin(wavelength_ang / 2 / r[k].d_ang), c = cos(t);
        double i = r[k].multiplicity * f2[k] * (1 + c * c) / (sin(t / 2) * sin(t / 2) * cos(t / 2));
        double width = 0.08 * BRAGG_DEG;
        if (m && t - (*out)[m - 1].two_theta < width) {
            seen *o = &(*out)[m - 1];
            double sum = o->intensity + i;
            o->two_theta += sum > 0 ? (t - o->two_theta) * i / sum : 0;
            o->intensity = sum;
        } else
            (*out)[m++] = (seen){ t, i };
    }
    free(f2);
    free(r);
    bragg_factors_free(f);
    return m;
}

static void make_lines(const bragg_structure *s, double sigma, double zero, int foreign, double least, uint64_t *state, bragg_index_lines *out)
{
    seen *all;
    double last = 80, top = 0;
    size_t n = ideal_lines(s, last, &all), strong = 0;
    for (size_t k = 0; k < n; k++)
        top = fmax(top, all[k].intensity);
    for (size_t k = 0; k < n; k++)
        strong += all[k].intensity > least / 100 * top;
    if (strong < 25) { /* small cells are measured further */
        free(all);
        n = ideal_lines(s, 140, &all);
        for (size_t k = 0; k < n; k++)
            top = fmax(top, all[k].intensity);
    }
    *out = (bragg_index_lines){ 0, calloc(n + 8, sizeof *out->at), 5 * BRAGG_DEG };
    for (size_t k = 0; k < n && out->n < 40; k++)
        if (all[k].intensity > least / 100 * top)
            out->at[out->n++] = (bragg_index_line){ all[k].two_theta + (zero + sigma * normal(state)) * BRAGG_DEG, NAN, 100 * all[k].intensity / top };
    double range = out->at[out->n - 1].two_theta_rad - 10 * BRAGG_DEG;
    for (int k = 0; k < foreign; k++)
        out->at[out->n++] = (bragg_index_line){ 10 * BRAGG_DEG + range * (0.1 + 0.7 * uniform(state)), NAN, 1 + 6 * uniform(state) };
    qsort(out->at, out->n, sizeof *out->at, by_angle);
    free(all);
}

static bragg_status primitive(const bragg_structure *s, bragg_cell *out, bragg_error *err)
{
    bragg_cell p;
    char letter = s->symmetry.hm[0] ? s->symmetry.hm[0] : 'P';
    if (letter == 'H' || (letter == 'R' && fabs(s->cell.gamma - 120 * BRAGG_DEG) > 1e-6))
        letter = 'P';
    bragg_status st = bragg_cell_primitive(&s->cell, letter, &p, err);
    return st < 0 ? st : bragg_cell_niggli(&p, out, err);
}

static int verdict(const bragg_index_cell *c, const bragg_cell *truth)
{
    int fine = bragg_cell_sublattice(truth, &c->reduced, 0.004, 6), coarse = bragg_cell_sublattice(&c->reduced, truth, 0.004, 6);
    return fine == 1 || coarse == 1 ? 1 : fine ? fine : -coarse;
}

static void report(const char *name, const bragg_index_result *r, const bragg_cell *truth, bragg_system system, size_t n_lines, const char *what, tally *t)
{
    static const char *const systems[] = { "triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic" };
    char answer[64] = "not found";
    size_t rank = 0;
    for (size_t k = 0; k < r->n && !rank; k++)
        if (verdict(&r->cell[k], truth) == 1)
            rank = k + 1;
    int first = r->n ? verdict(&r->cell[0], truth) : 0;
    t->n[system]++;
    t->exact[system] += first == 1;
    t->derived[system] += first != 0 && first != 1;
    if (first == 1)
        snprintf(answer, sizeof answer, "first");
    else if (first)
        snprintf(answer, sizeof answer, "derivative %d first%s", first, rank ? ", true one behind" : "");
    else if (rank)
        snprintf(answer, sizeof answer, "rank %zu", rank);
    printf("| %s | %s | %zu | %s | %s |", name, systems[system], n_lines, what, answer);
    if (r->n) {
        const bragg_index_cell *c = &r->cell[0];
        printf(" %c %.4f %.4f %.4f %.2f %.2f %.2f | %.1f | %.1f | %zu/%zu | %.1f |", c->lattice.centring, c->lattice.cell.a, c->lattice.cell.b, c->lattice.cell.c,
               c->lattice.cell.alpha / BRAGG_DEG, c->lattice.cell.beta / BRAGG_DEG, c->lattice.cell.gamma / BRAGG_DEG, c->m, c->evidence + c->rwp_evidence,
               c->indexed, c->lines, r->seconds);
    } else
        printf(" | | | | %.1f |", r->seconds);
    printf("\n");
    for (size_t k = 0; getenv("BRAGG_INDEX_SHOW") && k < r->n; k++) {
        const bragg_index_cell *c = &r->cell[k];
        printf("    %zu %s %c %.4f %.4f %.4f %.3f %.3f %.3f V %.1f zero %.4f rms %.4f M %.1f F %.1f ev %.1f rwp %.4f (%.1f) %zu/%zu of %zu, %d of %zu (%d/%d)\n", k + 1,
               systems[c->lattice.system], c->lattice.centring, c->lattice.cell.a, c->lattice.cell.b, c->lattice.cell.c, c->lattice.cell.alpha / BRAGG_DEG,
               c->lattice.cell.beta / BRAGG_DEG, c->lattice.cell.gamma / BRAGG_DEG, c->volume_ang3, c->zero_rad.value / BRAGG_DEG, c->rms_rad / BRAGG_DEG, c->m, c->f,
               c->evidence, c->rwp, c->rwp_evidence, c->indexed, c->lines, c->possible, verdict(c, truth), c->derivative_of, c->super, c->sub);
    }
    fflush(stdout);
}

static void run_case(char *field[FIELDS], tally *t)
{
    uint64_t state = bragg_fnv_text(field[0]);
    double v[7] = { 0 };
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_structure *s = NULL;
    char path[512], what[128];
    if (sscanf(field[1], "%lf %lf %lf %lf %lf %lf", v, v + 1, v + 2, v + 3, v + 4, v + 5) == 6)
        s = invent(v, &state);
    else {
        snprintf(path, sizeof path, "%s/cif/%s.cif", getenv("BRAGG_DATADIR") ? getenv("BRAGG_DATADIR") : ".", field[1]);
        if (bragg_structure_read_cif(path, NULL, &s, NULL, 0, &err) < 0) {
            printf("| %s | %s |\n", field[0], err.text);
            return;
        }
    }
    bragg_index_lines lines;
    bragg_cell truth;
    make_lines(s, atof(field[2]), atof(field[3]), atoi(field[4]), atof(field[5]), &state, &lines);
    if (getenv("BRAGG_INDEX_LINES"))
        for (size_t k = 0; k < lines.n; k++)
            printf("%.4f %.3f\n", lines.at[k].two_theta_rad / BRAGG_DEG, lines.at[k].intensity);
    primitive(s, &truth, &err);
    bragg_index_options o = BRAGG_INDEX_OPTIONS_INIT;
    bragg_index_result *r;
    o.wavelength_ang = wavelength_ang;
    o.systems = getenv("BRAGG_INDEX_SYSTEMS") ? (unsigned)atoi(getenv("BRAGG_INDEX_SYSTEMS")) : 0;
    o.seconds = 0; /* the machine may be busy: count what it takes, do not stop it */
    double start = cpu_seconds();
    bragg_status st = bragg_index(&lines, &o, &r, &err);
    if (r)
        r->seconds = cpu_seconds() - start;
    snprintf(what, sizeof what, "%s°, zero %s°, %s foreign; %s", field[2], field[3], field[4], field[6]);
    if (st < 0)
        printf("| %s | %s |\n", field[0], err.text);
    else
        report(field[0], r, &truth, s->symmetry.system, lines.n, what, t);
    bragg_index_free(r);
    bragg_index_lines_free(&lines);
    bragg_structure_free(s);
}

/* A measured pattern as the command treats it: peaks, search, Le Bail check. */
static void run_pattern(char *field[FIELDS], tally *t)
{
    static const char *const systems[] = { "triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic" };
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_pattern *p = NULL;
    bragg_index_lines lines = { 0 };
    bragg_index_result *r = NULL;
    bragg_index_options o = BRAGG_INDEX_OPTIONS_INIT;
    bragg_cell c = { 0 }, primitive_cell, truth;
    char path[512], what[128];
    size_t system = 0;
    double w = atof(field[2]), second = atof(field[3]);
    snprintf(path, sizeof path, "%s/data/%s", getenv("BRAGG_SHARED") ? getenv("BRAGG_SHARED") : "../shared", field[1]);
    sscanf(field[5], "%lf %lf %lf %lf %lf %lf", &c.a, &c.b, &c.c, &c.alpha, &c.beta, &c.gamma);
    c.alpha *= BRAGG_DEG, c.beta *= BRAGG_DEG, c.gamma *= BRAGG_DEG;
    while (system < 6 && strcmp(systems[system], field[6]))
        system++;
    bragg_status st = bragg_cell_primitive(&c, field[4][0], &primitive_cell, &err);
    if (st >= 0)
        st = bragg_cell_niggli(&primitive_cell, &truth, &err);
    if (st >= 0)
        st = bragg_pattern_read(path, 0, &p, &err);
    if (st >= 0) {
        o.wavelength_ang = w > 0 ? w : p->wavelength_ang;
        o.seconds = 0;
        bragg_radiation radiation = { .n_lines = 1, .wavelength_ang = { o.wavelength_ang, second }, .ratio = { 1, 0.5 }, .polarization = 0.5 };
        if (second > 0)
            radiation.n_lines = 2;
        else if (p->wavelength2_ang > 0 && p->ratio2 > 0) {
            radiation.n_lines = 2;
            radiation.wavelength_ang[1] = p->wavelength2_ang;
            radiation.ratio[1] = p->ratio2;
        }
        double start = cpu_seconds();
        st = bragg_index_lines_from_pattern(p, &radiation, &lines, &err);
        if (getenv("BRAGG_INDEX_LINES"))
            for (size_t k = 0; k < lines.n; k++)
                printf("%.4f %.4f %.3f\n", lines.at[k].two_theta_rad / BRAGG_DEG, lines.at[k].sigma_rad / BRAGG_DEG, lines.at[k].intensity);
        if (st >= 0)
            st = bragg_index(&lines, &o, &r, &err);
        if (st >= 0)
            st = bragg_index_check(r, p, &radiation, 6, &o, &err);
        if (st >= 0)
            r->seconds = cpu_seconds() - start;
    }
    if (st < 0)
        printf("| %s | %s |\n", field[0], err.text);
    else {
        snprintf(what, sizeof what, "measured, %.4f Å", o.wavelength_ang);
        report(field[0], r, &truth, (bragg_system)system, lines.n, what, t);
    }
    bragg_index_free(r);
    bragg_index_lines_free(&lines);
    bragg_pattern_free(p);
}

static bool chosen(int argc, char **argv, const char *name)
{
    for (int k = 1; k < argc; k++)
        if (!strcmp(argv[k], name))
            return true;
    return argc < 2;
}

static void summary(const tally *t)
{
    int upper[3] = { 0 }, mono[3] = { t->n[1], t->exact[1], t->derived[1] }, tri[3] = { t->n[0], t->exact[0], t->derived[0] };
    for (int k = 2; k < 7; k++) {
        upper[0] += t->n[k];
        upper[1] += t->exact[k];
        upper[2] += t->derived[k];
    }
    printf("\nUp to orthorhombic: %d of %d first (and %d derivative lattices); monoclinic %d of %d (%d); triclinic %d of %d (%d).\n", upper[1], upper[0], upper[2],
           mono[1], mono[0], mono[2], tri[1], tri[0], tri[2]);
}

static int run_table(const char *name, void (*run)(char *field[FIELDS], tally *t), int argc, char **argv)
{
    char path[512], line[512], *field[FIELDS];
    tally t = { 0 };
    snprintf(path, sizeof path, "%s/tests/validation/%s", getenv("TOP_SRCDIR") ? getenv("TOP_SRCDIR") : ".", name);
    FILE *in = fopen(path, "r");
    if (!in) {
        fprintf(stderr, "%s: cannot be read\n", path);
        return 99;
    }
    printf("| case | system | lines | made with | answer | first cell | M_N | ln evidence | indexed | CPU s |\n|---|---|---|---|---|---|---|---|---|---|\n");
    while (fgets(line, sizeof line, in)) {
        line[strcspn(line, "\r\n")] = 0;
        if (*line && *line != '#' && split(line, field) >= 7 && chosen(argc, argv, field[0]))
            run(field, &t);
    }
    fclose(in);
    summary(&t);
    return 0;
}

int main(int argc, char **argv)
{
    printf("Simulated lists (errors of position and of the zero in degrees of 2theta at 1.54 Å, foreign lines):\n\n");
    int bad = run_table("index-cases.tsv", run_case, argc, argv);
    printf("\nMeasured patterns:\n\n");
    return bad + run_table("index-patterns.tsv", run_pattern, argc, argv);
}
