/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `bragg COMMAND`: the table of commands and the way into them. */
#include "config.h"
#include "cli.h"

#include <cairo.h>
#include <errno.h>
#include <fcntl.h>
#include <gsl/gsl_version.h>
#include <pango/pango.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <tiffio.h>

#ifdef HAVE_HDF5
#include <hdf5.h>
#define WITH_HDF5 "HDF5"
#else
#define WITH_HDF5 "no HDF5"
#endif
#ifdef HAVE_CBF
#define WITH_CBF "CBFlib"
#else
#define WITH_CBF "no CBFlib"
#endif
#ifdef HAVE_XYLIB
#define WITH_XYLIB "xylib"
#else
#define WITH_XYLIB "no xylib"
#endif
#ifdef HAVE_UPLOT
#define WITH_UPLOT "uPlot"
#else
#define WITH_UPLOT "no uPlot"
#endif
#ifdef HAVE_LIBMICROHTTPD
#define WITH_SERVER "libmicrohttpd"
#else
#define WITH_SERVER "no libmicrohttpd"
#endif
#ifdef HAVE_MPI
#define WITH_MPI "MPI"
#else
#define WITH_MPI "no MPI"
#endif

static const cli_command *const commands[] = { &cli_calibrate, &cli_integrate, &cli_identify, &cli_index, &cli_cards, &cli_refine, &cli_operando, &cli_report, &cli_serve, &cli_pdf, &cli_simulate, &cli_demo, &cli_convert, &cli_plot, &cli_sources };
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static void print_usage(FILE *to)
{
    fprintf(to, "usage: bragg COMMAND …\n\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(to, "  %-12s %s\n", commands[i]->name, commands[i]->summary);
    fprintf(to, "\nbragg COMMAND --help says more; bragg --version what was built in.\n");
}

static void print_version(void)
{
    printf("bragg %s\n", PACKAGE_VERSION);
    printf("GSL %s, %.22s, Cairo %s, Pango %s, Jansson %s, OpenMP with %d threads\n", gsl_version, TIFFGetVersion(), cairo_version_string(),
           pango_version_string(), JANSSON_VERSION, bragg_thread_count());
    printf("SQLite %s, cfitsio, spglib, xraylib, cif_api, libxml2, libyaml, zlib, xxHash\n", sqlite3_libversion());
    printf("optional: %s, %s, %s, %s, %s, %s\n", WITH_HDF5, WITH_CBF, WITH_XYLIB, WITH_UPLOT, WITH_SERVER, WITH_MPI);
    printf("GPL-3.0-or-later; the cards of the Materials Project are CC BY 4.0\n");
}

static int unknown_command(const char *name)
{
    const char *names[N_COMMANDS];
    for (size_t i = 0; i < N_COMMANDS; i++)
        names[i] = commands[i]->name;
    const char *near = bragg_nearest(name, names, N_COMMANDS);
    fprintf(stderr, "bragg: unknown command '%s'", name);
    if (bragg_path_exists(name))
        fprintf(stderr, "; it is a file: expected a command before it, as bragg --help lists them\n");
    else if (near)
        fprintf(stderr, "; did you mean '%s'?\n", near);
    else
        fprintf(stderr, "; bragg --help lists them\n");
    return bragg_status_exit(BRAGG_EINVAL);
}

/* A standard stream that whoever started us has closed: else the next file that is opened takes its
 * number, and what is printed goes into that file. */
static void fill_standard_streams(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", O_RDWR); /* takes the lowest free number, which is fd */
}

/* What was printed must have gone out: a full disk is seen only now. */
static int close_output(int code)
{
    errno = 0;
    bool whole = !ferror(stdout);
    if (fflush(stdout) == 0 && whole)
        return code;
    if (code == 0)
        fprintf(stderr, "bragg: standard output: cannot be written%s%s\n", errno ? ": " : "", errno ? strerror(errno) : "");
    return code ? code : bragg_status_exit(BRAGG_EIO);
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return bragg_status_exit(BRAGG_EINVAL);
    }
    if (!strcmp(argv[1], "help") && argc > 2) /* help COMMAND is COMMAND --help */
        argv[1] = argv[2], argv[2] = "--help";
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        print_usage(stdout);
        return 0;
    }
    if (!strcmp(argv[1], "--version")) {
        print_version();
        return 0;
    }
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (!strcmp(argv[1], commands[i]->name))
            return commands[i]->run(argc - 1, argv + 1);
    return unknown_command(argv[1]);
}

int main(int argc, char **argv)
{
    fill_standard_streams();
#ifdef HAVE_HDF5
    H5dont_atexit(); /* we close what we open; after a failed disk its own clean-up goes in circles, aloud */
#endif
    return close_output(run(argc, argv));
}
