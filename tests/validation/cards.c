/* SPDX-License-Identifier: GPL-3.0-or-later */
/* make validate: identification on weighed mixtures, on simulated patterns of each
 * bundled card, against a large set, and where there is nothing to find. */
#include "config.h"
#include "../cards_made.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double cpu(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)r.ru_utime.tv_sec + 1e-6 * (double)r.ru_utime.tv_usec;
}

static bragg_identification *identify(const bragg_cards *set, const bragg_pattern *p, double wavelength, const unsigned char *may, size_t n_may, bool refine)
{
    bragg_identify_options o = BRAGG_IDENTIFY_OPTIONS_INIT;
    bragg_identification *r;
    bragg_error err = BRAGG_ERROR_INIT;
    o.radiation = (bragg_radiation){ false, 1, { wavelength }, { 1 }, 0.5 };
    if (p->wavelength2_ang > 0) {
        o.radiation.n_lines = 2;
        o.radiation.wavelength_ang[1] = p->wavelength2_ang * wavelength / p->wavelength_ang;
        o.radiation.ratio[1] = p->ratio2;
    }
    o.filter.may = may;
    o.filter.n_may = n_may;
    o.refine = refine;
    if (bragg_identify(set, p, &o, &r, &err) < 0) {
        printf("%s\n", err.text);
        exit(1);
    }
    return r;
}

/* -------------------------------------------------------------- mixtures */

typedef struct truth {
    char card[4][32];
    double weight[4];
    unsigned char z[16];
    size_t n, n_z;
} truth;

static void add_truth(truth *t, const char *card, const char *elements, double weight)
{
    snprintf(t->card[t->n], 32, "%s", card);
    t->weight[t->n++] = weight;
    for (const char *e = elements; *e; e += strcspn(e, " "), e += strspn(e, " ")) {
        char name[4];
        bragg_scatterer s;
        snprintf(name, sizeof name, "%.*s", (int)strcspn(e, " "), e);
        if (bragg_scatterer_find(name, &s, NULL, NULL) == BRAGG_OK && !memchr(t->z, s.z, t->n_z))
            t->z[t->n_z++] = (unsigned char)s.z;
    }
}

/* The composition stands in the name; that of the round robin is published. */
static bool truth_of(const char *file, truth *t)
{
    static const struct { const char *name, *card, *elements; } known[] = { { "In2O3", "In2O3", "In O" }, { "MnCO3", "MnCO3", "Mn C O" }, { "Li2CO3", "Li2CO3", "Li C O" },
        { "ZrO2", "ZrO2", "Zr O" }, { "NiO", "NiO", "Ni O" }, { "Bi2O3", "Bi2O3_alpha", "Bi O" }, { "La(OH)3", "LaOH3", "La O H" }, { "ZnO", "ZnO", "Zn O" },
        { "V2O5", "V2O5", "V O" }, { "TiO2", "TiO2_anatase", "Ti O" } };
    *t = (truth){ .n = 0 };
    if (!strncmp(file, "cpd-1", 5)) {
        bool g = file[5] == 'g';
        add_truth(t, "Al2O3", "Al O", g ? 0.3137 : 0.3512);
        add_truth(t, "ZnO", "Zn O", g ? 0.3421 : 0.3019);
        add_truth(t, "CaF2", "Ca F", g ? 0.3442 : 0.3469);
        return true;
    }
    if (!strstr(file, ".xrdml"))
        return false;
    for (const char *at = file; *at; at++)
        for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
            size_t n = strlen(known[k].name);
            double w;
            const char *end;
            if ((at > file && at[-1] != '-') || strncmp(at, known[k].name, n) || strncmp(at + n, "_0p", 3))
                continue;
            char digits[16];
            snprintf(digits, sizeof digits, "0.%.4s", at + n + 3);
            if (bragg_number_scan(digits, &end, &w))
                add_truth(t, known[k].card, known[k].elements, w);
        }
    return t->n > 0;
}

/* The card itself or one of the group that fits as well. */
static bool same_card(const bragg_match *m, const char *name)
{
    bool same = !strcmp(m->name, name);
    for (size_t k = 0; k < m->n_alternatives; k++)
        same = same || !strcmp(m->alternative_name[k], name);
    return same;
}

