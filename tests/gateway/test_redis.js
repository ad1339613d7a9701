'use strict';
// Two gateways on one Redis: any of them serves any session, whatever becomes of Redis.

const fs = require('node:fs');
const { Backend } = require('./backend.js');
const { Redis, pair } = require('./redis.js');
const { Gateway, assert, initialize, sleep, test, until } = require('./kit.js');

const id = (sid, more = {}) => ({ 'mcp-session-id': sid, ...more });
const end = (g, sid) => g.request('DELETE', { headers: id(sid) });

async function took(promise) {
    const begin = Date.now();
    const result = await promise;
    return [Date.now() - begin, result];
}

// Asks until the answer has this status; how long that took.
async function comesTo(status, ask, ms = 5000) {
    const begin = Date.now();
    await until(async () => (await ask()).status === status, `a ${status}`, ms);
    return Date.now() - begin;
}

const recovers = (g, ms = 5000) => comesTo(200, () => g.initialize(), ms);

function assertAway(reply, message = 'Session store unavailable') {
    assert.equal(reply.status, 503, reply.text);
    assert.equal(reply.headers['retry-after'], '1');
    assert.equal(reply.json.jsonrpc, '2.0');
    assert.equal(reply.json.error.message, message);
}

// The backend keeps what it was told to forget, so a 404 is the gateway's.
function forgetNothing(backend) {
    backend.hook = ({ method }, res) => method === 'DELETE' && res.writeHead(200).end() && true;
}

const note = (text) => console.log(`# ${text}`);

const alone = { alone: true };

const POLLED = 1300; // ms until what nobody tells is noticed

// ---- one session, two gateways

pair('a session made at one gateway is served by the other', 2, {}, async (redis, g, h, a, b) => {
    const sids = [await g.session(), await g.session(), await h.session()];
    for (const sid of sids) {
        const at = (await g.call(sid)).json.result;
        assert.deepEqual((await h.call(sid)).json.result, at);
        const stream = await h.stream(id(sid));
        assert.equal(stream.status, 200);
        stream.req.destroy();
    }
    assert.equal(a.count + b.count, 3);
    assert.ok(a.seen.concat(b.seen).every((r) => r.headers['mcp-session-id'] !== sids[0]));
    const keys = (await redis.cli('KEYS', '*')).split('\n');
    assert.equal(keys.length, 3);
    for (const key of keys) assert.match(key, /^mcpsess:r:\{[A-Za-z0-9_-]{22}\}$/);
    const ttl = Number(await redis.cli('PTTL', keys[0]));
    assert.ok(ttl > 1790000 && ttl <= 1800000, `${ttl}`);
});

pair('a session belongs to its principal at every gateway', 1, { 'principal-header': 'X-User' }, async (r, g, h, a) => {
    const sid = await g.session({ 'x-user': 'alice' });
    assert.equal((await h.call(sid, 'm', 1, { 'x-user': 'bob' })).status, 404);
    assert.equal((await h.call(sid, 'm', 1, { 'x-user': 'alice' })).status, 200);
    assert.equal((await h.call(sid, 'm', 1, { 'x-user': 'bob' })).status, 404); // now with a local copy there
    assert.equal((await h.request('DELETE', { headers: id(sid, { 'x-user': 'bob' }) })).status, 404);
    assert.equal((await g.call(sid, 'm', 1, { 'x-user': 'alice' })).status, 200);
    assert.equal(a.seen.length, 3);
});

pair('sessions in use cost Redis nothing', 1, {}, async (redis, g, h) => {
    const sid = await g.session();
    for (const each of [g, h]) await each.call(sid);
    const before = [await g.metric('redis_commands_total'), await h.metric('redis_commands_total')];
    for (let i = 0; i < 50; i++) for (const each of [g, h]) assert.equal((await each.call(sid)).status, 200);
    const after = [await g.metric('redis_commands_total'), await h.metric('redis_commands_total')];
    for (const i of [0, 1]) assert.ok(after[i] - before[i] <= 2, `${before} ${after}`); // a PING, if it took long
    assert.ok((await g.metric('session_local_hits_total')) >= 50);
});

