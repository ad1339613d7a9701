/* What is kept of a request, as http-parser finds it piece by piece: the values of six headers, in the form in which
   they are needed, and the body. */

#include "device.h"

static request *of(http_parser *p) {
    return p->data;
}

/* ---- pieces ---- */

/* Appends what fits; what does not leaves the text as long as its room, which nothing that is looked for is. */
static void gather(char *text, uint8_t *len, size_t room, const char *bytes, size_t n) {
    if (n > room - *len) n = room - *len;
    memcpy(text + *len, bytes, n);
    *len = (uint8_t)(*len + n);
    text[*len] = '\0';
}

static void copy(char *to, size_t size, const char *from) {
    size_t n = strlen(from);
    if (n > size - 1) n = size - 1;
    memcpy(to, from, n);
    to[n] = '\0';
}

/* ---- headers ---- */

static void on_accept(request *r) {
    r->lists_json |= lists(r->value, "application/json");
    r->lists_events |= lists(r->value, "text/event-stream");
}

static void on_content_type(request *r) {
    r->is_json |= lists(r->value, "application/json");
}

static void on_origin(request *r) {
    r->foreign |= !origin_allowed(r->value);
}

static void on_session(request *r) {
    if (!r->has_session) copy(r->session, sizeof r->session, r->value);
    r->has_session = true;
}

static void on_version(request *r) {
    if (!r->has_version) copy(r->version, sizeof r->version, r->value);
    r->has_version = true;
}

static void on_last_event_id(request *r) {
    if (!r->has_last_event_id) copy(r->last_event_id, sizeof r->last_event_id, r->value);
    r->has_last_event_id = true;
}

static const struct {
    const char *name;
    void (*take)(request *r);
} headers[] = {
    {"accept", on_accept},          {"content-type", on_content_type},    {"origin", on_origin},
    {"mcp-session-id", on_session}, {"mcp-protocol-version", on_version}, {"last-event-id", on_last_event_id},
};

static void end_header(request *r) {
    for (size_t i = 0; r->in_value && i < sizeof headers / sizeof headers[0]; i++) {
        if (strcasecmp(headers[i].name, r->name) != 0) continue;
        if (r->value_len == HEADER_MAX) r->refusal = 400; /* there may be more of it */
        headers[i].take(r);
    }
    r->in_value = false;
    r->name_len = r->value_len = 0;
    r->name[0] = r->value[0] = '\0';
}

/* ---- what http-parser calls; anything but 0 stops it ---- */

static int on_url(http_parser *p, const char *bytes, size_t n) {
    gather(of(p)->path, &of(p)->path_len, sizeof of(p)->path - 1, bytes, n);
    return 0;
}

static int on_field(http_parser *p, const char *bytes, size_t n) {
    if (of(p)->in_value) end_header(of(p));
    gather(of(p)->name, &of(p)->name_len, sizeof of(p)->name - 1, bytes, n);
    return 0;
}

static int on_value(http_parser *p, const char *bytes, size_t n) {
    of(p)->in_value = true;
    gather(of(p)->value, &of(p)->value_len, HEADER_MAX, bytes, n);
    return 0;
}

static int on_headers(http_parser *p) {
    request *r = of(p);
    end_header(r);
    r->method = (uint8_t)p->method;
    r->path_known = strncmp(r->path, "/mcp", 4) == 0 && (r->path[4] == '\0' || r->path[4] == '?');
    if (p->content_length != ULLONG_MAX && p->content_length > BODY_MAX) r->refusal = 413;
    return r->refusal != 0;
}

static int on_body(http_parser *p, const char *bytes, size_t n) {
    request *r = of(p);
    if (n > (size_t)(BODY_MAX - r->body_len)) {
        r->refusal = 413;
        return 1;
    }
    memcpy(r->body + r->body_len, bytes, n);
    r->body_len = (uint16_t)(r->body_len + n);
    return 0;
}

static int on_end(http_parser *p) {
    of(p)->complete = true;
    http_parser_pause(p, 1); /* a connection is for one request */
    return 0;
}

static const http_parser_settings settings = {
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_headers,
    .on_body = on_body,
    .on_message_complete = on_end,
};

void request_begin(request *r, http_parser *p) {
    memset(r, 0, sizeof *r);
    http_parser_init(p, HTTP_REQUEST);
    p->data = r;
}

void request_take(http_parser *p, const char *bytes, size_t len) {
    request *r = of(p);
    if (r->complete || r->refusal) return;
    http_parser_execute(p, &settings, bytes, len);
    if (!r->complete && !r->refusal && HTTP_PARSER_ERRNO(p) != HPE_OK) r->refusal = 400;
}
