/* Arguments and steps. */

#include "client.h"

#include <event2/http.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char usage[] =
    "usage: client URL [--session ID] [--curl URL] [--variable NAME] [--timeout SECONDS] STEP...\n"
    "steps: init | ping | list | call NAME JSON | cut N NAME JSON | resume ID | listen MS | end\n";

/* ---- messages ---- */

enum { NOTIFICATION = 0 };

static cJSON *message(int id, const char *method, cJSON *params) {
    cJSON *m = cJSON_CreateObject();
    cJSON_AddStringToObject(m, "jsonrpc", "2.0");
    if (id != NOTIFICATION) cJSON_AddNumberToObject(m, "id", id);
    cJSON_AddStringToObject(m, "method", method);
    if (params) cJSON_AddItemToObject(m, "params", params);
    return m;
}

/* As often as the stream ends without the answer, for as long as one request may take. */
static bool come_back(client *c, int how) {
    const request r = {.method = "GET", .resumes = true, .by_itself = true};
    const time_t until = time(NULL) + c->timeout;
    while (how == RUN_BROKE_OFF && time(NULL) < until) {
        const struct timespec pause = {c->retry_ms / 1000, c->retry_ms % 1000 * 1000000L};
        nanosleep(&pause, NULL);
        how = exchange_run(c, &r);
    }
    return how == RUN_ANSWERED;
}

static bool post(client *c, cJSON *body, bool starts, int cut) {
    request r = {.method = "POST", .body = body, .starts = starts, .cut = cut};
    c->last_id[0] = '\0';
    int how = exchange_run(c, &r);
    cJSON_Delete(body);
    return come_back(c, how);
}

static bool ask(client *c, const char *method, cJSON *params) {
    return post(c, message(c->next_id++, method, params), strcmp(method, "initialize") == 0, 0);
}

/* ---- steps ---- */

static bool init(client *c, char **args) {
    (void)args;
    cJSON *params = cJSON_CreateObject();
    cJSON_AddStringToObject(params, "protocolVersion", PROTOCOL_VERSION);
    cJSON_AddObjectToObject(params, "capabilities");
    cJSON *info = cJSON_AddObjectToObject(params, "clientInfo");
    cJSON_AddStringToObject(info, "name", "mcpsess-client");
    cJSON_AddStringToObject(info, "version", "1");
    c->session[0] = '\0';
    if (!ask(c, "initialize", params)) return false;
    return c->session[0] == '\0' || post(c, message(NOTIFICATION, "notifications/initialized", NULL), false, 0);
}

static bool ping(client *c, char **args) {
    (void)args;
    return ask(c, "ping", NULL);
}

static bool list(client *c, char **args) {
    (void)args;
    return ask(c, "tools/list", NULL);
}

static bool call_tool(client *c, char **args, int cut) {
    cJSON *params = cJSON_CreateObject();
    cJSON_AddStringToObject(params, "name", args[0]);
    cJSON_AddItemToObject(params, "arguments", cJSON_Parse(args[1]));
    cJSON_AddNumberToObject(cJSON_AddObjectToObject(params, "_meta"), "progressToken", c->next_id);
    return post(c, message(c->next_id++, "tools/call", params), false, cut);
}

static bool call(client *c, char **args) {
    return call_tool(c, args, 0);
}

static bool cut(client *c, char **args) {
    return call_tool(c, args + 1, atoi(args[0]));
}

static bool resume(client *c, char **args) {
    request r = {.method = "GET", .resumes = true};
    if (strcmp(args[0], "-") != 0) strcpy(c->last_id, args[0]);
    return come_back(c, exchange_run(c, &r));
}

static bool listen_for(client *c, char **args) {
    request r = {.method = "GET", .listen_ms = atoi(args[0])};
    return exchange_run(c, &r) != RUN_FAILED;
}

static bool end(client *c, char **args) {
    request r = {.method = "DELETE"};
    (void)args;
    return exchange_run(c, &r) != RUN_FAILED;
}

typedef struct step {
    const char *name;
    int args;
    bool (*run)(client *c, char **args);
} step;

static const step steps[] = {{"init", 0, init}, {"ping", 0, ping},     {"list", 0, list},         {"call", 2, call},
                             {"cut", 3, cut},   {"resume", 1, resume}, {"listen", 1, listen_for}, {"end", 0, end}};

static const step *find_step(const char *name) {
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (strcmp(steps[i].name, name) == 0) return &steps[i];
    }
    return NULL;
}

/* ---- arguments ---- */

static bool url_valid(const char *url) {
    struct evhttp_uri *uri = evhttp_uri_parse(url);
    bool ok = uri && evhttp_uri_get_host(uri) && evhttp_uri_get_port(uri) > 0 && evhttp_uri_get_path(uri)[0] == '/';
    if (uri) evhttp_uri_free(uri);
    return ok;
}

static bool args_valid(const step *s, char **args) {
    if (s->run == listen_for) return atoi(args[0]) > 0;
    if (s->run == resume) return *args[0] && strlen(args[0]) <= EVENT_ID_MAX;
    if (s->run == cut && atoi(*args++) <= 0) return false;
    if (s->run != call && s->run != cut) return true;
    cJSON *json = cJSON_Parse(args[1]);
    bool ok = cJSON_IsObject(json);
    cJSON_Delete(json);
    return ok;
}

/* Everything is checked before anything is sent. */
static bool steps_valid(int argc, char **argv) {
    for (int i = 0; i < argc;) {
        const step *s = find_step(argv[i]);
        if (!s || i + s->args >= argc || !args_valid(s, argv + i + 1)) return false;
        i += 1 + s->args;
    }
    return argc > 0;
}

static bool parse_option(client *c, const char *name, const char *value) {
    if (strcmp(name, "--session") == 0 && strlen(value) <= SESSION_MAX) {
        strcpy(c->session, value);
    } else if (strcmp(name, "--curl") == 0) {
        c->curl_url = value;
    } else if (strcmp(name, "--variable") == 0) {
        c->variable = value;
    } else if (strcmp(name, "--timeout") == 0) {
        c->timeout = atoi(value);
    } else {
        return false;
    }
    return true;
}

/* -> index of the first step, 0: wrong */
static int parse(client *c, int argc, char **argv) {
    int i = 2;
    if (argc < 2 || !url_valid(argv[1])) return 0;
    c->url = c->curl_url = argv[1];
    for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
        if (!parse_option(c, argv[i], argv[i + 1])) return 0;
    }
    return c->timeout > 0 && steps_valid(argc - i, argv + i) ? i : 0;
}

static bool run(client *c, int argc, char **argv) {
    for (int i = 0; i < argc;) {
        const step *s = find_step(argv[i]);
        if (!s->run(c, argv + i + 1)) return false;
        i += 1 + s->args;
    }
    return true;
}

int main(int argc, char **argv) {
    client c = {.variable = "SID", .timeout = 15, .next_id = 1, .retry_ms = RETRY_MS};
    int first = parse(&c, argc, argv);
    if (first == 0) {
        fputs(usage, stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    c.base = event_base_new();
    if (!c.base) return EXIT_FAILURE;
    bool ok = run(&c, argc - first, argv + first);
    event_base_free(c.base);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