// A hit looks for changes, and so may take in what others wait for.
pair('those who must ask are not kept waiting by those who need not', 1, { alone: true }, async (redis, g) => {
    const sid = await g.session();
    await g.call(sid);
    let over = false;
    const hits = Array.from({ length: 8 }, async () => {
        while (!over) assert.equal((await g.call(sid)).status, 200);
    });
    const waits = [];
    for (let i = 0; i < 300; i++) {
        const [ms, reply] = await took(g.call(`unknown-${i}`));
        assert.equal(reply.status, 404);
        waits.push(ms);
    }
    over = true;
    await Promise.all(hits);
    note(`the slowest of 300 misses among hits ${Math.max(...waits)} ms`);
    assert.ok(Math.max(...waits) < 500, `${waits}`);
});

for (const [tracking, bound] of [
    ['keys', 50],
    ['prefixes', 50],
    ['off', POLLED],
]) {
    const options = { tracking, alone: true };
    pair(`DELETE at one gateway is 404 at the other, tracking ${tracking}`, 1, options, async (redis, g, h, a) => {
        const times = [];
        forgetNothing(a);
        for (const [maker, other] of [
            [g, h],
            [h, g],
        ]) {
            for (const ended of [maker, other]) {
                const sid = await maker.session();
                for (let i = 0; i < 3; i++) assert.equal((await maker.call(sid)).status, 200);
                for (let i = 0; i < 3; i++) assert.equal((await other.call(sid)).status, 200);
                assert.equal((await end(ended, sid)).status, 200);
                times.push(await comesTo(404, () => (ended === maker ? other : maker).call(sid)));
            }
        }
        note(`404 after ${times} ms`);
        for (const t of times) assert.ok(t <= (redis.tracks ? bound : POLLED), `${times} ms`);
    });
}

pair('a session that its maker never loaded is ended elsewhere', 1, { alone: true }, async (redis, g, h, a) => {
    forgetNothing(a);
    const sid = await g.session();
    assert.equal((await end(h, sid)).status, 200);
    const t = await comesTo(404, () => g.call(sid));
    note(`404 after ${t} ms`);
    assert.ok(t <= (redis.tracks ? 50 : POLLED), `${t} ms`);
});

pair('a session that was deleted in Redis is gone, FLUSHALL included', 1, {}, async (redis, g, h) => {
    const sids = [await g.session(), await h.session()];
    for (const each of [g, h]) for (const sid of sids) assert.equal((await each.call(sid)).status, 200);
    await redis.cli('DEL', `mcpsess:r:{${sids[0]}}`);
    await redis.told();
    for (const each of [g, h]) assert.equal((await each.call(sids[0])).status, 404);
    for (const each of [g, h]) assert.equal((await each.call(sids[1])).status, 200);
    await redis.cli('FLUSHALL');
    await redis.told();
    for (const each of [g, h]) assert.equal((await each.call(sids[1])).status, 404);
    assert.equal((await g.initialize()).status, 200);
});

pair('a session lives as long as any gateway uses it', 1, { ttl: 2, waits: true }, async (redis, g, h) => {
    const sid = await g.session();
    const idle = await g.session();
    for (let i = 0; i < 8; i++) {
        await sleep(500);
        assert.equal((await (i % 2 ? g : h).call(sid)).status, 200);
    }
    for (const each of [g, h]) assert.equal((await each.call(idle)).status, 404);
    await sleep(2100);
    for (const each of [g, h]) assert.equal((await each.call(sid)).status, 404);
});

// ---- a backend dies

pair('what one gateway revived the other finds', 2, {}, async (redis, g, h, a, b) => {
    const sid = await g.session();
    for (const each of [g, h]) assert.equal((await each.call(sid)).json.result.backend, 'A');
    a.kill();
    assert.equal((await g.call(sid)).json.result.sid, 'B-session-1');
    await redis.told();
    assert.equal((await h.call(sid)).json.result.sid, 'B-session-1');
    assert.equal(b.count, 1);
    assert.equal(await h.metric('reinitialisations_total'), 0);
});

pair('a session that was revived is at hand when Redis dies', 2, {}, async (redis, g, h, a) => {
    const sid = await g.session();
    for (const each of [g, h]) await each.call(sid);
    a.kill();
    for (const each of [g, h]) assert.equal((await each.call(sid)).json.result.backend, 'B');
    await redis.kill();
    for (const each of [g, h]) assert.equal((await each.call(sid)).json.result.backend, 'B');
});

