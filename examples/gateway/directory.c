/* directory.c - whose backends are whose: a service is asked for those that a user may use, once for all gateways.

     GET URL?user=NAME   ->   200 {"backends":["http://...",...]}

   What it said is kept as the data of a flag, in the store that the gateways share, for --directory-ttl seconds: a
   flight per user sees to it that one of them asks while the others wait, and that another one takes over if that one
   dies. A flag counts only for the directory, and the header that names users, for which it was set.

   what happens                               what follows
   a list                                     a new session goes to the live backend on it with the fewest sessions
   an empty list                              403, and as if all of its backends were down
   a name too long for a key of the store     403
   no answer, not in time, no 200, no list    503 with Retry-After; nothing is kept, the next request asks again
   a backend on the list is down              the list is dropped, so that the next request asks again, if it is older
                                              than an eighth of its TTL, at most 10 s. If none of them is up, that next
                                              request is this one
   a list names more backends than there is   503
   room for, with all of them in use

   The key is the name itself, and no hash of it: two users never have the same one. */

#include "gateway.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX (16u * 1024u) /* bytes of the directory's */
#define WORN_MAX_MS 10000u       /* a list with a dead backend is dropped when it is older */
#define KEY "b:"                 /* no stream, whose leases are in the same place, has such a name */
#define FORMAT '1'               /* of the data: URLs, each with a newline */
#define FINGERPRINT_SIZE 18u

/* A request to the directory, as the operation that a flight takes for its loader. */
struct load {
    mcpsess_op op; /* first */
    struct gateway *g;
    mcpsess_buf *data;
    struct leg *leg;
    struct evbuffer *answer;
    uint64_t due_ms;
    int status;
    enum leg_end how;
    bool ended, too_long;
};

struct directory {
    struct backend at;
    char query[2 * URL_MAX + 8];
    char fingerprint[FINGERPRINT_SIZE + 1];
    mcpsess_flights flights;
    mcpsess_lru dropped; /* users whose list was, lately */
    struct load loads[DIRECTORY_USERS];
    void *memory, *dropped_memory;
    uint64_t asked, away, refused, drops, nobodys;
};

/* What an exchange wants to know. */
struct ask {
    mcpsess_op op;
    mcpsess_flight_op drop;
    struct step step;
    mcpsess_buf list;
    void (*then)(struct exchange *x, int rc);
    char key[MCPSESS_ID_MAX];
    size_t key_len;
    bool again;  /* because no backend was up */
    bool fenced; /* or because what another gateway has loaded meanwhile counts, and ours does not */
    char bytes[LIST_MAX];
};

/* ---- the answer */

static bool put_backend(const cJSON *item, mcpsess_buf *out) {
    struct backend parsed;
    if (!cJSON_IsString(item) || !backend_parse(&parsed, item->valuestring)) return false;
    mcpsess_buf_put(out, mcpsess_str_z(item->valuestring));
    mcpsess_buf_put_char(out, '\n');
    return true;
}

/* All of it, or none: a list with an error in it may have others. */
static bool read_list(mcpsess_str answer, mcpsess_buf *out) {
    cJSON *root = rpc_json(answer);
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "backends"), *item;
    bool ok = cJSON_IsArray(list) && cJSON_GetArraySize(list) <= (int)BACKENDS_MAX;
    cJSON_ArrayForEach(item, list) {
        ok = ok && put_backend(item, out);
    }
    cJSON_Delete(root);
    return ok && !out->overflow;
}

static int read_answer(struct load *l) {
    struct directory *d = l->g->directory;
    mcpsess_str answer = {0};
    if (l->how != LEG_DONE || l->status != 200) {
        d->away++;
        say(l->g, "the directory gave no answer (status %d)", l->status);
        return l->how == LEG_LATE ? MCPSESS_E_TIMEOUT : MCPSESS_E_IO;
    }
    answer.len = evbuffer_get_length(l->answer);
    answer.ptr = (const char *)evbuffer_pullup(l->answer, -1);
    if (!l->too_long && read_list(answer, l->data)) return MCPSESS_OK;
    d->refused++;
    say(l->g, "the directory's answer is no list of backends");
    return MCPSESS_E_FORMAT;
}

