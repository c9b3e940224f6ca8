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
    o.radiation = (bragg_radiation){ false, 1, { wavelength }, { 1 }, 0.5, { 0 } };
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

typedef struct tally {
    int patterns, found, wrong, grouped, weights;
    double off, worst, seconds, slowest;
} tally;

/* Place of a true card in an answer; -1. */
static int place_of(const bragg_hypothesis *h, const char *card)
{
    for (size_t j = 0; j < h->n; j++)
        if (same_card(&h->phase[j], card))
            return (int)j;
    return -1;
}

static bool in_truth(const truth *t, const bragg_match *m)
{
    for (size_t k = 0; k < t->n; k++)
        if (same_card(m, t->card[k]))
            return true;
    return false;
}

/* All phases over 10 wt%, no other over 3 wt%. */
static void judge(const truth *t, const bragg_hypothesis *h, bool *all, bool *extra)
{
    *all = true;
    *extra = false;
    for (size_t k = 0; k < t->n; k++)
        *all = *all && (place_of(h, t->card[k]) >= 0 || t->weight[k] < 0.1005);
    for (size_t j = 0; j < h->n; j++)
        *extra = *extra || (!in_truth(t, &h->phase[j]) && !(h->phase[j].fraction.value <= 0.03));
}

static void note_weights(const truth *t, const bragg_hypothesis *h, tally *to)
{
    for (size_t k = 0; k < t->n; k++) {
        int j = place_of(h, t->card[k]);
        if (j < 0)
            continue;
        double off = fabs(h->phase[j].fraction.value - t->weight[k]);
        to->grouped += strcmp(h->phase[j].name, t->card[k]) != 0;
        to->off += off;
        to->worst = fmax(to->worst, off);
        to->weights++;
    }
}

static void one_mixture(const bragg_cards *set, const char *name, const truth *t, const bragg_pattern *p, bool filter, tally *to)
{
    double start = now();
    bragg_identification *r = identify(set, p, p->wavelength_ang > 0 ? p->wavelength_ang : 1.540598, t->z, filter ? t->n_z : 0, true);
    double took = now() - start;
    const bragg_hypothesis *h = &r->hypothesis[0];
    bool all, extra;
    judge(t, h, &all, &extra);
    note_weights(t, h, to);
    to->seconds += took;
    to->slowest = fmax(to->slowest, took);
    to->patterns++;
    to->found += all;
    to->wrong += extra;
    if (!all || extra) {
        fprintf(stderr, "%s%s%s:", name, all ? "" : " MISSES", extra ? " FALSE" : "");
        for (size_t j = 0; j < h->n; j++)
            fprintf(stderr, " %s %.3f", h->phase[j].name, h->phase[j].fraction.value);
        fprintf(stderr, "\n");
    }
    bragg_identification_free(r);
}

static const char *mixtures_folder(void)
{
    static char folder[600];
    snprintf(folder, sizeof folder, "%s/data/mixtures", getenv("BRAGG_SHARED") ? getenv("BRAGG_SHARED") : "../shared");
    return folder;
}

static void mixtures(const bragg_cards *set, bool filter)
{
    struct dirent **entry;
    tally t = { 0 };
    int n = scandir(mixtures_folder(), &entry, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char path[900];
        truth true_one;
        bragg_pattern *p;
        snprintf(path, sizeof path, "%s/%s", mixtures_folder(), entry[i]->d_name);
        if (truth_of(entry[i]->d_name, &true_one) && bragg_pattern_read(path, 0, &p, NULL) >= 0) {
            one_mixture(set, entry[i]->d_name, &true_one, p, filter, &t);
            bragg_pattern_free(p);
        }
        free(entry[i]);
    }
    if (n > 0)
        free(entry);
    if (!t.patterns) {
        printf("| weighed mixtures | skipped: no measurements | |\n");
        return;
    }
    printf("| weighed mixtures against %zu cards, %s: all phases over 10 wt%% in the first answer | %d of %d | %s |\n", bragg_cards_count(set),
           filter ? "elements known" : "no filter", t.found, t.patterns, filter ? "100 %" : ">= 90 %");
    printf("| the same: patterns with a false phase over 3 wt%% | %d of %d | <= 10 %% |\n", t.wrong, t.patterns);
    printf("| the same: phases named by another card of their group | %d of %d | |\n", t.grouped, t.weights);
    printf("| the same: weights, mean and largest error | %.1f, %.1f wt%% | |\n", 100 * t.off / t.weights, 100 * t.worst);
    printf("| the same: seconds a pattern, mean and longest, with refinement | %.2f, %.2f | |\n", t.seconds / t.patterns, t.slowest);
}

