/* SPDX-License-Identifier: GPL-3.0-or-later */
/* .iq .sq .fq .gr files. */
#include "config.h"
#include <bragg/pdf.h>
