/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"
#include "reference.h"

#include "cards_made.h"
#include "folder.h"
#include "suite.h"
#include <bragg/cards.h>
#include <bragg/detector.h>
#include <bragg/hash.h>
#include <bragg/output.h>
#include <bragg/path.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

static void write_bytes(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    ck_assert_msg(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0, "%s", path);
}

static const char *bundled_file(const char *name)
{
    static char path[600];
    snprintf(path, sizeof path, "%s/%s", getenv("TOP_SRCDIR") ? getenv("TOP_SRCDIR") : ".", name);
    return path;
}

static bragg_cards *set_of(const char *source, bragg_cards_report *report)
{
    bragg_cards *c;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_msg(bragg_cards_create(NULL, &c, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_cards_build(c, &source, 1, NULL, report, &err) == BRAGG_OK, "%s", err.text);
    return c;
}

static bragg_card *card_named(const bragg_cards *set, const char *name)
{
    bragg_cards_filter f = { .text = name };
    long long *ids;
    size_t n;
    bragg_card *c;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_msg(bragg_cards_list(set, &f, &ids, &n, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(n > 0, "no card %s", name);
    ck_assert_msg(bragg_cards_card(set, ids[0], &c, &err) == BRAGG_OK, "%s", err.text);
    free(ids);
    return c;
}

static bragg_cards *bundled(void)
{
    bragg_cards_report r;
    bragg_cards *c = set_of(bundled_file("cif"), &r);
    ck_assert_uint_ge(r.added, 161);
    ck_assert_uint_eq(r.skipped, 0);
    return c;
}

/* ------------------------------------------------------------ calibrants */

START_TEST(a_calibrant_has_the_lines_that_rings_are_known_by)
{
    bragg_arena *arena = bragg_arena_new();
    bragg_calibrant c, hot;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_msg(bragg_calibrant_read(arena, "LaB6", 0.4133, NAN, &c, &err) == BRAGG_OK, "%s", err.text);
    double strongest = 0;
    ck_assert_uint_gt(c.n, 20);
    for (size_t k = 0; k < c.n; k++) {
        ck_assert(c.strength[k] > 0.003 && c.strength[k] < 1 + 1e-12 && (!k || c.d_ang[k] < c.d_ang[k - 1]));
        strongest = fmax(strongest, c.strength[k]);
    }
    assert_close(strongest, 1, 1e-9);
    assert_close(c.d_ang[0], 4.1569, 1e-4);                 /* 100 */
    assert_close(c.d_ang[1], c.d_ang[0] / sqrt(2), 1e-12);  /* 110 */
    ck_assert_msg(bragg_calibrant_read(arena, bundled_file("cif/LaB6.cif"), 0.4133, NAN, &hot, &err) == BRAGG_OK, "%s", err.text);
    ck_assert(hot.n == c.n && !memcmp(hot.d_ang, c.d_ang, c.n * sizeof *c.d_ang));
    ck_assert_int_eq(bragg_calibrant_read(arena, "AgBehenate", NAN, NAN, &c, &err), BRAGG_OK);
    assert_close(c.d_ang[0], 58.38, 1e-12);
    ck_assert(c.n > 5 && c.strength[0] == 1 && c.strength[c.n - 1] == 1);
    bragg_arena_free(arena);
}
END_TEST

START_TEST(a_calibrant_away_from_its_temperature_is_stretched_or_refused)
{
    bragg_arena *arena = bragg_arena_new();
    bragg_calibrant c, hot;
    double stretch[3] = { 1, 1, 1 };
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_calibrant_read(arena, "Si", 0.4133, NAN, &c, &err), BRAGG_OK);
    ck_assert_msg(bragg_calibrant_read(arena, "Si", 0.4133, 611.5, &hot, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_int_eq(bragg_calibrant_stretch("Si", 611.5, stretch, &err), BRAGG_OK);
    ck_assert_double_gt(stretch[0], 1.0008);
    ck_assert_uint_le(c.n, hot.n);
    for (size_t k = 0; k < c.n; k++)
        assert_close(hot.d_ang[k], stretch[0] * c.d_ang[k], 1e-12);
    static const struct { const char *name; double wavelength_ang, temperature_k; bragg_status status; const char *says; } bad[] = {
        { "LaB7", 0.4133, NAN, BRAGG_EINVAL, "calibrant 'LaB7': expected a CIF file or a bundled card (LaB6" },
        { "nowhere/LaB6.cif", 0.4133, NAN, BRAGG_EINVAL, "calibrant 'nowhere/LaB6.cif': expected a CIF file" },
        { "Si", 0.4133, 1e5, BRAGG_EINVAL, "thermal expansion of Si: expected a temperature from " },
        { "LaB6", 0.4133, 300, BRAGG_EINVAL, "thermal expansion: expected a bundled card whose expansion is known (" },
        { "Si", 13, NAN, BRAGG_EDATA, "expected reflections at 13 angstrom, found none" } };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        err = (bragg_error)BRAGG_ERROR_INIT;
        ck_assert_int_eq(bragg_calibrant_read(arena, bad[k].name, bad[k].wavelength_ang, bad[k].temperature_k, &c, &err), bad[k].status);
        ck_assert_msg(strstr(err.text, bad[k].says), "%s", err.text);
    }
    bragg_arena_free(arena);
}
END_TEST

/* ------------------------------------------------------------------ set */

START_TEST(a_card_keeps_the_lines_of_its_structure)
{
    bragg_cards *set = bundled();
    static const char *const names[] = { "PbSO4", "KSb", "NiO", "K3Bi2" };
    for (int i = 0; i < 4; i++) {
        char path[700];
        bragg_structure *s;
        bragg_card_line *line;
        size_t n;
        bragg_error err = BRAGG_ERROR_INIT;
        bragg_card *c = card_named(set, names[i]);
        snprintf(path, sizeof path, "%s/%s.cif", bundled_file("cif"), names[i]);
        ck_assert_msg(bragg_structure_read_cif(path, NULL, &s, NULL, 0, &err) == BRAGG_OK, "%s", err.text);
        for (size_t k = 0; k < s->n_atoms; k++)
            if (!(s->atom[k].uiso_ang2 > 0) && !s->atom[k].anisotropic)
                s->atom[k].uiso_ang2 = 0.006;
        ck_assert_int_eq(bragg_structure_lines(s, 1.540598, 0.5, 0.8, &line, &n, &err), BRAGG_OK);
        for (size_t k = 0, j = 0; k < c->n_lines; k++) {
            while (j < n && line[j].d_ang > c->line[k].d_ang * (1 + 1e-9))
                j++;
            ck_assert_msg(j < n, "%s %zu", names[i], k);
            assert_close(c->line[k].d_ang, line[j].d_ang, 1e-9);
            assert_close(c->line[k].intensity, line[j].intensity, 3e-4);
        }
        free(line);
        bragg_structure_free(s);
        bragg_card_free(c);
    }
    bragg_cards_free(set);
}
END_TEST

START_TEST(a_structure_comes_back_from_the_set_as_it_went_in)
{
    bragg_cards *set = bundled();
    bragg_error err = BRAGG_ERROR_INIT;
    long long *ids;
    size_t n;
    ck_assert_int_eq(bragg_cards_list(set, NULL, &ids, &n, &err), BRAGG_OK);
    for (size_t k = 0; k < n; k++) {
        bragg_card *c;
        bragg_structure *s;
        ck_assert_int_eq(bragg_cards_card(set, ids[k], &c, &err), BRAGG_OK);
        ck_assert_msg(bragg_cards_structure(set, ids[k], &s, &err) == BRAGG_OK, "%s: %s", c->name, err.text);
        assert_close(bragg_structure_density_g_cm3(s), c->density, 2e-5);
        bragg_structure_free(s);
        bragg_card_free(c);
    }
    free(ids);
    bragg_cards_free(set);
}
END_TEST

START_TEST(a_structure_unpacked_as_a_cif_is_the_same)
{
    bragg_cards *set = bundled();
    bragg_error err = BRAGG_ERROR_INIT;
    long long *ids;
    size_t n;
    ck_assert_int_eq(bragg_cards_list(set, NULL, &ids, &n, &err), BRAGG_OK);
    for (size_t k = 0; k < n; k += 3) {
        bragg_structure *s, *again;
        const char *path = in_folder("unpacked.cif");
        ck_assert_int_eq(bragg_cards_structure(set, ids[k], &s, &err), BRAGG_OK);
        ck_assert_msg(bragg_structure_write_cif(s, "a; b", "line\n;line", path, true, &err) == BRAGG_OK, "%s", err.text);
        ck_assert_msg(bragg_structure_read_cif(path, NULL, &again, NULL, 0, &err) == BRAGG_OK, "%s: %s", s->name, err.text);
        ck_assert_str_eq(again->name, "a; b");
        ck_assert_uint_eq(again->n_atoms, s->n_atoms);
        ck_assert_uint_eq(again->symmetry.n_ops, s->symmetry.n_ops);
        assert_close(bragg_structure_density_g_cm3(again), bragg_structure_density_g_cm3(s), 1e-6);
        for (size_t j = 0; j < s->n_atoms; j++)
            for (int i = 0; i < 3; i++)
                ck_assert_msg(fabs(again->atom[j].x[i] - s->atom[j].x[i]) < 1e-7 && fabs(again->atom[j].uiso_ang2 - s->atom[j].uiso_ang2) < 1e-6, "%s", s->name);
        ck_assert_int_eq(bragg_structure_write_cif(s, "", NULL, path, false, &err), BRAGG_EEXIST);
        err = (bragg_error)BRAGG_ERROR_INIT;
        bragg_structure_free(again);
        bragg_structure_free(s);
    }
    free(ids);
    bragg_cards_free(set);
}
END_TEST

START_TEST(indices_are_those_that_people_write)
{
    static const struct { const char *name; int hkl[3]; double d_ang; } lines[] = {
        { "Bi", { 0, 1, 2 }, 3.280 }, { "Bi", { 1, 0, 4 }, 2.369 }, { "K3Bi_hex", { 1, 1, 0 }, 3.096 }, { "PbSO4", { 2, 1, 1 }, 3.005 } };
    bragg_cards *set = bundled();
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        bragg_card *c = card_named(set, lines[i].name);
        size_t k = 0;
        while (k + 1 < c->n_lines && fabs(c->line[k].d_ang - lines[i].d_ang) > 0.002)
            k++;
        ck_assert_msg(c->line[k].h == lines[i].hkl[0] && c->line[k].k == lines[i].hkl[1] && c->line[k].l == lines[i].hkl[2], "%s: %d %d %d at %.4f", c->name,
                      c->line[k].h, c->line[k].k, c->line[k].l, c->line[k].d_ang);
        bragg_card_free(c);
    }
    bragg_cards_free(set);
}
END_TEST

START_TEST(cards_say_what_is_wrong_with_their_structures)
{
    static const struct { const char *name; unsigned flags; const char *text; } known[] = {
        { "BiSb_50_50", BRAGG_CARD_PARTIAL | BRAGG_CARD_DISORDER, "partial occupancies, disorder" }, { "K3Bi_hex", BRAGG_CARD_COMPUTED, "computed structure" },
        { "PbSO4", 0, "" }, { "LaOH3", 0, "" } };
    bragg_cards *set = bundled();
    char flags[160];
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        bragg_card *c = card_named(set, known[i].name);
        ck_assert_msg(c->flags == known[i].flags, "%s: %u", c->name, c->flags);
        ck_assert_str_eq(bragg_card_flags_text(c->flags, flags), known[i].text);
        bragg_card_free(c);
    }
    bragg_cards_free(set);
    char *text = whole_file(bundled_file("cif/LaOH3.cif")), *site = strstr(text, "\nH1 ");
    bragg_cards_report r;
    ck_assert_ptr_nonnull(site);
    site[1] = 0;
    write_file("bare.cif", text);
    set = set_of(in_folder("bare.cif"), &r);
    bragg_card *c = card_named(set, "bare");
    ck_assert_uint_eq(c->flags, BRAGG_CARD_NO_HYDROGEN);
    bragg_card_free(c);
    bragg_cards_free(set);
    free(text);
}
END_TEST

/* I/Ic printed on the PDF's cards 27-1402 and 21-1276. */
START_TEST(reference_intensity_ratios_are_those_of_the_literature)
{
    static const struct { const char *name; double rir, tolerance; } known[] = {
        { "Al2O3", 1, 1e-4 }, { "Si", 4.7, 0.05 }, { "TiO2_rutile", 3.40, 0.12 } }; /* measured: texture and microabsorption are in them */
    bragg_cards *set = bundled();
    for (int k = 0; k < 3; k++) {
        bragg_card *c = card_named(set, known[k].name);
        assert_close(c->rir, known[k].rir, known[k].tolerance);
        bragg_card_free(c);
    }
    bragg_cards_free(set);
}
END_TEST

START_TEST(a_build_goes_on_where_it_was_and_notes_what_it_cannot_read)
{
    bragg_cards *set;
    bragg_cards_report r;
    bragg_error err = BRAGG_ERROR_INIT;
    char *text = whole_file(bundled_file("cif/KBi2.cif"));
    const char *cifs = in_folder("cifs"), *db;
    mkdir(cifs, 0777);
    mkdir(in_folder("cifs/below"), 0777);
    write_file("cifs/below/KBi2.cif", text);
    write_file("cifs/broken.cif", "data_x\n_cell_length_a 5\n");
    write_file("cifs/notes.md", "no card");
    db = in_folder("set.db");
    cifs = in_folder("cifs");
    ck_assert_int_eq(bragg_cards_create(db, &set, &err), BRAGG_OK);
    ck_assert_int_eq(bragg_cards_build(set, &cifs, 1, NULL, &r, &err), BRAGG_OK);
    ck_assert_uint_eq(r.added, 1);
    ck_assert_uint_eq(r.skipped, 1);
    bragg_cards_free(set);
    char *again = whole_file(bundled_file("cif/NiO.cif"));
    write_file("cifs/NiO.cif", again);
    db = in_folder("set.db");
    cifs = in_folder("cifs");
    ck_assert_int_eq(bragg_cards_create(db, &set, &err), BRAGG_OK);
    ck_assert_int_eq(bragg_cards_build(set, &cifs, 1, NULL, &r, &err), BRAGG_OK);
    ck_assert_uint_eq(r.added, 1);
    ck_assert_uint_eq(r.kept, 1);
    ck_assert_uint_eq(bragg_cards_count(set), 2);
    write_file("cifs/NiO.cif", text); /* the same name, another phase */
    cifs = in_folder("cifs");
    ck_assert_int_eq(bragg_cards_build(set, &cifs, 1, NULL, &r, &err), BRAGG_OK);
    ck_assert_uint_eq(r.replaced, 1);
    ck_assert_uint_eq(bragg_cards_count(set), 2);
    bragg_card *c = card_named(set, "NiO");
    ck_assert_str_eq(c->formula, "KBi2");
    bragg_card_free(c);
    bragg_cards_free(set);
    free(text);
    free(again);
}
END_TEST

/* All cards in order, and what was left out, as one text. */
static char *all_of(const bragg_cards *set, bool (*each)(void *, const char *, const char *))
{
    char *text = NULL;
    size_t size, n;
    long long *ids;
    bragg_error err = BRAGG_ERROR_INIT;
    FILE *to = open_memstream(&text, &size);
    ck_assert_int_eq(bragg_cards_list(set, NULL, &ids, &n, &err), BRAGG_OK);
    for (size_t k = 0; k < n; k++) {
        bragg_card *c;
        ck_assert_int_eq(bragg_cards_card(set, ids[k], &c, &err), BRAGG_OK);
        fprintf(to, "%lld %s %s %s %s %u %a %a", ids[k], c->name, c->formula, c->source, c->hash, c->flags, c->density, c->rir);
        for (size_t i = 0; i < c->n_lines; i++)
            fprintf(to, " %d %d %d %a %a", c->line[i].h, c->line[i].k, c->line[i].l, c->line[i].d_ang, c->line[i].intensity);
        fputc('\n', to);
        bragg_card_free(c);
    }
    free(ids);
    ck_assert_int_eq(bragg_cards_skipped(set, each, to, &err), BRAGG_OK);
    fclose(to);
    return text;
}

static bool note_skipped(void *payload, const char *source, const char *reason)
{
    return fprintf(payload, "%s: %s\n", source, reason) > 0;
}

static void die(void *payload, int level, const char *text)
{
    (void)payload, (void)level, (void)text;
    kill(getpid(), SIGKILL);
}

/* What cannot be read is told of while its batch is being stored: there the builder dies,
 * in its third batch of 256. */
START_TEST(a_build_that_was_killed_ends_as_if_it_had_not_been)
{
    const char *csv;
    bragg_cards *set, *whole;
    bragg_cards_report r;
    bragg_error err = BRAGG_ERROR_INIT;
    char *text = whole_file(bundled_file("cif/NiO.cif"));
    mkdir(in_folder("one"), 0777);
    write_file("one/NiO.cif", text);
    csv = in_folder("many.csv");
    made_write_set(in_folder("one"), 600, csv);
    FILE *more = fopen(csv, "a");
    fputs("lost,data_nothing\n", more);
    fclose(more);
    pid_t child = fork();
    if (child == 0) {
        const bragg_observer deadly = { .log = die };
        const char *source = in_folder("many.csv");
        if (bragg_cards_create(in_folder("killed.db"), &set, NULL) == BRAGG_OK)
            bragg_cards_build(set, &source, 1, &deadly, &r, NULL);
        _exit(0);
    }
    int status;
    ck_assert(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    csv = in_folder("many.csv");
    ck_assert_int_eq(bragg_cards_create(in_folder("killed.db"), &set, &err), BRAGG_OK);
    ck_assert_uint_eq(bragg_cards_count(set), 512);
    ck_assert_msg(bragg_cards_build(set, &csv, 1, NULL, &r, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_uint_eq(r.kept, 512);
    ck_assert_uint_eq(r.added, 88);
    whole = set_of(csv, &r);
    char *a = all_of(set, note_skipped), *b = all_of(whole, note_skipped);
    ck_assert_uint_gt(strlen(a), 600 * 300);
    ck_assert_str_eq(a, b);
    free(a);
    free(b);
    free(text);
    bragg_cards_free(set);
    bragg_cards_free(whole);
}
END_TEST

/* One stored member: local header, bytes, directory, end (APPNOTE 6.3.10). */
static void write_zip(const char *path, const char *name, const char *text)
{
    unsigned char h[46] = "PK\1\2", end[22] = "PK\5\6";
    unsigned n = (unsigned)strlen(text), m = (unsigned)strlen(name), crc = (unsigned)crc32(0, (const unsigned char *)text, n);
    FILE *f = fopen(path, "wb");
    unsigned char local[30] = "PK\3\4";
    for (int k = 0; k < 4; k++) {
        local[14 + k] = h[16 + k] = (unsigned char)(crc >> 8 * k);
        local[18 + k] = local[22 + k] = h[20 + k] = h[24 + k] = (unsigned char)(n >> 8 * k);
        end[12 + k] = (unsigned char)((46 + m) >> 8 * k);
        end[16 + k] = (unsigned char)((30 + m + n) >> 8 * k);
    }
    local[26] = h[28] = (unsigned char)m;
    end[8] = end[10] = 1;
    fwrite(local, 1, 30, f);
    fwrite(name, 1, m, f);
    fwrite(text, 1, n, f);
    fwrite(h, 1, 46, f);
    fwrite(name, 1, m, f);
    fwrite(end, 1, 22, f);
    fclose(f);
}

/* The counts of a large archive, which stand in the records of Zip64 alone. */
static void widen_zip(const char *path)
{
    size_t size;
    unsigned char wide[76] = "PK\6\6";
    FILE *f = fopen(path, "rb");
    unsigned char *all = calloc(1, 1 << 16), *end;
    size = fread(all, 1, 1 << 16, f);
    fclose(f);
    end = all + size - 22;
    wide[4] = 44;
    wide[24] = wide[32] = 1;
    memcpy(wide + 40, end + 12, 4);
    memcpy(wide + 48, end + 16, 4);
    memcpy(wide + 56, "PK\6\7", 4);
    for (int k = 0; k < 4; k++)
        wide[64 + k] = (unsigned char)((size - 22) >> 8 * k);
    memset(end + 8, 0xff, 12);
    f = fopen(path, "wb");
    ck_assert_uint_eq(fwrite(all, 1, size - 22, f) + fwrite(wide, 1, 76, f) + fwrite(end, 1, 22, f), size + 76);
    fclose(f);
    free(all);
}

/* One member of ustar, gzip-compressed. */
static void write_tar(const char *path, const char *name, const char *text)
{
    char block[512] = "";
    size_t n = strlen(text);
    gzFile f = gzopen(path, "wb");
    snprintf(block, 100, "%s", name);
    snprintf(block + 124, 12, "%011o", (unsigned)n);
    block[156] = '0';
    memcpy(block + 257, "ustar", 6);
    gzwrite(f, block, 512);
    gzwrite(f, text, (unsigned)n);
    memset(block, 0, sizeof block);
    gzwrite(f, block, (unsigned)((512 - n % 512) % 512));
    gzwrite(f, block, 512);
    gzwrite(f, block, 512);
    gzclose(f);
}

/* A CIF as a field of a CSV: quotes doubled. */
static void write_csv(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    fputs("material_id,energy,cif\nmp-1,0.1,\"", f);
    for (; *text; text++)
        fputs(*text == '"' ? "\"\"" : (char[2]){ *text, 0 }, f);
    fputs("\"\nmp-2,0.2,\"data_nothing\"\n", f);
    fclose(f);
}

START_TEST(archives_and_tables_give_the_same_card_as_a_file)
{
    char *text = whole_file(bundled_file("cif/Sb2S3.cif"));
    const char *paths[4] = { in_folder("a.zip"), in_folder("a.tar.gz"), in_folder("a.csv"), in_folder("wide.zip") };
    static const char *const names[4] = { "Sb2S3", "Sb2S3", "mp-1", "Sb2S3" };
    write_zip(paths[0], "x/Sb2S3.cif", text);
    write_tar(paths[1], "x/Sb2S3.cif", text);
    write_csv(paths[2], text);
    write_zip(paths[3], "x/Sb2S3.cif", text);
    widen_zip(paths[3]);
    for (int k = 0; k < 4; k++) {
        bragg_cards_report r;
        bragg_cards *set = set_of(paths[k], &r);
        ck_assert_uint_eq(r.added, 1);
        ck_assert_uint_eq(r.skipped, k == 2); /* the second row is no structure */
        bragg_card *c = card_named(set, names[k]);
        ck_assert_str_eq(c->formula, "Sb2S3");
        ck_assert_int_eq(c->group_number, 62);
        bragg_card_free(c);
        bragg_cards_free(set);
    }
    free(text);
}
END_TEST

/* The search for a comma behind the only name went beyond the end and began again. */
START_TEST(a_table_that_is_one_name_without_an_end_has_no_card)
{
    bragg_cards_report r;
    write_file("cif.csv", "cif");
    bragg_cards *set = set_of(in_folder("cif.csv"), &r);
    ck_assert_uint_eq(r.added + r.kept, 0);
    bragg_cards_free(set);
}
END_TEST

/* A film of the instrument beside the CIFs. */
START_TEST(what_is_too_large_for_a_card_is_passed_over)
{
    bragg_cards_report r;
    char *text = whole_file(bundled_file("cif/Sb2S3.cif"));
    char *empty = calloc(1, 1 << 20), header[512] = "film.avi";
    write_tar(in_folder("second.tar.gz"), "Sb2S3.cif", text);
    gzFile from = gzopen(in_folder("second.tar.gz"), "rb"), to = gzopen(in_folder("film.tar.gz"), "wb1");
    snprintf(header + 124, 12, "%011o", 65u << 20);
    header[156] = '0';
    memcpy(header + 257, "ustar", 6);
    gzwrite(to, header, 512);
    for (int k = 0; k < 65; k++)
        gzwrite(to, empty, 1 << 20);
    for (int n; (n = gzread(from, empty, 1 << 20)) > 0;)
        gzwrite(to, empty, (unsigned)n);
    gzclose(from);
    gzclose(to);
    bragg_cards *set = set_of(in_folder("film.tar.gz"), &r);
    ck_assert_uint_eq(r.added, 1);
    ck_assert_uint_eq(r.skipped, 0);
    bragg_cards_free(set);
    free(empty);
    free(text);
}
END_TEST

/* An archive's names are names of cards only: nothing is unpacked, wherever they lead. */
START_TEST(names_in_an_archive_lead_nowhere)
{
    const char *const name[] = { "../escaped.cif", "../../escaped.cif", in_folder("escaped.cif"), "in/../../escaped.cif" };
    char *text = whole_file(bundled_file("cif/Sb2S3.cif")), beside[600];
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_path_make_folder(in_folder("deep/er"), &err), BRAGG_OK);
    for (size_t k = 0; k < sizeof name / sizeof *name; k++) {
        const char *zip = in_folder("deep/er/leads.zip");
        bragg_cards *set;
        bragg_cards_report r;
        write_zip(zip, name[k], text);
        ck_assert_int_eq(bragg_cards_create(NULL, &set, &err), BRAGG_OK);
        ck_assert_msg(bragg_cards_build(set, &zip, 1, NULL, &r, &err) == BRAGG_OK, "%s", err.text);
        ck_assert_uint_eq(r.added, 1);
        bragg_cards_free(set);
        snprintf(beside, sizeof beside, "%s/%s", in_folder("deep/er"), name[k]);
        ck_assert_msg(access(beside, F_OK) && access(name[k], F_OK), "%s was written", name[k]);
    }
    free(text);
}
END_TEST

/* user_version stands in the head of an SQLite file: https://www.sqlite.org/fileformat2.html, 1.3. */
START_TEST(a_set_of_another_version_is_told_and_left_as_it_is)
{
    static const struct { unsigned char version; const char *says; } other[] = { { 201, "expected a card set of version 1, found 201, made by a newer bragg" },
        { 0, "expected a card set of version 1, found 0, made by an older bragg" } };
    const char *db = in_folder("version.db"), *source = bundled_file("cif/Sb2S3.cif");
    bragg_cards *set;
    bragg_cards_report r;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_cards_create(db, &set, &err), BRAGG_OK);
    ck_assert_int_eq(bragg_cards_build(set, &source, 1, NULL, &r, &err), BRAGG_OK);
    bragg_cards_free(set);
    for (size_t k = 0; k < sizeof other / sizeof *other; k++) {
        const unsigned char version[4] = { 0, 0, 0, other[k].version };
        char before[BRAGG_HASH_TEXT], after[BRAGG_HASH_TEXT];
        bragg_error open = BRAGG_ERROR_INIT, create = BRAGG_ERROR_INIT;
        FILE *f = fopen(db, "r+b");
        ck_assert(f && !fseek(f, 60, SEEK_SET) && fwrite(version, 1, 4, f) == 4 && !fclose(f));
        ck_assert_int_eq(bragg_hash_file(db, before, NULL), BRAGG_OK);
        ck_assert_int_eq(bragg_cards_open(db, &set, &open), BRAGG_ENOSUPPORT);
        ck_assert_int_eq(bragg_cards_create(db, &set, &create), BRAGG_ENOSUPPORT);
        ck_assert_msg(strstr(open.text, other[k].says) && strstr(create.text, other[k].says), "%s, %s", open.text, create.text);
        ck_assert_int_eq(bragg_hash_file(db, after, NULL), BRAGG_OK);
        ck_assert_str_eq(before, after);
    }
}
END_TEST

/* Links: of a tar to somewhere else, of a folder to one above. */
START_TEST(links_are_not_followed)
{
    bragg_cards_report r;
    char *text = whole_file(bundled_file("cif/Sb2S3.cif"));
    char block[512] = "link.cif";
    gzFile f = gzopen(in_folder("link.tar.gz"), "wb");
    snprintf(block + 124, 12, "%011o", 0u);
    block[156] = '2';
    snprintf(block + 157, 100, "/etc/passwd");
    memcpy(block + 257, "ustar", 6);
    gzwrite(f, block, 512);
    memset(block, 0, sizeof block);
    gzwrite(f, block, 512);
    gzwrite(f, block, 512);
    gzclose(f);
    mkdir(in_folder("round"), 0777);
    ck_assert_int_eq(symlink("..", in_folder("round/up")), 0);
    write_file("round/Sb2S3.cif", text);
    gzFile packed = gzopen(in_folder("round/again.cif.gz"), "wb");
    gzputs(packed, text);
    gzclose(packed);
    const char *sources[2] = { in_folder("link.tar.gz"), in_folder("round") };
    bragg_cards *set;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_cards_create(NULL, &set, &err), BRAGG_OK);
    ck_assert_msg(bragg_cards_build(set, sources, 2, NULL, &r, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_uint_eq(r.added, 2);
    ck_assert_uint_eq(r.skipped, 0);
    bragg_card *c = card_named(set, "again");
    ck_assert_str_eq(c->name, "again");
    bragg_card_free(c);
    bragg_cards_free(set);
    free(text);
}
END_TEST

START_TEST(a_list_of_rhombohedral_axes_has_one_angle)
{
    write_file("Bi.jcpds", "VERSION: 4\nSYMMETRY: RHOMBOHEDRAL\nA: 4.7460\nALPHA: 57.23\nDIHKL: 3.28000, 100.0, 1, 1, 0\nDIHKL: 2.36920 40.0 1 -1 0\n");
    bragg_cards_report r;
    bragg_cards *set = set_of(in_folder("Bi.jcpds"), &r);
    bragg_card *c = card_named(set, "Bi");
    assert_close(c->cell.c, 4.7460, 1e-9);
    for (int k = 3; k < 6; k++)
        assert_close((&c->cell.a)[k], 57.23 * BRAGG_DEG, 1e-9);
    bragg_card_free(c);
    bragg_cards_free(set);
}
END_TEST

/* At 0.2 angstrom lines are seen that copper does not reach: nothing tells how strong they are. */
START_TEST(a_line_beyond_copper_has_no_intensity)
{
    const bragg_card_line near = { .d_ang = 0.7713, .intensity = 37 }, beyond = { .d_ang = 0.7513, .intensity = 37 };
    ck_assert(bragg_card_line_intensity(&near, 0.2, 0.99) > 0);
    ck_assert_msg(bragg_card_line_intensity(&beyond, 0.2, 0.99) == 0, "%g", bragg_card_line_intensity(&beyond, 0.2, 0.99));
}
END_TEST

START_TEST(lists_of_lines_become_cards)
{
    static const char jcpds[] = "VERSION: 4\nCOMMENT: Gold\nK0: 166.65\nSYMMETRY: CUBIC\nA: 4.07860\nALPHAT: 4.26e-05\nDIHKL: 2.35480, 100.0, 1, 1, 1\nDIHKL: 2.03930 52.0 2 0 0\n";
    static const char xml[] = "<?xml version=\"1.0\"?><pdfcard><pdf_data><pdf_number>00-123-4567</pdf_number><chemical_formula>Zn O</chemical_formula><iic>5.4</iic>"
                              "<xstal_system>Hexagonal</xstal_system><spgr>P63mc (186)</spgr><xtla>3.2498</xtla><xtlb/><xtlc>5.2066</xtlc></pdf_data><graphs><stick_series>"
                              "<intensity><theta>31.77</theta><da>2.81430</da><intensity>57</intensity><h>1</h><k>0</k><l>0</l></intensity>"
                              "<intensity><theta>36.25</theta><da>2.47592</da><intensity>100m</intensity><h>1</h><k>0</k><l>1</l></intensity>"
                              "<intensity><da>2.1</da><intensity>&lt;1</intensity></intensity></stick_series></graphs></pdfcard>";
    static const char list[] = "# name: phase X\n# formula: K3BiSnSb\n# wavelength: 1.540598\nd(A),I/I0,h,k,l\n3.1201,100,2,2,0\n5.077,22,1,1,1\n";
    write_file("Au.jcpds", jcpds);
    write_file("zno.xml", xml);
    write_file("x.csv", list);
    const char *paths[3] = { in_folder("Au.jcpds"), in_folder("zno.xml"), in_folder("x.csv") };
    static const struct { const char *name, *formula; size_t lines; double first, rir; } want[3] = {
        { "Au", "Au", 2, 2.3548, NAN }, { "zno", "Zn O", 3, 2.8143, 5.4 }, { "phase X", "K3BiSnSb", 2, 5.077, NAN } };
    for (int k = 0; k < 3; k++) {
        bragg_cards_report r;
        bragg_cards *set = set_of(paths[k], &r);
        bragg_card *c = card_named(set, want[k].name);
        ck_assert_str_eq(c->formula, want[k].formula);
        ck_assert_uint_eq(c->n_lines, want[k].lines);
        assert_close(c->line[0].d_ang, want[k].first, 1e-6);
        ck_assert_int_eq(isnan(c->rir), isnan(want[k].rir));
        ck_assert(c->flags & BRAGG_CARD_LIST);
        ck_assert_int_eq(c->has_structure, false);
        bragg_card_free(c);
        bragg_cards_free(set);
    }
}
END_TEST

/* As Jade saves a card of the Powder Diffraction File. */
START_TEST(a_card_saved_as_text_is_read)
{
    static const char text[] = "PDF#35-0517: QM=Star; d=Diffractometer; I=Diffractometer\r\nAntimony Bismuth\r\nBi Sb\r\n"
                               "Radiation=CuKa1\tLambda=1.5406\tFilter=Ni\r\nCalibration=Internal\t2T=22.2-89.9\tI/Ic(RIR)=4.25\r\n"
                               "Ref: Natl. Bur. Stand. (U.S.) Monogr. 25, (18) 1981\r\nHexagonal, R-3m (166)\tZ=3\r\n"
                               "CELL: 4.4517 x 4.4517 x 11.713 < 90.0 x 90.0 x 120.0 >\tP.S=hR2\r\nDensity(c)=8.2 Density(m)= Mwt=330.7 Vol=201\r\n"
                               "Strong Lines: 3.21/X 2.34/4\r\n\r\n2-Theta\td(A)\tI(f)\t( h k l)\tTheta\t1/(2d)\t2pi/d\tn^2\r\n"
                               "27.718\t3.2158\t100.0\t( 0 1 2)\t13.859\t0.1555\t1.9539\t\r\n38.479  2.3377  38  ( 1 0 4) 19.240 0.2139 2.6878\r\n"
                               "62.9 1.4764 <1 ( 1 1 -6)\r\n";
    write_file("bisb.txt", text);
    bragg_cards_report r;
    bragg_cards *set = set_of(in_folder("bisb.txt"), &r);
    bragg_card *c = card_named(set, "35-0517");
    ck_assert_str_eq(c->formula, "Bi Sb");
    ck_assert_str_eq(c->note, "Antimony Bismuth");
    ck_assert_str_eq(c->space_group, "R-3m");
    ck_assert_int_eq(c->group_number, 166);
    assert_close(c->rir, 4.25, 1e-6);
    assert_close(c->cell.c, 11.713, 1e-9);
    assert_close(c->cell.gamma, 120 * BRAGG_DEG, 1e-9);
    ck_assert_uint_eq(c->n_lines, 3);
    assert_close(c->line[1].d_ang, 2.3377, 1e-3);
    assert_close(c->line[1].intensity, 38, 1e-2);
    ck_assert_int_eq(c->line[2].l, -6);
    bragg_card_free(c);
    bragg_cards_free(set);
    write_file("cut.txt", "PDF#1\na\nb\nc, (Z="); /* ends in the middle */
    set = set_of(in_folder("cut.txt"), &r);
    ck_assert_uint_eq(r.skipped, 1);
    bragg_cards_free(set);
}
END_TEST

/* Columns of the text form of PDF-2, put together by place. */
static void put(char *line, int column, const char *text) { memcpy(line + column - 1, text, strlen(text)); }

static void put_pdf2_card(const char *number, const char *c_edge, char *all)
{
    char lines[5][82];
    for (int k = 0; k < 5; k++) {
        memset(lines[k], ' ', 80);
        put(lines[k], 73, number);
        lines[k][80] = '\n';
        lines[k][81] = 0;
        lines[k][79] = "1468I"[k];
    }
    put(lines[0], 1, "4.5400   4.5400           90.00   90.00  120.00 ");
    put(lines[0], 19, c_edge);
    put(lines[1], 1, "R-3m");
    put(lines[1], 12, "166");
    put(lines[2], 1, "Antimony Bismuth");
    put(lines[3], 1, "Bi Sb");
    put(lines[4], 1, " 3.2300100   1  2");
    put(lines[4], 18, "  0");
    put(lines[4], 24, " 2.3100 35   1  0  4");
    for (int k = 0; k < 5; k++)
        strcat(all, lines[k]);
}

START_TEST(cards_of_eighty_columns_are_read_by_place)
{
    char all[840] = "";
    put_pdf2_card("350517", "11.8500  ", all);
    put_pdf2_card("350518", "11.7913  ", all);
    for (int several = 0; several < 2; several++) {
        bragg_cards_report r;
        write_bytes(in_folder("bisb.aid"), all, several ? strlen(all) : strlen(all) / 2);
        bragg_cards *set = set_of(in_folder("bisb.aid"), &r);
        ck_assert_uint_eq(r.added, several ? 2 : 1);
        bragg_card *c = card_named(set, several ? "35-0518" : "35-0517");
        ck_assert_uint_eq(c->n_lines, 2);
        ck_assert_uint_eq(c->n_elements, 2);
        ck_assert_int_eq(c->group_number, 166);
        assert_close(c->line[1].intensity, 35, 1e-3);
        assert_close(c->cell.c, several ? 11.7913 : 11.85, 1e-12);
        bragg_card_free(c);
        bragg_cards_free(set);
    }
}
END_TEST

START_TEST(what_is_no_set_is_refused)
{
    bragg_cards *c;
    bragg_error err = BRAGG_ERROR_INIT;
    write_file("no.db", "this is no database, and long enough to have a header of one hundred bytes, which SQLite looks at first of all, always");
    ck_assert(bragg_cards_open(in_folder("no.db"), &c, &err) < 0 && *err.text);
    err = (bragg_error)BRAGG_ERROR_INIT;
    ck_assert(bragg_cards_open(in_folder("absent.db"), &c, &err) < 0 && *err.text);
    err = (bragg_error)BRAGG_ERROR_INIT;
    ck_assert(bragg_cards_find_set(in_folder("nothing*"), NULL, &c, &err) < 0 && *err.text);
}
END_TEST

START_TEST(a_set_that_cannot_be_written_says_what_is_in_its_way)
{
    static const struct { const char *path, *says; bragg_status status; } cases[] = {
        { "nowhere/set.db", "set.db': cannot write here: the folder is not there", BRAGG_EIO },
        { "in-the-way/set.db", "in-the-way' is a file, expected a folder", BRAGG_EIO },
        { "", "expected a file name, found a folder", BRAGG_EINVAL },
    };
    write_file("in-the-way", "a file");
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        bragg_cards *c;
        bragg_error err = BRAGG_ERROR_INIT;
        ck_assert_int_eq(bragg_cards_create(in_folder(cases[k].path), &c, &err), cases[k].status);
        ck_assert_msg(strstr(err.text, cases[k].says) != NULL, "%s", err.text);
    }
    bragg_cards *c;
    bragg_error err = BRAGG_ERROR_INIT;
    ck_assert_int_eq(bragg_cards_create("/proc/bragg-set.db", &c, &err), BRAGG_EIO);
    ck_assert_msg(!strncmp(err.text, "'/proc/bragg-set.db': cannot write here: ", 40), "%s", err.text);
}
END_TEST

START_TEST(lists_obey_names_numbers_and_elements)
{
    bragg_cards *set = bundled();
    const unsigned char bi_k[] = { 83, 19 }, bi[] = { 83 };
    bragg_cards_filter f[] = { { .text = "K3Bi*" }, { .may = bi_k, .n_may = 2 }, { .must = bi_k, .n_must = 2, .not = bi, .n_not = 1 }, { .text = "COD 9007498" } };
    static const size_t want[] = { 3, 8, 0, 1 };
    for (int k = 0; k < 4; k++) {
        long long *ids;
        size_t n;
        bragg_error err = BRAGG_ERROR_INIT;
        ck_assert_int_eq(bragg_cards_list(set, &f[k], &ids, &n, &err), BRAGG_OK);
        ck_assert_msg(n == want[k], "%d: %zu", k, n);
        free(ids);
    }
    bragg_cards_free(set);
}
END_TEST

/* ------------------------------------------------------------- identify */

static bragg_identification *identify(const bragg_cards *cards, const bragg_pattern *p, double wavelength_ang)
{
    bragg_identify_options o = BRAGG_IDENTIFY_OPTIONS_INIT;
    bragg_identification *r;
    bragg_error err = BRAGG_ERROR_INIT;
    o.radiation = (bragg_radiation){ .n_lines = 1, .wavelength_ang = { wavelength_ang }, .ratio = { 1 }, .polarization = 0.5 };
    ck_assert_msg(bragg_identify(cards, p, &o, &r, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_uint_ge(r->n, 1);
    return r;
}

/* The phases of the first answer joined by "+"; "" without the file. */
static void first_answer(const char *file, double wavelength_ang, char *out, size_t size, double fraction[4])
{
    char path[512];
    bragg_pattern *p;
    bragg_error err = BRAGG_ERROR_INIT;
    *out = 0;
    if (!shared_file(path, file)) {
        printf("skipped: no %s\n", path);
        return;
    }
    ck_assert_msg(bragg_pattern_read(path, 0, &p, &err) == BRAGG_OK, "%s", err.text);
    bragg_cards *cards = bundled();
    bragg_identification *r = identify(cards, p, wavelength_ang);
    for (size_t k = 0; k < r->hypothesis[0].n; k++) {
        snprintf(out + strlen(out), size - strlen(out), "%s%s", k ? "+" : "", r->hypothesis[0].phase[k].name);
        fraction[k] = r->hypothesis[0].phase[k].fraction.value;
    }
    printf("%s: %s, score %.2f\n", file, out, r->hypothesis[0].score);
    fflush(stdout);
    bragg_identification_free(r);
    bragg_cards_free(cards);
    bragg_pattern_free(p);
}

/* Austenite and ferrite strained in a beam, one or two hundredths of ceria glued on: on
 * an image plate, calibrated on its ceria, integrated here. */
static bragg_pattern *steel_with_ceria(void)
{
    bragg_geometry g = { .distance_m = 1.118795, .poni1_m = 0.1748552, .poni2_m = 0.1948155, .rot1_rad = 0.0234161, .rot2_rad = -0.0029496, .pixel_slow_m = 150e-6,
                         .pixel_fast_m = 150e-6, .wavelength_ang = 0.12398, .orientation = 3 };
    bragg_plan_options o = BRAGG_PLAN_OPTIONS_INIT;
    char path[512];
    bragg_frame *f;
    bragg_plan *plan;
    bragg_pattern *p;
    bragg_error err = BRAGG_ERROR_INIT;
    if (!shared_file(path, "data/frames/nx09_strain_011.mar2300")) {
        printf("skipped: no %s\n", path);
        return NULL;
    }
    ck_assert_msg(bragg_frame_read(path, 0, &f, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_plan_new(&g, f->height, f->width, NULL, &o, &plan, &err) == BRAGG_OK, "%s", err.text);
    ck_assert_msg(bragg_plan_integrate(plan, f, NULL, NULL, &p, &err) == BRAGG_OK, "%s", err.text);
    bragg_plan_free(plan);
    bragg_frame_free(f);
    return p;
}

/* Its strongest line is a fortieth of the steel's, and zinc blende has the same cell to
 * 0.04 %: the second and weaker lines must count. */
START_TEST(a_little_ceria_in_steel_is_told_from_zinc_blende)
{
    bragg_pattern *p = steel_with_ceria();
    if (!p)
        return;
    bragg_cards *cards = bundled();
    bragg_identification *r = identify(cards, p, 0.12398);
    const bragg_hypothesis *h = &r->hypothesis[0];
    bool found[3] = { false };
    for (size_t k = 0; k < h->n; k++) {
        found[0] = found[0] || !strcmp(h->phase[k].name, "Fe_fcc");
        found[1] = found[1] || !strcmp(h->phase[k].name, "Fe_bcc");
        found[2] = found[2] || !strcmp(h->phase[k].name, "CeO2");
    }
    ck_assert_uint_eq(h->n, 3);
    ck_assert(found[0] && found[1] && found[2]);
    size_t pairs = 0;
    for (size_t k = 1; k < r->n; k++) /* two fractions are 1: of both the same is known */
        if (r->hypothesis[k].n == 2 && isfinite(r->hypothesis[k].phase[0].fraction.esd)) {
            assert_close(r->hypothesis[k].phase[0].fraction.esd, r->hypothesis[k].phase[1].fraction.esd, 1e-9);
            pairs++;
        }
    ck_assert_uint_gt(pairs, 0);
    bragg_identification_free(r);
    bragg_cards_free(cards);
    bragg_pattern_free(p);
}
END_TEST

START_TEST(ceria_is_named_from_a_synchrotron_pattern)
{
    char found[200];
    double w[4];
    first_answer("data/frames/CeO2_Pilatus1M.xy", 0.4066, found, sizeof found, w);
    ck_assert_msg(!*found || !strcmp(found, "CeO2"), "%s", found);
}
END_TEST

/* To d = 0.25 angstrom, where cards end at 0.8: those of larger cells had a line more. */
START_TEST(what_lies_beyond_the_cards_does_not_count)
{
    char found[200];
    double w[4];
    first_answer("data/pdf/Ni/Ni.chi", 0.1835957, found, sizeof found, w);
    ck_assert_msg(!*found || !strcmp(found, "Ni"), "%s", found);
}
END_TEST

/* Weighed mixtures: their names are their contents; the round robin's are not told
 * that their tube has a doublet. */
START_TEST(weighed_mixtures_are_named_among_all_cards)
{
    static const struct { const char *file, *a, *b, *c; } cases[] = {
        { "data/mixtures/cpd-1g.prn", "Al2O3", "ZnO", "CaF2" },
        { "data/mixtures/NiO_0p6007-Bi2O3_0p4008--8min.xrdml", "NiO", "Bi2O3_alpha", NULL },
        { "data/mixtures/V2O5_0p3005-NiO_0p4020-TiO2_0p3020--8min.xrdml", "V2O5", "NiO", "TiO2_anatase" },
        { "data/mixtures/In2O3_0p5002-MnCO3_0p5000--8min.xrdml", "In2O3", "MnCO3", NULL },
        { "data/mixtures/NiO_0p7028-La(OH)3_0p1010-ZnO_0p2000--8min.xrdml", "NiO", "LaOH3", "ZnO" } };
    size_t n = sizeof cases / sizeof *cases;
#ifdef BRAGG_SANITIZE
    n = 1; /* ten times slower, and all the same code */
#endif
    for (size_t k = 0; k < n; k++) {
        char found[200];
        double w[4];
        first_answer(cases[k].file, 1.540598, found, sizeof found, w);
        if (!*found)
            return;
        size_t phases = 1;
        for (const char *c = found; *c; c++)
            phases += *c == '+';
        ck_assert_msg(strstr(found, cases[k].a) && strstr(found, cases[k].b) && (!cases[k].c || strstr(found, cases[k].c)), "%s", found);
        ck_assert_uint_eq(phases, cases[k].c ? 3 : 2);
        if (k == 0) /* weighed 0.3137 0.3421 0.3442 */
            for (int i = 0; i < 3; i++)
                ck_assert_msg(w[i] > 0.29 && w[i] < 0.37, "%s: %g", found, w[i]);
    }
}
END_TEST

static double noise(unsigned long long *seed)
{
    double sum = -6;
    for (int k = 0; k < 12; k++) {
        *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
        sum += (double)(*seed >> 11) / 9007199254740992.0;
    }
    return sum;
}

/* Counts over 10 to 90 degrees: noise, with or without the hump of a glass. */
START_TEST(noise_and_a_glass_are_no_phase)
{
    unsigned long long seed = 4711;
    bragg_cards *cards = bundled();
    for (int glass = 0; glass < 2; glass++) {
        bragg_pattern *p = bragg_pattern_new(4000, BRAGG_AXIS_TTH);
        for (size_t i = 0; i < p->n; i++) {
            double x = 10 + 0.02 * (double)i, y = 180 + glass * 2400 * exp(-0.5 * pow((x - 23.4) / 4.1, 2));
            p->x[i] = x * BRAGG_DEG;
            p->sigma[i] = sqrt(y);
            p->y[i] = y + p->sigma[i] * noise(&seed);
        }
        bragg_identification *r = identify(cards, p, 1.540598);
        ck_assert_uint_eq(r->hypothesis[0].n, 0);
        bragg_identification_free(r);
        bragg_pattern_free(p);
    }
    bragg_cards_free(cards);
}
END_TEST

/* Lines as wide as those of crystallites of some 15 nm: what is added, a mean over 29
 * points twice; the ends are left out. */
static void add_blurred(bragg_pattern *to, const bragg_pattern *p, double factor)
{
    enum { HALF = 14, FROM = 90 };
    for (size_t i = 0; i < to->n; i++) {
        to->x[i] = p->x[i + FROM + 2 * HALF];
        for (size_t k = 0; k <= 4 * HALF; k++)
            to->y[i] += factor * p->y[i + FROM + k] * (2 * HALF + 1 - fabs((double)k - 2 * HALF)) / pow(2 * HALF + 1, 2);
    }
}

/* An electrode half of which is amorphous: what the hump leaves below the wide lines is
 * no reason to doubt the phases. */
START_TEST(wide_lines_are_named_above_the_hump_of_what_is_amorphous)
{
    static const char *const names[2] = { "KV5S8", "Sb" };
    bragg_cards *cards = bundled();
    made_seed seed = 1702;
    bragg_pattern *p = bragg_pattern_new(3900, BRAGG_AXIS_TTH);
    for (int k = 0; k < 2; k++) {
        bragg_card *c = card_named(cards, names[k]);
        bragg_structure *s;
        bragg_error err = BRAGG_ERROR_INIT;
        ck_assert_int_eq(bragg_cards_structure(cards, c->id, &s, &err), BRAGG_OK);
        bragg_pattern *one = made_pattern(s, 0.0007, 1, &seed);
        add_blurred(p, one, k ? 0.45 : 1.3);
        bragg_pattern_free(one);
        bragg_structure_free(s);
        bragg_card_free(c);
    }
    for (size_t i = 0; i < p->n; i++) {
        double y = p->y[i] + 90 + 390 * exp(-0.5 * pow((p->x[i] / BRAGG_DEG - 28.3) / 4.2, 2));
        p->sigma[i] = sqrt(y);
        p->y[i] = y + p->sigma[i] * made_gauss(&seed);
    }
    bragg_identification *r = identify(cards, p, 1.540598);
    const bragg_hypothesis *h = &r->hypothesis[0];
    ck_assert_msg(h->n == 2, "%s alone, score %g", h->n ? h->phase[0].name : "none", h->score);
    ck_assert_msg(!strcmp(h->phase[0].name, "KV5S8") && !strcmp(h->phase[1].name, "Sb"), "%s, %s", h->phase[0].name, h->phase[1].name);
    ck_assert_msg(h->score > 0.7, "score %g", h->score);
    bragg_identification_free(r);
    bragg_pattern_free(p);
    bragg_cards_free(cards);
}
END_TEST

/* Half a millimetre too low: 0.23 degrees at low angles. */
START_TEST(a_sample_beside_the_axis_is_no_strained_one)
{
    static const char *const names[2] = { "NiO", "Bi2O3_alpha" };
    bragg_cards *cards = bundled();
    made_seed seed = 29;
    bragg_pattern *p = NULL;
    for (int k = 0; k < 2; k++) {
        bragg_card *c = card_named(cards, names[k]);
        bragg_structure *s;
        bragg_error err = BRAGG_ERROR_INIT;
        ck_assert_int_eq(bragg_cards_structure(cards, c->id, &s, &err), BRAGG_OK);
        bragg_pattern *one = made_pattern(s, 0, 1, &seed);
        for (size_t i = 0; p && i < p->n; i++)
            p->y[i] += one->y[i];
        if (p)
            bragg_pattern_free(one);
        p = p ? p : one;
        bragg_structure_free(s);
        bragg_card_free(c);
    }
    for (size_t i = 0; i < p->n; i++) {
        p->x[i] -= 0.23 * BRAGG_DEG * cos(p->x[i] / 2);
        p->sigma[i] = sqrt(p->y[i]);
    }
    bragg_identification *r = identify(cards, p, 1.540598);
    const bragg_hypothesis *h = &r->hypothesis[0];
    ck_assert_uint_eq(h->n, 2);
    for (size_t k = 0; k < 2; k++) {
        ck_assert_msg(!strcmp(h->phase[k].name, names[0]) || !strcmp(h->phase[k].name, names[1]), "%s", h->phase[k].name);
        ck_assert_msg(fabs(h->phase[k].strain) < 5e-4, "%s: strain %g", h->phase[k].name, h->phase[k].strain);
    }
    bragg_identification_free(r);
    bragg_pattern_free(p);
    bragg_cards_free(cards);
}
END_TEST

/* Bismuth and antimony, or bismuth's structure with the cell between. */
START_TEST(a_solid_solution_is_told_from_two_phases)
{
    bragg_cards *cards = bundled();
    made_seed seed = 12;
    bragg_pattern *p[2];
    static const char *const names[2] = { "Bi", "Sb" };
    for (int k = 0; k < 2; k++) {
        bragg_card *c = card_named(cards, names[k]);
        bragg_structure *s;
        bragg_error err = BRAGG_ERROR_INIT;
        ck_assert_int_eq(bragg_cards_structure(cards, c->id, &s, &err), BRAGG_OK);
        p[k] = made_pattern(s, 0, 1, &seed);
        if (k == 0) {
            bragg_pattern *between = made_pattern(s, -0.0262, 1, &seed);
            bragg_identification *r = identify(cards, between, 1.540598);
            ck_assert_uint_eq(r->hypothesis[0].n, 1);
            const char *remark = r->hypothesis[0].phase[0].remark;
            ck_assert_msg(remark && strstr(remark, "one solid solution explains more"), "%s", remark ? remark : "nothing");
            bragg_identification_free(r);
            bragg_pattern_free(between);
        }
        bragg_structure_free(s);
        bragg_card_free(c);
    }
    for (size_t i = 0; i < p[0]->n; i++) {
        p[0]->y[i] += p[1]->y[i];
        p[0]->sigma[i] = sqrt(p[0]->y[i]);
    }
    bragg_identification *r = identify(cards, p[0], 1.540598);
    ck_assert_uint_eq(r->hypothesis[0].n, 2);
    const char *remark = r->hypothesis[0].phase[0].remark;
    ck_assert_msg(remark && strstr(remark, "two phases, one cell between"), "%s", remark ? remark : "nothing");
    bragg_identification_free(r);
    bragg_pattern_free(p[0]);
    bragg_pattern_free(p[1]);
    bragg_cards_free(cards);
}
END_TEST

START_TEST(without_a_wavelength_nothing_is_guessed)
{
    bragg_identify_options o = BRAGG_IDENTIFY_OPTIONS_INIT;
    bragg_identification *r;
    bragg_error err = BRAGG_ERROR_INIT;
    bragg_cards *cards;
    bragg_pattern *p = bragg_pattern_new(100, BRAGG_AXIS_TTH);
    ck_assert_int_eq(bragg_cards_create(NULL, &cards, &err), BRAGG_OK);
    ck_assert_int_eq(bragg_identify(cards, p, &o, &r, &err), BRAGG_EINVAL);
    bragg_pattern_free(p);
    bragg_cards_free(cards);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cards");
    TCase *all = tcase_create("all");
    make_folder("cards");
    tcase_set_timeout(all, 280);
    tcase_add_test(all, a_calibrant_has_the_lines_that_rings_are_known_by);
    tcase_add_test(all, a_calibrant_away_from_its_temperature_is_stretched_or_refused);
    tcase_add_test(all, a_card_keeps_the_lines_of_its_structure);
    tcase_add_test(all, a_structure_comes_back_from_the_set_as_it_went_in);
    tcase_add_test(all, cards_say_what_is_wrong_with_their_structures);
    tcase_add_test(all, a_structure_unpacked_as_a_cif_is_the_same);
    tcase_add_test(all, indices_are_those_that_people_write);
    tcase_add_test(all, reference_intensity_ratios_are_those_of_the_literature);
    tcase_add_test(all, a_build_goes_on_where_it_was_and_notes_what_it_cannot_read);
    tcase_add_test(all, a_build_that_was_killed_ends_as_if_it_had_not_been);
    tcase_add_test(all, archives_and_tables_give_the_same_card_as_a_file);
    tcase_add_test(all, a_table_that_is_one_name_without_an_end_has_no_card);
    tcase_add_test(all, what_is_too_large_for_a_card_is_passed_over);
    tcase_add_test(all, links_are_not_followed);
    tcase_add_test(all, a_list_of_rhombohedral_axes_has_one_angle);
    tcase_add_test(all, a_line_beyond_copper_has_no_intensity);
    tcase_add_test(all, lists_of_lines_become_cards);
    tcase_add_test(all, a_card_saved_as_text_is_read);
    tcase_add_test(all, names_in_an_archive_lead_nowhere);
    tcase_add_test(all, a_set_of_another_version_is_told_and_left_as_it_is);
    tcase_add_test(all, cards_of_eighty_columns_are_read_by_place);
    tcase_add_test(all, what_is_no_set_is_refused);
    tcase_add_test(all, a_set_that_cannot_be_written_says_what_is_in_its_way);
    tcase_add_test(all, lists_obey_names_numbers_and_elements);
    tcase_add_test(all, ceria_is_named_from_a_synchrotron_pattern);
    tcase_add_test(all, a_little_ceria_in_steel_is_told_from_zinc_blende);
    tcase_add_test(all, what_lies_beyond_the_cards_does_not_count);
    tcase_add_test(all, weighed_mixtures_are_named_among_all_cards);
    tcase_add_test(all, noise_and_a_glass_are_no_phase);
    tcase_add_test(all, wide_lines_are_named_above_the_hump_of_what_is_amorphous);
    tcase_add_test(all, a_sample_beside_the_axis_is_no_strained_one);
    tcase_add_test(all, a_solid_solution_is_told_from_two_phases);
    tcase_add_test(all, without_a_wavelength_nothing_is_guessed);
    suite_add_tcase(suite, all);
    int failed = run_suite(suite);
    return drop_folder() && !failed ? 0 : 1;
}
