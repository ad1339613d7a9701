/* options.c - the command line. */

#include "gateway.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PASSWORD_VARIABLE "MCPSESS_REDIS_PASSWORD"

/* In parts, each as long as every compiler takes a string. */
static const char usage[] =
    "usage: gateway --listen HOST:PORT --backend URL [--backend URL ...] [option ...]\n"
    "       gateway --listen HOST:PORT --directory URL --principal-header NAME [option ...]\n"
    "  --listen HOST:PORT       address to listen on; port 0: any that is free\n"
    "  --backend URL            an MCP server, http://HOST[:PORT]/PATH; or a command, see below\n"
    "  --ttl SECONDS            a session nobody uses ends after this (1800)\n"
    "  --sessions N             sessions at a time, 1..65534 (1024); with --redis, those this gateway keeps at hand\n"
    "  --full refuse|evict      when there are that many: refuse a new one, or drop the least recently used (refuse)\n"
    "  --origin ORIGIN          a web origin that is allowed besides loopback\n"
    "  --principal-header NAME  who the client is, as set by an authenticating proxy in front\n"
    "  --modern forward|refuse  requests of revision 2026-07-28 (forward)\n"
    "  --max-connections N      (4096)\n"
    "  --max-body BYTES         of a request (1048576)\n"
    "  --timeout-ms N           for a client to bring a request, for a backend to begin its answer (60000)\n"
    "  --grace-ms N             for what is under way at SIGTERM (5000)\n"
    "  --verbose                say what happens, on stderr\n";
static const char usage_backends[] =
    "backends that the gateway runs:\n"
    "  --backend [NAME: ]CMD    an MCP server, run by sh in a directory of its own, on the loopback port PORT, which\n"
    "                           is in its environment, as is MCP_DATA, that directory; {port} and {data} in CMD are\n"
    "                           replaced by them. It answers at http://127.0.0.1:PORT/mcp, is started again when it\n"
    "                           ends, and is called NAME, or b1, b2 ... in the order of the commands\n"
    "  --data DIR               where their directories are; with --redis gateways of one machine may share it\n"
    "                           (gateway-data)\n"
    "  --backend-lease-ms N     if a gateway dies that runs a backend, another one takes over after so long;\n"
    "                           300..600000 (10000)\n"
    "  --backend-backoff-ms N   before it is started again, then twice that, 60000 at most; 10..60000 (1000)\n"
    "  --leave-running          at SIGTERM they run on, for the next gateway to find\n"
    "backends that depend on the user:\n"
    "  --directory URL          instead of --backend: GET URL?user=NAME tells which ones a user may use, as\n"
    "                           {\"backends\":[\"http://...\", ...]}, at most 32, with 4096 bytes in all\n"
    "  --directory-ttl SECONDS  that such a list is kept for all gateways; one with a backend that is down is asked "
    "for\n"
    "                           again after an eighth of that, at most 10 s (300)\n"
    "  --directory-lease-ms N   if a gateway dies that is asking, another one takes over after so long; 100..60000 "
    "(3000)\n";
