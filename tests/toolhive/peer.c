/* A process that keeps sessions where ToolHive does, told what to do as tests/peer.h says.
     peer SOCKET USER PASSWORD

   There is one record at hand.
     layout FORM TTL_MS PREFIX    FORM: vmcp or proxy; TTL_MS 0, PREFIX empty: ToolHive's own
     new ID STATE CREATED UPDATED ISSUER SUBJECT
     state STATE   updated MS     another one in the record at hand
     put KEY VALUE   del KEY      a pair of it
     create   update   store      writes the record at hand      -> OK, EXISTS, MISS
     load ID   peek ID            reads it                       -> MISS, OK and what show says
     delete ID                                                   -> OK and how many there were
     expire BACKEND               takes it out of the record at hand                        -> OK, END, MISS
     kept LIST                    is an object that was made with it still right?           -> OK, STALE, MISS
     restorable                   may one be made of it?                                    -> OK, MISS
     show                         -> OK ID STATE CREATED UPDATED ISSUER SUBJECT, and KEY VALUE of each pair
     json                         -> OK and what would be written
     read ID JSON                 decodes, without a Redis       -> OK
     id SESSION_ID                -> OK and the id that ToolHive's proxy makes of it */

#define MCPSESS_IMPLEMENTATION
#define MCPSESS_REDIS_IMPLEMENTATION
#include "examples/posix_transport.h"

#include "tests/peer.h"

#define RECORD_MAX 65535u
#define JSON_MAX 400000u
#define LINE_MAX_BYTES 1200000u
#define WORDS_MAX 7u

MCPSESS_REDIS_STORAGE(wire, 1, JSON_MAX + 1024u, 4096);

static struct {
    mcpsess_redis redis;
    sock sock;
    mcpsess_wait_hook hook;
    mcpsess_toolhive_layout layout;
    mcpsess_record record; /* at hand */
    mcpsess_buf bytes;     /* of it */
    char mem[2][RECORD_MAX];
    char prefix[64], json[JSON_MAX], reply[JSON_MAX + 64], scratch[512], line[LINE_MAX_BYTES];
} t;

static void say_record(void) {
    mcpsess_str key, value;
    size_t cursor = 0;
    say(t.record.id);
    say_number(t.record.state);
    say_number(t.record.created_ms);
    say_number(t.record.updated_ms);
    say(t.record.principal.issuer);
    say(t.record.principal.subject);
    while (mcpsess_record_next(&t.record, &cursor, &key, &value) == MCPSESS_OK) {
        say(key);
        say(value);
    }
}

/* -- the record at hand -- */

/* The other half of the memory, empty. */
static mcpsess_buf other_room(void) {
    mcpsess_buf b;
    mcpsess_buf_init(&b, t.bytes.ptr == t.mem[0] ? t.mem[1] : t.mem[0], RECORD_MAX);
    return b;
}

static int have_bytes(mcpsess_buf bytes) {
    t.bytes = bytes;
    return mcpsess_record_decode(mcpsess_buf_str(&t.bytes), &t.record);
}

static int edit(const mcpsess_record *changed) {
    mcpsess_buf b = other_room();
    int rc = mcpsess_record_encode(changed, &b);
    return rc == MCPSESS_OK ? have_bytes(b) : rc;
}

static int new_record(const mcpsess_str *w) {
    uint64_t state = 0;
    mcpsess_record r;
    memset(&r, 0, sizeof r);
    r.id = w[1];
    r.principal.issuer = w[5];
    r.principal.subject = w[6];
    if (mcpsess_u64_decode(w[2], 255, &state) != MCPSESS_OK) return MCPSESS_E_ARG;
    if (mcpsess_u64_decode(w[3], INT64_MAX, &r.created_ms) != MCPSESS_OK) return MCPSESS_E_ARG;
    if (mcpsess_u64_decode(w[4], INT64_MAX, &r.updated_ms) != MCPSESS_OK) return MCPSESS_E_ARG;
    r.state = (uint8_t)state;
    return edit(&r);
}

static int set_number(const mcpsess_str *w) {
    mcpsess_record r = t.record;
    uint64_t number;
    if (mcpsess_u64_decode(w[1], INT64_MAX, &number) != MCPSESS_OK) return MCPSESS_E_ARG;
    if (w[0].ptr[0] == 's') r.state = (uint8_t)number;
    else r.updated_ms = number;
    return edit(&r);
}