/* ------------------------------------------------------------ pure phases */

/* Of $BRAGG_SHARED/data; no card: their phases are in none of the bundled ones. */
static const struct { const char *file, *card; double wavelength_ang; } pure[] = {
    { "rietveld/PBSO4.XRA", "PbSO4", 1.5405 }, { "rietveld/FAP.XRA", "fluorapatite", 1.5405 }, { "rietveld/LaB6_Jan2018.raw", "LaB6", 1.5406 },
    { "rietveld/NIST660CBI.gsas", "LaB6", 1.540593 }, { "rietveld/11bmb_3844.fxye.zip", "LaB6", 0 }, { "rietveld/11BM_Si640c.xy", "Si", 0 },
    { "rietveld/Al2O3_676a.xy", "Al2O3", 0 }, { "frames/CeO2_Pilatus1M.xy", "CeO2", 0.4066 }, { "pdf/Ni/Ni.chi", "Ni", 0.1835957 },
    { "formats/patterns/TiO2.raw", "TiO2_rutile", 1.5406 }, { "rietveld/11bmb_8716.fxye", "", 0 }, { "rietveld/11BM_NAC.fxye", "", 0 },
    { "formats/patterns/RbNb2O5F.xrdml", "", 0 }, { "formats/patterns/SbI3.xye", "", 1.5406 } };

static void pure_phases(const bragg_cards *set)
{
    int tried[2] = { 0, 0 }, right[2] = { 0, 0 };
    for (size_t k = 0; k < sizeof pure / sizeof *pure; k++) {
        char path[600];
        bragg_pattern *p;
        bool absent = !*pure[k].card;
        snprintf(path, sizeof path, "%s/data/%s", getenv("BRAGG_SHARED") ? getenv("BRAGG_SHARED") : "../shared", pure[k].file);
        if (bragg_pattern_read(path, 0, &p, NULL) < 0)
            continue;
        bragg_identification *r = identify(set, p, pure[k].wavelength_ang > 0 ? pure[k].wavelength_ang : p->wavelength_ang, NULL, 0, false);
        const bragg_hypothesis *h = r->hypothesis;
        bool good = absent ? h->n == 0 : h->n == 1 && !strcmp(h->phase[0].name, pure[k].card);
        if (!good)
            fprintf(stderr, "%s: %s, score %.2f\n", pure[k].file, h->n ? h->phase[0].name : "none", h->score);
        tried[absent]++;
        right[absent] += good;
        bragg_identification_free(r);
        bragg_pattern_free(p);
    }
    printf("| measured patterns of pure phases: the card first, and no other phase | %d of %d | >= 95 %% |\n", right[0], tried[0]);
    printf("| measured patterns of phases without a card: none | %d of %d | |\n", right[1], tried[1]);
}

/* -------------------------------------------------------------- simulated */

/* The same compound in the same structure and, within 0.3 %, the same cell: in large sets
 * one phase has many cards. */
static bool same_phase(const bragg_cards *set, const bragg_match *m, const bragg_card *card)
{
    bragg_card *other;
    if (bragg_cards_card(set, m->card, &other, NULL) < 0)
        return false;
    bool same = !strcmp(other->formula, card->formula) && other->group_number == card->group_number &&
                fabs(cbrt(bragg_cell_volume_ang3(&other->cell) / bragg_cell_volume_ang3(&card->cell)) - 1) < 0.003;
    bragg_card_free(other);
    return same;
}

typedef struct score {
    size_t tried, first, phase, group;
    double seconds, slowest, worked, busiest;
} score;