pair('the gateway that revives a session need not have seen it before', 2, {}, async (redis, g, h, a, b) => {
    const sid = await g.session();
    a.kill();
    assert.equal((await h.call(sid)).json.result.backend, 'B');
    assert.deepEqual(b.methods(), ['initialize', 'notifications/initialized', 'tools/list']);
    assert.equal(b.seen[0].body, JSON.stringify(initialize));
    assert.equal((await g.call(sid)).json.result.sid, 'B-session-1');
});

pair('two gateways that revive a session at once make one', 2, {}, async (redis, g, h, a, b) => {
    const sid = await g.session();
    for (const each of [g, h]) await each.call(sid);
    a.kill();
    b.hook = async ({ message }) => (message?.method === 'initialize' ? sleep(200).then(() => false) : false);
    const replies = await Promise.all([g, h, g, h, g, h].map((each, i) => each.call(sid, 'm', i)));
    for (const r of replies) assert.equal(r.status, 200, r.text);
    assert.equal(b.count, 2); // both tried
    await until(() => b.sessions.size === 1, 'the second to be ended');
    const [left] = b.sessions;
    for (const each of [g, h]) assert.equal((await each.call(sid)).json.result.sid, left);
    const lost = async (each) => each.metric('reinitialisations_lost_total');
    assert.equal((await lost(g)) + (await lost(h)), 1);
});

pair('a session that ended meanwhile is not brought back', 2, {}, async (redis, g, h, a, b) => {
    const sid = await g.session();
    a.kill();
    b.hook = async ({ message }) => {
        if (message?.method === 'initialize') await redis.cli('DEL', `mcpsess:r:{${sid}}`);
        return false;
    };
    assert.equal((await h.call(sid)).status, 404);
    await until(() => b.sessions.size === 0, 'the backend to be told');
});

pair('the longest record there can be', 2, { 'principal-header': 'X-User' }, async (redis, g, h, a) => {
    const user = { 'x-user': 'u'.repeat(100) };
    const body = structuredClone(initialize);
    body.params.clientInfo.title = '';
    body.params.clientInfo.title = 'x'.repeat(4096 - JSON.stringify(body).length);
    const reply = await g.post(body, user);
    assert.equal(reply.status, 200, reply.text);
    const sid = reply.headers['mcp-session-id'];
    a.kill();
    assert.equal((await h.call(sid, 'm', 1, user)).json.result.backend, 'B');
    assert.equal((await g.call(sid, 'm', 1, user)).json.result.backend, 'B');
});

// ---- Redis goes away

pair('Redis dies: known sessions are served, others wait for it', 1, {}, async (redis, g, h, a) => {
    const sid = await g.session();
    await until(async () => (await h.metric('redis_up')) === 1, 'both to be connected');
    for (const each of [g, h]) await each.call(sid);
    await redis.kill();
    for (const each of [g, h]) {
        for (let i = 0; i < 5; i++) {
            const [ms, reply] = await took(each.call(sid));
            assert.equal(reply.status, 200, reply.text);
            assert.ok(ms < 1500, `${ms} ms`);
        }
        assertAway(await each.call('A'.repeat(22)));
        assertAway(await each.initialize());
        assert.equal(await each.metric('redis_up'), 0);
        assert.ok((await each.metric('session_stale_total')) > 0);
        assert.match(each.err, /^gateway: redis 127\.0\.0\.1:\d+ is away: .+$/m);
        assert.equal(each.err.match(/is away/g).length, 1);
    }
    await until(() => a.sessions.size === 1, 'the backend to be told to forget the others');
    assertAway(await end(g, sid));
    assertAway(await g.call(sid)); // whoever ends a session does not see it again
    await redis.run();
    const times = [await recovers(g), await recovers(h)];
    note(`serves new sessions ${times} ms after Redis is back`);
    for (const t of times) assert.ok(t < 2500, `${times} ms`);
    for (const each of [g, h]) {
        assert.equal((await each.call(sid)).status, 404); // Redis kept nothing
        assert.match(each.err, /^gateway: redis \S+ is back$/m);
        assert.equal(await each.metric('redis_up'), 1);
    }
    const fresh = await g.session();
    assert.equal((await h.call(fresh)).status, 200);
});