static void mixtures(const bragg_cards *set, bool filter)
{
    int grouped = 0;
    char folder[600], path[900];
    struct dirent **entry;
    snprintf(folder, sizeof folder, "%s/data/mixtures", getenv("BRAGG_SHARED") ? getenv("BRAGG_SHARED") : "../shared");
    int n = scandir(folder, &entry, NULL, alphasort), patterns = 0, found = 0, wrong = 0, weights = 0;
    double off = 0, worst = 0, seconds = 0, slowest = 0;
    for (int i = 0; i < n; i++) {
        truth t;
        bragg_pattern *p;
        if (!truth_of(entry[i]->d_name, &t))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry[i]->d_name);
        if (bragg_pattern_read(path, 0, &p, NULL) < 0)
            continue;
        double start = now();
        bragg_identification *r = identify(set, p, p->wavelength_ang > 0 ? p->wavelength_ang : 1.540598, t.z, filter ? t.n_z : 0, true);
        double took = now() - start;
        seconds += took;
        slowest = fmax(slowest, took);
        const bragg_hypothesis *h = &r->hypothesis[0];
        bool all = true, extra = false;
        for (size_t k = 0; k < t.n; k++) {
            bool here = false;
            for (size_t j = 0; j < h->n; j++)
                if (same_card(&h->phase[j], t.card[k])) {
                    here = true;
                    grouped += strcmp(h->phase[j].name, t.card[k]) != 0;
                    off += fabs(h->phase[j].fraction.value - t.weight[k]);
                    worst = fmax(worst, fabs(h->phase[j].fraction.value - t.weight[k]));
                    weights++;
                }
            all = all && (here || t.weight[k] < 0.1005);
        }
        for (size_t j = 0; j < h->n; j++) {
            bool true_one = false;
            for (size_t k = 0; k < t.n; k++)
                true_one = true_one || same_card(&h->phase[j], t.card[k]);
            extra = extra || (!true_one && !(h->phase[j].fraction.value <= 0.03));
        }
        patterns++;
        found += all;
        wrong += extra;
        if (!all || extra) {
            fprintf(stderr, "%s%s%s:", entry[i]->d_name, all ? "" : " MISSES", extra ? " FALSE" : "");
            for (size_t j = 0; j < h->n; j++)
                fprintf(stderr, " %s %.3f", h->phase[j].name, h->phase[j].fraction.value);
            fprintf(stderr, "\n");
        }
        bragg_identification_free(r);
        bragg_pattern_free(p);
    }
    if (!patterns) {
        printf("| weighed mixtures | skipped: no measurements | |\n");
        return;
    }
    printf("| weighed mixtures against %zu cards, %s: all phases over 10 wt%% in the first answer | %d of %d | %s |\n", bragg_cards_count(set),
           filter ? "elements known" : "no filter", found, patterns, filter ? "100 %" : ">= 90 %");
    printf("| the same: patterns with a false phase over 3 wt%% | %d of %d | <= 10 %% |\n", wrong, patterns);
    printf("| the same: phases named by another card of their group | %d of %d | |\n", grouped, weights);
    printf("| the same: weights, mean and largest error | %.1f, %.1f wt%% | |\n", 100 * off / weights, 100 * worst);
    printf("| the same: seconds a pattern, mean and longest, with refinement | %.2f, %.2f | |\n", seconds / patterns, slowest);
}

/* -------------------------------------------------------------- simulated */