static int change_pair(const mcpsess_str *w) {
    int rc = w[0].ptr[0] == 'p' ? mcpsess_record_put(&t.bytes, w[1], w[2]) : mcpsess_record_del(&t.bytes, w[1]);
    (void)mcpsess_record_decode(mcpsess_buf_str(&t.bytes), &t.record);
    return rc;
}

static int expire(mcpsess_str backend) {
    const mcpsess_backends b = mcpsess_toolhive_backends();
    int rc = mcpsess_backends_del(&b, &t.bytes, backend);
    (void)mcpsess_record_decode(mcpsess_buf_str(&t.bytes), &t.record);
    return rc;
}

static int kept(mcpsess_str list) {
    const mcpsess_backends b = mcpsess_toolhive_backends();
    return mcpsess_backends_check(&b, &t.record, list);
}

static int decode(mcpsess_str id, mcpsess_str json) {
    mcpsess_buf b = other_room();
    size_t need = 0;
    int rc = mcpsess_toolhive_decode(t.layout.form, json, id, &b, &need);
    if (rc == MCPSESS_OK && need != b.len) return MCPSESS_E_CORRUPT;
    return rc == MCPSESS_OK ? have_bytes(b) : rc;
}

static int encode(mcpsess_str *json) {
    mcpsess_buf b;
    int rc;
    mcpsess_buf_init(&b, t.json, sizeof t.json);
    rc = mcpsess_toolhive_encode(t.layout.form, &t.record, &b);
    *json = mcpsess_buf_str(&b);
    return rc;
}

/* -- Redis -- */

/* *text: of the reply; its ptr is NULL for null. */
static int command(int which, mcpsess_str id, mcpsess_str json, mcpsess_str *text) {
    mcpsess_toolhive_words words;
    mcpsess_buf scratch, reply;
    int rc;
    mcpsess_buf_init(&scratch, t.scratch, sizeof t.scratch);
    mcpsess_buf_init(&reply, t.reply, sizeof t.reply);
    rc = mcpsess_toolhive_command(&t.layout, which, id, json, &scratch, &words);
    if (rc == MCPSESS_OK) rc = mcpsess_redis_call(&t.redis, words.argv, words.argc, &reply, &t.hook);
    if (rc == MCPSESS_OK) *text = mcpsess_redis_text(mcpsess_buf_str(&reply));
    return rc;
}

static int write_record(int which) {
    mcpsess_str json, text;
    int rc = encode(&json);
    if (rc == MCPSESS_OK) rc = command(which, t.record.id, json, &text);
    if (rc != MCPSESS_OK) return rc;
    if (text.ptr == NULL) return which == MCPSESS_TOOLHIVE_CREATE ? MCPSESS_EXISTS : MCPSESS_MISS;
    return mcpsess_str_eq(text, MCPSESS_STR("OK")) ? MCPSESS_OK : MCPSESS_E_CORRUPT;
}

static int read_record(int which, mcpsess_str id) {
    mcpsess_str text;
    int rc = command(which, id, MCPSESS_STR(""), &text);
    if (rc != MCPSESS_OK) return rc;
    return text.ptr == NULL ? MCPSESS_MISS : decode(id, text);
}

static int set_layout(const mcpsess_str *w) {
    uint64_t ttl_ms;
    t.layout = mcpsess_str_eq(w[1], MCPSESS_STR("proxy")) ? mcpsess_toolhive_proxy() : mcpsess_toolhive_vmcp();
    if (mcpsess_u64_decode(w[2], INT64_MAX, &ttl_ms) != MCPSESS_OK || w[3].len > sizeof t.prefix) return MCPSESS_E_ARG;
    if (ttl_ms != 0) t.layout.ttl_ms = ttl_ms;
    if (w[3].len == 0) return MCPSESS_OK;
    memcpy(t.prefix, w[3].ptr, w[3].len);
    t.layout.prefix = mcpsess_str_of(t.prefix, w[3].len);
    return MCPSESS_OK;
}

/* -- the dialogue -- */

enum { LAYOUT, NEW, NUMBER, PAIR, EXPIRE, KEPT, RESTORABLE, WRITE, READ, DELETE, SHOW, JSON, DECODE, ID };

