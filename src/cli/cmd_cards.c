/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bragg cards: build, list and show sets of cards. */
#include "config.h"
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* ----------------------------------------------------------------- build */

typedef struct build_talk {
    cli_progress bar;
    bool quiet;
} build_talk;

static void tell(void *payload, int level, const char *text)
{
    if (!((build_talk *)payload)->quiet)
        fprintf(stderr, "%s\n", text);
    (void)level;
}

static bool count(void *payload, size_t done, size_t total)
{
    build_talk *t = payload;
    if (t->bar.terminal)
        fprintf(stderr, "\r%zu sources", done);
    return true;
    (void)total;
}

static void print_report(size_t cards, const bragg_cards_report *r, const char *path, bool json)
{
    if (json) {
        bragg_json_print_take(json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "set", path, "cards", (json_int_t)cards, "added", (json_int_t)r->added,
                                        "kept", (json_int_t)r->kept, "replaced", (json_int_t)r->replaced, "skipped", (json_int_t)r->skipped), NULL);
        return;
    }
    printf("%s: %zu cards (%zu added, %zu sources unchanged, %zu changed, %zu left out)\n", path, cards, r->added, r->kept, r->replaced, r->skipped);
    if (r->skipped)
        printf("bragg cards list --skipped -c %s tells why\n", path);
}

typedef struct build_wish {
    const char *path;
    bool quiet, json;
} build_wish;

static bragg_status build_into(const build_wish *w, char **sources, int n, bragg_error *err)
{
    build_talk talk = { .quiet = w->quiet };
    bragg_observer observer = { tell, count, &talk };
    bragg_cards *set = NULL;
    bragg_cards_report report;
    cli_observer(&talk.bar, "sources");
    bragg_status st = bragg_cards_create(w->path, &set, err);
    if (st == BRAGG_OK)
        st = bragg_cards_build(set, (const char *const *)sources, (size_t)n, &observer, &report, err);
    if (talk.bar.terminal)
        fprintf(stderr, "\r\033[K");
    size_t cards = st >= 0 ? bragg_cards_count(set) : 0;
    if (st >= 0 && !cards && report.added)
        st = bragg_fail(err, BRAGG_EIO, "'%s': its cards cannot be counted: is its disk there?", w->path);
    if (st >= 0)
        print_report(cards, &report, w->path, w->json);
    if (st >= 0 && !cards)
        st = bragg_fail(err, BRAGG_EDATA, "expected cards in %s%s, found none that can be read", sources[0], n > 1 ? " …" : "");
    bragg_cards_free(set);
    return st;
}

static bragg_status work_build(void *payload, int operands, char **argv, bragg_error *err)
{
    const build_wish *w = payload;
    if (operands < 1)
        return bragg_fail(err, BRAGG_EINVAL, "expected folders or files, found none");
    if (!w->path)
        return bragg_fail(err, BRAGG_EINVAL, "expected -o SET, found none");
    return build_into(w, argv, operands, err);
}

static int run_build(int argc, char **argv)
{
    build_wish w = { 0 };
    const cli_option options[] = {
        { "output", 'o', CLI_TEXT, &w.path, "SET", "the set: made, or added to when it exists" },
        { "quiet", 'q', CLI_FLAG, &w.quiet, NULL, "do not name the files that are left out" },
        { "json", 0, CLI_FLAG, &w.json, NULL, "print one JSON object and nothing else" },
    };
    return cli_run(&cli_cards_build, options, sizeof options / sizeof *options, argc, argv, work_build, &w);
}

/* import adds to the user's own set, which a search then takes with -c. */
static bragg_status work_import(void *payload, int operands, char **argv, bragg_error *err)
{
    build_wish *w = payload;
    if (operands < 1)
        return bragg_fail(err, BRAGG_EINVAL, "expected a FILE, found none");
    if (!w->path && !((w->path = getenv("BRAGG_CARDS")) && *w->path))
        return bragg_fail(err, BRAGG_EINVAL, "expected -c SET or a set in $BRAGG_CARDS, found neither; the installed set is not changed");
    return build_into(w, argv, operands, err);
}