pair('Redis freezes: nothing waits for long, and all is there when it thaws', 1, alone, async (redis, g, h) => {
    const sid = await g.session();
    for (const each of [g, h]) await each.call(sid);
    redis.freeze();
    const waits = [];
    const begin = Date.now();
    while (Date.now() - begin < 6000) {
        for (const each of [g, h]) {
            const [ms, reply] = await took(each.call(sid));
            assert.equal(reply.status, 200, reply.text);
            waits.push(ms);
        }
        await sleep(20);
    }
    note(`${waits.length} calls, the slowest ${Math.max(...waits)} ms, over 100 ms: ${waits.filter((w) => w > 100)}`);
    assert.ok(Math.max(...waits) < 2500, `${waits}`);
    assert.ok(waits.filter((w) => w > 100).length <= 4, `${waits}`);
    for (const each of [g, h]) {
        const [ms, reply] = await took(each.initialize());
        assertAway(reply);
        assert.ok(ms < 2500, `${ms} ms`);
    }
    redis.thaw();
    const times = [await recovers(g), await recovers(h)];
    note(`serves new sessions ${times} ms after the thaw`);
    for (const t of times) assert.ok(t < 2500, `${times} ms`);
    for (const each of [g, h]) assert.equal((await each.call(sid)).status, 200);
});

pair('what is known is served for --stale seconds, and no longer', 1, { stale: 2, alone: true }, async (redis, g) => {
    const sid = await g.session();
    await g.call(sid);
    const confirmed = Date.now();
    await redis.kill();
    let last = 0;
    while (Date.now() - confirmed < 4000) {
        const reply = await g.call(sid);
        if (reply.status === 200) last = Date.now() - confirmed;
        else assertAway(reply);
        await sleep(20);
    }
    note(`served for ${last} ms`);
    assert.ok(last > 1000 && last <= 2050, `${last} ms`);
    await redis.run();
    assert.ok((await recovers(g)) < 2500);
});

// Hits ask Redis nothing; so what is in use is confirmed now and then, or it would count as old the moment Redis dies.
pair('what is in use is at hand when Redis dies', 1, { stale: 2, waits: true }, async (redis, g) => {
    const sid = await g.session();
    const begin = Date.now();
    const before = await g.metric('redis_requests_total');
    while (Date.now() - begin < 3500) {
        assert.equal((await g.call(sid)).status, 200);
        await sleep(20);
    }
    const requests = (await g.metric('redis_requests_total')) - before;
    await redis.kill();
    const dead = Date.now();
    while (Date.now() - dead < 700) assert.equal((await g.call(sid)).status, 200);
    note(`${requests} requests in 3.5 s`);
    assert.ok(requests <= 6, `${requests}`);
    await redis.run();
    assert.ok((await recovers(g)) < 2500);
});

pair('--stale 0: nothing is served that Redis cannot confirm', 1, { stale: 0 }, async (redis, g) => {
    const sid = await g.session();
    assert.equal((await g.call(sid)).status, 200);
    await redis.kill();
    await until(async () => (await g.metric('redis_up')) === 0, 'the end of the connection to be seen');
    assertAway(await g.call(sid));
});

pair('a session ended while one gateway was cut off', 1, {}, async (redis, g, h, a) => {
    forgetNothing(a);
    const sid = await g.session();
    for (const each of [g, h]) await each.call(sid);
    const victim = (await redis.cli('CLIENT', 'LIST')).split('\n').find((l) => l.includes('name=mcpsess-gateway'));
    await Promise.all([redis.cli('CLIENT', 'KILL', 'ID', /id=(\d+)/.exec(victim)[1]), end(g, sid)]);
    await redis.told();
    for (const each of [g, h]) assert.ok((await comesTo(404, () => each.call(sid))) < 200);
});