static const struct {
    const char *name;
    uint8_t words; /* its name included */
    uint8_t what;
    uint8_t which; /* MCPSESS_TOOLHIVE_... */
} verbs[] = {
    {"layout", 4, LAYOUT, 0},
    {"new", 7, NEW, 0},
    {"state", 2, NUMBER, 0},
    {"updated", 2, NUMBER, 0},
    {"put", 3, PAIR, 0},
    {"del", 2, PAIR, 0},
    {"expire", 2, EXPIRE, 0},
    {"kept", 2, KEPT, 0},
    {"restorable", 1, RESTORABLE, 0},
    {"create", 1, WRITE, MCPSESS_TOOLHIVE_CREATE},
    {"update", 1, WRITE, MCPSESS_TOOLHIVE_UPDATE},
    {"store", 1, WRITE, MCPSESS_TOOLHIVE_STORE},
    {"load", 2, READ, MCPSESS_TOOLHIVE_LOAD},
    {"peek", 2, READ, MCPSESS_TOOLHIVE_PEEK},
    {"delete", 2, DELETE, MCPSESS_TOOLHIVE_DELETE},
    {"show", 1, SHOW, 0},
    {"json", 1, JSON, 0},
    {"decode", 3, DECODE, 0},
    {"id", 2, ID, 0},
};

/* -> a code; *text: what goes with it, ptr NULL: nothing; *record: what show says does */
static int obey(unsigned verb, const mcpsess_str *w, mcpsess_str *text, bool *record) {
    mcpsess_buf b;
    int rc;
    switch (verbs[verb].what) {
    case LAYOUT: return set_layout(w);
    case NEW: return new_record(w);
    case NUMBER: return set_number(w);
    case PAIR: return change_pair(w);
    case EXPIRE: return expire(w[1]);
    case KEPT: return kept(w[1]);
    case RESTORABLE: return mcpsess_toolhive_restorable(&t.record);
    case WRITE: return write_record(verbs[verb].which);
    case DELETE: return command(MCPSESS_TOOLHIVE_DELETE, w[1], MCPSESS_STR(""), text);
    case JSON: return encode(text);
    case ID:
        mcpsess_buf_init(&b, t.json, sizeof t.json);
        rc = mcpsess_toolhive_id(w[1], &b);
        *text = mcpsess_buf_str(&b);
        return rc;
    default:
        *record = true;
        if (verbs[verb].what == READ) return read_record(verbs[verb].which, w[1]);
        return verbs[verb].what == DECODE ? decode(w[1], w[2]) : MCPSESS_OK;
    }
}

static bool answer(char *line) {
    mcpsess_str words[WORDS_MAX], text = {NULL, 0};
    bool record = false;
    unsigned verb = 0, count;
    int rc;
    count = take_words(line, words, WORDS_MAX);
    if (count == 0) return false;
    while (verb < sizeof verbs / sizeof verbs[0] && !mcpsess_str_eq(words[0], mcpsess_str_z(verbs[verb].name))) verb++;
    if (verb == sizeof verbs / sizeof verbs[0] || count > verbs[verb].words) return false;
    rc = obey(verb, words, &text, &record);
    fputs(mcpsess_redis_code_name(rc), stdout);
    if (rc == MCPSESS_OK && text.ptr != NULL) say(text);
    if (rc == MCPSESS_OK && record) say_record();
    putchar('\n');
    return fflush(stdout) == 0;
}

int main(int argc, char **argv) {
    mcpsess_redis_desc d = mcpsess_redis_desc_default();
    if (argc != 4) return 2;
    sock_init(&t.sock, argv[1], NULL);
    t.hook = sock_wait_hook(&t.sock);
    d.transport = sock_transport(&t.sock);
    d.random = sock_random;
    d.user = mcpsess_str_z(argv[2]);
    d.password = mcpsess_str_z(argv[3]);
    d.slots = 1;
    d.tx_bytes = JSON_MAX + 1024u;
    d.rx_bytes = 4096;
    t.layout = mcpsess_toolhive_vmcp();
    if (mcpsess_redis_init(&t.redis, &d, wire.bytes, sizeof wire.bytes) != MCPSESS_OK) return 2;
    while (fgets(t.line, sizeof t.line, stdin) != NULL) {
        if (!answer(t.line)) return 2;
    }
    mcpsess_redis_close(&t.redis);
    return 0;
}