/* ---- the request */

static bool on_head(void *user, int status, struct evkeyvalq *headers) {
    struct load *l = user;
    uint64_t left = mcpsess_time_left(now_ms(), l->due_ms);
    (void)headers;
    l->status = status;
    if (status != 200) return false;
    leg_limit(l->leg, left > 0 ? (uint32_t)left : 1); /* for the rest */
    return true;
}

static void on_data(void *user, struct evbuffer *data) {
    struct load *l = user;
    if (evbuffer_get_length(l->answer) + evbuffer_get_length(data) > ANSWER_MAX) l->too_long = true;
    if (l->too_long) evbuffer_drain(data, evbuffer_get_length(data));
    else evbuffer_add_buffer(l->answer, data);
}

static void on_end(void *user, enum leg_end how) {
    struct load *l = user;
    l->leg = NULL;
    l->how = how;
    l->ended = true;
    event_active(l->g->pump, EV_TIMEOUT, 0);
}

static int finish(struct load *l, int rc) {
    if (l->leg != NULL) leg_cancel(l->leg);
    evbuffer_free(l->answer);
    l->leg = NULL;
    l->answer = NULL;
    return mcpsess_op_end(&l->op, rc);
}

static int load_poll(mcpsess_op *op, uint64_t now) {
    struct load *l = mcpsess_op_object(op);
    (void)now;
    return l->ended ? finish(l, read_answer(l)) : MCPSESS_PENDING;
}

static void load_cancel(mcpsess_op *op) {
    finish(mcpsess_op_object(op), MCPSESS_E_CANCELED);
}

static uint64_t load_next_due(mcpsess_op *op, uint64_t now) {
    const struct load *l = mcpsess_op_object(op);
    return l->ended ? now : MCPSESS_NEVER; /* the leg has its own deadline, and wakes the pump */
}

static unsigned load_want(mcpsess_op *op) {
    const struct load *l = mcpsess_op_object(op);
    return l->ended ? MCPSESS_WANT_NOW : MCPSESS_WANT_TIME;
}

static struct load *free_load(struct directory *d) {
    for (unsigned i = 0; i < DIRECTORY_USERS; i++) {
        if (mcpsess_op_rc(&d->loads[i].op) != MCPSESS_PENDING) return &d->loads[i];
    }
    return NULL;
}

static bool send_request(struct load *l, mcpsess_str name) {
    static const struct leg_events events = {on_head, on_data, on_end};
    struct directory *d = l->g->directory;
    char path[sizeof d->query + 3 * MCPSESS_ID_MAX];
    uint32_t limit = l->g->config.timeout_ms < DIRECTORY_MS ? l->g->config.timeout_ms : DIRECTORY_MS;
    char *quoted = evhttp_uriencode(name.ptr, (ev_ssize_t)name.len, 0);
    l->leg = quoted != NULL && l->answer != NULL ? leg_new(&d->at, &events, l) : NULL;
    if (l->leg != NULL) {
        snprintf(path, sizeof path, "%s%s", d->query, quoted);
        evhttp_add_header(leg_headers(l->leg), "Accept", "application/json");
        l->due_ms = mcpsess_time_add(now_ms(), limit);
        leg_get(l->leg, path);
        leg_limit(l->leg, limit);
    }
    free(quoted);
    return l->leg != NULL;
}

/* An mcpsess_flight_loader. */
static mcpsess_op *load_begin(void *user, const mcpsess_flight_job *job, uint64_t now) {
    static const mcpsess_op_class cls = {load_poll, load_cancel, load_next_due, load_want};
    struct gateway *g = user;
    struct load *l = free_load(g->directory);
    (void)now;
    if (l == NULL || mcpsess_op_begin(&l->op, &cls, l) != MCPSESS_PENDING) return NULL;
    l->g = g;
    l->data = job->data;
    l->answer = evbuffer_new();
    l->ended = l->too_long = false;
    l->status = 0;
    g->directory->asked++;
    if (send_request(l, mcpsess_str_of(job->key.ptr + strlen(KEY), job->key.len - strlen(KEY)))) return &l->op;
    if (l->answer != NULL) evbuffer_free(l->answer);
    mcpsess_op_end(&l->op, MCPSESS_E_NOMEM);
    return NULL;
}