pair('there is no Redis yet', 1, {}, async (redis, g) => {
    await redis.kill();
    const late = await Gateway.start([`http://127.0.0.1:1/mcp`], { redis: redis.at, verbose: true });
    try {
        const [ms, reply] = await took(late.call('A'.repeat(22)));
        assertAway(reply);
        assert.ok(ms < 2500, `${ms} ms`);
        await until(() => /is away: .*refused/i.test(late.err), 'the reason to be said');
        await redis.run();
        await comesTo(404, () => late.call('A'.repeat(22)), 3000);
        assert.ok((await recovers(g)) < 2500);
    } finally {
        await late.stop();
    }
});

// ---- Redis misbehaves

pair('CLIENT PAUSE: a short one is waited out, a long one is an absence', 1, { waits: true }, async (redis, g, h) => {
    const sid = await g.session();
    for (const each of [g, h]) await each.call(sid);
    await redis.cli('CLIENT', 'PAUSE', 500);
    const [ms, reply] = await took(h.initialize());
    assert.equal(reply.status, 200);
    assert.ok(ms > 200 && ms < 1500, `${ms} ms`);
    await redis.cli('CLIENT', 'PAUSE', 4000);
    const [longer, refused] = await took(g.initialize());
    assertAway(refused);
    assert.ok(longer < 2500, `${longer} ms`);
    for (const each of [g, h]) assert.equal((await each.call(sid)).status, 200);
    const times = [await recovers(g, 8000), await recovers(h)];
    note(`new sessions after ${times} ms`);
    assert.ok(times[0] + times[1] < 6000);
    assert.equal((await h.call(sid)).status, 200);
    const fresh = await h.session();
    assert.equal((await g.call(fresh)).status, 200);
});

pair('CLIENT KILL, again and again, under load', 1, { alone: true }, async (redis, g, h) => {
    const sids = [];
    for (let i = 0; i < 20; i++) sids.push(await g.session());
    let over = false;
    let kills = 0;
    const killer = (async () => {
        while (!over) {
            kills += Number(await redis.cli('CLIENT', 'KILL', 'TYPE', 'normal').catch(() => 0));
            await sleep(30);
        }
    })();
    const statuses = {};
    const begin = Date.now();
    let i = 0;
    while (Date.now() - begin < 4000 || kills <= 20) {
        const batch = sids.map((sid) => (i++ % 2 ? g : h).call(sid));
        for (const r of await Promise.all(batch)) statuses[r.status] = (statuses[r.status] ?? 0) + 1;
    }
    over = true;
    await killer;
    note(`${kills} kills, answers ${JSON.stringify(statuses)}`);
    assert.deepEqual(Object.keys(statuses), ['200']);
    for (const each of [g, h]) assert.ok((await recovers(each)) < 2500);
});

pair('CLIENT KILL goes unnoticed by a new session', 1, {}, async (redis, g, h) => {
    for (let i = 0; i < 10; i++) {
        for (const each of [g, h]) await until(async () => (await each.metric('redis_up')) === 1, 'it to be connected');
        await redis.cli('CLIENT', 'KILL', 'TYPE', 'normal');
        const reply = await (i % 2 ? g : h).initialize();
        assert.equal(reply.status, 200, reply.text);
    }
});

pair('SCRIPT FLUSH goes unnoticed', 1, {}, async (redis, g, h) => {
    for (let i = 0; i < 5; i++) {
        await redis.cli('SCRIPT', 'FLUSH');
        const replies = await Promise.all([g, h, g, h, g, h, g, h].map((each) => each.initialize()));
        for (const r of replies) assert.equal(r.status, 200, r.text);
        await redis.cli('SCRIPT', 'FLUSH');
        for (const r of replies) {
            const sid = r.headers['mcp-session-id'];
            for (const each of [g, h]) assert.equal((await each.call(sid)).status, 200);
            assert.equal((await end(i % 2 ? g : h, sid)).status, 200);
        }
    }
    assert.ok((await g.metric('redis_script_reloads_total')) > 0);
});

// ---- who may

// The line that the manual gives, as far as this server knows its words.
function documentedRights(redis, password) {
    const manual = fs.readFileSync(`${__dirname}/../../mcpsess_redis.h`, 'utf8');
    const line = /ACL SETUSER mcpsess on >PASSWORD [^]*?\n\n/.exec(manual)[0];
    return line
        .trim()
        .split(/\s+/)
        .slice(2)
        .filter((word) => redis.channels || word !== 'resetchannels')
        .map((word) => word.replace('PASSWORD', password));
}

