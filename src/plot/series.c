/* SPDX-License-Identifier: GPL-3.0-or-later */
/* series */
#include "config.h"
#include "figure.h"
