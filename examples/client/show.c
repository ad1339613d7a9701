/* The transcript. Bodies are shortened to what a reader wants to know; the curl lines are complete. */

#include "client.h"

#include <stdio.h>
#include <string.h>

enum { SHOWN = 150 }; /* bytes of JSON on a line */

static void print_short(const char *before, const cJSON *json) {
    char *text = json ? cJSON_PrintUnformatted(json) : NULL;
    if (!text) return;
    size_t n = strlen(text);
    if (n > SHOWN) {
        n = SHOWN;
        while (((unsigned char)text[n] & 0xC0u) == 0x80u) n--; /* not inside a UTF-8 character */
        printf("%s%.*s...", before, (int)n, text);
    } else {
        printf("%s%s", before, text);
    }
    cJSON_free(text);
}

/* ---- the curl line ---- */

static void print_quoted(const char *text) {
    putchar('\'');
    for (; *text; text++) {
        if (*text == '\'') {
            fputs("'\\''", stdout);
        } else {
            putchar(*text);
        }
    }
    putchar('\'');
}

static void print_headers(const client *c, const request *r) {
    if (strcmp(r->method, "DELETE") != 0) printf(" -H 'Accept: %s'", r->body ? ACCEPT_POST : ACCEPT_GET);
    if (r->starts) return;
    printf(" -H \"Mcp-Session-Id: %s%s\"", c->variable[0] ? "$" : c->session, c->variable);
    fputs(" -H 'MCP-Protocol-Version: " PROTOCOL_VERSION "'", stdout);
    if (!r->resumes) return;
    printf(" -H \"Last-Event-ID: %s%s%s\"", c->variable[0] ? "$" : c->last_id, c->variable,
           c->variable[0] ? "_LAST" : "");
}

/* Answers have no line end of their own; that of DELETE has no body either. */
static const char *curl_output(const request *r) {
    if (r->starts) return " -o /dev/null -w '%header{mcp-session-id}'";
    if (r->body) return r->cut > 0 ? " -m 1" : " -w '\\n'";
    return r->listen_ms > 0 || r->resumes ? "" : " -X DELETE -w '%{http_code}\\n'";
}

static void print_curl(const client *c, const request *r) {
    bool assigns = (r->starts || r->cut > 0) && c->variable[0];
    char *body = r->body ? cJSON_PrintUnformatted(r->body) : NULL;
    fputs("    ", stdout);
    if (assigns) printf("%s%s=$(", c->variable, r->cut > 0 ? "_LAST" : "");
    printf("curl -sN%s", curl_output(r));
    if (r->listen_ms > 0) printf(" -m %d", (r->listen_ms + 999) / 1000);
    print_headers(c, r);
    if (body) {
        fputs(" --json ", stdout);
        print_quoted(body);
    }
    printf(" %s%s%s\n", c->curl_url, r->cut > 0 && assigns ? " | sed -n 's/^id: //p' | tail -n 1" : "",
           assigns ? ")" : "");
    cJSON_free(body);
}

/* ---- requests and answers ---- */

void show_request(const client *c, const request *r) {
    const cJSON *params = cJSON_GetObjectItemCaseSensitive(r->body, "params");
    const cJSON *tool = cJSON_GetObjectItemCaseSensitive(params, "name");
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(r->body, "method"));
    printf("→ %s", r->method);
    if (name) printf(" %s", name);
    if (tool) {
        printf(" %s", cJSON_GetStringValue(tool));
        params = cJSON_GetObjectItemCaseSensitive(params, "arguments");
    }
    print_short(" ", params);
    if (c->session[0]) printf("  (session %s)", c->session);
    if (r->resumes) printf("  after event %s", c->last_id);
    putchar('\n');
    if (!r->by_itself) print_curl(c, r);
    fflush(stdout);
}

void show_status(int status, const char *session, bool events) {
    printf("← %d", status);
    if (session) printf("  session %s", session);
    if (events) fputs("  events:\n", stdout);
    fflush(stdout);
}

/* Of a tool's result the values, or else the text; of any other result all; of an error code and message. */
static void print_answer(const cJSON *message) {
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(message, "error");
    const cJSON *result = cJSON_GetObjectItemCaseSensitive(message, "result");
    const cJSON *values = cJSON_GetObjectItemCaseSensitive(result, "structuredContent");
    const cJSON *content = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(result, "content"), 0);
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(content, "text");
    if (error) {
        print_short("  error ", error);
    } else {
        print_short("  ", values ? values : text ? text : result);
    }
}

void show_body(const cJSON *message) {
    if (message) print_answer(message);
    putchar('\n');
    fflush(stdout);
}

void show_event(double seconds, const cJSON *message) {
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(message, "method");
    printf("  +%.1f s", seconds);
    if (cJSON_IsString(name)) {
        printf("  %s", name->valuestring);
        print_short(" ", cJSON_GetObjectItemCaseSensitive(message, "params"));
        putchar('\n');
    } else {
        show_body(message);
    }
    fflush(stdout);
}

void show_note(double seconds, const char *what, const char *id) {
    printf("  +%.1f s  %s%s%s\n", seconds, what, id ? " " : "", id ? id : "");
    fflush(stdout);
}

void show_failure(const char *why) {
    printf("← no answer: %s\n", why);
    fflush(stdout);
}
