/* What is stored, made and looked at behind the back of what is tested: by the server's owner on a connection of its
   own, or in the memory store itself. */

#define _POSIX_C_SOURCE 200809L

#include "faults.h"

#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* -- the server -- */

static struct {
    int fd;
    char room[WIRE_MAX];
} owner = {-1, ""};

static void must(bool fine, const char *what) {
    if (fine) return;
    perror(what);
    exit(2);
}

void world_connect(const char *path) {
    struct sockaddr_un a;
    memset(&a, 0, sizeof a);
    a.sun_family = AF_UNIX;
    must(strlen(path) < sizeof a.sun_path, "path");
    memcpy(a.sun_path, path, strlen(path));
    if (owner.fd >= 0) close(owner.fd);
    owner.fd = socket(AF_UNIX, SOCK_STREAM, 0);
    must(owner.fd >= 0 && connect(owner.fd, (struct sockaddr *)&a, sizeof a) == 0, path);
}

static mcpsess_str ask(const mcpsess_str *argv, size_t argc) {
    size_t len = 0;
    ssize_t got;
    mcpsess_buf command;
    mcpsess_buf_init(&command, owner.room, sizeof owner.room);
    must(mcpsess_resp_put_command(&command, argv, argc) == MCPSESS_OK, "owner's command");
    must(send(owner.fd, command.ptr, command.len, MSG_NOSIGNAL) == (ssize_t)command.len, "owner's send");
    do {
        got = recv(owner.fd, owner.room + len, sizeof owner.room - len, 0);
        must(got > 0, "owner's receive");
        len += (size_t)got;
    } while (wire_unit(mcpsess_str_of(owner.room, len), NULL) == 0);
    if (owner.room[0] == '-') fprintf(stderr, "%.*s: %.*s", (int)argv[0].len, argv[0].ptr, (int)len, owner.room);
    must(owner.room[0] != '-', "owner's command");
    return mcpsess_redis_text(mcpsess_str_of(owner.room, len));
}

mcpsess_str world_owner(const char *word, ...) {
    mcpsess_str argv[10];
    size_t argc = 0;
    va_list rest;
    va_start(rest, word);
    for (; word != NULL && argc < 10; word = va_arg(rest, const char *)) argv[argc++] = mcpsess_str_z(word);
    va_end(rest);
    return ask(argv, argc);
}

static void redis_put(const char *key, mcpsess_str value, uint32_t ttl_ms) {
    char ttl[16];
    snprintf(ttl, sizeof ttl, "%lu", (unsigned long)ttl_ms);
    const mcpsess_str argv[] = {MCPSESS_STR("SET"), mcpsess_str_z(key), value, MCPSESS_STR("PX"), mcpsess_str_z(ttl)};
    (void)ask(argv, 5);
}

static const char look[] =
    "local keys,s=redis.call('KEYS','*'),''\n"
    "table.sort(keys)\n"
    "for _,k in ipairs(keys) do\n"
    "local t,v=redis.call('PTTL',k),redis.call('TYPE',k).ok\n"
    "if string.find(k,':f:') or string.find(k,':librechat:') then v='fence'\n"
    "elseif v=='string' then v=string.gsub(redis.call('GET',k),'^%d+:','')\n"
    "v=string.gsub(v,'\"expires\":%d+','\"expires\":')\n"
    "elseif v=='zset' then v=table.concat(redis.call('ZRANGE',k,0,-1),' ')\n"
    "elseif v=='stream' then local r=redis.call('XRANGE',k,'-','+')\n"
    "v='' for _,q in ipairs(r) do v=v..string.match(q[1],'%d+')..q[2][2]..' ' end\n"
    "elseif v=='hash' and string.find(k,'^mcp:') then v=redis.call('HGET',k,'data')\n"
    "elseif v=='hash' and string.find(k,'writer:') then local h=redis.call('HMGET',k,'f','n','b','t','o','u')\n"
    "h[1]=tonumber(h[1] or 0)<1650000000000000 and 'old' or 'new'\n"
    "h[6]=tonumber(h[6] or 0)>redis.call('TIME')[1]*1000 and 'held' or 'free'\n"
    "v='' for n=1,6 do v=v..(h[n] or 'none')..' ' end\n"
    "elseif v=='hash' then local h=redis.call('HMGET',k,'e','w','s','d','t','o','z')\n"
    "for n=1,2 do h[n]=tonumber(h[n])<1650000000000000 and 'old' or 'new' end\n"
    "local l,b,g=struct.unpack('<ddd',h[7])\n"
    "h[7]=l..' '..b..(g>redis.call('TIME')[1]*1000 and ' held' or ' free')\n"
    "v=table.concat(h,' ') end\n"
    "s=s..k..'='..v..(t<0 and ' for ever' or t<50000 and ' low' or ' full')..'\\n' end\n"
    "return s";

