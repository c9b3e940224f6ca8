/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bragg serve: a run that still grows, as a page on this machine. */
#include "config.h"
#include "cli.h"

#include <string.h>

typedef struct wish {
    const char *address;
    long long port;
    bool anyone;
} wish;

#ifndef HAVE_LIBMICROHTTPD

static bragg_status serve(const wish *w, const char *results, bragg_error *err)
{
    return bragg_fail(err, BRAGG_ENOSUPPORT, "'%s': this build has no libmicrohttpd; bragg report makes a page of it, also while it grows", results);
    (void)w;
}

#else

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

/* One thread answers, one question after the other, so that nothing here is shared. */
typedef struct server {
    bragg_live *live;
    bool loopback;
    const char *address;
} server;

/* ------------------------------------------------------------- questions */

/* A page elsewhere could ask under a name of its own that leads here; it is told apart by
 * the name it asks for. */
static bool known_host(const server *s, const char *host)
{
    static const char *const names[] = { "localhost", "127.0.0.1", "[::1]" };
    if (!s->loopback)
        return true;
    for (size_t k = 0; host && k < sizeof names / sizeof *names; k++) {
        size_t n = strlen(names[k]);
        if (!strncmp(host, names[k], n) && (!host[n] || host[n] == ':'))
            return true;
    }
    size_t n = strlen(s->address);
    return host && !strncmp(host, s->address, n) && (!host[n] || host[n] == ':');
}

static bool number_of(struct MHD_Connection *c, const char *name, uint64_t *to)
{
    long long value;
    const char *text = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, name);
    if (!text || strlen(text) > 18 || !bragg_integer_parse(text, &value) || value < 0)
        return false;
    *to = (uint64_t)value;
    return true;
}

/* The answer to url into `to`; 0 when there is none of that name. */
static unsigned answer_to(const server *s, struct MHD_Connection *c, const char *url, FILE *to, const char **type, bragg_error *err)
{
    uint64_t after, epoch, k;
    bragg_status st;
    *type = "application/octet-stream";
    if (!strcmp(url, "/")) {
        *type = "text/html; charset=utf-8";
        st = bragg_live_page(s->live, to, err);
    } else if (!strcmp(url, "/run")) {
        st = bragg_live_run(s->live, to, err);
    } else if (!strcmp(url, "/changes")) {
        if (!number_of(c, "after", &after) || !number_of(c, "epoch", &epoch))
            return MHD_HTTP_BAD_REQUEST;
        st = bragg_live_changes(s->live, after, epoch, to, err);
    } else if (!strcmp(url, "/frame")) {
        if (!number_of(c, "k", &k))
            return MHD_HTTP_BAD_REQUEST;
        st = bragg_live_frame(s->live, k, to, err);
    } else {
        return MHD_HTTP_NOT_FOUND;
    }
    return st == BRAGG_OK ? MHD_HTTP_OK : st == BRAGG_EDATA && !strcmp(url, "/frame") ? MHD_HTTP_NOT_FOUND : MHD_HTTP_SERVICE_UNAVAILABLE;
}

