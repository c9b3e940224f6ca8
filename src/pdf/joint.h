/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PDF_JOINT_H
#define PDF_JOINT_H

#include <bragg/arena.h>
#include <bragg/pdf.h>
#include <bragg/refine.h>

/* Powder patterns beside G(r) in one fit: a whole-pattern model whose rows stand in the
 * study's table, those of the same name once. */
typedef struct patterns {
    bragg_model *model;          /* NULL: none */
    size_t n;
    const char **name;
    size_t *row;                 /* of the table, of each row of the model's */
    ptrdiff_t *column;
    double *weight;
    bragg_lsq_layout layout;     /* of the model's rows */
} patterns;

#pragma GCC visibility push(hidden) /* shared by the files of this folder only */

void bragg_pdf_patterns_free(patterns *p);
/* The model's rows into the table: what has a name there already is one and the same. */
bragg_status bragg_pdf_patterns_merge(patterns *p, bragg_params *table, bragg_arena *arena, bragg_error *err);
/* The selected rows by the patterns alone, stage by stage, to start from. */
bragg_status bragg_pdf_patterns_start(patterns *p, bragg_params *table, const bragg_observer *observer, bragg_error *err);
/* As the functions of a bragg_lsq_problem, for the study's table and layout. */
bragg_status bragg_pdf_patterns_prepare(patterns *p, const bragg_params *table, const bragg_lsq_layout *layout, bragg_error *err);
bragg_status bragg_pdf_patterns_residuals(const patterns *p, size_t first, size_t last, double *r, double *jacobian, bragg_error *err);
size_t bragg_pdf_patterns_count(const patterns *p, size_t *padding);
/* J'J of the last preparation is added to h[m m] and noise[m m]. */
bragg_status bragg_pdf_patterns_normal(const patterns *p, size_t m, double *h, double *noise, bragg_error *err);
bragg_status bragg_pdf_patterns_show(patterns *p, const bragg_params *table, bragg_pdf_fit *f, bragg_error *err);

#pragma GCC visibility pop

#endif