static const char usage_streams[] =
    "streams of events, which clients may come back to:\n"
    "  --linger SECONDS         an answer whose client is away is kept this long for it, a session's own stream for 30 "
    "at\n"
    "                           most (300)\n"
    "  --drains N               streams without their client at a time; over that the one longest alone is given up\n"
    "                           (256)\n"
    "  --stream-events N        that are kept of a stream, 1..1000000; older ones go (10000)\n"
    "  --stream-bytes N         of them, 1024..268435456; a larger event is sent, but cannot be come back to (65536; "
    "with\n"
    "                           --redis 4194304)\n"
    "  --streams N              in memory, not on Redis: streams at a time, 1..65534 (512)\n"
    "  --keep-alive SECONDS     a comment is sent on a stream that has been silent so long; 0: none (15)\n"
    "  --retry-ms N             clients are told to wait so long before they come back; 0: nothing (0)\n"
    "sessions on Redis or Valkey, shared with every gateway that has the same backends:\n"
    "  --redis HOST:PORT        [::1]:6379 for IPv6, or the path of a Unix socket\n"
    "  --user NAME              of its ACL\n"
    "  --password TEXT          better in the environment, as " PASSWORD_VARIABLE "\n"
    "  --db N                   (0)\n"
    "  --prefix TEXT            of its keys, the same for every gateway; 1..32 characters (mcpsess:)\n"
    "  --tracking HOW           how changes by other gateways are heard: keys (those in use here), prefixes (all), or\n"
    "                           off: then they are seen within a second (keys)\n"
    "  --stale SECONDS          with Redis away, known sessions are served this long after they were last confirmed\n"
    "                           there; 0: not at all (60)\n"
    "  --tls                    to Redis\n"
    "  --tls-name NAME          that its certificate must have (HOST)\n"
    "  --tls-ca FILE            who may sign that certificate (/etc/ssl/certs/ca-certificates.crt)\n"
    "  --tls-cert FILE          of this gateway, for a server that asks for one\n"
    "  --tls-key FILE           of that certificate\n";

static void print_usage(FILE *to) {
    fprintf(to, "%s%s%s", usage, usage_backends, usage_streams);
}

enum {
    LISTEN = 1,
    BACKEND,
    TTL,
    SESSIONS,
    FULL,
    ORIGIN,
    PRINCIPAL,
    REVISION,
    CONNECTIONS,
    BODY,
    TIMEOUT,
    GRACE,
    VERBOSE,
    HELP,
    DIRECTORY, /* about the directory */
    DIRECTORY_TTL,
    DIRECTORY_LEASE,
    DATA, /* about backends that it runs */
    BACKEND_LEASE,
    BACKEND_BACKOFF,
    LEAVE_RUNNING,
    LINGER, /* about streams */
    DRAINS,
    EVENTS,
    BYTES,
    STREAMS,
    ALIVE,
    RETRY,
    REDIS, /* this one and all that follow are about Redis */
    USER,
    PASSWORD,
    DB,
    PREFIX,
    TRACKING,
    STALE,
    TLS,
    TLS_NAME,
    TLS_CA,
    TLS_CERT,
    TLS_KEY
};

/* ---- values */

/* -> false: not a number, or out of its range */
static bool number(const char *text, uint64_t min, uint64_t max, uint64_t *out) {
    return mcpsess_u64_decode(mcpsess_str_z(text), max, out) == MCPSESS_OK && *out >= min;
}

static bool u32(const char *text, uint32_t min, uint32_t max, uint32_t *out) {
    uint64_t n;
    if (!number(text, min, max, &n)) return false;
    *out = (uint32_t)n;
    return true;
}

static bool choice(const char *text, const char *yes, const char *no, bool *out) {
    *out = strcmp(text, yes) == 0;
    return *out || strcmp(text, no) == 0;
}

/* HOST:PORT, or [IPV6]:PORT, taken apart in place. */
static bool address(char *text, uint64_t port_min, const char **host, const char **port) {
    char *colon = strrchr(text, ':');
    uint64_t n;
    if (colon == NULL || !number(colon + 1, port_min, 65535, &n)) return false;
    *colon = '\0';
    *port = colon + 1;
    *host = text;
    if (text[0] == '[' && colon[-1] == ']') {
        colon[-1] = '\0';
        *host = text + 1;
    }
    return true;
}

static bool listen_at(struct config *c, char *text) {
    const char *port;
    uint64_t n = 0;
    if (!address(text, 0, &c->host, &port) || !number(port, 0, 65535, &n)) return false;
    c->port = (uint16_t)n;
    return true;
}

static bool redis_at(struct redis_config *c, char *text) {
    if (text[0] == '/') {
        c->host = text;
        c->port = "";
        return true;
    }
    bool bare_v6 = text[0] != '[' && strchr(text, ':') != strrchr(text, ':'); /* is its last group the port, or not? */
    return text[0] != ':' && !bare_v6 && address(text, 1, &c->host, &c->port);
}