static void one_simulated(const bragg_cards *set, const bragg_structure *s, const bragg_card *card, const bragg_pattern *p, score *to)
{
    double start = now(), busy = cpu();
    bragg_identification *r = identify(set, p, 1.540598, NULL, 0, false);
    double took = now() - start;
    busy = cpu() - busy;
    const bragg_hypothesis *h = r->hypothesis;
    bool right = h->n > 0 && !strcmp(h->phase[0].name, s->name), group = h->n > 0 && same_card(&h->phase[0], s->name);
    to->worked += busy;
    to->busiest = fmax(to->busiest, busy);
    to->seconds += took;
    to->slowest = fmax(to->slowest, took);
    to->tried++;
    to->first += right;
    to->phase += right || (h->n && same_phase(set, &h->phase[0], card));
    to->group += group;
    if (!right)
        fprintf(stderr, "%s%s: %s%s score %.2f\n", s->name, group ? " (in the group)" : "", h->n ? h->phase[0].name : "none", h->n > 1 ? "+" : "", h->score);
    bragg_identification_free(r);
}

/* Every so many-th bundled card, the first-th one first: strained, textured, noisy;
 * against a set that holds it. */
static void simulated(const bragg_cards *set, const bragg_cards *source, const char *what, double strain, size_t first, size_t step, made_seed seed, const char *target)
{
    long long *ids;
    size_t n;
    score t = { 0 };
    if (bragg_cards_list(source, NULL, &ids, &n, NULL) < 0)
        exit(1);
    for (size_t k = first; k < n; k += step) {
        bragg_structure *s;
        bragg_card *card;
        if (bragg_cards_structure(source, ids[k], &s, NULL) < 0 || bragg_cards_card(source, ids[k], &card, NULL) < 0)
            continue;
        double sign = made_uniform(&seed) < 0.5 ? -1 : 1, march = 0.75 + 0.5 * made_uniform(&seed);
        bragg_pattern *p = made_pattern(s, sign * strain, march, &seed);
        one_simulated(set, s, card, p, &t);
        bragg_pattern_free(p);
        bragg_structure_free(s);
        bragg_card_free(card);
    }
    free(ids);
    double all = (double)t.tried;
    printf("| %s: true card first | %zu of %zu (%.1f %%) | %s |\n", what, t.first, t.tried, 100 * (double)t.first / all, target);
    printf("| the same: a card of the same compound, structure and cell first | %zu of %zu (%.1f %%) | |\n", t.phase, t.tried, 100 * (double)t.phase / all);
    printf("| the same: true card first or in the group that cannot be told from the first | %zu of %zu (%.1f %%) | |\n", t.group, t.tried, 100 * (double)t.group / all);
    printf("| the same: seconds a search, mean and longest; CPU seconds | %.2f, %.2f; %.2f, %.2f | %s |\n", t.seconds / all, t.slowest, t.worked / all, t.busiest,
           bragg_cards_count(set) > 10000 ? "<= 1" : "");
}

/* ----------------------------------------------------------- calibration */

enum { BINS = 10 };
typedef struct reliability {
    size_t n[BINS], right[BINS], first, any;
    double sum[BINS];
} reliability;

/* A mixture of the bundled cards: one to three, weights of some decades, few or many
 * counts; every sixth time one of them is in no card, for its elements are forbidden. */
static bragg_pattern *made_mixture(const bragg_cards *source, const long long *ids, size_t n, made_seed *seed, truth *t)
{
    bragg_pattern *p = NULL;
    size_t phases = 1 + (size_t)(3 * made_uniform(seed));
    double counts = pow(10, 1.5 * made_uniform(seed) - 1.2);
    *t = (truth){ .n = 0 };
    while (t->n < phases) {
        bragg_structure *s;
        if (bragg_cards_structure(source, ids[(size_t)(made_uniform(seed) * (double)n) % n], &s, NULL) < 0)
            continue;
        double weight = t->n ? pow(10, -made_uniform(seed)) : 1;
        bragg_pattern *one = made_pattern(s, 0.01 * (made_uniform(seed) - 0.5), 0.75 + 0.5 * made_uniform(seed), seed);
        for (size_t i = 0; i < one->n; i++)
            if (p)
                p->y[i] += weight * one->y[i];
            else
                one->y[i] *= weight;
        snprintf(t->card[t->n], 32, "%s", s->name);
        t->weight[t->n++] = weight;
        if (p)
            bragg_pattern_free(one);
        else
            p = one;
        bragg_structure_free(s);
    }
    for (size_t i = 0; i < p->n; i++) {
        double y = fmax(counts * p->y[i], 1);
        p->sigma[i] = sqrt(y);
        p->y[i] = fmax(0, y + p->sigma[i] * made_gauss(seed));
    }
    return p;
}

