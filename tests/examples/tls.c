/* examples/tls_transport.h against a server of mbedTLS's in this process, over two pipes of a few bytes.   tls FOLDER

   The folder holds what tests/examples/certs.sh made. */

#define MCPSESS_IMPLEMENTATION
#include "../../examples/tls_transport.h"

#include "../unit/tap.h"
#include <mbedtls/ssl_ticket.h>
#include <stdlib.h>

/* ---- two pipes */

enum { PIPE_MAX = 70000 };

typedef struct pipe_end {
    char bytes[PIPE_MAX];
    size_t len, cap;
    bool ended;
} pipe_end;

static pipe_end up, down; /* to the server, from it */

typedef struct side {
    pipe_end *in, *out;
    int opens, closes;
    bool refuse;
} side;

static int side_open(void *user) {
    side *s = user;
    s->opens++;
    return s->refuse ? -1 : s->opens > 1; /* not at once */
}

static int side_send(void *user, const void *bytes, size_t len) {
    const side *s = user;
    size_t room = s->out->cap - s->out->len;
    if (s->out->ended) return -1;
    if (len > room) len = room;
    memcpy(s->out->bytes + s->out->len, bytes, len);
    s->out->len += len;
    return (int)len;
}

static int side_recv(void *user, void *bytes, size_t len) {
    const side *s = user;
    if (len > s->in->len) len = s->in->len;
    if (len == 0) return s->in->ended ? -1 : 0;
    memcpy(bytes, s->in->bytes, len);
    memmove(s->in->bytes, s->in->bytes + len, s->in->len - len);
    s->in->len -= len;
    return (int)len;
}

static void side_close(void *user) {
    side *s = user;
    s->closes++;
}

/* ---- a client and a server */

static char folder[200];

/* The path of a file of the folder; stays. */
static const char *file(const char *name) {
    static char paths[16][256];
    char path[256];
    size_t i = 0;
    snprintf(path, sizeof path, "%.200s/%.40s", folder, name);
    while (i < 15 && paths[i][0] != '\0' && strcmp(paths[i], path) != 0) i++;
    memcpy(paths[i], path, sizeof path);
    return paths[i];
}

typedef struct rig {
    side client_side, server_side;
    tls client, server;
} rig;

static mcpsess_redis_transport transport_of(side *s) {
    mcpsess_redis_transport t = {side_open, side_send, side_recv, side_close, NULL};
    t.user = s;
    return t;
}

/* A server is a client with its role changed. */
static void serve(rig *r, const char *cert, bool asks_for_cert) {
    tls_options o = {"client", file("ca.crt"), NULL, NULL};
    char key[64];
    snprintf(key, sizeof key, "%.40s.key", cert);
    o.key = file(key);
    snprintf(key, sizeof key, "%.40s.crt", cert);
    o.cert = file(key);
    CHECK_EQ(tls_init(&r->server, &o, transport_of(&r->server_side)), 0);
    mbedtls_ssl_conf_endpoint(&r->server.i.config, MBEDTLS_SSL_IS_SERVER);
    if (!asks_for_cert) mbedtls_ssl_conf_authmode(&r->server.i.config, MBEDTLS_SSL_VERIFY_NONE);
    CHECK_EQ(mbedtls_ssl_session_reset(&r->server.i.ssl), 0);
}

static void begin(rig *r, const tls_options *o, const char *cert, bool asks_for_cert, size_t cap) {
    memset(r, 0, sizeof *r);
    up.len = down.len = 0;
    up.ended = down.ended = false;
    up.cap = down.cap = cap;
    r->client_side.in = r->server_side.out = &down;
    r->client_side.out = r->server_side.in = &up;
    serve(r, cert, asks_for_cert);
    CHECK_EQ(tls_init(&r->client, o, transport_of(&r->client_side)), 0);
}

static void end(rig *r) {
    tls_close(&r->client);
    tls_free(&r->client);
    tls_free(&r->server);
}

