'use strict';
// A store that takes its time, and fails: only in the gateway with the slow store.

const { assert, initialize, scene, sleep, until } = require('./kit.js');
const { Client, answerTo, range, sources } = require('./streams.js');

const breakStore = async (g) => {
    g.process.kill('SIGUSR1');
    await sleep(50);
};

scene('a store that fails is 503, and no session is lost by it', 1, {}, async (g, a) => {
    const sid = await g.session();
    await breakStore(g);
    const unknown = await g.call('unknown');
    assert.equal(unknown.status, 503);
    assert.equal(unknown.headers['retry-after'], '1');
    assert.equal(unknown.json.error.message, 'Session store unavailable');
    assert.equal((await g.call(sid)).status, 200); // from the local tier
    assert.equal((await g.initialize()).status, 503);
    await until(() => a.sessions.size === 1, 'the backend to be told to forget the second');
    assert.equal((await g.request('DELETE', { headers: { 'mcp-session-id': sid } })).status, 503);
    await breakStore(g);
    assert.equal((await g.call('unknown')).status, 404);
    assert.equal((await g.initialize()).status, 200);
    assert.ok((await g.metric('session_store_failures_total')) >= 3);
});

scene('a session cannot be revived while the store fails', 2, {}, async (g, a, b) => {
    const sid = await g.session();
    a.kill();
    await breakStore(g);
    assert.equal((await g.call(sid)).status, 503);
    await until(() => b.sessions.size === 0, 'the new backend to be told');
    await breakStore(g);
    assert.equal((await g.call(sid)).json.result.backend, 'B');
});

scene('clients that leave while the store is asked', 2, {}, async (g, a, b) => {
    const sid = await g.session();
    const streams = [];
    for (let i = 0; i < 20; i++) {
        const method = ['GET', 'POST', 'DELETE'][i % 3];
        const body =
            method === 'POST' ? JSON.stringify(i % 2 ? initialize : { jsonrpc: '2.0', id: 1, method: 'm' }) : '';
        const id = i % 4 ? 'unknown' : sid;
        const length = `Content-Length: ${body.length}`;
        const head = `${method} /mcp HTTP/1.1\r\nHost: x\r\nMcp-Session-Id: ${id}\r\n${length}\r\n\r\n`;
        streams.push(g.raw(head + body, { silent: 5 + i }));
    }
    await Promise.all(streams);
    await until(async () => (await g.metric('requests_in_flight')) === 1, 'all to end');
    const agree = async () => a.sessions.size + b.sessions.size === (await g.metric('sessions'));
    await until(agree, 'the backends to be told'); // of those that nobody will ever name
});

scene('a stop while the store is asked', 1, { 'grace-ms': 0 }, async (g) => {
    const sid = await g.session();
    for (let i = 0; i < 10; i++) {
        g.initialize().catch(() => {});
        g.call('unknown').catch(() => {});
        g.request('DELETE', { headers: { 'mcp-session-id': sid } }).catch(() => {});
    }
    await sleep(3);
    g.process.kill('SIGTERM');
    await g.exited;
    assert.equal(g.status, 0);
});

scene('a store that fails during a stream: what comes is held back', 1, {}, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).call();
    list[0].send(1);
    await c.has(1);
    await breakStore(g);
    list[0].send(2).send(3);
    await sleep(1000);
    assert.equal(c.messages.length, 1, 'sent, but not stored');
    await breakStore(g);
    await c.has(3);
    c.cut();
    await c.resume();
    list[0].answer();
    await c.end();
    assert.deepEqual(c.data, [...range(1, 3), answerTo()]);
    assert.equal(new Set(c.messages.map((e) => e.id)).size, 4);
    assert.ok((await g.metric('stream_store_failures_total')) > 1);
});

scene('one that fails for long while much comes: the backend is not read any more', 1, {}, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).call();
    list[0].send(0);
    await c.has(1);
    await breakStore(g);
    let sent = 0;
    const piece = `data: ${'x'.repeat(60000)}\n\n`;
    while (sent < 400 && (list[0].res.write(piece) || sent < 200)) sent++;
    await sleep(500);
    assert.ok(list[0].res.writableLength > 0, 'all of it was read');
    await breakStore(g);
    list[0].res.end();
    await c.has(sent + 1, 15000);
    await c.end();
});

scene('an event that was stored, although the answer was lost, comes once', 1, {}, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).call();
    for (let n = 1; n <= 5; n++) {
        await until(() => c.lastId, 'an id');
        if (n % 2) g.process.kill('SIGUSR2');
        await sleep(30);
        list[0].send(n);
        await c.has(n, 2000);
    }
    list[0].answer();
    await c.end();
    assert.deepEqual(c.data, [...range(1, 5), answerTo()]);
    const again = await new Client(g, sid).resume(g, c.events[0].id);
    await again.end();
    assert.deepEqual(again.messages, c.messages);
    assert.equal(await g.metric('stream_events_repeated_total'), 3);
});

scene('a store that fails when a large event is to be read', 1, {}, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).call();
    list[0].send(1);
    await c.has(1);
    c.cut();
    list[0].res.write(`data: ${'x'.repeat(40000)}\n\n`);
    list[0].send(3).answer();
    await sleep(300);
    g.process.kill('SIGHUP');
    await c.resume();
    await sleep(500);
    g.process.kill('SIGHUP');
    await c.end();
    assert.deepEqual(c.data, ['{"n":1}', 'x'.repeat(40000), '{"n":3}', answerTo()]);
});

scene('an event that nothing can hold takes none with it that came before', 1, {}, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).get();
    await until(() => c.lastId, 'an id');
    await breakStore(g);
    for (let n = 1; n <= 3; n++) list[0].send(n);
    list[0].res.write(`data: ${'x'.repeat(20 << 20)}`);
    await until(async () => (await g.metric('stream_events_refused_total')) === 1, 'the limit', 10000);
    await sleep(300);
    await breakStore(g);
    await c.has(3);
    await until(() => c.ended, 'the end');
    assert.deepEqual(c.data, range(1, 3));
});
