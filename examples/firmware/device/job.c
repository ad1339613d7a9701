/* The slow tool: calibration, in steps, each told to the client as it happens. A job belongs to its session and
   outlives its connection, whose loss does not cancel it; notifications/cancelled and the end of the session do. */

#include "device.h"

typedef struct job {
    stream *stream;   /* NULL: free */
    uint64_t due_ms;  /* its next step */
    uint32_t step_ms; /* how long each takes */
    uint8_t step;
    uint8_t id_len, token_len, seconds_len;                      /* token 0: the client does not ask for progress */
    char id[RAW_ID_MAX], token[RAW_ID_MAX], seconds[RAW_ID_MAX]; /* as the request has them */
    char session[MCPSESS_ID_MAX + 1];
} job;

static job jobs[JOBS];

static mcpsess_str id_of(const job *j) {
    return mcpsess_str_of(j->id, j->id_len);
}

/* Ends a job with its answer, or with none. */
static void end_job(job *j, const mcpsess_buf *message) {
    stream *s = j->stream;
    if (message) stream_send(s, mcpsess_buf_str(message));
    j->stream = NULL;
    stream_release(s);
}

static void report(const job *j) {
    char text[EVENT_MAX];
    mcpsess_buf out;
    if (j->token_len == 0) return;
    mcpsess_buf_init(&out, text, sizeof text);
    json_put(&out, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":");
    mcpsess_buf_put(&out, mcpsess_str_of(j->token, j->token_len));
    json_put(&out, ",\"progress\":");
    json_put_int(&out, j->step);
    json_put(&out, ",\"total\":");
    json_put_int(&out, CALIBRATE_STEPS);
    json_put(&out, ",\"message\":\"step ");
    json_put_int(&out, j->step);
    json_put(&out, " of ");
    json_put_int(&out, CALIBRATE_STEPS);
    json_put(&out, "\"}}");
    stream_send(j->stream, mcpsess_buf_str(&out));
}

static void put_result(const job *j, const session *s, mcpsess_buf *out) {
    char text[64];
    mcpsess_buf values;
    mcpsess_buf_init(&values, text, sizeof text);
    json_put(&values, "{\"steps\":");
    json_put_int(&values, CALIBRATE_STEPS);
    json_put(&values, ",\"seconds\":");
    mcpsess_buf_put(&values, mcpsess_str_of(j->seconds, j->seconds_len));
    json_put(&values, "}");
    rpc_put_head(out, id_of(j));
    json_put(out, ",\"result\":");
    tool_put_result(s, mcpsess_buf_str(&values), out);
    json_put(out, "}");
}

/* The session may have expired while the job ran, and then there is nothing left to write to. */
static void finish(job *j) {
    session s;
    char text[EVENT_MAX];
    mcpsess_buf out;
    mcpsess_buf_init(&out, text, sizeof text);
    if (session_load(&sessions, &s, j->session) != MCPSESS_OK) {
        rpc_put_error(&out, id_of(j), RPC_NO_SESSION, "Session not found");
    } else {
        session_set(&s, "calibrated", "yes");
        if (session_save(&sessions, &s) == MCPSESS_OK) {
            put_result(j, &s, &out);
        } else {
            rpc_put_error(&out, id_of(j), RPC_INTERNAL, "the session could not be written");
        }
    }
    end_job(j, &out);
}

void jobs_step(void) {
    for (job *j = jobs; j < jobs + JOBS; j++) {
        if (!j->stream || now_ms() < j->due_ms) continue;
        j->step++;
        j->due_ms += j->step_ms;
        report(j);
        if (j->step == CALIBRATE_STEPS) finish(j);
    }
}

static uint8_t keep(char to[RAW_ID_MAX], mcpsess_str raw) {
    memcpy(to, raw.ptr, raw.len);
    return (uint8_t)raw.len;
}

static void start(job *j, const call *c, int seconds) {
    int token = json_get(c->json, json_get(c->json, c->params, "_meta"), "progressToken");
    double length = 0;
    json_is_number(c->json, seconds, &length);
    memset(j, 0, sizeof *j);
    j->step_ms = (uint32_t)(length * 1000 / CALIBRATE_STEPS);
    j->due_ms = now_ms() + j->step_ms;
    j->id_len = keep(j->id, rpc_id(c->json, c->message));
    j->seconds_len = keep(j->seconds, json_raw(c->json, seconds));
    if (rpc_id_valid(c->json, token)) j->token_len = keep(j->token, json_raw(c->json, token));
    memcpy(j->session, c->session->id, sizeof j->session);
    j->stream = c->stream;
    j->stream->holds++;
}

bool job_begin(call *c, int seconds, bool polls) {
    job *j = jobs;
    while (j < jobs + JOBS && j->stream) j++;
    if (j == jobs + JOBS) return tool_problem(c, "too many calibrations are under way; try again later");
    if (!c->stream) c->stream = stream_open(c->session, polls);
    if (!c->stream) return tool_problem(c, "too many event streams are open; try again later");
    start(j, c, seconds);
    c->deferred = true;
    return false;
}

void jobs_cancel(const char *session_id, mcpsess_str id) {
    for (job *j = jobs; j < jobs + JOBS; j++) {
        if (!j->stream || strcmp(j->session, session_id) != 0) continue;
        if (id.len == 0 || mcpsess_str_eq(id, id_of(j))) end_job(j, NULL); /* a cancelled request gets no answer */
    }
}

void jobs_abort(void) {
    char text[EVENT_MAX];
    mcpsess_buf out;
    for (job *j = jobs; j < jobs + JOBS; j++) {
        if (!j->stream) continue;
        mcpsess_buf_init(&out, text, sizeof text);
        rpc_put_error(&out, id_of(j), RPC_INTERNAL, "the device is stopping");
        end_job(j, &out);
    }
}