/* ---- the list of one user */

static void load(struct exchange *x);

static void done(struct exchange *x, int rc) {
    void (*then)(struct exchange *, int) = x->ask->then;
    if (rc == MCPSESS_MISS) x->g->directory->nobodys++;
    then(x, rc);
}

static void go_on(struct exchange *x, mcpsess_op *op, int rc, void (*then)(void *user, int rc)) {
    if (rc == MCPSESS_PENDING) step_wait(x->g, &x->ask->step, op, then, x);
    else then(x, rc);
}

/* -> OK, MISS: it is empty, E_FULL */
static int take_list(struct exchange *x) {
    mcpsess_str rest = mcpsess_buf_str(&x->ask->list);
    bool full = false;
    x->list_count = 0;
    while (rest.len > 0 && x->list_count < BACKENDS_MAX) {
        const char *end = memchr(rest.ptr, '\n', rest.len);
        size_t n = end != NULL ? (size_t)(end - rest.ptr) : rest.len;
        int at = backend_find(x->g, mcpsess_str_of(rest.ptr, n));
        full = full || at < 0;
        if (at >= 0) x->list[x->list_count++] = (uint8_t)at;
        rest = mcpsess_str_of(rest.ptr + n + (end != NULL), rest.len - n - (end != NULL));
    }
    if (x->list_count > 0) return MCPSESS_OK;
    return full ? MCPSESS_E_FULL : MCPSESS_MISS;
}

static unsigned count_usable(const struct exchange *x) {
    unsigned n = 0;
    for (unsigned i = 0; i < x->list_count; i++) n += backend_usable(x, x->list[i]);
    return n;
}

static uint64_t worn_ms(const struct gateway *g) {
    uint64_t ms = g->config.directory_ttl_ms / 8;
    return ms < WORN_MAX_MS ? ms : WORN_MAX_MS;
}

/* Is the list to be loaded anew? Not when it just was, by whichever gateway: what the directory knows, it has said. */
static bool is_worn(const struct exchange *x) {
    uint64_t ttl = x->g->config.directory_ttl_ms, left = x->ask->op.left_ms;
    bool whole = x->list_count > 0 && count_usable(x) == x->list_count;
    return !x->ask->again && !whole && left < ttl && ttl - left >= worn_ms(x->g);
}

static void dropped(void *user, int rc) {
    struct exchange *x = user;
    if (rc != MCPSESS_OK && rc != MCPSESS_MISS) say(x->g, "a list of backends stays: %s", mcpsess_code_name(rc));
    if (count_usable(x) > 0) {
        done(x, MCPSESS_OK);
    } else {
        x->ask->again = true;
        load(x);
    }
}

/* Others of this user, that wait at the same time, do not drop what comes next. */
static void drop(struct exchange *x) {
    struct directory *d = x->g->directory;
    uint64_t now = now_ms();
    mcpsess_str key = mcpsess_str_of(x->ask->key, x->ask->key_len), none;
    if (mcpsess_lru_get(&d->dropped, key, now, &none) == MCPSESS_OK) {
        dropped(x, MCPSESS_OK);
        return;
    }
    mcpsess_lru_put(&d->dropped, key, mcpsess_str_of(NULL, 0), mcpsess_time_add(now, worn_ms(x->g)));
    d->drops++;
    go_on(x, &x->ask->drop.op, mcpsess_flight_clear(&d->flights, &x->ask->drop, key, false, now), dropped);
}