/* Each bundled card: strained, textured, noisy; against a set that holds it. */
static void simulated(const bragg_cards *set, const bragg_cards *source, const char *what, double strain, size_t step, const char *target)
{
    long long *ids;
    size_t n, first = 0, grouped = 0, tried = 0;
    double seconds = 0, slowest = 0, worked = 0;
    made_seed seed = 99;
    if (bragg_cards_list(source, NULL, &ids, &n, NULL) < 0)
        exit(1);
    for (size_t k = 0; k < n; k += step) {
        bragg_structure *s;
        if (bragg_cards_structure(source, ids[k], &s, NULL) < 0)
            continue;
        double sign = made_uniform(&seed) < 0.5 ? -1 : 1, march = 0.75 + 0.5 * made_uniform(&seed);
        bragg_pattern *p = made_pattern(s, sign * strain, march, &seed);
        double start = now(), busy = cpu();
        bragg_identification *r = identify(set, p, 1.540598, NULL, 0, false);
        double took = now() - start;
        worked += cpu() - busy;
        seconds += took;
        slowest = fmax(slowest, took);
        const bragg_hypothesis *h = r->hypothesis;
        bool right = h->n > 0 && !strcmp(h->phase[0].name, s->name), group = right;
        for (size_t i = 0; h->n && i < h->phase[0].n_alternatives; i++)
            group = group || !strcmp(h->phase[0].alternative_name[i], s->name);
        tried++;
        first += right;
        grouped += group;
        if (!right)
            fprintf(stderr, "%s%s (strain %+.3f march %.2f): %s%s score %.2f\n", s->name, group ? " (in the group)" : "", sign * strain, march, h->n ? h->phase[0].name : "none",
                    h->n > 1 ? "+" : "", h->score);
        bragg_identification_free(r);
        bragg_pattern_free(p);
        bragg_structure_free(s);
    }
    printf("| %s: true card first | %zu of %zu (%.1f %%) | %s |\n", what, first, tried, 100.0 * (double)first / (double)tried, target);
    printf("| the same: first or in the first's group | %zu of %zu (%.1f %%) | |\n", grouped, tried, 100.0 * (double)grouped / (double)tried);
    printf("| the same: seconds a search, mean and longest; CPU seconds | %.2f, %.2f; %.2f | %s |\n", seconds / (double)tried, slowest, worked / (double)tried, bragg_cards_count(set) > 10000 ? "<= 1" : "");
    free(ids);
}

/* ------------------------------------------------------------ nothing there */

static bragg_pattern *empty(int kind, made_seed *seed)
{
    bragg_pattern *p = bragg_pattern_new(4000, BRAGG_AXIS_TTH);
    for (size_t i = 0; i < p->n; i++) {
        double x = 10 + 0.02 * (double)i, y = 150 + (kind ? 2000 * exp(-0.5 * pow((x - 24) / (3 + kind), 2)) + 600 * exp(-0.5 * pow((x - 43) / 6, 2)) : 0);
        p->x[i] = x * BRAGG_DEG;
        p->sigma[i] = sqrt(y);
        p->y[i] = y + p->sigma[i] * made_gauss(seed);
    }
    p->wavelength_ang = 1.540598;
    return p;
}

static void nothing(const bragg_cards *set)
{
    made_seed seed = 5;
    int none[2] = { 0, 0 };
    for (int k = 0; k < 40; k++) {
        bragg_pattern *p = empty(k % 2 ? 1 + k % 3 : 0, &seed);
        bragg_identification *r = identify(set, p, 1.540598, NULL, 0, false);
        none[k % 2] += r->hypothesis[0].n == 0;
        bragg_identification_free(r);
        bragg_pattern_free(p);
    }
    printf("| noise: none | %d of 20 | |\n| amorphous humps: none | %d of 20 | |\n", none[0], none[1]);
    long long *ids;
    size_t n, tried = 0, right = 0, absent = 0, absent_tried = 0;
    if (bragg_cards_list(set, NULL, &ids, &n, NULL) < 0)
        exit(1);
    for (size_t k = 0; k < n; k += 4) {
        bragg_structure *s;
        bragg_card *c;
        if (bragg_cards_structure(set, ids[k], &s, NULL) < 0 || bragg_cards_card(set, ids[k], &c, NULL) < 0)
            continue;
        bragg_pattern *p = made_pattern(s, 0.001, 1, &seed);
        bragg_identification *r = identify(set, p, 0.70932, NULL, 0, false); /* copper's pattern, said to be molybdenum's */
        right += r->hypothesis[0].n == 0;
        if (r->hypothesis[0].n)
            fprintf(stderr, "wrong wavelength: %s taken for %s, score %.2f lines %zu of %zu\n", s->name, r->hypothesis[0].phase[0].name, r->hypothesis[0].score,
                    r->hypothesis[0].phase[0].found, r->hypothesis[0].phase[0].lines);
        tried++;
        bragg_identification_free(r);
        /* its own elements are forbidden: no card of the phase, nor of its relatives */
        bragg_identify_options o = BRAGG_IDENTIFY_OPTIONS_INIT;
        bragg_error err = BRAGG_ERROR_INIT;
        o.radiation = (bragg_radiation){ false, 2, { 1.540598, 1.544426 }, { 1, 0.5 }, 0.5 };
        o.filter.not = c->elements;
        o.filter.n_not = c->n_elements;
        o.refine = false;
        if (c->group_number < 195 && bragg_identify(set, p, &o, &r, &err) == BRAGG_OK) { /* a cubic one has relatives of any element */
            absent += r->hypothesis[0].n == 0;
            absent_tried++;
            if (r->hypothesis[0].n)
                fprintf(stderr, "absent: %s taken for %s, score %.2f lines %zu of %zu\n", s->name, r->hypothesis[0].phase[0].name, r->hypothesis[0].score,
                        r->hypothesis[0].phase[0].found, r->hypothesis[0].phase[0].lines);
            bragg_identification_free(r);
        }
        bragg_pattern_free(p);
        bragg_structure_free(s);
        bragg_card_free(c);
    }
    printf("| wrong wavelength: none | %zu of %zu | |\n| phase in no card (its elements forbidden, not cubic): none | %zu of %zu | |\n", right, tried, absent, absent_tried);
    free(ids);
}