static int run_import(int argc, char **argv)
{
    build_wish w = { 0 };
    const cli_option options[] = { { "cards", 'c', CLI_TEXT, &w.path, "SET", "the set to add to [$BRAGG_CARDS]" } };
    return cli_run(&cli_cards_import, options, sizeof options / sizeof *options, argc, argv, work_import, &w);
}

/* ------------------------------------------------------------------ list */

static bool print_skipped(void *payload, const char *source, const char *reason)
{
    (void)payload;
    if (strncmp(reason, source, strlen(source)))
        printf("%s: ", source);
    printf("%s\n", reason);
    return true;
}

typedef struct set_title {
    char name[100];
    size_t n;
} set_title;

static bool print_set(void *payload, const bragg_cards_member *m)
{
    set_title *t = payload;
    if (strcmp(t->name, m->set)) {
        snprintf(t->name, sizeof t->name, "%s", m->set);
        printf("%s%s: %s\n", t->n++ ? "\n" : "", m->set, m->title);
    }
    printf("  %-20s %-14s %-14s %s\n", m->card, m->pdf, m->window, m->note);
    return true;
}

static json_t *card_json(const bragg_card *c, bool lines)
{
    char flags[160];
    json_t *o = json_object(), *list = json_array();
    json_object_set_new(o, "name", json_string(c->name));
    json_object_set_new(o, "formula", json_string(c->formula));
    json_object_set_new(o, "space_group", json_string(c->space_group));
    json_object_set_new(o, "space_group_number", json_integer(c->group_number));
    json_object_set_new(o, "cell", cli_cell_json(&c->cell));
    json_object_set_new(o, "density", bragg_json_number(c->density));
    json_object_set_new(o, "rir", bragg_json_number(c->rir));
    json_object_set_new(o, "pdf", json_string(c->pdf));
    json_object_set_new(o, "cod", json_string(c->cod));
    json_object_set_new(o, "icsd", json_string(c->icsd));
    json_object_set_new(o, "flags", json_string(bragg_card_flags_text(c->flags, flags)));
    json_object_set_new(o, "source", json_string(c->source));
    json_object_set_new(o, "hash", json_string(c->hash));
    json_object_set_new(o, "reference", json_string(c->reference));
    for (size_t k = 0; lines && k < c->n_lines; k++)
        json_array_append_new(list, json_pack("{s:f, s:f, s:[i,i,i]}", "d", c->line[k].d_ang, "intensity", c->line[k].intensity, "hkl", c->line[k].h, c->line[k].k, c->line[k].l));
    if (lines)
        json_object_set_new(o, "lines", list);
    else
        json_decref(list);
    return o;
}

/* Edges, and the angles that the crystal system does not fix. */
static void cell_text(const bragg_cell *c, char text[80])
{
    int used = snprintf(text, 80, "%.3f %.3f %.3f", c->a, c->b, c->c);
    for (int k = 0; k < 3 && used < 80; k++) {
        double angle = (&c->alpha)[k] / BRAGG_DEG;
        if (fabs(angle - 90) > 0.005 && fabs(angle - 120) > 0.005)
            used += snprintf(text + used, (size_t)(80 - used), " %.2f", angle);
    }
}

static void print_row(const bragg_card *c)
{
    char cell[80] = "", number[24] = "";
    const bragg_card_line *top = c->line;
    for (size_t k = 1; k < c->n_lines; k++)
        top = c->line[k].intensity > top->intensity ? &c->line[k] : top;
    if (c->cell.a > 0)
        cell_text(&c->cell, cell);
    if (*c->pdf)
        snprintf(number, sizeof number, "PDF#%s", c->pdf);
    else if (*c->cod)
        snprintf(number, sizeof number, "COD %s", c->cod);
    else if (*c->icsd)
        snprintf(number, sizeof number, "ICSD %s", c->icsd);
    printf("%-20s %-18s %-14s %-27s %7.4f  %s\n", c->name, c->formula, c->space_group, cell, top->d_ang, number);
}

