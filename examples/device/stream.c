/* Event streams: each is a log in the store, written here and shown by readers (reader.c). A POST's is named at random,
   for request ids recur; the GET stream of a session has a fixed name. What nobody listens to is stored too, as far as
   the log's bounds go, once a GET stream was opened; before that there is nobody to store it for. */

#include "device.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Its reader, if it has one, hands on what was written. */
static void wake(stream *s) {
    reader *r = reader_of(s->dev, s->session, s->name);
    if (r) reader_step(r);
}

static void free_stream(stream *s) {
    stream **at = &s->dev->streams;
    while (*at && *at != s) at = &(*at)->next;
    if (*at) *at = s->next;
    if (s->tick) event_free(s->tick);
    free(s);
}

/* ---- open ---- */

static stream *new_stream(device *dev, const session *s, const char *name, int *rc) {
    mcpsess_stream_op op = stream_op();
    stream *new = calloc(1, sizeof *new);
    *rc = MCPSESS_E_NOMEM;
    if (!new) return NULL;
    new->dev = dev;
    memcpy(new->session, s->id, sizeof new->session);
    snprintf(new->name, sizeof new->name, "%s", name);
    *rc = mcpsess_stream_open(&dev->sessions.streams, &new->writer, &op, mcpsess_str_z(new->session), &nobody,
                              mcpsess_str_z(new->name), true, now_ms());
    if (*rc == MCPSESS_OK) return new;
    dev->lost.streams++;
    free(new);
    return NULL;
}

stream *stream_open(device *dev, struct evhttp_request *req, const session *s, bool polls, int *rc) {
    char name[STREAM_NAME];
    random_name(name);
    stream *new = new_stream(dev, s, name, rc);
    if (!new) return NULL;
    new->holds = 1;
    session_prime(s, &new->writer, polls);
    *rc = reader_open(dev, req, s, new->name, new->writer.epoch, 0);
    if (*rc == MCPSESS_OK) return new;
    stream_release(new);
    return NULL;
}

/* ---- write ---- */

static bool is_lost(stream *s, int rc, const mcpsess_event *e) {
    if (rc == MCPSESS_OK) return false;
    reader *r = reader_of(s->dev, s->session, s->name);
    return rc != MCPSESS_E_TOOBIG || !r || !reader_tell(r, e); /* who listens hears it, without an id */
}

void stream_send(stream *s, const cJSON *message) {
    mcpsess_stream_op op = stream_op();
    mcpsess_event e = {.type = MCPSESS_STR("message")};
    char *text = cJSON_PrintUnformatted(message);
    if (text) {
        e.data = mcpsess_str_of(text, strlen(text));
        if (is_lost(s, mcpsess_stream_append(&s->writer, &op, &e, now_ms()), &e)) s->dev->lost.events++;
        wake(s);
    } else {
        s->dev->lost.events++;
    }
    cJSON_free(text);
}

void stream_release(stream *s) {
    mcpsess_stream_op op = stream_op();
    if (--s->holds > 0) return;
    mcpsess_stream_complete(&s->writer, &op, now_ms());
    wake(s);
    free_stream(s);
}

/* ---- the GET stream ---- */

static stream *get_stream(device *dev, const char *session_id) {
    stream *s = dev->streams;
    while (s && strcmp(s->session, session_id) != 0) s = s->next;
    return s;
}

static void delete_logs(device *dev, const char *session_id, mcpsess_str name) {
    mcpsess_stream_op op = stream_op();
    mcpsess_stream_del(&dev->sessions.streams, &op, mcpsess_str_z(session_id), &nobody, name, now_ms());
}

static void end_stream(stream *s) {
    reader *r = reader_of(s->dev, s->session, s->name);
    if (r) reader_close(r);
    delete_logs(s->dev, s->session, mcpsess_str_z(s->name));
    free_stream(s);
}

/* A GET stream lives as long as its session, which an open connection keeps alive. */
static void on_tick(evutil_socket_t fd, short what, void *arg) {
    stream *s = arg;
    mcpsess_stream_op op = stream_op();
    reader *r = reader_of(s->dev, s->session, s->name);
    (void)fd;
    (void)what;
    int rc = r ? session_touch(&s->dev->sessions.table, s->session) : session_peek(&s->dev->sessions.table, s->session);
    if (rc != MCPSESS_OK) {
        end_stream(s);
        return;
    }
    mcpsess_stream_keep(&s->writer, &op, now_ms());
    if (r) reader_comment(r, "still here");
}

static bool start_tick(stream *s) {
    uint64_t third = s->dev->sessions.ttl_ms / 3;
    uint64_t ms = third < KEEP_ALIVE_SECONDS * 1000u ? third : KEEP_ALIVE_SECONDS * 1000u;
    struct timeval every = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)};
    s->tick = event_new(s->dev->base, -1, EV_PERSIST, on_tick, s);
    return s->tick && event_add(s->tick, &every) == 0;
}

static stream *new_get_stream(device *dev, const session *s, int *rc) {
    stream *new = new_stream(dev, s, GET_STREAM, rc);
    if (!new) return NULL;
    new->next = dev->streams;
    dev->streams = new;
    if (start_tick(new)) return new;
    end_stream(new);
    *rc = MCPSESS_E_NOMEM;
    return NULL;
}

/* A client that does not say where it was begins with what comes now. */
int stream_listen(device *dev, struct evhttp_request *req, const session *s) {
    int rc = MCPSESS_OK;
    stream *get = get_stream(dev, s->id);
    if (get && reader_of(dev, s->id, get->name)) return MCPSESS_BUSY;
    if (!get) get = new_get_stream(dev, s, &rc);
    if (!get) return rc;
    uint64_t after = get->writer.sequence;
    session_prime(s, &get->writer, false);
    return reader_open(dev, req, s, get->name, get->writer.epoch, after);
}

void streams_notify(device *dev, const char *session_id, const cJSON *message) {
    stream *s = get_stream(dev, session_id);
    if (s) {
        stream_send(s, message);
    } else {
        dev->lost.unheard++;
    }
}

void streams_end(device *dev, const char *session_id) {
    stream *next;
    for (stream *s = dev->streams; s; s = next) {
        next = s->next;
        if (!session_id || strcmp(s->session, session_id) == 0) end_stream(s);
    }
    if (session_id) delete_logs(dev, session_id, mcpsess_str_of(NULL, 0));
}
