'use strict';
// A client loses its stream, and comes back at another gateway on the same Redis, whatever becomes of both.

const { assert, sleep, until } = require('./kit.js');
const { Client, answerTo, range, sources } = require('./streams.js');
const { pair } = require('./redis.js');

const waits = { waits: true };
const DURABLE = ['--appendonly', 'yes', '--appendfsync', 'always'];

// A gateway that has not found its Redis again says 503.
async function comesBack(c, g) {
    await until(async () => {
        await c.cut().resume(g);
        if (c.status !== 503) return true;
        c.stream.text = '';
    }, 'the stream');
    assert.equal(c.status, 200);
}

pair('cut after each event, it goes on at the other gateway', 1, {}, async (redis, g, h, a) => {
    const sid = await g.session();
    const list = sources(a);
    for (let at = 0; at <= 4; at++) {
        const c = await new Client(g, sid).call();
        const source = list.at(-1);
        for (let n = 1; n <= at; n++) source.send(n);
        await c.has(at);
        await until(() => c.lastId, 'an id');
        c.cut();
        for (let n = at + 1; n <= 3; n++) source.send(n);
        await c.resume(h);
        for (let n = Math.max(at, 3) + 1; n <= 5; n++) source.send(n);
        await c.has(5);
        c.cut();
        source.answer();
        await c.resume(g);
        await c.end();
        assert.deepEqual(c.data, [...range(1, 5), answerTo()], `cut after ${at}`);
    }
});

pair('an event comes at once, also at the other gateway', 1, {}, async (redis, g, h, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).call();
    await until(() => c.lastId, 'an id');
    await c.cut().resume(h);
    await sleep(100);
    const times = [];
    for (let n = 1; n <= 10; n++) {
        const begin = Date.now();
        list[0].send(n);
        await c.has(n);
        times.push(Date.now() - begin);
    }
    list[0].answer();
    await c.end();
    const bound = redis.tracks ? 500 : 1500;
    assert.ok(times.every((t) => t < bound), `${times} ms`);
});

pair('what is no id of ours is refused there too', 1, {}, async (redis, g, h, a) => {
    const [sid, other] = [await g.session(), await g.session()];
    const list = sources(a);
    const c = await new Client(g, sid).call();
    list[0].send(1).answer();
    await c.end();
    const ask = (id, as = sid) => h.request('GET', { headers: { 'mcp-session-id': as, 'last-event-id': id } });
    for (const id of ['5', `${c.lastId}1`, c.lastId.replace(/:\d+:/, ':1:')]) {
        const reply = await ask(id);
        assert.equal(reply.status, 400);
        assert.match(reply.json.error.message, /either invalid or expired/);
    }
    assert.match((await ask(c.lastId, other)).json.error.message, /different session ID/);
    assert.equal((await ask(c.lastId)).status, 200);
    await g.request('DELETE', { headers: { 'mcp-session-id': sid } });
    await until(async () => (await ask(c.lastId)).status === 404, 'the end of the session');
    await until(async () => (await redis.cli('KEYS', `*${sid}*`)) === '', 'its keys to go');
});

pair('a gateway that dies takes no answer with it that was stored', 1, { waits: true }, async (redis, g, h, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).call('id"1');
    list[0].send(1).send(2);
    await c.has(2);
    const old = c.events[0].id;
    g.process.kill('SIGKILL');
    await g.exited;
    g.status = 0;
    c.cut();
    await c.resume(h, old);
    await c.end(19000);
    assert.deepEqual(c.data.slice(2, 4), range(1, 2).slice(0, 2));
    const { id, error } = JSON.parse(c.data.at(-1));
    assert.equal(id, 'id"1');
    assert.equal(error.message, 'Nobody has the rest of the answer any more');
    assert.equal(await h.metric('streams_orphaned_total'), 1);
});

pair('nor one that the backend can give again', 1, { waits: true }, async (redis, g, h, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).call();
    list[0].send(1, 'e1').send(2, 'e2');
    await c.has(2);
    g.process.kill('SIGKILL');
    await g.exited;
    g.status = 0;
    c.cut();
    await c.resume(h);
    await until(() => list.length === 2, 'a GET to the backend', 19000);
    assert.equal(list[1].headers['last-event-id'], 'e2');
    list[1].id = 7;
    list[1].send(3, 'e3').answer('e4');
    await c.end();
    assert.deepEqual(c.data, [...range(1, 3), answerTo()]);
    assert.equal(await h.metric('streams_taken_over_total'), 1);
});

pair('nor one that it gives piece by piece, whose client saw the first', 1, { waits: true }, async (redis, g, h, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid, { 'mcp-protocol-version': '2025-06-18' }).call();
    list[0].send(1, 'e1');
    await c.has(1);
    g.process.kill('SIGKILL');
    await g.exited;
    g.status = 0;
    c.cut();
    await c.resume(h);
    await until(() => list.length === 2, 'a GET to the backend', 19000);
    assert.equal(list[1].headers['last-event-id'], 'e1');
    list[1].send(2, 'e2').res.end();
    await until(() => list.length === 3, 'another one');
    assert.equal(list[2].headers['last-event-id'], 'e2');
    list[2].id = 7;
    list[2].answer('e3');
    await c.end();
    assert.deepEqual(c.data, [...range(1, 2), answerTo()]);
});

pair('an answer that was stored is the end, whatever became of its gateway then', 1, {}, async (redis, g, h, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).call();
    list[0].send(1).answer();
    await c.end();
    const key = (await redis.cli('KEYS', '*m:*')).trim();
    assert.equal(await redis.cli('HGET', key, 'd'), '1');
    await redis.cli('HSET', key, 'd', '0'); // as if it had not got so far
    for (const { id } of c.events.slice(0, 3)) {
        const again = await new Client(h, sid).resume(h, id);
        await again.end(8000);
        assert.deepEqual(again.data, c.events.filter((e) => e.data && e.id > id).map((e) => e.data));
    }
    assert.equal(await h.metric('streams_orphaned_total'), 0);
});

