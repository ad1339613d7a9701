/* tls_transport.h - TLS 1.2 or newer with mbedTLS, 2.28 or 3, between the engine and any other transport.

     sock s;  tls t;                              over posix_transport.h; lwip_transport.h does as well
     tls_options o = {"redis.example", "ca.pem", NULL, NULL};
     sock_init(&s, "10.0.0.7", "6380");
     if (tls_init(&t, &o, sock_transport(&s)) != 0) puts(t.error);
     rd.transport = tls_transport(&t);
     mcpsess_wait_hook below = sock_wait_hook(&s), hook = tls_wait_hook(&t, &below);

   The server's certificate must be signed by that CA and be for that name: there is no way to switch this off. What the
   socket must wait for is not what the engine wants: TLS may have to read in order to write, and what was read may hold
   more than the engine took. So an event loop asks tls_want(&t, mcpsess_redis_want(&redis)); with NOW it polls at once.

   mbedTLS takes 40 KiB or so a connection from its own allocator (mbedtls_memory_buffer_alloc_init bounds that). */

#ifndef TLS_TRANSPORT_H
#define TLS_TRANSPORT_H

#include "mcpsess_redis.h"

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#include <psa/crypto.h>
#endif

#include <stdio.h>
#include <string.h>

/* Certificates and keys: PEM text, or the name of a file with it. Not needed after tls_init. */
typedef struct tls_options {
    const char *name; /* in the server's certificate. Before mbedTLS 3.5 it cannot be an IP address */
    const char *ca;   /* who may sign it */
    const char *cert; /* of this client; NULL: none */
    const char *key;  /* of this client, not encrypted */
} tls_options;

typedef struct tls {
    char error[160]; /* why it failed last; empty: the transport below failed, or nothing */
    struct {
        mcpsess_redis_transport below;
        mcpsess_wait_hook wait;
        mbedtls_entropy_context entropy;
        mbedtls_ctr_drbg_context random;
        mbedtls_x509_crt ca, cert;
        mbedtls_pk_context key;
        mbedtls_ssl_config config;
        mbedtls_ssl_context ssl;
        unsigned want; /* of a handshake under way, else 0 */
        bool linked;   /* the transport below is open */
        bool open;     /* and so are we */
        bool flushing; /* a record is on its way down */
        bool broken;   /* nothing more can be received */
        bool mute;     /* nothing more can be sent; what was received may say why */
        bool ready;    /* the members above are set up */
    } i;
} tls;

/* ---- errors

   Would block is no error here either.  -> 0, -1 */

static inline int tls_failed(tls *t, const char *what, int rc) {
    char why[96];
    uint32_t flags = t->i.ready ? mbedtls_ssl_get_verify_result(&t->i.ssl) : 0;
    if (rc == MBEDTLS_ERR_SSL_WANT_READ || rc == MBEDTLS_ERR_SSL_WANT_WRITE) return 0;
#ifdef MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET
    if (rc == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) return 0; /* TLS 1.3; told by 3.6.0, or when asked to */
#endif
    t->error[0] = '\0';
    if (rc == MBEDTLS_ERR_NET_RECV_FAILED) return -1; /* the transport below has its own word for it */
    if (rc == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED && flags != 0 && flags != UINT32_MAX) {
        mbedtls_x509_crt_verify_info(why, sizeof why, "", flags);
        why[strcspn(why, "\n")] = '\0';
    } else {
        mbedtls_strerror(rc, why, sizeof why);
    }
    snprintf(t->error, sizeof t->error, "%.40s: %s", what, why);
    return -1;
}

/* ---- setting up */

static inline bool tls_is_text(const char *pem) {
    return strncmp(pem, "-----BEGIN", 10) == 0;
}

static inline int tls_parse_cert(mbedtls_x509_crt *cert, const char *pem) {
    if (tls_is_text(pem)) return mbedtls_x509_crt_parse(cert, (const unsigned char *)pem, strlen(pem) + 1);
#ifdef MBEDTLS_FS_IO
    return mbedtls_x509_crt_parse_file(cert, pem);
#else
    return MBEDTLS_ERR_X509_FILE_IO_ERROR;
#endif
}

static inline int tls_parse_key(tls *t, const char *pem) {
    const unsigned char *text = (const unsigned char *)pem;
    mbedtls_pk_context *key = &t->i.key;
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    mbedtls_ctr_drbg_context *random = &t->i.random;
    if (tls_is_text(pem)) {
        return mbedtls_pk_parse_key(key, text, strlen(pem) + 1, NULL, 0, mbedtls_ctr_drbg_random, random);
    }
#ifdef MBEDTLS_FS_IO
    return mbedtls_pk_parse_keyfile(key, pem, NULL, mbedtls_ctr_drbg_random, random);
#endif
#else
    if (tls_is_text(pem)) return mbedtls_pk_parse_key(key, text, strlen(pem) + 1, NULL, 0);
#ifdef MBEDTLS_FS_IO
    return mbedtls_pk_parse_keyfile(key, pem, NULL);
#endif
#endif
#ifndef MBEDTLS_FS_IO
    return MBEDTLS_ERR_PK_FILE_IO_ERROR;
#endif
}

