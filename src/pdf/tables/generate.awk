# SPDX-License-Identifier: GPL-3.0-or-later
# Covalent radii, a row an element, to C.
BEGIN { FS = "\t"; print "static const double covalent_radius_ang[] = { 0," }
/^#/ { next }
$2 != ++z { print "covalent radii: expected Z = " z ", found " $2 >"/dev/stderr"; exit 1 }
{ printf "    %s, /* %s */\n", $3, $1 }
END { print "};" }
