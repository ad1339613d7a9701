/* Streams over a memory store, with a store in between that is slow, failing or silent as told, and that can lose what
   was written since an earlier instant, as a server does that comes back from an old snapshot. */

#ifndef STREAM_RIG_H
#define STREAM_RIG_H

#include "test_util.h"

#define STREAM_RIG_LOGS 3u
#define STREAM_RIG_RING 320u
#define STREAM_RIG_SLOTS 4u

typedef struct stream_rig {
    mcpsess_streams streams;
    mcpsess_stream_desc desc; /* for stream_rig_start */
    mcpsess_memstore memory;
    uint64_t now_ms;
    mcpsess_principal who;
    mcpsess_stream_writer w, other; /* for the tests; zeroed by a start */
    mcpsess_stream_reader r;

    /* what happens to requests that come from now on */
    unsigned delay;  /* polls until the answer; 0: within submit */
    int fail;        /* this answer instead of the real one, unless OK; nothing takes effect */
    bool fail_after; /* with fail: it takes effect all the same */
    bool keep_last;  /* with fail: its answer names the request's own sequence as the last */
    bool silent;     /* tells nothing of changes */
    int hear;        /* what hear answers; OK at first */
    int listen;      /* and listen */

    uint64_t due_ms; /* what next_due answers; 0: in a long time */

    unsigned submits, cancels, polls;
    uint64_t deadline_ms;                          /* of the last request */
    unsigned items[MCPSESS_ITEM_LOGS_DELETED + 1]; /* logged, by item */
    uint64_t item_number;                          /* of the last one */
    const mcpsess_op *watched;                     /* NULL, or whose result, when something is logged, is: */
    int watched_rc;
    unsigned refreshes; /* of them ranges that keep the log alive */
    uint8_t last_kind;

    const mcpsess_listener *listener;
    struct {
        mcpsess_log_request *request; /* NULL: free */
        mcpsess_log_request answer;
        size_t out_len;
        unsigned age;
    } slots[STREAM_RIG_SLOTS];
    struct {
        char *bytes;
        size_t len;
    } storage;
} stream_rig;

extern stream_rig sr;

void stream_rig_start(void);   /* defaults, an empty store */
void stream_rig_restart(void); /* the streams anew, over the same store: another process */
void stream_rig_save(void);    /* what the server has on disk */
void stream_rig_lose(void);    /* and comes back with */

/* One operation to its end; time does not pass. */
int stream_open(mcpsess_stream_writer *w, const char *stream, bool fresh);
int stream_append(mcpsess_stream_writer *w, const char *data); /* its id is in stream_id afterwards */
mcpsess_str stream_three_events(void); /* a stream "1" of sr.w with "a", "b", "c"; -> the id of the first, kept */
int stream_complete(mcpsess_stream_writer *w);
int stream_resume(mcpsess_stream_reader *r, mcpsess_str last_event_id);
int stream_next(mcpsess_stream_reader *r); /* its event is in stream_event; PENDING: it waits, and was cancelled */
bool stream_reads(mcpsess_stream_reader *r, const char *data); /* next is this event */
mcpsess_str stream_id(void); /* of the event that was appended last; lives until the next append */
extern mcpsess_event stream_event;
extern mcpsess_stream_op stream_op;
extern char stream_page[MCPSESS_STREAM_READER_MIN + 40];

#endif