/* The command line is there for everybody to read, so the password does not stay in it. */
static bool password(struct redis_config *c, char *text) {
    free(c->password);
    c->password = strdup(text);
    memset(text, '*', strlen(text));
    return c->password != NULL && c->password[0] != '\0';
}

static bool prefix(struct redis_config *c, const char *text) {
    size_t len = strlen(text);
    c->prefix = text;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < 0x21 || text[i] > 0x7E || strchr("%{}", text[i]) != NULL) return false;
    }
    return len > 0 && len <= MCPSESS_REDIS_PREFIX_MAX;
}

static bool tracking(struct redis_config *c, const char *text) {
    static const char *const names[] = {"off", "keys", "prefixes"};
    static const uint8_t values[] = {MCPSESS_REDIS_TRACK_OFF, MCPSESS_REDIS_TRACK_KEYS, MCPSESS_REDIS_TRACK_PREFIXES};
    for (size_t i = 0; i < sizeof values; i++) {
        if (strcmp(text, names[i]) != 0) continue;
        c->tracking = values[i];
        return true;
    }
    return false;
}

static bool append(const char **list, size_t *count, size_t max, const char *text) {
    if (*count == max) return false;
    list[(*count)++] = text;
    return true;
}

/* ---- one option */

static bool seconds(const char *text, uint64_t min, uint64_t *ms) {
    uint64_t n;
    if (!number(text, min, 10u * 365 * 24 * 3600, &n)) return false;
    *ms = n * 1000;
    return true;
}

static bool limit(struct config *c, int which, const char *text) {
    uint64_t n;
    switch (which) {
    case TTL: return seconds(text, 1, &c->ttl_ms);
    case SESSIONS:
        if (!number(text, 1, MCPSESS_LRU_MAX, &n)) return false;
        c->sessions = (uint16_t)n;
        return true;
    case CONNECTIONS: return u32(text, 1, 1000000, &c->max_connections);
    case BODY: return u32(text, 64, 1u << 30, &c->max_body);
    case TIMEOUT: return u32(text, 10, 24 * 3600 * 1000, &c->timeout_ms);
    default: return u32(text, 0, 24 * 3600 * 1000, &c->grace_ms);
    }
}

static bool directory_option(struct config *c, int which, const char *text) {
    switch (which) {
    case DIRECTORY: c->directory = text; return text[0] != '\0';
    case DIRECTORY_TTL: return seconds(text, 1, &c->directory_ttl_ms);
    default: return u32(text, 100, 60000, &c->directory_lease_ms);
    }
}

static bool fleet_option(struct config *c, int which, const char *text) {
    switch (which) {
    case DATA: c->data = text; return text[0] != '\0';
    case BACKEND_LEASE: return u32(text, 300, 600000, &c->backend_lease_ms);
    case BACKEND_BACKOFF: return u32(text, 10, 60000, &c->backend_backoff_ms);
    default: c->leave_running = true; return true;
    }
}

static bool stream_option(struct config *c, int which, const char *text) {
    uint64_t n;
    switch (which) {
    case LINGER: return seconds(text, 0, &c->linger_ms);
    case ALIVE: return seconds(text, 0, &c->keep_alive_ms);
    case DRAINS: return u32(text, 0, EXCHANGES_MAX, &c->drains);
    case EVENTS: return u32(text, 1, 1000000, &c->stream_events);
    case BYTES: return u32(text, 1024, 1u << 28, &c->stream_bytes);
    case STREAMS:
        if (!number(text, 1, MCPSESS_LRU_MAX, &n)) return false;
        c->streams = (uint16_t)n;
        return true;
    default: return u32(text, 0, 3600 * 1000, &c->retry_ms);
    }
}