const login = { user: 'mcpsess', password: 'pass word"1' };

pair('the rights that the manual lists suffice', 2, { ...login, waits: true }, async (redis, g, h, a) => {
    if (!redis.users) return note('this server has no users');
    assertAway(await g.initialize()); // there is no such user yet
    await until(() => /is away: .*password is wrong \(WRONGPASS/.test(g.err), 'the reason to be said');
    assert.equal(await redis.cli('ACL', 'SETUSER', ...documentedRights(redis, login.password)), 'OK');
    await redis.cli('ACL', 'LOG', 'RESET');
    const times = [await recovers(g, 8000), await recovers(h, 8000)];
    note(`recovers ${times} ms after the user was made`);
    const sid = await g.session();
    assert.equal((await h.call(sid)).status, 200);
    a.kill();
    for (const each of [g, h]) assert.equal((await each.call(sid)).status, 200);
    await redis.cli('SCRIPT', 'FLUSH');
    assert.equal((await end(h, sid)).status, 200);
    await comesTo(404, () => g.call(sid));
    assert.equal(await redis.cli('ACL', 'LOG'), '');
});

pair('a right that is lacking is said, and 503', 1, { ...login, waits: true }, async (redis, g) => {
    if (!redis.users) return note('this server has no users');
    await redis.cli('ACL', 'SETUSER', ...documentedRights(redis, login.password), '-evalsha');
    await until(async () => (await g.initialize()).status === 503, 'a 503');
    await sleep(6000);
    assertAway(await g.initialize());
    assert.match(g.err, /^gateway: redis .*NOPERM/m);
});

test('redis: a password from the environment', async () => {
    const redis = await Redis.start('--requirepass', 'secret');
    const backend = await Backend.start('A');
    process.env.MCPSESS_REDIS_PASSWORD = 'secret';
    const starting = Gateway.start([backend], { redis: redis.at });
    delete process.env.MCPSESS_REDIS_PASSWORD; // others start, too
    const g = await starting;
    const wrong = await Gateway.start([backend], { redis: redis.at, password: 'wrong' });
    const none = await Gateway.start([backend], { redis: redis.at });
    try {
        assert.equal((await g.initialize()).status, 200);
        for (const each of [wrong, none]) {
            assertAway(await each.initialize());
            assertAway(await each.call('A'.repeat(22)));
        }
        const said = /^gateway: redis \S+ is away: user or password is wrong \((WRONGPASS |ERR invalid password).*\)$/m;
        assert.match(wrong.err, said);
        assert.match(none.err, /^gateway: redis \S+ is away: the server wants a password first \(NOAUTH .*\)$/m);
        const line = fs.readFileSync(`/proc/${wrong.process.pid}/cmdline`, 'utf8');
        assert.ok(!line.includes('wrong'), line);
    } finally {
        backend.close();
        await redis.stop();
        for (const each of [g, wrong, none]) await each.stop();
    }
});

// ---- what it costs to wait

function cpuMs(g) {
    const fields = fs.readFileSync(`/proc/${g.process.pid}/stat`, 'utf8').replace(/.*\) /, '').split(' ');
    return (Number(fields[11]) + Number(fields[12])) * 10; // user and system time, in ticks of 10 ms
}

const descriptors = (g) => fs.readdirSync(`/proc/${g.process.pid}/fd`).length;

// Steps of the engine and CPU time within these seconds.
async function activity(g, seconds) {
    const before = [await g.metric('redis_steps_total'), cpuMs(g)];
    await sleep(seconds * 1000);
    return [(await g.metric('redis_steps_total')) - before[0], cpuMs(g) - before[1]];
}

pair('it sleeps while nothing happens, and while Redis is away', 1, { waits: true }, async (redis, g, h) => {
    const sid = await g.session();
    await h.call(sid);
    await sleep(300);
    const check = async (what, most) => {
        const [steps, cpu] = await activity(g, 3);
        note(`${what}: ${steps} steps, ${cpu} ms of CPU in 3 s`);
        assert.ok(steps > 0 && steps <= most, `${what}: ${steps} steps`);
        assert.ok(cpu <= 300, `${what}: ${cpu} ms of CPU`);
    };
    await check('idle', 30);
    redis.freeze();
    await check('frozen', 60);
    redis.thaw();
    await redis.kill();
    await check('dead', 60);
});

