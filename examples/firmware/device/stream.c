/* Event streams: each is a log in the store, written here and shown by readers (reader.c). A POST's is named at random,
   for request ids recur; the GET stream of a session has a fixed name. What nobody listens to is stored too, as far as
   the log's bounds go, once a GET stream was opened; before that there is nobody to store it for. */

#include "device.h"

static stream pool[LOGS];

/* ---- open ---- */

static stream *new_stream(const session *of, const char *name, int *rc) {
    mcpsess_stream_op op = stream_op();
    stream *s = pool;
    *rc = MCPSESS_E_FULL;
    while (s < pool + LOGS && s->used) s++;
    if (s == pool + LOGS) return NULL;
    memset(s, 0, sizeof *s);
    memcpy(s->session, of->id, sizeof s->session);
    memcpy(s->name, name, strlen(name) + 1);
    *rc = mcpsess_stream_open(&streams, &s->writer, &op, mcpsess_str_z(s->session), &nobody, mcpsess_str_z(s->name),
                              true, now_ms());
    s->used = *rc == MCPSESS_OK;
    return s->used ? s : NULL;
}

stream *stream_open(const session *s, bool polls) {
    char name[STREAM_NAME];
    int rc;
    random_name(name);
    stream *new = new_stream(s, name, &rc);
    if (!new) return NULL;
    new->holds = 1;
    session_prime(s, &new->writer, polls);
    return new;
}

/* ---- write; readers find what was written in their next step ---- */

void stream_send(stream *s, mcpsess_str message) {
    mcpsess_stream_op op = stream_op();
    mcpsess_event e = {.type = MCPSESS_STR("message"), .data = message};
    if (message.len > EVENT_MAX || mcpsess_stream_append(&s->writer, &op, &e, now_ms()) != MCPSESS_OK) count.events++;
}

void stream_release(stream *s) {
    mcpsess_stream_op op = stream_op();
    if (--s->holds > 0) return;
    mcpsess_stream_complete(&s->writer, &op, now_ms());
    s->used = false;
}

/* ---- the GET stream ---- */

static stream *get_stream(const char *session_id) {
    for (stream *s = pool; s < pool + LOGS; s++) {
        if (s->used && s->listened && strcmp(s->session, session_id) == 0) return s;
    }
    return NULL;
}

static void delete_logs(const char *session_id, mcpsess_str name) {
    mcpsess_stream_op op = stream_op();
    mcpsess_stream_del(&streams, &op, mcpsess_str_z(session_id), &nobody, name, now_ms());
}

static void end_stream(stream *s) {
    connection *c = reader_of(s->session, s->name);
    if (c) reader_close(c);
    delete_logs(s->session, mcpsess_str_z(s->name));
    s->used = false;
}

/* A GET stream lives as long as its session, which an open connection keeps alive. */
static void tick(stream *s) {
    mcpsess_stream_op op = stream_op();
    connection *c = reader_of(s->session, s->name);
    s->tick_ms = now_ms() + KEEP_ALIVE_MS;
    if ((c ? session_touch(&sessions, s->session) : session_peek(&sessions, s->session)) != MCPSESS_OK) {
        end_stream(s);
        return;
    }
    mcpsess_stream_keep(&s->writer, &op, now_ms());
    if (c) reader_comment(c, "still here");
}

void streams_step(void) {
    for (stream *s = pool; s < pool + LOGS; s++) {
        if (s->used && s->listened && now_ms() >= s->tick_ms) tick(s);
    }
}

static stream *new_get_stream(const session *s, int *rc) {
    stream *new = new_stream(s, GET_STREAM, rc);
    if (!new) return NULL;
    new->listened = true;
    new->tick_ms = now_ms() + KEEP_ALIVE_MS;
    return new;
}

/* A client that does not say where it was begins with what comes now. */
int stream_listen(connection *c, const session *s) {
    int rc = MCPSESS_OK;
    stream *get = get_stream(s->id);
    if (get && reader_of(s->id, get->name)) return MCPSESS_BUSY;
    if (!get) get = new_get_stream(s, &rc);
    if (!get) return rc;
    uint64_t after = get->writer.sequence;
    session_prime(s, &get->writer, false);
    return reader_open(c, s, get->name, get->writer.epoch, after);
}

void streams_notify(const char *session_id, mcpsess_str message) {
    stream *s = get_stream(session_id);
    if (s) {
        stream_send(s, message);
    } else {
        count.unheard++;
    }
}

void streams_end(const char *session_id) {
    for (stream *s = pool; s < pool + LOGS; s++) {
        if (s->used && s->listened && (!session_id || strcmp(s->session, session_id) == 0)) end_stream(s);
    }
    if (session_id) delete_logs(session_id, mcpsess_str_of(NULL, 0));
}