/* Steps both until the client is open, or failed.  -> what open answered last */
static int connect_both(rig *r) {
    int rc = 0, i, server = 0;
    for (i = 0; i < 100000 && (rc == 0 || (rc > 0 && server == 0)); i++) {
        if (rc == 0) rc = tls_open(&r->client);
        if (server == 0) server = tls_open(&r->server);
        if (server < 0 && rc > 0) return rc;
    }
    return rc;
}

static const tls_options *usual(void) {
    static tls_options o;
    o.name = "redis.example";
    o.ca = file("ca.crt");
    o.cert = o.key = NULL;
    return &o;
}

static void begin_connected(rig *r, size_t cap) {
    begin(r, usual(), "server", false, cap);
    CHECK_EQ(connect_both(r), 1);
    CHECK_EQ(r->client.error[0], '\0');
}

static bool says(const tls *t, const char *text) {
    bool found = strstr(t->error, text) != NULL && strchr(t->error, '\n') == NULL;
    if (!found) fprintf(stderr, "# said: %s\n", t->error);
    return found;
}

/* ---- tests */

static void exchange(rig *r) {
    char bytes[16];
    int n = 0, i;
    CHECK_EQ(tls_recv(&r->client, bytes, sizeof bytes), 0);
    CHECK_EQ(tls_send(&r->client, "ping", 4), 4);
    for (i = 0; i < 1000 && n == 0; i++) {
        n = tls_recv(&r->server, bytes, sizeof bytes);
        tls_recv(&r->client, bytes + 8, 1); /* flushes */
    }
    CHECK(n == 4 && memcmp(bytes, "ping", 4) == 0);
    CHECK_EQ(tls_send(&r->server, "pong", 4), 4);
    for (n = 0, i = 0; i < 1000 && n == 0; i++) {
        n = tls_recv(&r->client, bytes, sizeof bytes);
        tls_recv(&r->server, bytes + 8, 1);
    }
    CHECK(n == 4 && memcmp(bytes, "pong", 4) == 0);
}

TEST(talks_over_pipes_of_any_size) {
    static const size_t caps[] = {1, 7, 100, 1000, PIPE_MAX};
    rig r;
    for (size_t i = 0; i < sizeof caps / sizeof *caps; i++) {
        begin_connected(&r, caps[i]);
        exchange(&r);
        end(&r);
        CHECK_EQ(r.client_side.closes, 1);
    }
}

TEST(connects_again_after_a_close) {
    rig r;
    begin_connected(&r, PIPE_MAX);
    exchange(&r);
    for (int i = 0; i < 3; i++) {
        tls_close(&r.client);
        CHECK_EQ(r.client_side.closes, i + 1);
        tls_close(&r.server);
        up.len = down.len = 0;
        CHECK_EQ(connect_both(&r), 1);
        exchange(&r);
    }
    end(&r);
}

TEST(a_close_in_the_middle_of_a_handshake_leaves_nothing_behind) {
    rig r;
    begin(&r, usual(), "server", false, PIPE_MAX);
    while (up.len == 0) CHECK_EQ(tls_open(&r.client), 0);
    tls_close(&r.client);
    CHECK(says(&r.client, "handshake: no answer in time"));
    up.len = down.len = 0;
    CHECK_EQ(connect_both(&r), 1);
    CHECK_EQ(r.client.error[0], '\0');
    exchange(&r);
    end(&r);
}

static void fails_to_verify(const tls_options *o, const char *cert, const char *text) {
    rig r;
    begin(&r, o, cert, false, PIPE_MAX);
    CHECK_EQ(connect_both(&r), -1);
    CHECK(says(&r.client, "handshake: ") && says(&r.client, text));
    end(&r);
}

TEST(a_server_that_is_not_the_one_is_refused) {
    tls_options o = *usual();
    fails_to_verify(&o, "expired", "expired");
    fails_to_verify(&o, "stranger", "not correctly signed by the trusted CA");
    o.name = "redis.example.org";
    fails_to_verify(&o, "server", "does not match");
    o.name = "edis.example";
    fails_to_verify(&o, "server", "does not match");
    o.name = "client";
    fails_to_verify(&o, "server", "does not match");
}