static bragg_status list_cards(const bragg_cards *set, const bragg_cards_filter *f, bool json, bragg_error *err)
{
    long long *ids;
    size_t n;
    json_t *all = json ? json_array() : NULL;
    bragg_status st = bragg_cards_list(set, f, &ids, &n, err);
    if (st == BRAGG_OK && !n && f->set) {
        json_decref(all);
        free(ids);
        return bragg_fail(err, BRAGG_EDATA, "--of: found no such card in a named set '%s'; bragg cards list --sets shows them all", f->set);
    }
    if (st == BRAGG_OK && !json && n)
        printf("%-20s %-18s %-14s %-27s %7s  %s\n", "card", "formula", "space group", "a b c (angstrom), angles", "d(top)", "number");
    for (size_t k = 0; st == BRAGG_OK && k < n; k++) {
        bragg_card *c;
        st = bragg_cards_card(set, ids[k], &c, err);
        if (st < 0)
            break;
        if (json)
            json_array_append_new(all, card_json(c, false));
        else
            print_row(c);
        bragg_card_free(c);
    }
    free(ids);
    if (st == BRAGG_OK && json)
        return bragg_json_print_take(json_pack("{s:o}", "cards", all), err);
    if (st == BRAGG_OK)
        printf("%zu of %zu cards\n", n, bragg_cards_count(set));
    return st;
}

typedef struct list_wish {
    const char *path, *may, *must, *not, *named;
    bool json, skipped, sets;
} list_wish;

static bragg_status work_list(void *payload, int operands, char **argv, bragg_error *err)
{
    const list_wish *w = payload;
    bragg_cards *set = NULL;
    unsigned char may[64], must[64], not[64];
    bragg_cards_filter f = { .may = may, .must = must, .not = not, .set = w->named, .text = operands ? argv[0] : NULL };
    set_title title = { "", 0 };
    bragg_status st = operands > 1 ? bragg_fail(err, BRAGG_EINVAL, "expected at most one NAME, found %d", operands) : BRAGG_OK;
    if (st == BRAGG_OK && w->may)
        st = cli_elements("elements", w->may, may, &f.n_may, err);
    if (st == BRAGG_OK && w->must)
        st = cli_elements("must", w->must, must, &f.n_must, err);
    if (st == BRAGG_OK && w->not)
        st = cli_elements("not", w->not, not, &f.n_not, err);
    if (st == BRAGG_OK)
        st = bragg_cards_find_set(w->path, NULL, &set, err);
    if (st == BRAGG_OK && w->skipped)
        st = bragg_cards_skipped(set, print_skipped, NULL, err);
    else if (st == BRAGG_OK)
        st = w->sets ? bragg_cards_members(set, print_set, &title, err) : list_cards(set, &f, w->json, err);
    bragg_cards_free(set);
    return st;
}

static int run_list(int argc, char **argv)
{
    list_wish w = { 0 };
    const cli_option options[] = {
        { "cards", 'c', CLI_TEXT, &w.path, "SET", "the set [the bundled one]" },
        { "elements", 'e', CLI_TEXT, &w.may, "LIST", "only cards of these elements: Bi,Sb,K" },
        { "must", 0, CLI_TEXT, &w.must, "LIST", "only cards that hold all of these elements" },
        { "not", 0, CLI_TEXT, &w.not, "LIST", "no cards that hold one of these elements" },
        { "of", 0, CLI_TEXT, &w.named, "NAME", "members of that named set" },
        { "sets", 0, CLI_FLAG, &w.sets, NULL, "the named sets and their members instead" },
        { "skipped", 0, CLI_FLAG, &w.skipped, NULL, "sources that were left out, and why, instead" },
        { "json", 0, CLI_FLAG, &w.json, NULL, "print one JSON object and nothing else" },
    };
    return cli_run(&cli_cards_list, options, sizeof options / sizeof *options, argc, argv, work_list, &w);
}

/* ------------------------------------------------------------------ show */

enum { ROWS = 8, MOST_WIDTH = 120 };

static int screen_width(void)
{
    struct winsize w;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 40 ? (w.ws_col < MOST_WIDTH ? w.ws_col : MOST_WIDTH) : 80;
}

/* A row of sticks: intensity in each column, over the angles that matter. */
typedef struct sticks {
    double first, last, high[MOST_WIDTH], top; /* degrees */
    int width;
} sticks;

static double angle_of(const bragg_card_line *l, double wavelength)
{
    double s = wavelength / (2 * l->d_ang);
    return s < 1 ? 2 * asin(s) / BRAGG_DEG : NAN;
}