static void loaded(void *user, int rc) {
    struct exchange *x = user;
    if (rc == MCPSESS_FENCED && !x->ask->fenced) {
        x->ask->fenced = true;
        load(x);
        return;
    }
    if (rc == MCPSESS_OK) rc = take_list(x);
    if ((rc == MCPSESS_OK || rc == MCPSESS_MISS) && is_worn(x)) drop(x);
    else done(x, rc);
}

static void load(struct exchange *x) {
    struct directory *d = x->g->directory;
    struct ask *a = x->ask;
    mcpsess_buf_init(&a->list, a->bytes, sizeof a->bytes);
    go_on(x, &a->op,
          mcpsess_flight_load(&d->flights, &a->op, mcpsess_str_of(a->key, a->key_len), mcpsess_str_z(d->fingerprint),
                              &a->list, now_ms()),
          loaded);
}

static struct ask *ask_new(const struct exchange *x) {
    struct ask *a = calloc(1, sizeof *a);
    mcpsess_buf key;
    if (a == NULL) return NULL;
    mcpsess_op_init(&a->op, 0);
    mcpsess_op_init(&a->drop.op, 0);
    mcpsess_buf_init(&key, a->key, sizeof a->key);
    mcpsess_buf_put(&key, MCPSESS_STR(KEY));
    mcpsess_buf_put(&key, x->who.subject);
    a->key_len = key.overflow ? 0 : key.len;
    return a;
}

void directory_ask(struct exchange *x, void (*then)(struct exchange *x, int rc)) {
    const struct gateway *g = x->g;
    if (g->directory == NULL) {
        x->list_count = (unsigned)g->backend_count;
        for (unsigned i = 0; i < x->list_count; i++) x->list[i] = (uint8_t)i;
        then(x, MCPSESS_OK);
        return;
    }
    if (x->ask == NULL) x->ask = ask_new(x);
    if (x->ask == NULL || x->ask->key_len == 0) {
        then(x, x->ask == NULL ? MCPSESS_E_NOMEM : MCPSESS_E_ID);
        return;
    }
    x->ask->then = then;
    load(x);
}

void directory_forget(struct exchange *x) {
    if (x->ask == NULL) return;
    step_forget(&x->ask->step);
    free(x->ask);
}

const char *directory_why(int rc, int *status) {
    *status = rc == MCPSESS_MISS || rc == MCPSESS_E_ID ? 403 : 503;
    if (rc == MCPSESS_MISS) return "There is no backend for this user";
    if (rc == MCPSESS_E_ID) return "The user's name is too long";
    return "The list of backends is unavailable";
}

/* ---- opening */

static void on_log(void *user, int level, int item, mcpsess_str key, uint64_t number) {
    (void)level;
    (void)key; /* a user's name */
    say(user, "lists of backends: %s (%" PRIu64 ")", mcpsess_item_text(item), number);
}

/* FNV-1a: the same on every machine. */
static uint64_t digest(uint64_t hash, const char *text) {
    for (; *text != '\0'; text++) hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001B3);
    return hash * UINT64_C(0x100000001B3); /* the NUL */
}

static bool parse_url(struct gateway *g, struct directory *d) {
    const char *url = g->config.directory, *query = strchr(url, '?');
    d->at.g = g;
    TAILQ_INIT(&d->at.idle); /* it is not up: so it is never said to be down, and never probed */
    if (!backend_parse(&d->at, url)) return false;
    int n = snprintf(d->query, sizeof d->query, "%s%s%suser=", d->at.path, query != NULL ? query : "?",
                     query != NULL ? "&" : "");
    uint64_t hash = digest(digest(UINT64_C(0xCBF29CE484222325), url), g->config.principal_header);
    snprintf(d->fingerprint, sizeof d->fingerprint, "%c:%016" PRIx64, FORMAT, hash);
    return n > 0 && (size_t)n < sizeof d->query;
}