pair('the own stream of a session moves with a gateway that stops', 1, {}, async (redis, g, h, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).get();
    list[0].send(1, 'e1');
    await c.has(1);
    g.process.kill('SIGTERM');
    await c.end();
    const begin = Date.now();
    await c.cut().resume(h);
    await until(() => list.length === 2, 'a GET to the backend');
    assert.ok(Date.now() - begin < 2000);
    assert.equal(list[1].headers['last-event-id'], 'e1');
    list[1].send(2);
    await c.has(2);
    assert.deepEqual(c.data, range(1, 2));
    c.cut();
});

pair('it is at both gateways in turn, and nothing is missed or twice', 1, {}, async (redis, g, h, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).get();
    await until(() => c.lastId, 'an id');
    for (let n = 1; n <= 12; n++) {
        c.cut();
        list[0].send(n);
        await c.resume(n % 2 ? h : g);
        if (n % 3 === 0) await c.has(n);
        else await sleep(20);
    }
    await c.has(12);
    assert.deepEqual(c.data, range(1, 12));
    assert.equal(list.length, 1);
    c.cut();
});

pair('Redis is away for a while in a call: nothing is lost', 1, { waits: true }, async (redis, g, h, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).call();
    list[0].send(1);
    await c.has(1);
    for (let round = 0; round < 3; round++) {
        await redis.kill();
        const n = c.messages.length;
        list[0].send(n + 1).send(n + 2);
        await sleep(700);
        assert.equal(c.messages.length, n, 'sent, but not stored');
        await redis.run();
        await c.has(n + 2, 8000);
    }
    list[0].answer();
    await comesBack(c, h);
    await c.end();
    assert.deepEqual(c.data, [...range(1, 7), answerTo()]);
    assert.equal(new Set(c.messages.map((e) => e.id)).size, c.messages.length);
}, ...DURABLE);

pair('Redis forgets all: a client that is there gets its answer', 1, {}, async (redis, g, h, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).call();
    list[0].send(1);
    await c.has(1);
    await redis.kill();
    await redis.run();
    list[0].send(2).send(3).answer();
    await c.end(12000);
    assert.deepEqual(c.data, [...range(1, 3), answerTo()]);
});

pair('without Redis from the beginning a stream passes without ids', 1, { waits: true }, async (redis, g, h, a) => {
    const sid = await g.session();
    const list = sources(a);
    assert.equal((await g.call(sid)).status, 200);
    await redis.kill();
    await sleep(1200);
    const begin = Date.now();
    const c = await new Client(g, sid).call();
    list[0].send(1).answer();
    await c.end();
    assert.ok(Date.now() - begin < 2500, `${Date.now() - begin} ms`);
    assert.deepEqual(c.data, ['{"n":1}', answerTo()]);
    assert.ok(c.events.every((e) => e.id === undefined));
    assert.equal(await g.metric('streams_not_stored_total'), 1);
    await redis.run();
    await until(async () => (await g.initialize()).status === 200, 'Redis to be back');
    const d = await new Client(g, sid).call();
    await until(() => d.lastId || d.ended, 'an id');
    d.cut();
}, ...DURABLE);

pair('Redis stays away: the client is cut off, and comes back for what it missed', 1, waits, async (redis, g, h, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).call();
    list[0].send(1);
    await c.has(1);
    await redis.kill();
    list[0].send(2);
    await until(() => c.ended, 'the cut', 14000);
    assert.ok(!c.complete);
    assert.deepEqual(c.data, range(1, 1));
    await redis.run();
    list[0].send(3).answer();
    await comesBack(c, h);
    await c.end(8000);
    assert.deepEqual(c.data, [...range(1, 3), answerTo()]);
    assert.equal(await g.metric('streams_cut_total'), 1);
}, ...DURABLE);

pair('a client at the other gateway is not away', 1, { linger: 1, waits: true }, async (redis, g, h, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).call();
    list[0].send(1);
    await c.has(1);
    await c.cut().resume(h);
    const before = await g.metric('redis_commands_total');
    await sleep(4000);
    const asked = (await g.metric('redis_commands_total')) - before;
    assert.ok(asked < 20, `it asked ${asked} times`);
    list[0].send(2);
    await c.has(2);
    c.cut(); // now it is
    await until(() => a.seen.at(-1).closed, 'the end for the backend', 4000);
    await c.resume(g);
    await c.end();
    assert.match(c.data[2], /stayed away/);
});

const untold = { tracking: 'off', ...waits };
pair('where nobody is told of events, they are looked for', 1, untold, async (redis, g, h, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).call();
    await until(() => c.lastId, 'an id');
    await c.cut().resume(h);
    list[0].send(1);
    await c.has(1, 2000);
    list[0].send(2).answer();
    await c.end(2000);
    assert.deepEqual(c.data, [...range(1, 2), answerTo()]);
});

pair('a stream that is silent for longer than a lease goes on', 1, { waits: true }, async (redis, g, h, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).call();
    const own = await new Client(g, sid).get();
    for (const each of [c, own]) {
        await until(() => each.lastId, 'an id');
        await each.cut().resume(h);
    }
    await sleep(14000); // LEASE_MS, and what an orphan is given
    assert.equal(list.length, 2);
    list[0].send(1).answer();
    list[1].send(2);
    await c.end();
    await own.has(1);
    assert.deepEqual(c.data, ['{"n":1}', answerTo()]);
    own.cut();
});
