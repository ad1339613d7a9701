/* The slow tool: calibration, in steps, each told to the client as it happens. A job belongs to its session and
   outlives its connection, whose loss does not cancel it; notifications/cancelled and the end of the session do. */

#include "device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct job {
    job *next;
    device *dev;
    stream *stream;
    struct event *timer;
    cJSON *id;    /* of the request */
    cJSON *token; /* NULL: the client does not ask for progress */
    int step;
    double seconds;
    char session[MCPSESS_ID_MAX + 1];
};

static void free_job(job *j) {
    job **at = &j->dev->jobs;
    while (*at != j) at = &(*at)->next;
    *at = j->next;
    j->dev->job_count--;
    if (j->timer) event_free(j->timer);
    cJSON_Delete(j->id);
    cJSON_Delete(j->token);
    free(j);
}

/* Ends a job with its answer, or with none. */
static void end_job(job *j, cJSON *answer) {
    stream *s = j->stream;
    if (answer) stream_send(s, answer);
    cJSON_Delete(answer);
    free_job(j);
    stream_release(s);
}

static void report(job *j) {
    char text[32];
    cJSON *params = cJSON_CreateObject();
    if (!j->token) {
        cJSON_Delete(params);
        return;
    }
    snprintf(text, sizeof text, "step %d of %d", j->step, CALIBRATE_STEPS);
    cJSON_AddItemToObject(params, "progressToken", cJSON_Duplicate(j->token, true));
    cJSON_AddNumberToObject(params, "progress", j->step);
    cJSON_AddNumberToObject(params, "total", CALIBRATE_STEPS);
    cJSON_AddStringToObject(params, "message", text);
    cJSON *message = rpc_notification("notifications/progress", params);
    stream_send(j->stream, message);
    cJSON_Delete(message);
}

/* The session may have expired while the job ran, and then there is nothing left to write to. */
static cJSON *finish(job *j) {
    session s;
    if (session_load(&j->dev->sessions.table, &s, j->session) != MCPSESS_OK) {
        return rpc_error(j->id, RPC_NO_SESSION, "Session not found");
    }
    session_set(&s, "calibrated", "yes");
    if (session_save(&j->dev->sessions.table, &s) != MCPSESS_OK) {
        return rpc_error(j->id, RPC_INTERNAL, "the session could not be written");
    }
    cJSON *values = cJSON_CreateObject();
    cJSON_AddNumberToObject(values, "steps", CALIBRATE_STEPS);
    cJSON_AddNumberToObject(values, "seconds", j->seconds);
    return rpc_result(j->id, tool_result(&s, values));
}

static void arm(job *j) {
    long ms = (long)(j->seconds * 1000 / CALIBRATE_STEPS);
    struct timeval in = {ms / 1000, ms % 1000 * 1000};
    event_add(j->timer, &in);
}

static void on_step(evutil_socket_t fd, short what, void *arg) {
    job *j = arg;
    (void)fd;
    (void)what;
    j->step++;
    report(j);
    if (j->step == CALIBRATE_STEPS) {
        end_job(j, finish(j));
    } else {
        arm(j);
    }
}

static job *new_job(call *c, double seconds) {
    const cJSON *meta = cJSON_GetObjectItemCaseSensitive(c->params, "_meta");
    const cJSON *token = cJSON_GetObjectItemCaseSensitive(meta, "progressToken");
    job *j = calloc(1, sizeof *j);
    if (!j) return NULL;
    j->dev = c->dev;
    j->seconds = seconds;
    j->id = cJSON_Duplicate(c->id, true);
    if (rpc_id_valid(token)) j->token = cJSON_Duplicate(token, true);
    memcpy(j->session, c->session->id, sizeof j->session);
    j->timer = event_new(c->dev->base, -1, 0, on_step, j);
    j->next = c->dev->jobs;
    c->dev->jobs = j;
    c->dev->job_count++;
    return j;
}

cJSON *job_begin(call *c, double seconds, bool polls) {
    int rc = MCPSESS_OK;
    if (c->dev->job_count >= JOBS_MAX) return tool_problem("too many calibrations are under way; try again later");
    if (!*c->stream) *c->stream = stream_open(c->dev, c->req, c->session, polls, &rc);
    if (rc == MCPSESS_E_FULL) return tool_problem("too many event streams are open; try again later");
    job *j = *c->stream ? new_job(c, seconds) : NULL;
    if (!j) return rpc_fail(c, RPC_INTERNAL, "out of memory");
    j->stream = *c->stream;
    j->stream->holds++;
    c->deferred = true;
    arm(j);
    return NULL;
}

void jobs_cancel(device *dev, const char *session_id, const cJSON *id) {
    job *next;
    for (job *j = dev->jobs; j; j = next) {
        next = j->next;
        if (strcmp(j->session, session_id) != 0) continue;
        if (!id || cJSON_Compare(id, j->id, true)) end_job(j, NULL); /* a cancelled request gets no answer */
    }
}

void jobs_abort(device *dev) {
    while (dev->jobs) end_job(dev->jobs, rpc_error(dev->jobs->id, RPC_INTERNAL, "the device is stopping"));
}