pair('no descriptor is lost over fifty connections', 1, { waits: true }, async (redis, g) => {
    await g.session();
    const before = descriptors(g);
    for (let i = 0; i < 40; i++) {
        await redis.cli('CLIENT', 'KILL', 'TYPE', 'normal');
        await until(async () => (await g.metric('redis_connects_total')) > i + 1, 'another connection');
    }
    for (let i = 0; i < 5; i++) {
        await redis.kill();
        await sleep(150);
        await redis.run();
        await recovers(g);
    }
    g.agent.destroy();
    await until(() => descriptors(g) <= before, `${before} descriptors, not ${descriptors(g)}`, 3000);
});

pair('a flood of requests for unknown sessions', 1, {}, async (redis, g, h) => {
    const begin = Date.now();
    const replies = await Promise.all(Array.from({ length: 900 }, (_, i) => (i % 2 ? g : h).call(`unknown-${i}`)));
    for (const r of replies) assert.equal(r.status, 404, r.text);
    note(`900 unknown sessions in ${Date.now() - begin} ms`);
    redis.freeze();
    const late = await Promise.all(Array.from({ length: 300 }, (_, i) => g.call(`unknown-${i}`)));
    for (const r of late) assertAway(r);
    redis.thaw();
    assert.ok((await recovers(g)) < 2500);
});

pair('a stop while Redis is asked, or away', 1, { 'grace-ms': 0 }, async (redis, g, h) => {
    const sid = await g.session();
    for (const each of [g, h]) {
        if (each === h) redis.freeze();
        for (let i = 0; i < 10; i++) {
            each.initialize().catch(() => {});
            each.call('unknown').catch(() => {});
            end(each, sid).catch(() => {});
        }
        await sleep(3);
        each.process.kill('SIGTERM');
        await each.exited;
        assert.equal(each.status, 0);
    }
});

// ---- where it is

test('redis: by name', async () => {
    const redis = await Redis.start();
    const backend = await Backend.start('A');
    const g = await Gateway.start([backend], { redis: `localhost:${redis.port}` });
    const lost = await Gateway.start([backend], { redis: `nowhere.invalid:${redis.port}` });
    try {
        const sid = await g.session();
        assert.equal((await g.call(sid)).status, 200);
        await redis.kill();
        assert.equal((await g.call(sid)).status, 200);
        await redis.run();
        assert.ok((await recovers(g)) < 2500);
        const waiting = lost.initialize();
        const [ms] = await took(lost.request('GET', { path: '/healthz' }));
        assert.ok(ms < 500, `${ms} ms`); // whoever answers for names may take his time
        assertAway(await waiting);
        await until(() => /is away: .*nowhere\.invalid|is away: .*could not connect/.test(lost.err), 'the reason');
    } finally {
        backend.close();
        await redis.stop();
        for (const each of [g, lost]) await each.stop();
    }
});

test('redis: over IPv6, a Unix socket, another database and prefix', async () => {
    const redis = await Redis.start();
    const backend = await Backend.start('A');
    const v6 = { redis: `[::1]:${redis.port}` };
    const options = [v6, { redis: redis.socket, db: 3 }, { redis: redis.at, prefix: 'x:' }];
    const gateways = [];
    try {
        for (const o of options) gateways.push(await Gateway.start([backend], o));
        const sids = [];
        for (const g of gateways) sids.push(await g.session());
        for (const i of [0, 1, 2]) {
            for (const j of [0, 1, 2]) assert.equal((await gateways[i].call(sids[j])).status, i === j ? 200 : 404);
        }
        assert.equal(await redis.cli('EXISTS', `mcpsess:r:{${sids[0]}}`, `x:r:{${sids[2]}}`), '2');
        assert.equal(await redis.cli('-n', 3, 'EXISTS', `mcpsess:r:{${sids[1]}}`), '1');
    } finally {
        backend.close();
        await redis.stop();
        for (const g of gateways) await g.stop();
    }
});