static int flights_open(struct gateway *g, struct directory *d) {
    mcpsess_flight_desc f = mcpsess_flight_desc_default();
    f.store = g->store;
    f.lanes = DIRECTORY_USERS;
    f.data_max = LIST_MAX;
    f.load = load_begin;
    f.load_user = g;
    f.flag_ttl_ms = g->config.directory_ttl_ms;
    f.lease_ms = g->config.directory_lease_ms;
    f.wait_ms = DIRECTORY_MS + f.lease_ms;
    f.timeout_ms = f.lease_ms < STORE_TIMEOUT_MS ? f.lease_ms : STORE_TIMEOUT_MS;
    f.random = table_random;
    f.log.log = on_log;
    f.log.user = g;
    size_t size = mcpsess_flight_bytes(&f);
    d->memory = malloc(size);
    if (d->memory == NULL) return -1;
    return mcpsess_flight_init(&d->flights, &f, d->memory, size);
}

static int dropped_open(struct directory *d) {
    mcpsess_lru_desc l = mcpsess_lru_desc_default();
    l.capacity = DIRECTORY_USERS;
    l.key_max = MCPSESS_ID_MAX;
    size_t size = mcpsess_lru_bytes(&l);
    d->dropped_memory = malloc(size);
    if (d->dropped_memory == NULL || table_random(NULL, l.seed, sizeof l.seed) != 0) return -1;
    return mcpsess_lru_init(&d->dropped, &l, d->dropped_memory, size);
}

int directory_open(struct gateway *g) {
    if (g->config.directory == NULL) return 0;
    struct directory *d = g->directory = calloc(1, sizeof *d);
    if (d == NULL) return -1;
    if (!parse_url(g, d)) {
        fprintf(stderr, "gateway: not an http:// URL: %s\n", g->config.directory);
        return -1;
    }
    for (unsigned i = 0; i < DIRECTORY_USERS; i++) mcpsess_op_init(&d->loads[i].op, 0);
    return flights_open(g, d) == MCPSESS_OK && dropped_open(d) == MCPSESS_OK ? 0 : -1;
}

/* The store is closed by now. */
void directory_close(struct gateway *g) {
    struct directory *d = g->directory;
    if (d == NULL) return;
    legs_reap(&d->at, MCPSESS_NEVER);
    free(d->dropped_memory);
    free(d->memory);
    free(d);
    g->directory = NULL;
}

/* ---- metrics */

void directory_metrics(struct gateway *g, struct evbuffer *out) {
    const struct directory *d = g->directory;
    if (d == NULL) return;
    const mcpsess_flight_stats *s = &d->flights.stats;
    metric(out, "directory_requests_total", "counter", "Users whose backends the directory was asked for.", d->asked);
    metric(out, "directory_failures_total", "counter", "Of them, those it gave no answer for.", d->away);
    metric(out, "directory_answers_refused_total", "counter", "Of them, those whose answer was no list.", d->refused);
    metric(out, "directory_users_refused_total", "counter", "Requests of users without a backend.", d->nobodys);
    metric(out, "directory_lists_dropped_total", "counter", "Lists dropped because a backend was down.", d->drops);
    metric(out, "directory_loads_total", "counter", "Lists loaded here.", s->loads);
    metric(out, "directory_loads_flagged_total", "counter", "Of them, those kept for all gateways.", s->loaded);
    metric(out, "directory_loads_failed_total", "counter", "Of them, those that failed.", s->failed);
    metric(out, "directory_loads_lost_total", "counter", "Of them, those that took longer than their lease.", s->lost);
    metric(out, "directory_taken_over_total", "counter", "Of them, those another gateway had begun.", s->taken_over);
    metric(out, "directory_shared_total", "counter", "Requests that shared another one's list.", s->shared);
    metric(out, "directory_found_total", "counter", "Requests whose list was there, or loaded elsewhere.", s->found);
    metric(out, "directory_woken_total", "counter", "Waits for another gateway ended by the store.", s->woken);
    metric(out, "directory_polled_total", "counter", "Waits for another gateway ended by the clock.", s->polled);
    metric(out, "directory_gave_up_total", "counter", "Requests that waited for too long.", s->gave_up);
    metric(out, "directory_store_requests_total", "counter", "Requests to the store for lists.", s->requests);
    metric(out, "directory_store_failures_total", "counter", "Of them, those that failed.", s->failures);
}
