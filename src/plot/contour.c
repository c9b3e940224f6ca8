/* SPDX-License-Identifier: GPL-3.0-or-later */
/* contour */
#include "config.h"
#include "figure.h"