/* A log's three keys; of its numbers only what the scripts look at. */
static const char make_log[] =
    "local m,e,i=KEYS[1],KEYS[2],KEYS[3]\n"
    "local t=redis.call('TIME')\n"
    "local now=t[1]*1000+math.floor(t[2]/1000)\n"
    "local u=now+ARGV[4]\n"
    "redis.call('HSET',m,'e','1600000000000001','w','1600000000000002','o',ARGV[1],'t',ARGV[2],\n"
    "'d',ARGV[3],'s',1,'x',u,'y',u+1,'z',struct.pack('<dddddd',3,29,ARGV[2]=='' and 0 or u,u,u,now))\n"
    "for n,v in ipairs({'one','two','three'}) do\n"
    "redis.call('XADD',e,n..'-'..now,'event','\\1\\0'..v) end\n"
    "redis.call('ZADD',i,u,'s')\n"
    "for _,k in ipairs(KEYS) do redis.call('PEXPIRE',k,ARGV[4]) end";

static void redis_log(mcpsess_str whose, const char *token, bool done, uint32_t ttl_ms) {
    char ttl[16];
    snprintf(ttl, sizeof ttl, "%lu", (unsigned long)ttl_ms);
    const mcpsess_str argv[] = {MCPSESS_STR("EVAL"),
                                mcpsess_str_z(make_log),
                                MCPSESS_STR("3"),
                                MCPSESS_STR("mcpsess:m:{a}:s"),
                                MCPSESS_STR("mcpsess:e:{a}:s"),
                                MCPSESS_STR("mcpsess:i:{a}"),
                                whose,
                                mcpsess_str_z(token == NULL ? "" : token),
                                done ? MCPSESS_STR("1") : MCPSESS_STR("0"),
                                mcpsess_str_z(ttl)};
    (void)ask(argv, COUNT_OF(argv));
    rig.log_epoch = 1600000000000001u;
    rig.log_writer = 1600000000000002u;
}

/* The same as the C# SDK has it. */
static const char make_csharp[] =
    "local p,id,a,s='mcp:sse:v1:','YQ==:cw==',redis.call('TIME')[1]*1000+ARGV[4]\n"
    "local function set(k,v)\n"
    "redis.call('HSET',k,'absexp',string.format('%.0f0000',a+62135596800000),'sldexp',ARGV[4]..'0000','data',v)\n"
    "redis.call('PEXPIRE',k,ARGV[4]) end\n"
    "for n,v in ipairs({'one','two','three'}) do\n"
    "set(p..'event:'..id..':'..n,'{\"eventType\":\"message\",\"eventId\":\"'..id..':'..n..'\",\"data\":\"'..v..'\"}') "
    "end\n"
    "set(p..'meta:'..id,'{\"mode\":\"Streaming\",\"isCompleted\":'..ARGV[3]..',\"lastSequence\":3}')\n"
    "set(p..'idx:YQ==','{\"streams\":[{\"streamId\":\"s\",\"lastSequence\":3}]}')\n"
    "local w='mcpsess:sse:v1:writer:'..id\n"
    "redis.call('HSET',w,'o',ARGV[1],'t',ARGV[2],'f','1600000000000002','u',ARGV[2]=='' and 0 or a,'k',a,'n',3,'b',0)\n"
    "redis.call('PEXPIRE',w,ARGV[4])";