TEST(a_client_shows_its_certificate) {
    tls_options o = *usual();
    rig r;
    o.cert = file("client.crt");
    o.key = file("client.key");
    begin(&r, &o, "server", true, PIPE_MAX);
    CHECK_EQ(connect_both(&r), 1);
    exchange(&r);
    CHECK(mbedtls_ssl_get_peer_cert(&r.server.i.ssl) != NULL);
    end(&r);
}

#if MBEDTLS_VERSION_NUMBER < 0x03000000
TEST(a_server_older_than_tls_1_2_is_refused) {
    rig r;
    begin(&r, usual(), "server", false, PIPE_MAX);
    mbedtls_ssl_conf_min_version(&r.server.i.config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_2);
    mbedtls_ssl_conf_max_version(&r.server.i.config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_2);
    mbedtls_ssl_session_reset(&r.server.i.ssl);
    CHECK_EQ(connect_both(&r), -1);
    CHECK(says(&r.client, "rotocol"));
    end(&r);
}
#endif

TEST(options_that_are_no_good_are_refused) {
    tls_options o = *usual();
    side s;
    tls t;
    memset(&s, 0, sizeof s);
    o.ca = file("nothing.crt");
    CHECK_EQ(tls_init(&t, &o, transport_of(&s)), -1);
    CHECK(says(&t, "CA certificate: ") && says(&t, "file"));
    CHECK_EQ(tls_open(&t), -1); /* used all the same */
    tls_close(&t);
    tls_free(&t);
    o.ca = NULL;
    CHECK_EQ(tls_init(&t, &o, transport_of(&s)), -1);
    CHECK(says(&t, "CA certificate: "));
    tls_free(&t);
    o = *usual();
    o.name = NULL;
    CHECK_EQ(tls_init(&t, &o, transport_of(&s)), -1);
    CHECK(says(&t, "server name: "));
    tls_free(&t);
    o = *usual();
    o.cert = file("client.crt");
    CHECK_EQ(tls_init(&t, &o, transport_of(&s)), -1);
    CHECK(says(&t, "client key: "));
    tls_free(&t);
    o.key = file("nothing.key");
    CHECK_EQ(tls_init(&t, &o, transport_of(&s)), -1);
    CHECK(says(&t, "client key: "));
    tls_free(&t);
}

static const char *text_of(const char *name, char *text, size_t cap) {
    FILE *f = fopen(file(name), "r");
    size_t len = f ? fread(text, 1, cap - 1, f) : 0;
    if (f) fclose(f);
    text[len] = '\0';
    return text;
}

TEST(pem_may_be_text_instead_of_a_file) {
    char ca[4000], cert[4000], key[4000];
    tls_options o = {"redis.example", NULL, NULL, NULL};
    rig r;
    o.ca = text_of("ca.crt", ca, sizeof ca);
    o.cert = text_of("client.crt", cert, sizeof cert);
    o.key = text_of("client.key", key, sizeof key);
    begin(&r, &o, "server", true, PIPE_MAX);
    CHECK_EQ(connect_both(&r), 1);
    exchange(&r);
    end(&r);
}

/* All that has arrived, as from a socket: the engine relies on it when it looks for what has changed. */
TEST(one_receive_takes_any_number_of_records) {
    char bytes[16];
    rig r;
    begin_connected(&r, PIPE_MAX);
    CHECK_EQ(tls_send(&r.server, "one", 3), 3);
    CHECK_EQ(tls_send(&r.server, "two", 3), 3);
    CHECK_EQ(tls_send(&r.server, "three", 5), 5);
    CHECK_EQ(tls_recv(&r.client, bytes, 8), 8); /* as far as there is room */
    CHECK(memcmp(bytes, "onetwoth", 8) == 0);
    CHECK_EQ(tls_want(&r.client, MCPSESS_WANT_READ), MCPSESS_WANT_READ | MCPSESS_WANT_NOW);
    CHECK_EQ(tls_send(&r.server, "last", 4), 4);
    tls_close(&r.server);
    CHECK_EQ(tls_recv(&r.client, bytes, sizeof bytes), 7); /* first the bytes, then the end */
    CHECK(memcmp(bytes, "reelast", 7) == 0);
    CHECK_EQ(tls_recv(&r.client, bytes, sizeof bytes), -1);
    CHECK(says(&r.client, "receive: "));
    tls_close(&r.client);
    up.len = down.len = 0;
    CHECK_EQ(connect_both(&r), 1);
    exchange(&r);
    CHECK_EQ(tls_send(&r.server, "good", 4), 4);
    down.bytes[down.len++] = 'x'; /* broken: and it stays so */
    CHECK_EQ(tls_send(&r.server, "more", 4), 4);
    CHECK_EQ(tls_recv(&r.client, bytes, sizeof bytes), 4);
    CHECK_EQ(tls_recv(&r.client, bytes, sizeof bytes), -1);
    CHECK_EQ(tls_recv(&r.client, bytes, sizeof bytes), -1);
    end(&r);
}