static bool redis_option(struct redis_config *c, int which, char *text) {
    uint64_t n;
    switch (which) {
    case REDIS: return redis_at(c, text);
    case USER: c->user = text; return text[0] != '\0';
    case PASSWORD: return password(c, text);
    case DB:
        if (!number(text, 0, UINT16_MAX, &n)) return false;
        c->db = (uint16_t)n;
        return true;
    case PREFIX: return prefix(c, text);
    case TRACKING: return tracking(c, text);
    case STALE: return seconds(text, 0, &c->stale_ms);
    case TLS: c->tls = true; return true;
    case TLS_NAME: c->tls_name = text; return true;
    case TLS_CA: c->tls_ca = text; return true;
    case TLS_CERT: c->tls_cert = text; return true;
    default: c->tls_key = text; return true;
    }
}

static bool option(struct config *c, int which, char *text) {
    if (which >= REDIS) return redis_option(&c->redis, which, text);
    if (which >= DIRECTORY && which < DATA) return directory_option(c, which, text);
    if (which >= DATA && which < LINGER) return fleet_option(c, which, text);
    if (which >= LINGER) return stream_option(c, which, text);
    switch (which) {
    case LISTEN: return listen_at(c, text);
    case BACKEND: return append(c->backends, &c->backend_count, BACKENDS_MAX, text);
    case ORIGIN: return append(c->origins, &c->origin_count, ORIGINS_MAX, text);
    case FULL: return choice(text, "evict", "refuse", &c->evict);
    case REVISION: return choice(text, "forward", "refuse", &c->modern);
    case PRINCIPAL: c->principal_header = text; return text[0] != '\0';
    case VERBOSE: c->verbose = true; return true;
    default: return limit(c, which, text);
    }
}

/* ---- all of them */

static struct config defaults(void) {
    struct config c = {0};
    c.ttl_ms = 30u * 60 * 1000;
    c.sessions = 1024;
    c.max_connections = 4096;
    c.max_body = 1u << 20;
    c.timeout_ms = 60000;
    c.grace_ms = 5000;
    c.modern = true;
    c.directory_ttl_ms = 300u * 1000;
    c.directory_lease_ms = 3000;
    c.data = "gateway-data";
    c.backend_lease_ms = 10000;
    c.backend_backoff_ms = 1000;
    c.linger_ms = 300u * 1000;
    c.keep_alive_ms = 15000;
    c.drains = 256;
    c.streams = 512;
    c.stream_events = 10000;
    c.redis.stale_ms = 60000;
    c.redis.tracking = MCPSESS_REDIS_TRACK_KEYS;
    return c;
}

static bool any_command(const struct config *c) {
    for (size_t i = 0; i < c->backend_count; i++) {
        if (fleet_is_command(c->backends[i])) return true;
    }
    return false;
}

/* What is wrong with the options as a whole. -> NULL: nothing */
static const char *contradiction(const struct config *c, uint64_t given) {
    const struct redis_config *r = &c->redis;
    if (c->host == NULL) return "--listen is missing";
    if (c->backend_count == 0 && c->directory == NULL) return "--backend is missing";
    if (c->directory == NULL && (given >> DIRECTORY_TTL & 3u) != 0) return "--directory is missing";
    if (c->directory != NULL && c->backend_count > 0) return "--directory takes the place of --backend";
    if (c->directory != NULL && c->principal_header == NULL) return "--directory needs --principal-header";
    if (!any_command(c) && (given >> DATA & 15u) != 0) return "--data and the like need a command as --backend";
    if (r->host == NULL && given >> REDIS != 0) return "what is said about Redis needs --redis HOST:PORT";
    if (r->host != NULL && (given >> FULL & 1u) != 0) return "--full is about sessions in memory, not on Redis";
    if (r->host != NULL && (given >> STREAMS & 1u) != 0) return "--streams is about streams in memory, not on Redis";
    if (r->user != NULL && r->password == NULL) return "--user needs a password";
    if (r->tls && r->host[0] == '/') return "--tls needs HOST:PORT, not a Unix socket";
    if (!r->tls && (r->tls_name != NULL || r->tls_ca != NULL || r->tls_cert != NULL || r->tls_key != NULL))
        return "--tls is missing";
    if ((r->tls_cert == NULL) != (r->tls_key == NULL)) return "--tls-cert and --tls-key go together";
    return NULL;
}