static void csharp_log(mcpsess_str whose, const char *token, bool done, uint32_t ttl_ms) {
    char ttl[16];
    snprintf(ttl, sizeof ttl, "%lu", (unsigned long)ttl_ms);
    const mcpsess_str argv[] = {MCPSESS_STR("EVAL"),
                                mcpsess_str_z(make_csharp),
                                MCPSESS_STR("0"),
                                whose,
                                mcpsess_str_z(token == NULL ? "" : token),
                                done ? MCPSESS_STR("true") : MCPSESS_STR("false"),
                                mcpsess_str_z(ttl)};
    (void)ask(argv, COUNT_OF(argv));
    rig.log_epoch = 0;
    rig.log_writer = 1600000000000002u;
}

/* -- memory -- */

static int ram(uint8_t kind, const char *id, mcpsess_str value, uint32_t ttl_ms, mcpsess_request *r) {
    mcpsess_store s = mcpsess_memstore_store(&rig.ram);
    memset(r, 0, sizeof *r);
    r->kind = kind;
    r->key = mcpsess_str_z(id);
    r->value = value;
    r->ttl_ms = ttl_ms;
    return s.cls->submit(s.self, r, rig.now_ms);
}

/* Into one of its two tables, without a trace. A lease is its fence in eight bytes, then the token. */
static bool ram_peek(const mcpsess_lru *table, const char *id, mcpsess_lru_entry *e) {
    return mcpsess_lru_peek(table, mcpsess_str_z(id), rig.now_ms, e) == MCPSESS_OK;
}

static void ram_tell(mcpsess_buf *text, const char *what, mcpsess_str value, uint64_t expires_ms) {
    bool low = mcpsess_time_left(rig.now_ms, expires_ms) < 50000;
    mcpsess_buf_put(text, mcpsess_str_z(what));
    mcpsess_buf_put(text, value);
    mcpsess_buf_put(text, expires_ms == MCPSESS_NEVER ? MCPSESS_STR(" for ever\n") : MCPSESS_STR(""));
    if (expires_ms != MCPSESS_NEVER) mcpsess_buf_put(text, low ? MCPSESS_STR(" low\n") : MCPSESS_STR(" full\n"));
}

static int ram_ask_log(uint8_t kind, mcpsess_log_request *r) {
    mcpsess_store s = mcpsess_memstore_store(&rig.ram);
    r->request.kind = kind;
    r->request.key = MCPSESS_STR("a");
    r->request.ttl_ms = WORLD_TTL;
    r->log.stream = MCPSESS_STR("s");
    return s.cls->submit(s.self, &r->request, rig.now_ms);
}

static void ram_log(const mcpsess_principal *who, const char *token, bool done) {
    static const char *const events[] = {"one", "two", "three"};
    mcpsess_log_request r;
    memset(&r, 0, sizeof r);
    r.request.owner = *who;
    r.request.value = mcpsess_str_z(token == NULL ? "nobody's" : token);
    must(ram_ask_log(MCPSESS_LOG_OPEN, &r) == MCPSESS_OK, "open");
    for (r.log.sequence = 1; r.log.sequence <= COUNT_OF(events); r.log.sequence++) {
        r.log.event.data = mcpsess_str_z(events[r.log.sequence - 1]);
        must(ram_ask_log(MCPSESS_LOG_APPEND, &r) == MCPSESS_OK, "append");
    }
    r.log.sequence--;
    r.log.streaming = true;
    r.log.done = done;
    must(ram_ask_log(MCPSESS_LOG_SET, &r) == MCPSESS_OK, "set");
    if (token == NULL) rig.now_ms += WORLD_TTL;
    rig.log_epoch = r.log.epoch;
    rig.log_writer = r.log.writer;
}

static void ram_look_log(mcpsess_buf *text) {
    mcpsess_log_request r;
    memset(&r, 0, sizeof r);
    if (ram_ask_log(MCPSESS_LOG_STATE, &r) != MCPSESS_OK) return;
    mcpsess_buf_put(text, r.log.epoch == rig.log_epoch ? MCPSESS_STR("log ") : MCPSESS_STR("new log "));
    mcpsess_buf_put_u64(text, r.log.last);
    mcpsess_buf_put(text, r.log.streaming ? MCPSESS_STR(" streaming") : MCPSESS_STR(""));
    mcpsess_buf_put(text, r.log.done ? MCPSESS_STR(" done") : MCPSESS_STR(""));
    mcpsess_buf_put(text, r.request.left_ms != 0 ? MCPSESS_STR(" held ") : MCPSESS_STR(" free "));
    r.log.sequence = r.log.first - 1;
    r.request.out = text;
    r.request.count = 0;
    (void)ram_ask_log(MCPSESS_LOG_RANGE, &r);
}