const overTls = async () => {
    const redis = await Redis.start('tls');
    const backend = await Backend.start('A');
    const file = (name) => `${redis.dir}/${name}`;
    const own = { tls: true, 'tls-cert': file('server.crt'), 'tls-key': file('server.key') };
    const at = `127.0.0.1:${redis.tlsPort}`;
    const good = await Gateway.start([backend], { redis: `localhost:${redis.tlsPort}`, ...own, 'tls-ca': redis.ca });
    const named = await Gateway.start([backend], { redis: at, ...own, 'tls-ca': redis.ca, 'tls-name': 'localhost' });
    const wrong = await Gateway.start([backend], { redis: at, ...own, 'tls-ca': redis.ca, 'tls-name': 'example.com' });
    const untrusted = await Gateway.start([backend], { redis: `localhost:${redis.tlsPort}`, ...own });
    const gateways = [good, named, wrong, untrusted];
    try {
        const sid = await good.session();
        assert.equal((await named.call(sid)).status, 200);
        const many = await Promise.all(Array.from({ length: 200 }, () => named.initialize()));
        for (const r of many) assert.equal((await good.call(r.headers['mcp-session-id'])).status, 200);
        for (const each of [wrong, untrusted]) {
            assertAway(await each.initialize());
            assert.match(each.err, /is away: .*certificate/i);
        }
        await redis.kill();
        assert.equal((await named.call(sid)).status, 200);
        await redis.run();
        for (const each of [good, named]) assert.ok((await recovers(each)) < 2500);
    } finally {
        backend.close();
        await redis.stop();
        for (const g of gateways) await g.stop();
    }
};
if (process.env.GATEWAY_TLS && Redis.tls) test('redis: over TLS', overTls);

test('redis: wrong options', async () => {
    const good = ['--listen', '127.0.0.1:0', '--backend', 'http://127.0.0.1:1/mcp'];
    const at = ['--redis', '127.0.0.1:6379'];
    const bad = [
        [['--redis', '127.0.0.1'], /--redis: not a usable value: 127.0.0.1/],
        [['--redis', '127.0.0.1:'], /--redis: not a usable value/],
        [['--redis', '127.0.0.1:0'], /--redis: not a usable value/],
        [['--redis', '127.0.0.1:65536'], /--redis: not a usable value/],
        [['--redis', ':6379'], /--redis: not a usable value/],
        [['--redis', '::1:6379'], /--redis: not a usable value: ::1:6379/],
        [['--redis', '[::1]'], /--redis: not a usable value/],
        [[...at, '--db', '-1'], /--db: not a usable value: -1/],
        [[...at, '--db', '65536'], /--db: not a usable value/],
        [[...at, '--prefix', ''], /--prefix: not a usable value/],
        [[...at, '--prefix', 'a b'], /--prefix: not a usable value/],
        [[...at, '--prefix', '{x}'], /--prefix: not a usable value/],
        [[...at, '--prefix', 'x'.repeat(33)], /--prefix: not a usable value/],
        [[...at, '--tracking', 'on'], /--tracking: not a usable value: on/],
        [[...at, '--stale', 'x'], /--stale: not a usable value: x/],
        [[...at, '--user', 'u'], /--user needs a password/],
        [[...at, '--password', ''], /--password: not a usable value/],
        [[...at, '--full', 'evict'], /--full is about sessions in memory/],
        [[...at, '--tls-ca', 'x'], /--tls is missing/],
        [[...at, '--tls', '--tls-cert', 'x'], /--tls-cert and --tls-key go together/],
        [[...at, '--tls-name', 'x'], /--tls is missing/],
        [['--redis', '/tmp/x', '--tls'], /--tls needs HOST:PORT/],
        [['--stale', '5'], /needs --redis/],
        [['--password', 'x'], /needs --redis/],
    ];
    for (const [args, message] of bad) {
        const { status, stderr } = await Gateway.ends(...good, ...args);
        assert.equal(status, 2, `${args}: ${stderr}`);
        assert.match(stderr, message);
        assert.match(stderr, /usage: gateway --listen/);
    }
    const args = [...good, ...at, '--tls', '--tls-ca', '/nowhere'];
    const { status, stderr } = await Gateway.ends(...args);
    assert.equal(status, 1);
    assert.match(stderr, /^gateway: --tls: (CA certificate|built without Mbed TLS)/);
});
