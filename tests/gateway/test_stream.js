'use strict';
// Answers pass through as they come, and no faster than the client takes them.

const { assert, plain, scene, sleep, until } = require('./kit.js');

const message = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: {} };

scene('an event is seen before the next one is sent', 1, {}, async (g, a) => {
    const sid = await g.session();
    const get = await g.stream({ 'mcp-session-id': sid, accept: 'text/event-stream' });
    a.hook = (_, res) => (a.stream(res), true);
    const post = await g.stream({ 'mcp-session-id': sid }, { method: 'POST', body: JSON.stringify(message) });
    for (const [stream, backend] of [
        [get, a.streams[0]],
        [post, a.streams[1]],
    ]) {
        for (let i = 1; i <= 5; i++) {
            const event = `data: {"n":${i}}\n\n`;
            const sent = Date.now();
            backend.write(event);
            await until(() => plain(stream.text).endsWith(event), `event ${i}`, 1000);
            assert.ok(Date.now() - sent < 500);
        }
        assert.equal(stream.ended, false);
        backend.end();
        await until(() => stream.ended, 'the end');
        assert.ok(stream.res.complete);
    }
});

scene('half an event waits for the other half', 1, {}, async (g, a) => {
    const stream = await g.stream({ 'mcp-session-id': await g.session() });
    for (const part of ['d', 'ata: ', '1\n']) {
        a.streams[0].write(part);
        await sleep(30);
        assert.equal(stream.text, '');
    }
    a.streams[0].write('\n');
    await until(() => plain(stream.text) === 'data: 1\n\n', 'the event');
    stream.req.destroy();
});

scene('headers pass, hop-by-hop ones do not', 1, {}, async (g, a) => {
    const sid = await g.session();
    a.hook = (_, res) => {
        res.setHeader('Connection', 'keep-alive, X-Hop');
        res.setHeader('X-Hop', '1');
        res.setHeader('Keep-Alive', 'timeout=7');
        res.setHeader('X-Own', ['1', '2']);
        a.stream(res);
        res.end('data: 1\n\n');
        return true;
    };
    const reply = await g.call(sid, 'm', 1, {
        connection: 'X-Secret',
        'x-secret': '1',
        te: 'trailers',
        'x-own': '1',
        expect: '100-continue',
    });
    assert.equal(reply.headers['content-type'], 'text/event-stream');
    assert.equal(reply.headers['cache-control'], 'no-cache, no-store');
    assert.equal(reply.headers['x-accel-buffering'], 'no');
    assert.equal(reply.headers['x-own'], '1, 2');
    assert.equal(reply.headers['x-hop'], undefined);
    assert.notEqual(reply.headers['keep-alive'], 'timeout=7');
    const { headers } = a.seen[1];
    assert.equal(headers.host, `127.0.0.1:${a.port}`);
    assert.equal(headers.accept, 'application/json, text/event-stream');
    assert.equal(headers['x-own'], '1');
    for (const name of ['x-secret', 'te', 'expect']) assert.equal(headers[name], undefined, name);
});

scene('a status and its body pass unchanged', 1, {}, async (g, a) => {
    const sid = await g.session();
    for (const status of [200, 202, 204, 206, 301, 304, 401, 403, 406, 409, 413, 415, 429, 500, 501, 503]) {
        const body = [202, 204, 304].includes(status) ? '' : `body of ${status}`;
        a.hook = (_, res) => (res.writeHead(status, { 'x-status': status }).end(body), true);
        const reply = await g.call(sid);
        assert.equal(reply.status, status);
        assert.equal(reply.text, body);
        assert.equal(reply.headers['x-status'], String(status));
    }
    assert.equal(a.count, 1);
});

scene('bodies of every size pass, with a length and without', 1, {}, async (g, a) => {
    const sid = await g.session();
    a.hook = (request, res) => {
        if (request.headers['x-length']) res.setHeader('content-length', Buffer.byteLength(request.body));
        res.write(request.body);
        res.end();
        return true;
    };
    for (const size of [0, 1, 100, 4095, 4096, 65536, 300000, 1000000]) {
        const body = JSON.stringify({ ...message, params: { text: 'x'.repeat(size) } });
        for (const headers of [{}, { 'x-length': '1' }, { 'transfer-encoding': 'chunked' }]) {
            const reply = await g.post(body, { 'mcp-session-id': sid, ...headers });
            assert.ok(reply.text === body, `${size} bytes`);
        }
    }
});

scene('when the client of a GET stream leaves, the backend hears of it', 1, {}, async (g, a) => {
    const stream = await g.stream({ 'mcp-session-id': await g.session() });
    assert.equal(a.seen[1].closed, false);
    stream.req.destroy();
    await until(() => a.seen[1].closed, 'the backend to see it', 1000);
    await until(async () => (await g.metric('requests_in_flight')) === 1, 'the end of the exchange');
});

scene(
    'when the client of a POST leaves, the backend may finish, if it does so in time',
    1,
    { 'timeout-ms': 1500, waits: true },
    async (g, a) => {
        const sid = await g.session();
        a.hook = (_, res) => (a.stream(res), true);
        for (let i = 0; i < 2; i++) {
            const begun = await g.stream({ 'mcp-session-id': sid }, { method: 'POST', body: JSON.stringify(message) });
            begun.req.destroy();
        }
        await sleep(300);
        assert.deepEqual([a.seen[1].closed, a.seen[2].closed], [false, false]);
        a.streams[0].end('data: 1\n\n'); // nobody reads it
        await until(async () => (await g.metric('requests_in_flight')) === 2, 'the first to end');
        a.streams[1].write('data: 1\n\n');
        await until(() => a.seen[2].closed, 'the bound on the other', 3000);
    },
);

scene('a client that does not read stops its backend, not the gateway', 1, {}, async (g, a) => {
    const sid = await g.session();
    const total = 32 * 1024 * 1024;
    const piece = Buffer.alloc(64 * 1024, 'x');
    let sent = 0;
    a.hook = (_, res) => {
        res.writeHead(200, { 'content-type': 'application/octet-stream' });
        const more = () => {
            while (sent < total && res.write(piece)) sent += piece.length;
            if (sent < total) res.once('drain', () => ((sent += piece.length), more()));
            else res.end();
        };
        more();
        return true;
    };
    const reply = await g.stream({ 'mcp-session-id': sid }, { method: 'POST', body: JSON.stringify(message) });
    reply.res.pause();
    await until(async () => {
        const before = sent;
        await sleep(200);
        return sent === before && sent > 0;
    }, 'the backend to be stopped');
    assert.ok(sent < total / 2, `${sent} bytes left the backend`);
    assert.equal((await g.request('GET', { path: '/healthz' })).status, 200);
    reply.res.resume();
    await until(() => reply.ended, 'the rest', 10000);
    assert.equal(reply.text.length, total);
    assert.ok(reply.res.complete);
});

scene('a client that leaves in the middle of a large answer is no trouble', 1, {}, async (g, a) => {
    const sid = await g.session();
    a.hook = (_, res) => (res.end(Buffer.alloc(16 * 1024 * 1024, 'x')), true);
    for (const wait of [0, 1, 10, 100, 300]) {
        const reply = await g.stream({ 'mcp-session-id': sid }, { method: 'POST', body: JSON.stringify(message) });
        reply.res.pause();
        await sleep(wait); // long enough for the backend to be paused, and not
        reply.req.destroy();
    }
    await until(async () => (await g.metric('requests_in_flight')) === 1, 'all to end');
});