static void ram_ask_flag(uint8_t kind, const char *fingerprint, const char *data, uint32_t ttl_ms) {
    mcpsess_store s = mcpsess_memstore_store(&rig.ram);
    mcpsess_flag_request f;
    memset(&f, 0, sizeof f);
    f.request.kind = kind;
    f.request.mode = kind == MCPSESS_FLAG_CLEAR ? 1 : 0;
    f.request.key = MCPSESS_STR("a");
    f.request.expect = mcpsess_str_z(fingerprint);
    f.request.ttl_ms = ttl_ms;
    f.data = mcpsess_str_z(data);
    must(s.cls->submit(s.self, &f.request, rig.now_ms) >= 0, "flag");
}

static void ram_look(mcpsess_buf *text) {
    mcpsess_lru_entry e;
    if (ram_peek(&rig.ram.i.records, "a", &e)) ram_tell(text, "a=", e.value, e.expires_ms);
    if (ram_peek(&rig.ram.i.leases, "a", &e)) {
        ram_tell(text, "lease=", mcpsess_str_of(e.value.ptr + 8, e.value.len - 8), e.expires_ms);
    }
    if (ram_peek(&rig.ram.i.flags, "a", &e)) ram_tell(text, "flag=", e.value, e.expires_ms);
    ram_look_log(text);
}

static int64_t ram_fence(const char *id) {
    mcpsess_lru_entry e;
    int64_t fence = 0;
    unsigned n = 8;
    if (!ram_peek(&rig.ram.i.leases, id, &e)) return -1;
    while (n > 0) fence = fence * 256 + (unsigned char)e.value.ptr[--n];
    return fence;
}

/* -- either -- */

void world_clear(void) {
    if (rig.world != WORLD_RAM) {
        /* FLUSHDB gives memory back each time: slow */
        (void)world_owner("EVAL", "for _,k in ipairs(redis.call('KEYS','*')) do redis.call('DEL',k) end", "0", NULL);
        return;
    }
    mcpsess_log_request all;
    memset(&all, 0, sizeof all);
    (void)ram_ask_log(MCPSESS_LOG_DEL, &all);
    world_del("a");
    ram_ask_flag(MCPSESS_FLAG_CLEAR, "", "", 0); /* and whose lease it is */
}

void world_put(const char *id, mcpsess_str value, uint32_t ttl_ms) {
    char key[64];
    mcpsess_request r;
    if (rig.world == WORLD_REDIS) {
        snprintf(key, sizeof key, "mcpsess:r:{%s}", id);
        redis_put(key, value, ttl_ms);
        return;
    }
    must(ram(MCPSESS_PUT, id, value, ttl_ms, &r) == MCPSESS_OK, "put");
}

void world_del(const char *id) {
    char key[64];
    mcpsess_request r;
    snprintf(key, sizeof key, "mcpsess:r:{%s}", id);
    if (rig.world == WORLD_REDIS) (void)world_owner("DEL", key, NULL);
    else (void)ram(MCPSESS_DEL, id, mcpsess_str_of(NULL, 0), 0, &r);
}

#define LIBRECHAT "MCP::ServersRegistry::PrivateServersLoadStatus:"

void world_lease(const char *id, const char *token, uint32_t ttl_ms) {
    char key[128], value[64];
    mcpsess_request r;
    if (rig.world == WORLD_RAM) {
        must(ram(MCPSESS_LEASE_ACQUIRE, id, mcpsess_str_z(token), ttl_ms, &r) == MCPSESS_OK, "lease");
        return;
    }
    if (rig.world == WORLD_LIBRECHAT) {
        snprintf(key, sizeof key, LIBRECHAT "USER_PRIVATE_SERVERS_LOAD_LOCK::%s", id);
        snprintf(value, sizeof value, "1600000000000:%s", token);
        redis_put(key, mcpsess_str_z(value), ttl_ms);
        snprintf(key, sizeof key, "mcpsess:librechat:%s", id);
        redis_put(key, MCPSESS_STR("1234567890123456"), ttl_ms * 100u);
        return;
    }
    snprintf(key, sizeof key, "mcpsess:l:{%s}", id);
    redis_put(key, mcpsess_str_z(token), ttl_ms);
    snprintf(key, sizeof key, "mcpsess:f:{%s}", id);
    redis_put(key, MCPSESS_STR("1234567890123456"), ttl_ms * 100u);
}