/* data is freed by the server. */
static enum MHD_Result reply(struct MHD_Connection *c, unsigned status, const char *type, char *data, size_t size)
{
    struct MHD_Response *r = MHD_create_response_from_buffer(size, data, MHD_RESPMEM_MUST_FREE);
    if (!r) {
        free(data);
        return MHD_NO;
    }
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(r, "Referrer-Policy", "no-referrer");
    MHD_add_response_header(r, "Cross-Origin-Resource-Policy", "same-origin");
    MHD_add_response_header(r, "Content-Security-Policy",
                            "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result done = MHD_queue_response(c, status, r);
    MHD_destroy_response(r);
    return done;
}

static enum MHD_Result answer(void *payload, struct MHD_Connection *c, const char *url, const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **seen)
{
    const server *s = payload;
    char *data = NULL;
    size_t size = 0;
    const char *type = "text/plain; charset=utf-8", *plain = type;
    bragg_error err = BRAGG_ERROR_INIT;
    static const char mark = 0;
    bool read_only = !strcmp(method, MHD_HTTP_METHOD_GET) || !strcmp(method, MHD_HTTP_METHOD_HEAD);
    if (!*seen && read_only) { /* called a second time when all of the question is there */
        *seen = (void *)(uintptr_t)&mark;
        return MHD_YES;
    }
    FILE *to = open_memstream(&data, &size);
    if (!to)
        return MHD_NO;
    unsigned status = !known_host(s, MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST)) ? MHD_HTTP_FORBIDDEN
                      : !read_only ? MHD_HTTP_METHOD_NOT_ALLOWED : answer_to(s, c, url, to, &type, &err);
    if (status != MHD_HTTP_OK) {
        rewind(to);
        type = plain;
        fprintf(to, "%s\n", *err.text ? err.text : status == MHD_HTTP_NOT_FOUND ? "there is no such page" : status == MHD_HTTP_BAD_REQUEST ? "expected numbers"
                            : status == MHD_HTTP_FORBIDDEN ? "asked under another name" : "only GET");
    }
    long end = ftell(to);
    bool good = !ferror(to) & !fclose(to);
    if (!good) {
        free(data);
        return MHD_NO;
    }
    return reply(c, status, type, data, status == MHD_HTTP_OK ? size : (size_t)end);
    (void)version, (void)upload, (void)upload_size;
}

/* --------------------------------------------------------------- running */

typedef union any_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} any_address;

static bragg_status read_address(const wish *w, any_address *a, bool *loopback, bragg_error *err)
{
    memset(a, 0, sizeof *a);
    if (w->port < 0 || w->port > 65535)
        return bragg_fail(err, BRAGG_EINVAL, "--port: expected 0 to 65535, found %lld", w->port);
    if (inet_pton(AF_INET, w->address, &a->v4.sin_addr) == 1) {
        a->v4.sin_family = AF_INET;
        a->v4.sin_port = htons((uint16_t)w->port);
        *loopback = ntohl(a->v4.sin_addr.s_addr) >> 24 == 127;
    } else if (inet_pton(AF_INET6, w->address, &a->v6.sin6_addr) == 1) {
        a->v6.sin6_family = AF_INET6;
        a->v6.sin6_port = htons((uint16_t)w->port);
        *loopback = IN6_IS_ADDR_LOOPBACK(&a->v6.sin6_addr);
    } else {
        return bragg_fail(err, BRAGG_EINVAL, "--address: expected an address like 127.0.0.1 or ::1, found '%s'", w->address);
    }
    if (!*loopback && !w->anyone)
        return bragg_fail(err, BRAGG_EINVAL, "--address %s: anyone who reaches it could read the run; --anyone says that this is meant", w->address);
    return BRAGG_OK;
}

static bragg_status run_server(const wish *w, server *s, const any_address *a, const sigset_t *ends, bragg_error *err)
{
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | (a->any.sa_family == AF_INET6 ? MHD_USE_IPv6 : 0);
    struct MHD_Daemon *d = MHD_start_daemon(flags, (uint16_t)w->port, NULL, NULL, answer, s, MHD_OPTION_SOCK_ADDR, &a->any, MHD_OPTION_CONNECTION_LIMIT, 64u,
                                            MHD_OPTION_CONNECTION_TIMEOUT, 30u, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)32768, MHD_OPTION_END);
    if (!d)
        return bragg_fail(err, bragg_status_of_errno(errno), "%s port %lld: cannot be opened: %s; --port names another, 0 any that is free", w->address, w->port, strerror(errno ? errno : EADDRINUSE));
    const union MHD_DaemonInfo *port = MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT);
    bool bracket = a->any.sa_family == AF_INET6;
    printf("http://%s%s%s:%u/\n", bracket ? "[" : "", w->address, bracket ? "]" : "", port ? port->port : (unsigned)w->port);
    fflush(stdout);
    int signal;
    while (sigwait(ends, &signal))
        ;
    MHD_stop_daemon(d);
    return BRAGG_OK;
}

