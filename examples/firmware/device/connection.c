/* TCP. lwIP calls in here while the loop is in ethernet_poll or in its timers; what it brings is only taken in then,
   and acted upon in connections_step. */

#include "device.h"

enum { HTTP_PORT = 80, OVERDUE_HALF_SECONDS = 20 };

connection connections[CONNECTIONS];

/* ---- those that have no place, any more or at all ---- */

static err_t on_overdue(void *arg, struct tcp_pcb *pcb) {
    (void)arg;
    tcp_abort(pcb);
    return ERR_ABRT;
}

/* The client may still be sending, and what came meanwhile must not end in a reset, which would take the answer from
   it. So only our direction is closed; lwIP drops what comes, and closes the rest when the client does. */
static err_t part(struct tcp_pcb *pcb) {
    tcp_arg(pcb, NULL);
    tcp_err(pcb, NULL);
    tcp_sent(pcb, NULL);
    tcp_recv(pcb, NULL);
    tcp_poll(pcb, on_overdue, OVERDUE_HALF_SECONDS);
    if (tcp_shutdown(pcb, 0, 1) == ERR_OK) return ERR_OK;
    tcp_abort(pcb);
    return ERR_ABRT;
}

/* ---- what lwIP calls ---- */

static err_t on_received(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t error) {
    connection *c = arg;
    (void)error;
    if (!p) {
        c->ended = true;
        return ERR_OK;
    }
    for (struct pbuf *piece = p; piece && c->state == CONNECTION_REQUEST; piece = piece->next) {
        request_take(&c->parser, piece->payload, piece->len);
    }
    tcp_recved(pcb, p->tot_len);
    pbuf_free(p);
    return ERR_OK;
}

static err_t on_confirmed(void *arg, struct tcp_pcb *pcb, u16_t len) {
    connection *c = arg;
    (void)pcb;
    (void)len;
    if (c->state == CONNECTION_STREAM) c->since_ms = now_ms(); /* an answer has a time as a whole */
    return ERR_OK;
}

static void on_lost(void *arg, err_t error) {
    connection *c = arg;
    (void)error;
    c->pcb = NULL; /* lwIP has freed it */
}

/* One without a place is told so when it asks something: a client does not expect an answer before that. */
static err_t on_late(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t error) {
    (void)arg;
    (void)error;
    if (!p) return tcp_close(pcb);
    tcp_recved(pcb, p->tot_len);
    pbuf_free(p);
    http_refuse_connection(pcb);
    return part(pcb);
}

static void take_place(connection *c, struct tcp_pcb *pcb) {
    c->pcb = pcb;
    c->state = CONNECTION_REQUEST;
    c->ended = false;
    c->since_ms = now_ms();
    request_begin(&c->as.request, &c->parser);
    tcp_arg(pcb, c);
    tcp_recv(pcb, on_received);
    tcp_sent(pcb, on_confirmed);
    tcp_err(pcb, on_lost);
}

static err_t on_accepted(void *arg, struct tcp_pcb *pcb, err_t error) {
    uint32_t taken = 0;
    (void)arg;
    if (error != ERR_OK) return error;
    tcp_nagle_disable(pcb);
    while (taken < CONNECTIONS && connections[taken].state != CONNECTION_FREE) taken++;
    if (taken < CONNECTIONS) {
        take_place(&connections[taken], pcb);
        if (count.connections < taken + 1) count.connections = taken + 1;
        return ERR_OK;
    }
    count.refused++;
    tcp_recv(pcb, on_late);
    tcp_poll(pcb, on_overdue, OVERDUE_HALF_SECONDS);
    return ERR_OK;
}

/* ---- for the rest of the device ---- */

bool connections_open(void) {
    struct tcp_pcb *pcb = tcp_new_ip_type(IPADDR_TYPE_V4);
    if (!pcb || tcp_bind(pcb, IP4_ADDR_ANY, HTTP_PORT) != ERR_OK) return false;
    pcb = tcp_listen(pcb);
    if (pcb) tcp_accept(pcb, on_accepted);
    return pcb != NULL;
}

bool connection_send(connection *c, mcpsess_str bytes, bool constant) {
    u8_t how = constant ? 0 : TCP_WRITE_FLAG_COPY;
    if (bytes.len == 0 || !c->pcb) return true;
    return bytes.len <= tcp_sndbuf(c->pcb) && tcp_write(c->pcb, bytes.ptr, (u16_t)bytes.len, how) == ERR_OK;
}

size_t connection_unheard(const connection *c) {
    return c->pcb ? (size_t)(TCP_SND_BUF - tcp_sndbuf(c->pcb)) : 0;
}

/* The place stays taken until the client has confirmed all of it: so what is held for those who do not is bounded. */
void connection_end(connection *c) {
    c->state = CONNECTION_ENDING;
    c->since_ms = now_ms();
}

static void forget(connection *c) {
    if (c->state == CONNECTION_STREAM) reader_forget(c);
    c->state = CONNECTION_FREE;
}

void connection_cut(connection *c) {
    struct tcp_pcb *pcb = c->pcb;
    forget(c);
    c->pcb = NULL;
    if (!pcb) return;
    tcp_err(pcb, NULL);
    tcp_abort(pcb);
}

/* ---- the loop ---- */

static void step_request(connection *c) {
    bool over = now_ms() - c->since_ms > REQUEST_MS;
    if (c->as.request.complete || c->as.request.refusal) {
        count.requests++;
        http_answer(c);
    } else if (c->ended || over) {
        count.cut += over;
        connection_cut(c);
    }
}

static bool is_deaf(const connection *c) {
    return connection_unheard(c) > 0 && now_ms() - c->since_ms > DEAF_MS;
}

static void step_stream(connection *c) {
    if (c->ended || is_deaf(c)) {
        count.cut += !c->ended;
        connection_cut(c);
    } else {
        reader_step(c);
    }
}

static void step_ending(connection *c) {
    if (is_deaf(c)) {
        count.cut++;
        connection_cut(c);
    } else if (connection_unheard(c) == 0) {
        part(c->pcb);
        c->pcb = NULL;
        c->state = CONNECTION_FREE;
    }
}

void connections_step(void) {
    for (connection *c = connections; c < connections + CONNECTIONS; c++) {
        if (c->state == CONNECTION_FREE) continue;
        if (!c->pcb) forget(c); /* that cancels no call: it goes on without a reader */
        else if (c->state == CONNECTION_REQUEST) step_request(c);
        else if (c->state == CONNECTION_STREAM) step_stream(c);
        else step_ending(c);
        if (c->pcb) tcp_output(c->pcb);
    }
}