static bool finish(struct config *c, uint64_t given) {
    const char *from_environment = getenv(PASSWORD_VARIABLE);
    if (c->redis.host != NULL && c->redis.password == NULL && from_environment != NULL && from_environment[0] != '\0')
        c->redis.password = strdup(from_environment);
    unsetenv(PASSWORD_VARIABLE);
    if (c->stream_bytes == 0) c->stream_bytes = c->redis.host != NULL ? 4u << 20 : 64u << 10;
    const char *why = contradiction(c, given);
    if (why != NULL) fprintf(stderr, "gateway: %s\n", why);
    return why == NULL;
}

static const struct option names[] = {
    {"listen", 1, NULL, LISTEN},
    {"backend", 1, NULL, BACKEND},
    {"ttl", 1, NULL, TTL},
    {"sessions", 1, NULL, SESSIONS},
    {"full", 1, NULL, FULL},
    {"origin", 1, NULL, ORIGIN},
    {"modern", 1, NULL, REVISION},
    {"principal-header", 1, NULL, PRINCIPAL},
    {"max-body", 1, NULL, BODY},
    {"max-connections", 1, NULL, CONNECTIONS},
    {"timeout-ms", 1, NULL, TIMEOUT},
    {"grace-ms", 1, NULL, GRACE},
    {"verbose", 0, NULL, VERBOSE},
    {"help", 0, NULL, HELP},
    {"directory", 1, NULL, DIRECTORY},
    {"directory-ttl", 1, NULL, DIRECTORY_TTL},
    {"directory-lease-ms", 1, NULL, DIRECTORY_LEASE},
    {"data", 1, NULL, DATA},
    {"backend-lease-ms", 1, NULL, BACKEND_LEASE},
    {"backend-backoff-ms", 1, NULL, BACKEND_BACKOFF},
    {"leave-running", 0, NULL, LEAVE_RUNNING},
    {"linger", 1, NULL, LINGER},
    {"drains", 1, NULL, DRAINS},
    {"stream-events", 1, NULL, EVENTS},
    {"stream-bytes", 1, NULL, BYTES},
    {"streams", 1, NULL, STREAMS},
    {"keep-alive", 1, NULL, ALIVE},
    {"retry-ms", 1, NULL, RETRY},
    {"redis", 1, NULL, REDIS},
    {"user", 1, NULL, USER},
    {"password", 1, NULL, PASSWORD},
    {"db", 1, NULL, DB},
    {"prefix", 1, NULL, PREFIX},
    {"tracking", 1, NULL, TRACKING},
    {"stale", 1, NULL, STALE},
    {"tls", 0, NULL, TLS},
    {"tls-name", 1, NULL, TLS_NAME},
    {"tls-ca", 1, NULL, TLS_CA},
    {"tls-cert", 1, NULL, TLS_CERT},
    {"tls-key", 1, NULL, TLS_KEY},
    {NULL, 0, NULL, 0},
};

static bool read_all(struct config *c, int argc, char **argv, uint64_t *given) {
    int which, at = 0;
    while ((which = getopt_long(argc, argv, "", names, &at)) != -1) {
        if (which == HELP) {
            print_usage(stdout);
            exit(0);
        }
        if (which == '?') return false;
        *given |= UINT64_C(1) << which;
        if (option(c, which, optarg)) continue;
        fprintf(stderr, "gateway: --%s: not a usable value%s%s\n", names[at].name, which == PASSWORD ? "" : ": ",
                which == PASSWORD ? "" : optarg);
        return false;
    }
    if (optind < argc) fprintf(stderr, "gateway: not an option: %s\n", argv[optind]);
    return optind == argc;
}

bool options(struct config *c, int argc, char **argv) {
    uint64_t given = 0;
    *c = defaults();
    if (read_all(c, argc, argv, &given) && finish(c, given)) return true;
    print_usage(stderr);
    return false;
}