TEST(a_transport_that_fails_is_passed_on) {
    char bytes[4];
    rig r;
    begin(&r, usual(), "server", false, PIPE_MAX);
    r.client_side.refuse = true;
    CHECK_EQ(tls_open(&r.client), -1);
    CHECK_EQ(r.client.error[0], '\0'); /* the reason is the other one's */
    r.client_side.refuse = false;
    tls_close(&r.client);
    CHECK_EQ(connect_both(&r), 1);
    CHECK_EQ(r.client.error[0], '\0');
    tls_close(&r.server);
    CHECK_EQ(tls_recv(&r.client, bytes, 1), -1);
    CHECK(says(&r.client, "receive: "));
    tls_close(&r.client);
    r.client_side.refuse = true;
    CHECK_EQ(tls_open(&r.client), -1);
    CHECK_EQ(r.client.error[0], '\0'); /* and not ours of before */
    r.client_side.refuse = false;
    up.len = down.len = 0;
    CHECK_EQ(connect_both(&r), 1);
    down.ended = true;
    CHECK_EQ(tls_recv(&r.client, bytes, 1), -1);
    CHECK_EQ(r.client.error[0], '\0');
    end(&r);
}

TEST(a_server_that_refuses_in_plain_text_is_heard) {
    rig r;
    begin(&r, usual(), "server", false, 30);
    while (up.len < 30) CHECK_EQ(tls_open(&r.client), 0);
    memcpy(down.bytes, "\x15\x03\x03\x00\x02\x02\x28", 7);
    down.len = 7;
    up.ended = down.ended = true;
    CHECK_EQ(tls_open(&r.client), -1);
    CHECK(says(&r.client, "handshake: SSL - A fatal alert message was received"));
    tls_close(&r.client);
    CHECK(says(&r.client, "fatal alert message"));
    CHECK_EQ(r.client_side.closes, 1);
    end(&r);
    begin(&r, usual(), "server", false, 30);
    while (up.len < 30) CHECK_EQ(tls_open(&r.client), 0);
    memcpy(down.bytes, "-ERR no\r\n", 9);
    down.len = 9;
    up.ended = true;
    CHECK_EQ(tls_open(&r.client), -1);
    CHECK(says(&r.client, "handshake: ")); /* it speaks no TLS */
    end(&r);
}

TEST(the_end_comes_after_the_last_byte) {
    char bytes[8];
    rig r;
    begin_connected(&r, PIPE_MAX);
    CHECK_EQ(tls_send(&r.server, "bye", 3), 3);
    tls_close(&r.server);
    CHECK_EQ(tls_recv(&r.client, bytes, sizeof bytes), 3);
    CHECK_EQ(tls_recv(&r.client, bytes, sizeof bytes), -1);
    CHECK(says(&r.client, "receive: "));
    tls_close(&r.client);
    up.len = down.len = 0;
    CHECK_EQ(connect_both(&r), 1);
    CHECK_EQ(r.client.error[0], '\0');
    end(&r);
}

/* ---- bytes */

static char pattern(size_t i) {
    return (char)(i * 31 % 251);
}

static bool is_pattern(const char *bytes, size_t len, size_t at) {
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != pattern(at + i)) return false;
    }
    return true;
}