/* Right: the very phases that have a card, each by it or one of its group. */
static bool is_right(const truth *t, const bragg_hypothesis *h)
{
    bool right = h->n == t->n;
    for (size_t k = 0; k < t->n; k++)
        right = right && place_of(h, t->card[k]) >= 0;
    return right;
}

/* Phases that hold an element of a card that is gone have no card, either. */
static void forget(const bragg_cards *source, truth *t, const bragg_card *gone)
{
    size_t n = 0;
    for (size_t k = 0; k < t->n; k++) {
        bragg_cards_filter f = { .text = t->card[k], .not = gone->elements, .n_not = gone->n_elements };
        long long *ids;
        size_t m = 0;
        if (bragg_cards_list(source, &f, &ids, &m, NULL) < 0)
            exit(1);
        bragg_card *c = NULL;
        if (m && bragg_cards_card(source, ids[0], &c, NULL) == BRAGG_OK && !strcmp(c->name, t->card[k])) {
            memmove(t->card[n], t->card[k], sizeof t->card[n]);
            t->weight[n++] = t->weight[k];
        }
        bragg_card_free(c);
        free(ids);
    }
    t->n = n;
}

/* What the score is made of, kept from what the search says. */
static void keep_odds(void *payload, int level, const char *text)
{
    (void)level;
    if (!strncmp(text, "odds:", 5))
        snprintf(payload, 200, "%s", text);
}

/* The first answer that names phases, labelled, on standard error: what odds_of() is
 * fitted to. */
static void print_label(const truth *t, const bragg_identification *r, const char *odds)
{
    for (size_t k = 0; k < r->n; k++)
        if (r->hypothesis[k].n) {
            fprintf(stderr, "%d %s\n", is_right(t, &r->hypothesis[k]), odds);
            return;
        }
}

static void note_scores(const truth *t, const bragg_identification *r, reliability *to)
{
    to->first += is_right(t, &r->hypothesis[0]);
    bool any = false;
    for (size_t k = 0; k < r->n; k++) {
        const bragg_hypothesis *h = &r->hypothesis[k];
        size_t bin = (size_t)fmin(h->score * BINS, BINS - 1);
        bool right = is_right(t, h); /* that of no phases where no phase has a card */
        any = any || right;
        to->n[bin]++;
        to->right[bin] += right;
        to->sum[bin] += h->score;
    }
    to->any += any;
}

