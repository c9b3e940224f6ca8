/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_CIF_FAULT_H
#define BASE_CIF_FAULT_H

#include <cif.h>
#include <stddef.h>

/* Where a CIF breaks its syntax, in words.  Files in the wild have small faults that the
 * parser steps over: they are counted, and the first is kept to be told. */
typedef struct cif_fault {
    size_t n;             /* how many there were */
    int code;             /* cif_api's, of the first */
    size_t line, column;  /* where it was noticed, from 1 on */
    char found[64];       /* the text there, UTF-8; "" */
} cif_fault;

enum { CIF_FAULT_TEXT = 400 };

#pragma GCC visibility push(hidden)
/* cif_api's callback: data is a cif_fault.  The parse goes on. */
int bragg_cif_fault_note(int code, size_t line, size_t column, const UChar *text, size_t length, void *data);
/* "line 3, column 1: found a value without a data name ('4.15'), expected …"; returns text. */
const char *bragg_cif_fault_tell(const cif_fault *f, char text[CIF_FAULT_TEXT]);
/* What cif_parse() gave up for. */
const char *bragg_cif_fault_cause(int code);
#pragma GCC visibility pop

#endif
