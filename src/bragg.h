/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Everything of libbragg.  What is not under <bragg/> is not API. */
#ifndef BRAGG_H
#define BRAGG_H

#include <bragg/error.h>
#include <bragg/number.h>
#include <bragg/units.h>

#endif