/* Each attempt brings another number of bytes, as an engine does that has more to say by then. */
TEST(what_was_moved_arrives_once_and_in_order) {
    enum { TOTAL = 200000, MOST = 40000 };
    static char bytes[MOST];
    size_t sent = 0, seen = 0, blocked = 0, rounds, i;
    rig r;
    begin_connected(&r, 777);
    for (rounds = 0; rounds < 10000000 && seen < TOTAL; rounds++) {
        size_t len = sent < TOTAL ? tap_random() % MOST : 0;
        for (i = 0; i < len; i++) bytes[i] = pattern(sent + i);
        int n = len > 0 ? tls_send(&r.client, bytes, len) : tls_recv(&r.client, bytes, 1);
        if (!CHECK(n >= 0 && (size_t)n <= len)) break;
        blocked += n == 0;
        sent += (size_t)n;
        for (; up.len > 0; seen += (size_t)n) {
            n = tls_recv(&r.server, bytes, 1 + tap_random() % MOST);
            if (!CHECK(n >= 0 && is_pattern(bytes, (size_t)n, seen))) break;
        }
    }
    CHECK(seen >= TOTAL);
    CHECK_EQ(seen, sent);
    CHECK(blocked > 10);
    end(&r);
}

TEST(bytes_in_our_hands_are_wanted_now) {
    char bytes[8];
    rig r;
    begin_connected(&r, PIPE_MAX);
    while (tls_recv(&r.client, bytes, 1) > 0) continue;
    CHECK_EQ(tls_want(&r.client, MCPSESS_WANT_READ), MCPSESS_WANT_READ);
    CHECK_EQ(tls_send(&r.server, "abc", 3), 3);
    CHECK_EQ(tls_send(&r.server, "de", 2), 2);
    CHECK_EQ(tls_recv(&r.client, bytes, 1), 1);
    CHECK_EQ(tls_want(&r.client, MCPSESS_WANT_READ), MCPSESS_WANT_READ | MCPSESS_WANT_NOW);
    CHECK_EQ(tls_want(&r.client, MCPSESS_WANT_TIME), MCPSESS_WANT_TIME); /* who does not read is not woken */
    CHECK_EQ(tls_recv(&r.client, bytes, 0), 0);
    CHECK_EQ(tls_recv(&r.client, bytes + 1, 1), 1);
    CHECK_EQ(tls_recv(&r.client, bytes + 2, 6), 3); /* the rest of a record, and the next one */
    CHECK(memcmp(bytes, "abcde", 5) == 0);
    CHECK_EQ(tls_want(&r.client, MCPSESS_WANT_READ), MCPSESS_WANT_READ);
    end(&r);
}

TEST(a_record_on_its_way_wants_to_write) {
    char bytes[4];
    rig r;
    begin_connected(&r, 20);
    while (tls_recv(&r.client, bytes, 1) > 0) continue;
    up.len = 0;
    CHECK_EQ(tls_want(&r.client, MCPSESS_WANT_READ), MCPSESS_WANT_READ);
    CHECK_EQ(tls_send(&r.client, "x", 1), 1); /* more than 20 bytes as a record */
    CHECK_EQ(up.len, 20);
    CHECK_EQ(tls_want(&r.client, MCPSESS_WANT_READ), MCPSESS_WANT_READ | MCPSESS_WANT_WRITE);
    CHECK_EQ(tls_send(&r.client, "y", 1), 0);
    tls_close(&r.client); /* nor is it on the next connection's */
    tls_close(&r.server);
    up.len = down.len = 0;
    CHECK_EQ(connect_both(&r), 1);
    CHECK_EQ(tls_want(&r.client, MCPSESS_WANT_READ), MCPSESS_WANT_READ);
    CHECK_EQ(tls_send(&r.client, "x", 1), 1);
    for (int i = 0; i < 10; i++) {
        up.len = 0;
        CHECK_EQ(tls_recv(&r.client, bytes, 1), 0); /* flushes too */
    }
    CHECK_EQ(tls_want(&r.client, MCPSESS_WANT_READ), MCPSESS_WANT_READ);
    end(&r);
}