static inline int tls_setup_random(tls *t) {
    int rc = mbedtls_ctr_drbg_seed(&t->i.random, mbedtls_entropy_func, &t->i.entropy, NULL, 0);
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    if (rc == 0 && psa_crypto_init() != PSA_SUCCESS) rc = MBEDTLS_ERR_CTR_DRBG_ENTROPY_SOURCE_FAILED;
#endif
    return rc == 0 ? 0 : tls_failed(t, "random bytes", rc);
}

static inline int tls_setup_certs(tls *t, const tls_options *o) {
    int rc = o->ca ? tls_parse_cert(&t->i.ca, o->ca) : MBEDTLS_ERR_X509_BAD_INPUT_DATA;
    if (rc != 0) return tls_failed(t, "CA certificate", rc);
    if (!o->cert) return 0;
    rc = tls_parse_cert(&t->i.cert, o->cert);
    if (rc != 0) return tls_failed(t, "client certificate", rc);
    rc = o->key ? tls_parse_key(t, o->key) : MBEDTLS_ERR_PK_BAD_INPUT_DATA;
    if (rc != 0) return tls_failed(t, "client key", rc);
    rc = mbedtls_ssl_conf_own_cert(&t->i.config, &t->i.cert, &t->i.key);
    return rc == 0 ? 0 : tls_failed(t, "client certificate", rc);
}