static void calibration(const bragg_cards *set, const bragg_cards *source, size_t wanted, made_seed seed)
{
    long long *ids;
    size_t n;
    reliability all = { .first = 0 };
    if (bragg_cards_list(source, NULL, &ids, &n, NULL) < 0)
        exit(1);
    for (size_t k = 0; k < wanted; k++) {
        truth t;
        bragg_card *gone = NULL;
        bragg_pattern *p = made_mixture(source, ids, n, &seed, &t);
        bragg_identify_options o = BRAGG_IDENTIFY_OPTIONS_INIT;
        bragg_identification *r;
        bragg_error err = BRAGG_ERROR_INIT;
        char odds[200] = "";
        bragg_observer listen = { keep_odds, NULL, odds };
        bragg_cards_filter one = { .text = t.card[t.n - 1] };
        long long *id;
        size_t m;
        o.radiation = (bragg_radiation){ false, 2, { 1.540598, 1.544426 }, { 1, 0.5 }, 0.5, { 0 } };
        o.refine = false;
        o.observer = &listen;
        if (k % 6 == 5 && bragg_cards_list(source, &one, &id, &m, NULL) == BRAGG_OK) {
            if (m && bragg_cards_card(source, id[0], &gone, NULL) == BRAGG_OK) {
                o.filter.not = gone->elements;
                o.filter.n_not = gone->n_elements;
                forget(source, &t, gone);
            }
            free(id);
        }
        if (bragg_identify(set, p, &o, &r, &err) < 0)
            exit(1);
        note_scores(&t, r, &all);
        print_label(&t, r, odds);
        bragg_identification_free(r);
        bragg_card_free(gone);
        bragg_pattern_free(p);
    }
    free(ids);
    printf("\nScores of %zu simulated mixtures of one to three phases against %zu cards (0.25 to 8 times the counts, strain up to 0.5 %%, a phase without card in every\n"
           "sixth): of the hypotheses with such a score so many are right: every phase that has a card named by it or one of its group, and none else.\n\n"
           "| score | hypotheses | mean score | right |\n|---|---|---|---|\n", wanted, bragg_cards_count(set));
    printf("| the first hypothesis; one of all | %zu, %zu | | %.3f, %.3f |\n", wanted, wanted, (double)all.first / (double)wanted, (double)all.any / (double)wanted);
    for (size_t b = 0; b < BINS; b++)
        if (all.n[b])
            printf("| %.1f to %.1f | %zu | %.2f | %.2f |\n", (double)b / BINS, (double)(b + 1) / BINS, all.n[b], all.sum[b] / (double)all.n[b], (double)all.right[b] / (double)all.n[b]);
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
        o.radiation = (bragg_radiation){ false, 2, { 1.540598, 1.544426 }, { 1, 0.5 }, 0.5, { 0 } };
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

static void search_large(const bragg_cards *set, const bragg_cards *small, made_seed seed)
{
    simulated(set, small, "the same: simulated patterns of the bundled cards, texture, zero error, noise", 0, 0, 4, seed, ">= 80 %");
    fflush(stdout);
    simulated(set, small, "the same with cells 0.05 % off", 0.0005, 1, 4, seed + 815, "");
    fflush(stdout);
    simulated(set, small, "the same with cells 0.2 % off", 0.002, 2, 4, seed + 1123, "");
    fflush(stdout);
    mixtures(set, false);
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    printf("| the same: largest memory of the whole run | %.0f MB | <= 500 MB |\n", (double)r.ru_maxrss / 1024);
}

static bragg_cards *opened(const char *db)
{
    bragg_cards *set;
    bragg_error err = BRAGG_ERROR_INIT;
    if (bragg_cards_open(db, &set, &err) < 0) {
        printf("%s\n", err.text);
        exit(1);
    }
    return set;
}

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
    set = opened(db);
    search_large(set, small, 4711);
    bragg_cards_free(set);
    unlink(db);
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
    if (!*which || !strcmp(which, "mixtures")) { /* against a large set that is there already, too */
        bragg_cards *of = argc > 2 ? opened(argv[2]) : set;
        mixtures(of, false);
        mixtures(of, true);
        if (of != set)
            bragg_cards_free(of);
    }
    if (!*which || !strcmp(which, "pure"))
        pure_phases(set);
    if (!*which || !strcmp(which, "simulated"))
        simulated(set, set, "simulated patterns of all bundled cards, 1 % strain, March 0.75 to 1.25, noise", 0.01, 0, 1, 99, ">= 95 %");
    if (!*which || !strcmp(which, "none"))
        nothing(set);
    if (!*which || !strcmp(which, "calibration"))
        calibration(set, set, argc > 2 ? (size_t)atoi(argv[2]) : 150, argc > 3 ? (made_seed)atoi(argv[3]) : 2718);
    fflush(stdout);
    if (!strcmp(which, "set") && argc > 2) { /* a large set that is there already, and a seed */
        bragg_cards *big = opened(argv[2]);
        search_large(big, set, argc > 3 ? (made_seed)atoi(argv[3]) : 4711);
        bragg_cards_free(big);
    }
    if (!*which || !strcmp(which, "large"))
        large(set, folder, argc > 2 ? (size_t)atoi(argv[2]) : 45000);
    bragg_cards_free(set);
    return 0;
}