/* From before the first line to behind the last that has a twelfth of the strongest. */
static void gather_sticks(const bragg_card *c, double wavelength, sticks *to)
{
    *to = (sticks){ .first = INFINITY, .width = screen_width() - 2 };
    for (size_t k = 0; k < c->n_lines; k++)
        to->top = fmax(to->top, bragg_card_line_intensity(&c->line[k], wavelength, 0.5));
    for (size_t k = 0; k < c->n_lines; k++) {
        double x = angle_of(&c->line[k], wavelength);
        bool strong = bragg_card_line_intensity(&c->line[k], wavelength, 0.5) > to->top / 12;
        to->first = strong && x < to->first ? x : to->first;
        to->last = strong && x > to->last ? x : to->last;
    }
    double step = to->last - to->first > 20 ? 10 : 1;
    to->first = fmax(0, step * floor((to->first - 0.01) / step));
    to->last = fmin(180, step * ceil((to->last + 0.01) / step));
    for (size_t k = 0; k < c->n_lines; k++) {
        double at = (angle_of(&c->line[k], wavelength) - to->first) / (to->last - to->first) * to->width;
        if (at >= 0 && at < to->width)
            to->high[(int)at] = fmax(to->high[(int)at], bragg_card_line_intensity(&c->line[k], wavelength, 0.5));
    }
}

/* A scale with a number at each step that leaves room for it. */
static void draw_scale(const sticks *s, double wavelength)
{
    static const double steps[] = { 0.5, 1, 2, 5, 10, 20, 50 };
    char text[MOST_WIDTH + 8];
    size_t k = 0;
    while (k < 6 && steps[k] * s->width / (s->last - s->first) < 8)
        k++;
    memset(text, ' ', sizeof text);
    for (double x = steps[k] * ceil(s->first / steps[k]); x <= s->last; x += steps[k]) {
        char number[16];
        int at = (int)((x - s->first) / (s->last - s->first) * (s->width - 1)), n = snprintf(number, sizeof number, "%g", x);
        memcpy(text + at + 1, number, (size_t)n);
    }
    text[MOST_WIDTH + 7] = 0;
    for (size_t end = strlen(text); end > 0 && text[end - 1] == ' '; end--)
        text[end - 1] = 0;
    printf("%s\n  2theta (deg) at %g angstrom; height: intensity\n", text, wavelength);
}

