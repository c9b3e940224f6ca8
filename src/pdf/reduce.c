/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Intensities to S(Q), F(Q) and G(r). */
#include "config.h"
#include <bragg/pdf.h>