const char *world_flag_key(void) {
    return rig.world == WORLD_LIBRECHAT ? LIBRECHAT "USER_PRIVATE_SERVERS_LOADED::a" : "mcpsess:l:{a}:f";
}

/* LibreChat's, for ever but for its TTL. */
static void librechat_flag(const char *fingerprint, uint32_t ttl_ms) {
    mcpsess_librechat_flag f;
    char json[128];
    mcpsess_buf b;
    mcpsess_buf_init(&b, json, sizeof json);
    f.expires_ms = UINT64_C(9999999999999);
    f.fingerprint_len = (uint8_t)strlen(fingerprint);
    memcpy(f.fingerprint, fingerprint, f.fingerprint_len);
    must(mcpsess_librechat_flag_encode(&f, &b) == MCPSESS_OK, "flag");
    redis_put(world_flag_key(), mcpsess_buf_str(&b), ttl_ms);
}

void world_flag(const char *fingerprint, const char *data, uint32_t ttl_ms) {
    char value[64];
    if (rig.world == WORLD_LIBRECHAT) {
        librechat_flag(fingerprint, ttl_ms);
        return;
    }
    if (rig.world == WORLD_RAM) {
        ram_ask_flag(MCPSESS_FLAG_SET, fingerprint, data, ttl_ms);
        return;
    }
    snprintf(value, sizeof value, "%c%s%s", (char)strlen(fingerprint), fingerprint, data);
    redis_put(world_flag_key(), mcpsess_str_z(value), ttl_ms);
}

int64_t world_fence(const char *id) {
    char key[64], digits[24];
    mcpsess_str text;
    if (rig.world == WORLD_RAM) return ram_fence(id);
    snprintf(key, sizeof key, rig.world == WORLD_LIBRECHAT ? "mcpsess:librechat:%s" : "mcpsess:f:{%s}", id);
    text = world_owner("GET", key, NULL);
    if (text.len == 0 || text.len >= sizeof digits) return -1;
    memcpy(digits, text.ptr, text.len);
    digits[text.len] = '\0';
    return strtoll(digits, NULL, 10);
}

void world_log(const mcpsess_principal *who, const char *token, bool done, uint32_t ttl_ms) {
    char mem[MCPSESS_RECORD_OWNER_MAX];
    mcpsess_buf whose;
    mcpsess_buf_init(&whose, mem, sizeof mem);
    must(mcpsess_record_owner(who, &whose) == MCPSESS_OK, "owner");
    if (rig.world == WORLD_RAM) ram_log(who, token, done);
    else if (rig.world == WORLD_CSHARP) csharp_log(mcpsess_buf_str(&whose), token, done, ttl_ms);
    else redis_log(mcpsess_buf_str(&whose), token, done, ttl_ms);
}

int64_t world_log_number(char which) {
    char digits[24], field[] = {which, '\0'};
    mcpsess_str text;
    if (rig.world == WORLD_RAM) return (int64_t)(which == 'e' ? rig.ram.i.logs[0].epoch : rig.ram.i.logs[0].writer);
    if (rig.world == WORLD_CSHARP && which == 'e') return 0;
    if (rig.world == WORLD_CSHARP) text = world_owner("HGET", "mcpsess:sse:v1:writer:YQ==:cw==", "f", NULL);
    else text = world_owner("HGET", "mcpsess:m:{a}:s", field, NULL);
    if (text.len == 0 || text.len >= sizeof digits) return -1;
    memcpy(digits, text.ptr, text.len);
    digits[text.len] = '\0';
    return strtoll(digits, NULL, 10);
}

void world_look(char text[WORLD_TEXT]) {
    mcpsess_buf b;
    mcpsess_buf_init(&b, text, WORLD_TEXT);
    memset(text, 0, WORLD_TEXT);
    if (rig.world == WORLD_RAM) ram_look(&b);
    else mcpsess_buf_put(&b, world_owner("EVAL", look, "0", NULL));
    must(!b.overflow, "look");
}