/* Sticks over 2theta: eighths of a character high. */
static void draw_sticks(const bragg_card *c, double wavelength)
{
    static const char *const block[] = { " ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
    sticks s;
    gather_sticks(c, wavelength, &s);
    if (!(s.top > 0))
        return;
    for (int row = ROWS - 1; row >= 0; row--) {
        int end = s.width;
        while (end > 0 && !(s.high[end - 1] / s.top * ROWS > row))
            end--;
        printf(" ");
        for (int k = 0; k < end; k++) {
            double v = 8 * (ROWS * s.high[k] / s.top - row);
            printf("%s", block[v >= 8 ? 8 : v <= 0.4 ? 0 : (int)ceil(v)]);
        }
        printf("\n");
    }
    draw_scale(&s, wavelength);
}

static void print_text(const char *name, const char *text)
{
    if (*text)
        printf("  %-13s %s\n", name, text);
}

static void print_card(const bragg_card *c, double wavelength, size_t most)
{
    char text[200];
    printf("%s   %s\n", c->name, c->formula);
    print_text("name", c->note);
    if (c->group_number)
        printf("  %-13s %s (%d)\n", "space group", c->space_group, c->group_number);
    else
        print_text("space group", c->space_group);
    if (c->cell.a > 0)
        printf("  %-13s %.5g %.5g %.5g angstrom, %.5g %.5g %.5g deg\n", "cell", c->cell.a, c->cell.b, c->cell.c, c->cell.alpha / BRAGG_DEG, c->cell.beta / BRAGG_DEG, c->cell.gamma / BRAGG_DEG);
    if (c->density > 0)
        printf("  %-13s %.4g g/cm^3\n", "density", c->density);
    if (c->rir > 0)
        printf("  %-13s %.3g\n", "I/Ic", c->rir);
    snprintf(text, sizeof text, "%s%s%s%s%s%s", *c->pdf ? "PDF#" : "", c->pdf, *c->cod ? "  COD " : "", c->cod, *c->icsd ? "  ICSD " : "", c->icsd);
    print_text("numbers", text + strspn(text, " "));
    print_text("reference", c->reference);
    print_text("remarks", bragg_card_flags_text(c->flags, text));
    print_text("source", c->source);
    printf("\n");
    draw_sticks(c, wavelength);
    printf("\n  %9s %9s %8s    %s\n", "d/angstrom", "2theta", "I", "h  k  l");
    size_t shown = 0;
    double top = 0;
    for (size_t k = 0; k < c->n_lines; k++)
        top = fmax(top, bragg_card_line_intensity(&c->line[k], wavelength, 0.5));
    for (size_t k = 0; k < c->n_lines && shown < most; k++) {
        const bragg_card_line *l = &c->line[k];
        double s = wavelength / (2 * l->d_ang);
        if (!(s < 1) || l->intensity < 0.5)
            continue;
        printf("  %9.4f %9.3f %8.1f  ", l->d_ang, 2 * asin(s) / BRAGG_DEG, 100 * bragg_card_line_intensity(l, wavelength, 0.5) / top);
        if (l->h || l->k || l->l)
            printf("%3d%3d%3d", l->h, l->k, l->l);
        printf("\n");
        shown++;
    }
    printf("  %zu of %zu lines\n", shown, c->n_lines);
}

/* A stick is three points of a pattern. */
static bragg_status plot_card(const bragg_card *c, double wavelength, const char *path, bool force, bragg_error *err)
{
    bragg_pattern *p = bragg_pattern_new(3 * c->n_lines + 2, BRAGG_AXIS_TTH);
    if (!p)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a figure");
    size_t n = 0;
    for (size_t k = 0; k < c->n_lines; k++) {
        double s = wavelength / (2 * c->line[k].d_ang), x = 2 * asin(fmin(s, 1)), thin = 1e-5;
        if (!(s < 1) || (n && x - thin <= p->x[n - 1]))
            continue;
        for (int i = 0; i < 3; i++) {
            p->x[n] = x + (i - 1) * thin;
            p->y[n++] = i == 1 ? bragg_card_line_intensity(&c->line[k], wavelength, 0.5) : 0;
        }
    }
    if (n) { /* room beside the first stick and the last */
        double margin = n > 3 ? 0.03 * (p->x[n - 1] - p->x[0]) : BRAGG_DEG;
        memmove(p->x + 1, p->x, n * sizeof *p->x);
        memmove(p->y + 1, p->y, n * sizeof *p->y);
        p->x[0] = fmax(p->x[1] - margin, 0);
        p->x[n + 1] = p->x[n] + margin;
        p->y[0] = p->y[n + 1] = 0;
        n += 2;
    }
    p->n = n;
    p->wavelength_ang = wavelength;
    bragg_plot_patterns_options o = BRAGG_PLOT_PATTERNS_OPTIONS_INIT;
    const bragg_pattern *const list[] = { p };
    const char *const label[] = { c->formula };
    o.page.force = force;
    o.page.width_mm = 170;
    o.page.height_mm = 80;
    o.page.title = c->name;
    o.y_label = "Relative intensity";
    bragg_status st = n ? bragg_plot_patterns(list, label, 1, &o, path, err) : bragg_fail(err, BRAGG_EDATA, "card '%s': no line can be seen at %g angstrom", c->name, wavelength);
    bragg_pattern_free(p);
    return st;
}

typedef struct show_wish {
    const char *path, *figure;
    double wavelength_ang;
    bool force, json, all;
} show_wish;

static bragg_status show(const show_wish *w, const bragg_cards *set, const char *name, bragg_error *err)
{
    bragg_cards_filter f = { .text = name };
    long long *ids;
    size_t n;
    bragg_card *c = NULL;
    bragg_status st = bragg_cards_list(set, &f, &ids, &n, err);
    if (st == BRAGG_OK && !n)
        st = bragg_fail(err, BRAGG_EDATA, "'%s': no card has that name, formula or number; bragg cards list shows all", name);
    if (st == BRAGG_OK)
        st = bragg_cards_card(set, ids[0], &c, err);
    if (st == BRAGG_OK && n > 1 && strcmp(c->name, name))
        fprintf(stderr, "%zu cards match '%s': the first is shown\n", n, name);
    if (st == BRAGG_OK && w->json)
        st = bragg_json_print_take(card_json(c, true), err);
    else if (st == BRAGG_OK)
        print_card(c, w->wavelength_ang, w->all ? c->n_lines : 40);
    if (st == BRAGG_OK && w->figure)
        st = plot_card(c, w->wavelength_ang, w->figure, w->force, err);
    bragg_card_free(c);
    free(ids);
    return st;
}

static bragg_status work_show(void *payload, int operands, char **argv, bragg_error *err)
{
    const show_wish *w = payload;
    bragg_cards *set = NULL;
    bragg_status st = cli_one("NAME", operands, argv, err);
    if (st == BRAGG_OK && !(w->wavelength_ang > 0))
        st = bragg_fail(err, BRAGG_EINVAL, "--wavelength: expected a positive number, found %g", w->wavelength_ang);
    if (st == BRAGG_OK && w->figure)
        st = bragg_plot_check_path(w->figure, err);
    if (st == BRAGG_OK)
        st = bragg_cards_find_set(w->path, NULL, &set, err);
    if (st == BRAGG_OK)
        st = show(w, set, argv[0], err);
    bragg_cards_free(set);
    return st;
}

static int run_show(int argc, char **argv)
{
    show_wish w = { .wavelength_ang = 1.540598 };
    const cli_option options[] = {
        { "cards", 'c', CLI_TEXT, &w.path, "SET", "the set [the bundled one]" },
        { "wavelength", 'w', CLI_NUMBER, &w.wavelength_ang, "ANGSTROM", "of the angles and intensities [1.540598]" },
        { "all", 'a', CLI_FLAG, &w.all, NULL, "all lines, not the first 40" },
        { "output", 'o', CLI_TEXT, &w.figure, "FILE", "draw the sticks: .svg, .pdf or .png" },
        { "force", 'f', CLI_FLAG, &w.force, NULL, "overwrite" },
        { "json", 0, CLI_FLAG, &w.json, NULL, "print one JSON object and nothing else" },
    };
    return cli_run(&cli_cards_show, options, sizeof options / sizeof *options, argc, argv, work_show, &w);
}

/* ---------------------------------------------------------------- cards */

const cli_command cli_cards_build = { "cards build", "DIR|FILE... -o SET", "make cards of CIFs, archives, lists of lines and named sets", run_build };
const cli_command cli_cards_import = { "cards import", "FILE... -c SET", "add cards to a set of one's own", run_import };
const cli_command cli_cards_list = { "cards list", "[NAME]", "list cards, all or those that match", run_list };
const cli_command cli_cards_show = { "cards show", "NAME", "show a card: what is known of it, its sticks and lines", run_show };

static const struct { const char *name; const cli_command *command; } below[] = {
    { "build", &cli_cards_build }, { "import", &cli_cards_import }, { "list", &cli_cards_list }, { "show", &cli_cards_show } };
enum { N_BELOW = sizeof below / sizeof *below };

/* What is typed behind none of the words below. */
static bragg_status work(void *wish, int operands, char **argv, bragg_error *err)
{
    const char *names[N_BELOW], *near = NULL;
    for (int k = 0; k < N_BELOW; k++)
        names[k] = below[k].name;
    if (operands)
        near = bragg_nearest(argv[0], names, N_BELOW);
    return bragg_fail(err, BRAGG_EINVAL, "expected build, import, list or show, found %s%s%s%s", operands ? argv[0] : "nothing", near ? "; did you mean '" : "", near ? near : "",
                      near ? "'?" : "");
    (void)wish;
}

static int run(int argc, char **argv)
{
    for (int k = 0; k < N_BELOW; k++)
        if (argc > 1 && !strcmp(argv[1], below[k].name))
            return below[k].command->run(argc - 1, argv + 1);
    return cli_run(&cli_cards, NULL, 0, argc, argv, work, NULL);
}

const cli_command cli_cards = { "cards", "build|import|list|show …", "build, list and show sets of cards", run };
