/* SPDX-License-Identifier: GPL-3.0-or-later */
/* patterns */
#include "config.h"
#include "figure.h"
