/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CLI_H
#define CLI_H

#include <bragg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/** One option of a command.  Names and help are printed by --help from here, so
 *  that both can never disagree. */
typedef enum cli_kind { CLI_FLAG, CLI_TEXT, CLI_NUMBER, CLI_INTEGER } cli_kind;

typedef struct cli_option {
    const char *name;      /**< "wavelength", typed as --wavelength */
    char letter;           /**< 'o' for -o, or 0 */
    cli_kind kind;
    void *value;           /**< bool *, const char **, double *, long long * */
    const char *argument;  /**< "ANGSTROM"; NULL for a flag */
    const char *help;
} cli_option;

typedef struct cli_command {
    const char *name, *arguments, *summary;
    int (*run)(int argc, char **argv);
} cli_command;

/** "FIRST,LAST" of an option, as typed; in _ascending the second must be the larger. */
bragg_status cli_range_ascending(const char *option, const char *text, double *first, double *last, bragg_error *err);
bragg_status cli_range(const char *option, const char *text, double *first, double *last, bragg_error *err);

/** A command's work: its wish, filled in from the options, and its operands. */
typedef bragg_status cli_work(void *wish, int operands, char **argv, bragg_error *err);
/** What every command's run is made of.  Parses argv[1..], "--name value", "--name=value",
 *  "-x value", "--" ends the options; does the work unless --help was asked for; prints
 *  "bragg COMMAND: message" on stderr when it failed and returns the exit status. */
int cli_run(const cli_command *command, const cli_option *options, size_t n_options, int argc, char **argv, cli_work *work, void *wish);
/** EINVAL unless there is one operand: "expected one WHAT, found 3 names: …". */
bragg_status cli_one(const char *what, int operands, char **argv, bragg_error *err);
/** status, of which nothing more is to be said: it stands in the results, or another process says it. */
bragg_status cli_said(bragg_status status, bragg_error *err);

/** A counter on standard error, silent when that is no terminal or a dumb one.  There are
 *  no colours, so that NO_COLOR has nothing to turn off. */
typedef struct cli_progress {
    const char *what;
    bool terminal;
    double start_s, shown_s;
    size_t before;         /**< done when it was shown first */
    bragg_observer observer;
} cli_progress;
const bragg_observer *cli_observer(cli_progress *progress, const char *what);
/** The same, and what is logged goes to standard error, a line each. */
const bragg_observer *cli_observer_loud(cli_progress *progress, const char *what);
/** As cli_observer, and the first Ctrl-C or SIGTERM asks the work to stop; the second ends at once. */
const bragg_observer *cli_observer_to_stop(cli_progress *progress, const char *what);
/** The same, and so does each further one: the work leaves what only it can clean up. */
const bragg_observer *cli_observer_to_tidy(cli_progress *progress, const char *what);
/** After the work has cleaned up: end by the signal that was noted, if any. */
void cli_end_as_asked(void);
/** "frame 12 of 200, 3.4/s, 55 s left", ten times a second at most. */
void cli_progress_show(cli_progress *progress, size_t done, size_t total);
void cli_progress_end(const cli_progress *progress);

/** bragg_experiment_read; what ends neither in .yaml nor in .yml may have been meant for
 *  another command, which the message then says. */
bragg_status cli_experiment_read(const char *path, bragg_experiment **out, bragg_error *err);

/** bragg_structure_read_cif; says on standard error what was assumed or passed over, a line each. */
bragg_status cli_card_read(const char *path, bragg_structure **out, bragg_error *err);
/** The same lines of a card that is read elsewhere, and of those of an experiment's phases; where
 *  one cannot be read whoever needs it says why. */
void cli_tell_card(const char *path);
void cli_tell_cards(const bragg_experiment *experiment);

/** bragg_pattern_read, bragg_pattern_read_all; of what is no pattern but another file that people
 *  name by mistake, the message says which command takes it. */
bragg_status cli_pattern_read(const char *path, size_t index, bragg_pattern **out, bragg_error *err);
bragg_status cli_pattern_read_all(const char *path, bragg_pattern ***out, size_t *n, bragg_error *err);

/** bragg_pattern_trim of what was read from path; says on standard error what is left out. */
void cli_trim(const char *path, bragg_pattern *pattern);

/** OK for what --flip may be, NULL too. */
bragg_status cli_flip_check(const char *flip, bragg_error *err);
/** bragg_frame_read_as; a wrong word is --flip's. */
bragg_status cli_frame_read(const char *path, size_t index, const char *flip, const char *raw, bragg_frame **f, bragg_error *err);

/** Processes that mpirun or srun has started; *out is NULL for one that was started alone. */
typedef struct cli_peers cli_peers;
bragg_status cli_peers_begin(cli_peers **out, bragg_error *err);
bragg_peers *cli_peers_of(cli_peers *peers);
/** The last thing a command does; exit_status is what it will return. */
void cli_peers_end(cli_peers *peers, int exit_status);

/** The experiment as it is in force, to standard output or to a file; more: what the command
 *  itself takes for granted, YAML, may be NULL. */
bragg_status cli_print_config(const bragg_experiment *experiment, const char *more, bragg_error *err);
bragg_status cli_write_config(const bragg_experiment *experiment, const char *more, const char *path, bool force, bragg_error *err);
/** Append {file, xxh3_128} of an input: which bytes a result was made of. */
bragg_status cli_add_input(json_t *list, const char *path, bragg_error *err);
/** "Bi,Sb,K" to atomic numbers; option names the option in messages. */
bragg_status cli_elements(const char *option, const char *text, unsigned char out[64], size_t *n, bragg_error *err);

/** A refinement as JSON (cards: one name a phase, or NULL) and as text. */
extern const char *const cli_cell_names[6]; /* a to gamma */
/** {"a": …, "gamma": …} in angstrom and degrees, without esds. */
json_t *cli_cell_json(const bragg_cell *cell);
/** Name, value, unit and whether it is refined, tied or fixed, a line each. */
void cli_list_params(const bragg_params *params);
json_t *cli_params_json(const bragg_params *params, double serial_factor);
json_t *cli_fit_json(const bragg_fit *fit, const bragg_params *params, const char *const *cards);
void cli_print_fit(FILE *to, const bragg_fit *fit, const bragg_params *params);

extern const cli_command cli_report, cli_calibrate, cli_cards, cli_cards_build, cli_cards_import, cli_cards_list, cli_cards_show, cli_convert, cli_demo, cli_identify, cli_index, cli_integrate, cli_operando, cli_pdf, cli_pdf_fit, cli_plot, cli_refine, cli_simulate, cli_sources;
extern const cli_command cli_serve;
extern const cli_command cli_pdf_debye, cli_pdf_difference; /* words behind pdf */

#endif