#ifdef MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED
/* mbedTLS 3.6.0 tells of each ticket as if it were an error. */
TEST(a_session_ticket_is_no_error) {
    mbedtls_ssl_ticket_context tickets;
    char bytes;
    rig r;
    begin(&r, usual(), "server", false, PIPE_MAX);
    mbedtls_ssl_ticket_init(&tickets);
    CHECK_EQ(mbedtls_ssl_ticket_setup(&tickets, mbedtls_ctr_drbg_random, &r.server.i.random, MBEDTLS_CIPHER_AES_256_GCM,
                                      3600),
             0);
    mbedtls_ssl_conf_session_tickets_cb(&r.server.i.config, mbedtls_ssl_ticket_write, mbedtls_ssl_ticket_parse,
                                        &tickets);
    mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(&r.client.i.config,
                                                             MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED);
    CHECK_EQ(connect_both(&r), 1);
    CHECK(down.len > 0); /* the ticket */
    for (int i = 0; i < 4; i++) CHECK_EQ(tls_recv(&r.client, &bytes, 1), 0);
    exchange(&r);
    end(&r);
    mbedtls_ssl_ticket_free(&tickets);
}
#endif

static unsigned waited_for;

static uint64_t fake_now(void *user) {
    (void)user;
    return 42;
}

static int fake_wait(void *user, unsigned want, uint64_t due_ms) {
    (void)user;
    waited_for = want;
    return due_ms == 43 ? 0 : -1;
}

TEST(a_handshake_waits_for_what_it_needs) {
    const unsigned engine = MCPSESS_WANT_WRITE | MCPSESS_WANT_TIME; /* connecting */
    mcpsess_wait_hook below = {fake_now, fake_wait, NULL}, hook;
    rig r;
    begin(&r, usual(), "server", false, 50);
    hook = tls_wait_hook(&r.client, &below);
    CHECK_EQ(hook.now_ms(hook.user), 42);
    CHECK_EQ(tls_open(&r.client), 0); /* the transport below is not open yet */
    CHECK(hook.wait(hook.user, engine, 43) == 0 && waited_for == engine);
    CHECK_EQ(tls_open(&r.client), 0);
    CHECK_EQ(up.len, 50); /* full */
    CHECK(hook.wait(hook.user, engine, 43) == 0 && waited_for == engine);
    for (int i = 0; i < 100 && up.len > 0; i++) {
        up.len = 0;
        CHECK_EQ(tls_open(&r.client), 0);
    }
    CHECK(hook.wait(hook.user, engine, 43) == 0 && waited_for == (MCPSESS_WANT_READ | MCPSESS_WANT_TIME));
    CHECK_EQ(hook.wait(hook.user, engine, 44), -1);
    end(&r);
}

int main(int argc, char **argv) {
    int status;
    snprintf(folder, sizeof folder, "%.190s", argc > 1 ? argv[1] : ".");
    port_init();
    tap_note("mbedTLS", MBEDTLS_VERSION_MAJOR * 100 + MBEDTLS_VERSION_MINOR);
    RUN(talks_over_pipes_of_any_size);
    RUN(connects_again_after_a_close);
    RUN(a_close_in_the_middle_of_a_handshake_leaves_nothing_behind);
    RUN(a_server_that_is_not_the_one_is_refused);
    RUN(a_client_shows_its_certificate);
#if MBEDTLS_VERSION_NUMBER < 0x03000000
    RUN(a_server_older_than_tls_1_2_is_refused);
#endif
    RUN(options_that_are_no_good_are_refused);
    RUN(pem_may_be_text_instead_of_a_file);
    RUN(one_receive_takes_any_number_of_records);
    RUN(a_transport_that_fails_is_passed_on);
    RUN(a_server_that_refuses_in_plain_text_is_heard);
    RUN(the_end_comes_after_the_last_byte);
    RUN(what_was_moved_arrives_once_and_in_order);
    RUN(bytes_in_our_hands_are_wanted_now);
    RUN(a_record_on_its_way_wants_to_write);
#ifdef MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED
    RUN(a_session_ticket_is_no_error);
#endif
    RUN(a_handshake_waits_for_what_it_needs);
    status = tap_finish();
    port_exit(status);
    return status;
}
