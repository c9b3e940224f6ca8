/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Small things written into HDF5. */
#include "config.h"

#ifdef HAVE_HDF5

#include "hdf5_put.h"

#include <string.h>

hid_t bragg_hdf5_new_set(void)
{
    hid_t how = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(how, false);
    return how;
}

hid_t bragg_hdf5_text_type(size_t size)
{
    hid_t t = H5Tcopy(H5T_C_S1);
    H5Tset_size(t, size ? size : 1);
    H5Tset_strpad(t, H5T_STR_NULLTERM);
    H5Tset_cset(t, H5T_CSET_UTF8);
    return t;
}

bool bragg_hdf5_put_attribute(hid_t at, const char *name, hid_t type, hsize_t n, const void *value)
{
    hid_t space = n ? H5Screate_simple(1, &n, NULL) : H5Screate(H5S_SCALAR);
    hid_t a = H5Acreate2(at, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    bool good = a >= 0 && H5Awrite(a, type, value) >= 0;
    H5Aclose(a);
    H5Sclose(space);
    return good;
}

bool bragg_hdf5_put_text_attribute(hid_t at, const char *name, const char *text)
{
    hid_t type = bragg_hdf5_text_type(strlen(text) + 1);
    bool good = bragg_hdf5_put_attribute(at, name, type, 0, text);
    H5Tclose(type);
    return good;
}

bool bragg_hdf5_put_group(hid_t file, const char *path, const char *class)
{
    hid_t g = H5Gcreate2(file, path, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    bool good = g >= 0 && bragg_hdf5_put_text_attribute(g, "NX_class", class);
    H5Gclose(g);
    return good;
}

bool bragg_hdf5_put(hid_t file, const char *path, hid_t type, hsize_t n, const void *value, const char *units, const char *long_name)
{
    hid_t space = n ? H5Screate_simple(1, &n, NULL) : H5Screate(H5S_SCALAR), how = bragg_hdf5_new_set();
    hid_t set = H5Dcreate2(file, path, type, space, H5P_DEFAULT, how, H5P_DEFAULT);
    H5Pclose(how);
    bool good = set >= 0 && H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, value) >= 0;
    good = good && (!units || bragg_hdf5_put_text_attribute(set, "units", units)) && (!long_name || bragg_hdf5_put_text_attribute(set, "long_name", long_name));
    H5Dclose(set);
    H5Sclose(space);
    return good;
}

bool bragg_hdf5_put_text(hid_t file, const char *path, const char *text)
{
    hid_t type = bragg_hdf5_text_type(strlen(text) + 1);
    bool good = bragg_hdf5_put(file, path, type, 0, text, NULL, NULL);
    H5Tclose(type);
    return good;
}

bool bragg_hdf5_put_number(hid_t file, const char *path, double value, const char *units)
{
    return bragg_hdf5_put(file, path, H5T_NATIVE_DOUBLE, 0, &value, units, NULL);
}

#endif