/* ---------------------------------------------------------------- large */

static void large(const bragg_cards *small, const char *folder, size_t wanted)
{
    const char *csv = "cards-made.csv", *db = "cards-made.db", *sources[] = { csv, folder };
    bragg_cards *set;
    bragg_cards_report report;
    bragg_error err = BRAGG_ERROR_INIT;
    made_write_set(folder, wanted, csv);
    unlink(db);
    double start = now(), busy = cpu();
    if (bragg_cards_create(db, &set, &err) < 0 || bragg_cards_build(set, sources, 2, NULL, &report, &err) < 0) {
        printf("%s\n", err.text);
        exit(1);
    }
    double took = now() - start;
    struct stat info;
    stat(db, &info);
    printf("| a set of %zu cards made by substitution and strain: build | %.0f cards/s (%.0f a CPU second), %zu skipped | >= 1000 on two cores |\n", bragg_cards_count(set),
           (double)report.added / took, (double)report.added / (cpu() - busy), report.skipped);
    printf("| the same: bytes a card | %.0f | <= 3000 |\n", (double)info.st_size / (double)bragg_cards_count(set));
    bragg_cards_free(set);
    unlink(csv);
    if (bragg_cards_open(db, &set, &err) < 0)
        exit(1);
    simulated(set, small, "the same: simulated patterns of the bundled cards, strain 0.05 %, texture, noise", 0.0005, 4, ">= 80 %");
    simulated(set, small, "the same with strain 0.2 %", 0.002, 8, "");
    mixtures(set, false);
    bragg_cards_free(set);
    unlink(db);
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    printf("| the same: largest memory of the whole run | %.0f MB | <= 500 MB |\n", (double)r.ru_maxrss / 1024);
}

int main(int argc, char **argv)
{
    char folder[600];
    const char *which = argc > 1 ? argv[1] : "", *one[] = { folder };
    bragg_cards *set;
    bragg_cards_report report;
    bragg_error err = BRAGG_ERROR_INIT;
    snprintf(folder, sizeof folder, "%s/cif", getenv("TOP_SRCDIR") ? getenv("TOP_SRCDIR") : ".");
    if (bragg_cards_create(NULL, &set, &err) < 0 || bragg_cards_build(set, one, 1, NULL, &report, &err) < 0) {
        printf("%s\n", err.text);
        return 1;
    }
    printf("\n# Identification\n\nBy `tests/validation/cards`; patterns are simulated by tests/cards_made.h, not by the search's own profile.\n\n| what | figure | target |\n|---|---|---|\n");
    if (!*which || !strcmp(which, "mixtures")) {
        mixtures(set, false);
        mixtures(set, true);
    }
    if (!*which || !strcmp(which, "simulated"))
        simulated(set, set, "simulated patterns of all bundled cards, 1 % strain, March 0.75 to 1.25, noise", 0.01, 1, ">= 95 %");
    if (!*which || !strcmp(which, "none"))
        nothing(set);
    fflush(stdout);
    if (!*which || !strcmp(which, "large"))
        large(set, folder, argc > 2 ? (size_t)atoi(argv[2]) : 45000);
    bragg_cards_free(set);
    return 0;
}