static inline int tls_setup_config(tls *t) {
    mbedtls_ssl_config *c = &t->i.config;
    int rc =
        mbedtls_ssl_config_defaults(c, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
    if (rc != 0) return tls_failed(t, "configuration", rc);
#if MBEDTLS_VERSION_NUMBER >= 0x03020000
    mbedtls_ssl_conf_min_tls_version(c, MBEDTLS_SSL_VERSION_TLS1_2);
#else
    mbedtls_ssl_conf_min_version(c, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
#endif
    mbedtls_ssl_conf_authmode(c, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_ca_chain(c, &t->i.ca, NULL);
    mbedtls_ssl_conf_rng(c, mbedtls_ctr_drbg_random, &t->i.random);
    return 0;
}

/* What mbedTLS calls us for. */
static inline int tls_push(void *user, const unsigned char *bytes, size_t len) {
    tls *t = (tls *)user;
    int n = t->i.mute ? -1 : t->i.below.send(t->i.below.user, bytes, len);
    t->i.mute = n < 0;
    if (t->i.mute) return (int)len; /* mbedTLS sends what is left before it reads */
    return n > 0 ? n : MBEDTLS_ERR_SSL_WANT_WRITE;
}

static inline int tls_pull(void *user, unsigned char *bytes, size_t len) {
    tls *t = (tls *)user;
    int n = t->i.below.recv(t->i.below.user, bytes, len);
    return n > 0 ? n : n == 0 ? MBEDTLS_ERR_SSL_WANT_READ : MBEDTLS_ERR_NET_RECV_FAILED;
}

static inline void tls_free(tls *t) {
    mbedtls_ssl_free(&t->i.ssl);
    mbedtls_ssl_config_free(&t->i.config);
    mbedtls_pk_free(&t->i.key);
    mbedtls_x509_crt_free(&t->i.cert);
    mbedtls_x509_crt_free(&t->i.ca);
    mbedtls_ctr_drbg_free(&t->i.random);
    mbedtls_entropy_free(&t->i.entropy);
    t->i.ready = false;
}

/* To be freed in the end, whatever it answers. t must not move.  -> 0, -1: see error */
static inline int tls_init(tls *t, const tls_options *o, mcpsess_redis_transport below) {
    int rc;
    memset(t, 0, sizeof *t);
    t->i.below = below;
    mbedtls_entropy_init(&t->i.entropy);
    mbedtls_ctr_drbg_init(&t->i.random);
    mbedtls_x509_crt_init(&t->i.ca);
    mbedtls_x509_crt_init(&t->i.cert);
    mbedtls_pk_init(&t->i.key);
    mbedtls_ssl_config_init(&t->i.config);
    mbedtls_ssl_init(&t->i.ssl);
    if (tls_setup_random(t) != 0 || tls_setup_config(t) != 0 || tls_setup_certs(t, o) != 0) return -1;
    rc = mbedtls_ssl_setup(&t->i.ssl, &t->i.config);
    if (rc == 0)
        rc = o->name && o->name[0] ? mbedtls_ssl_set_hostname(&t->i.ssl, o->name) : MBEDTLS_ERR_SSL_BAD_INPUT_DATA;
    if (rc != 0) return tls_failed(t, "server name", rc);
    mbedtls_ssl_set_bio(&t->i.ssl, t, tls_push, tls_pull, NULL);
    t->i.ready = true;
    return 0;
}

/* ---- the four callbacks */

static inline int tls_open(void *user) {
    tls *t = (tls *)user;
    int rc;
    if (!t->i.ready) return -1;
    if (!t->i.linked) {
        rc = t->i.below.open(t->i.below.user);
        if (rc < 0) t->error[0] = '\0';
        if (rc <= 0) return rc;
        t->i.linked = true;
    }
    rc = t->i.open ? 0 : mbedtls_ssl_handshake(&t->i.ssl);
    t->i.want = rc == MBEDTLS_ERR_SSL_WANT_WRITE ? MCPSESS_WANT_WRITE : MCPSESS_WANT_READ;
    if (rc != 0 && tls_failed(t, "handshake", rc) == 0) return 0;
    t->i.want = 0;
    if (rc != 0) return -1;
    t->error[0] = '\0';
    t->i.open = true;
    return 1;
}

/* Pushes the rest of a record that did not fit the transport below.  -> > 0 none left, 0 not yet, < 0 dead */
static inline int tls_flush(tls *t) {
    int rc;
    if (!t->i.flushing) return 1;
    rc = mbedtls_ssl_write(&t->i.ssl, (const unsigned char *)"", 0);
    if (rc < 0) return tls_failed(t, "send", rc);
    t->i.flushing = false;
    return 1;
}

static inline int tls_send(void *user, const void *bytes, size_t len) {
    tls *t = (tls *)user;
    int rc = t->i.open ? tls_flush(t) : -1, most;
    if (rc <= 0 || len == 0) return rc < 0 ? rc : 0;
    if (t->i.mute) return -1;
    most = mbedtls_ssl_get_max_out_record_payload(&t->i.ssl);
    if (most < 0) return tls_failed(t, "send", most);
    if (len > (size_t)most) len = (size_t)most;
    rc = mbedtls_ssl_write(&t->i.ssl, (const unsigned char *)bytes, len);
    if (rc ==
        MBEDTLS_ERR_SSL_WANT_WRITE) { /* it is a record now, and ours: whoever calls again may bring other bytes */
        t->i.flushing = true;
        return (int)len;
    }
    return rc < 0 ? tls_failed(t, "send", rc) : t->i.mute ? -1 : rc;
}

/* A record at a time; as many as have arrived and fit, as a socket would: the engine takes less for all there is. */
static inline int tls_recv(void *user, void *bytes, size_t len) {
    tls *t = (tls *)user;
    int rc = t->i.open && !t->i.broken ? tls_flush(t) : -1;
    size_t got = 0;
    if (rc < 0 || len == 0) return rc < 0 ? rc : 0;
    if (len > 32767) len = 32767;
    for (rc = 1; rc > 0 && got < len; got += rc > 0 ? (size_t)rc : 0) {
        rc = mbedtls_ssl_read(&t->i.ssl, (unsigned char *)bytes + got, len - got);
        if (rc == 0) rc = MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY;
    }
    t->i.broken = rc < 0 && tls_failed(t, "receive", rc) < 0;
    return got > 0 ? (int)got : t->i.broken ? -1 : 0;
}

static inline void tls_close(void *user) {
    tls *t = (tls *)user;
    if (t->i.open && !t->i.flushing) mbedtls_ssl_close_notify(&t->i.ssl); /* if there is room for it */
    if (t->i.want != 0) snprintf(t->error, sizeof t->error, "handshake: no answer in time");
    if (t->i.linked) mbedtls_ssl_session_reset(&t->i.ssl);
    t->i.want = 0;
    t->i.linked = t->i.open = t->i.flushing = t->i.broken = t->i.mute = false;
    t->i.below.close(t->i.below.user);
}

static inline mcpsess_redis_transport tls_transport(tls *t) {
    mcpsess_redis_transport self;
    self.open = tls_open;
    self.send = tls_send;
    self.recv = tls_recv;
    self.close = tls_close;
    self.user = t;
    return self;
}

/* ---- waiting */

/* What the transport below must wait for, where the engine wants `want`. */
static inline unsigned tls_want(const tls *t, unsigned want) {
    const unsigned both = MCPSESS_WANT_READ | MCPSESS_WANT_WRITE;
    if (!t->i.linked) return want;
    if (!t->i.open) return (want & ~both) | t->i.want;
    if (t->i.flushing) want |= MCPSESS_WANT_WRITE;
    if ((want & MCPSESS_WANT_READ) != 0 && mbedtls_ssl_check_pending(&t->i.ssl) != 0) want |= MCPSESS_WANT_NOW;
    return want;
}

static inline uint64_t tls_now_ms(void *user) {
    tls *t = (tls *)user;
    return t->i.wait.now_ms(t->i.wait.user);
}

static inline int tls_wait(void *user, unsigned want, uint64_t due_ms) {
    tls *t = (tls *)user;
    return t->i.wait.wait(t->i.wait.user, tls_want(t, want), due_ms);
}

/* below: the hook of the transport below; copied. */
static inline mcpsess_wait_hook tls_wait_hook(tls *t, const mcpsess_wait_hook *below) {
    mcpsess_wait_hook hook;
    t->i.wait = *below;
    hook.now_ms = tls_now_ms;
    hook.wait = tls_wait;
    hook.user = t;
    return hook;
}

#endif