/* The store in what was named; a folder that is not there yet is waited for where it can come. */
static bragg_status find_store(const char *results, bragg_arena *arena, const char **store, bragg_error *err)
{
    struct stat info;
    *store = results;
    if (!*results)
        return bragg_fail(err, BRAGG_EINVAL, "expected the folder that -o of bragg operando names, found an empty name");
    if (!stat(results, &info)) {
        *store = S_ISDIR(info.st_mode) ? bragg_path_join(arena, results, "series.h5") : results;
    } else {
        int why = errno;
        size_t n = strlen(results);
        while (n > 1 && results[n - 1] == '/')
            n--;
        const char *name = bragg_arena_strndup(arena, results, n), *parent = name ? bragg_path_beside(arena, name, ".") : NULL;
        if (why != ENOENT || (parent && stat(parent, &info)) || bragg_path_is_hdf5(results))
            return bragg_fail(err, bragg_status_of_errno(why), "'%s': %s; expected the folder that -o of bragg operando names", results, strerror(why));
        *store = parent ? bragg_path_join(arena, name, "series.h5") : NULL;
    }
    return *store ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for the name of a store");
}

static bragg_status serve(const wish *w, const char *results, bragg_error *err)
{
    server s = { .address = w->address };
    any_address a;
    sigset_t ends, before;
    bragg_arena *arena = bragg_arena_new();
    bragg_status st = arena ? read_address(w, &a, &s.loopback, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a server");
    const char *store;
    if (st == BRAGG_OK)
        st = find_store(results, arena, &store, err);
    if (st == BRAGG_OK && bragg_path_exists(store)) { /* what is there must be a store; what is not may come */
        bragg_store_view *view;
        st = bragg_store_look(store, &view, err);
        bragg_store_view_free(st == BRAGG_OK ? view : NULL);
    }
    if (st == BRAGG_OK)
        st = bragg_live_new(store, &s.live, err);
    if (st == BRAGG_OK && !bragg_path_exists(store))
        fprintf(stderr, "'%s' %s: the page waits for bragg operando EXPERIMENT.yaml --follow -o %s\n", results,
                bragg_path_exists(results) ? "holds no run yet" : "is not there yet", results);
    if (st == BRAGG_OK) {
        sigemptyset(&ends);
        sigaddset(&ends, SIGINT);
        sigaddset(&ends, SIGTERM);
        sigaddset(&ends, SIGHUP);
        pthread_sigmask(SIG_BLOCK, &ends, &before); /* before the server's thread is made: signals come to sigwait */
        st = run_server(w, &s, &a, &ends, err);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    bragg_live_free(s.live);
    bragg_arena_free(arena);
    return st;
}

#endif

static bragg_status work(void *payload, int operands, char **argv, bragg_error *err)
{
    bragg_status st = cli_one("folder of a run, or series.h5", operands, argv, err);
    return st == BRAGG_OK ? serve(payload, argv[0], err) : st;
}

static int run(int argc, char **argv)
{
    wish w = { .address = "127.0.0.1", .port = 8731 };
    const cli_option options[] = {
        { "port", 'p', CLI_INTEGER, &w.port, "N", "listen there; 0: any that is free [8731]" },
        { "address", 0, CLI_TEXT, &w.address, "ADDRESS", "of this machine to listen on [127.0.0.1]" },
        { "anyone", 0, CLI_FLAG, &w.anyone, NULL, "allow an --address that others can reach" },
    };
    return cli_run(&cli_serve, options, sizeof options / sizeof *options, argc, argv, work, &w);
}

const cli_command cli_serve = { "serve", "RESULTS", "a run that still grows, as a live page on this machine", run };
