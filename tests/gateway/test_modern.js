'use strict';
// Revision 2026-07-28, which has no sessions, and requests that only pretend to be of it.

const net = require('node:net');
const { assert, initialize, scene, until } = require('./kit.js');

const modern = { 'mcp-protocol-version': '2026-07-28' };
const message = (method = 'tools/list', version = '2026-07-28') => ({
    jsonrpc: '2.0',
    id: 5,
    method,
    params: { _meta: { 'io.modelcontextprotocol/protocolVersion': version } },
});
const legacy = { jsonrpc: '2.0', id: 5, method: 'tools/list' };

scene('a request of 2026-07-28 is forwarded without a session', 1, {}, async (g, a) => {
    const reply = await g.post(message(), { ...modern, 'mcp-method': 'tools/list', 'last-event-id': '4' });
    assert.equal(reply.status, 200);
    assert.equal(reply.headers['mcp-session-id'], undefined);
    assert.equal(a.seen[0].headers['mcp-protocol-version'], '2026-07-28');
    assert.equal(a.seen[0].headers['mcp-method'], 'tools/list');
    assert.equal(a.seen[0].headers['last-event-id'], undefined);
    assert.equal(await g.metric('sessions'), 0);
    assert.equal(await g.metric('requests_total', 'kind="modern",status="200"'), 1);
});

scene('a session id that a 2026-07-28 backend mints does not pass', 1, {}, async (g, a) => {
    a.hook = (_, res) => (a.json(res, 200, {}, { 'mcp-session-id': 'minted' }), true);
    assert.equal((await g.post(message(), modern)).headers['mcp-session-id'], undefined);
});

scene('it goes to the least busy live backend', 3, {}, async (g, a, b, c) => {
    b.kill();
    const held = [];
    a.hook = c.hook = (_, res) => (held.push(res), true);
    const pending = Array.from({ length: 6 }, () => g.post(message(), modern));
    await until(() => held.length === 6, 'six requests');
    assert.deepEqual([a.seen.length, c.seen.length], [3, 3]);
    for (const res of held) a.json(res, 200, {});
    for (const reply of await Promise.all(pending)) assert.equal(reply.status, 200);
});

scene('GET and DELETE of 2026-07-28 are 405, with a live session too', 1, {}, async (g, a) => {
    const sid = await g.session();
    for (const method of ['GET', 'DELETE']) {
        for (const headers of [modern, { ...modern, 'mcp-session-id': sid }]) {
            const reply = await g.request(method, { headers });
            assert.equal(reply.status, 405);
            assert.equal(reply.headers.allow, 'POST');
        }
    }
    assert.equal(a.seen.length, 1);
    assert.equal((await g.call(sid)).status, 200);
});

scene('header and body must agree', 1, {}, async (g, a) => {
    const cases = [
        [legacy, modern],
        [message(), {}],
        [message(), { 'mcp-protocol-version': '2025-11-25' }],
        [message('tools/list', '2025-11-25'), modern],
        [message('tools/list', ''), modern],
        [{ ...legacy, params: { _meta: { 'io.modelcontextprotocol/protocolVersion': 20260728 } } }, modern],
        [message(), { ...modern, 'mcp-method': 'tools/call' }],
    ];
    for (const [body, headers] of cases) {
        const reply = await g.post(body, headers);
        assert.equal(reply.status, 400, JSON.stringify(headers));
        assert.equal(reply.json.error.code, -32020);
        assert.equal(reply.json.id, 5);
    }
    assert.equal(a.seen.length, 0);
});

scene('a forged header does not get round the session guard', 2, {}, async (g, a, b) => {
    await g.session();
    const sid = await g.session(); // at B
    const unknown = await g.post(legacy, { ...modern, 'mcp-session-id': 'unknown' });
    assert.equal(unknown.status, 404);
    assert.equal(unknown.json.error.code, -32001);
    for (const body of [legacy, message(), message('tools/list', '2025-11-25')]) {
        const reply = await g.post(body, { ...modern, 'mcp-session-id': sid });
        assert.equal(reply.json.result.sid, 'B-session-1');
    }
    for (const { headers } of b.seen.slice(1)) {
        assert.equal(headers['mcp-protocol-version'], undefined);
        assert.equal(headers['mcp-session-id'], 'B-session-1');
    }
    assert.equal(a.seen.length, 1);
});

scene('initialize with a forged header is an initialize', 1, {}, async (g, a) => {
    const reply = await g.post(initialize, modern);
    assert.equal(reply.status, 200);
    assert.match(reply.headers['mcp-session-id'], /^[\w-]{22}$/);
    assert.equal(a.seen[0].headers['mcp-protocol-version'], undefined);
    const forged = { ...initialize, params: { ...initialize.params, ...message().params } };
    assert.match((await g.post(forged, modern)).headers['mcp-session-id'], /^[\w-]{22}$/);
    assert.equal(await g.metric('sessions'), 2);
});

scene('a session id that is not ours is ignored by 2026-07-28', 1, {}, async (g, a) => {
    for (const sid of ['unknown', 'x'.repeat(200), 'a b', '']) {
        assert.equal((await g.post(message(), { ...modern, 'mcp-session-id': sid })).status, 200);
    }
    assert.ok(a.seen.every((r) => r.headers['mcp-session-id'] === undefined));
});

scene('2026-07-28 can be refused', 1, { modern: 'refuse' }, async (g, a) => {
    const reply = await g.post(message(), modern);
    assert.equal(reply.status, 400);
    assert.equal(reply.json.error.code, -32022);
    assert.equal(reply.json.id, 5);
    assert.deepEqual(reply.json.error.data, {
        requested: '2026-07-28',
        supported: ['2025-11-25', '2025-06-18', '2025-03-26'],
    });
    assert.equal(a.seen.length, 0);
    assert.equal((await g.call(await g.session())).status, 200);
});

scene('a revision nobody knows is refused', 1, {}, async (g, a) => {
    const future = await g.post(message('m', '2031-"01'), { 'mcp-protocol-version': '2031-"01' });
    assert.equal(future.status, 400);
    assert.equal(future.json.error.code, -32022);
    assert.equal(future.json.error.data.requested, '2031-"01');
    assert.ok(future.json.error.data.supported.includes('2026-07-28'));
    const sid = await g.session();
    for (const version of ['2031-01-01', 'x', '2025-11-25 ', '2025-11-2', '1.0.0'].filter(
        (v) => v.trim() !== '2025-11-25',
    )) {
        const reply = await g.call(sid, 'm', 1, { 'mcp-protocol-version': version });
        assert.equal(reply.status, 400, version);
        assert.equal(reply.json.error.code, -32000);
        const get = await g.request('GET', { headers: { 'mcp-session-id': sid, 'mcp-protocol-version': version } });
        assert.equal(get.status, 400);
    }
    for (const version of ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05']) {
        assert.equal((await g.call(sid, 'm', 1, { 'mcp-protocol-version': version })).status, 200);
    }
    assert.equal(a.seen.length, 5);
});

scene('closing a request of 2026-07-28 cancels it', 1, {}, async (g, a) => {
    a.hook = (_, res) => (a.stream(res), true);
    const stream = await g.stream(modern, { method: 'POST', body: JSON.stringify(message('subscriptions/listen')) });
    stream.req.destroy();
    await until(() => a.seen[0].closed, 'the backend to see it');
});

scene('before its answer has begun, too', 1, {}, async (g, a) => {
    a.hook = () => true;
    const socket = net.connect(g.port, '127.0.0.1');
    const body = JSON.stringify(message());
    const length = `Content-Length: ${body.length}`;
    socket.write(`POST /mcp HTTP/1.1\r\nMCP-Protocol-Version: 2026-07-28\r\n${length}\r\n\r\n${body}`);
    await until(() => a.seen.length === 1, 'the request');
    socket.destroy();
    await until(() => a.seen[0].closed, 'the backend to see it', 1000);
});

scene('a 2026-07-28 request that nobody answers ends with the code for it', 1, {}, async (g, a) => {
    a.kill();
    const reply = await g.post(message(), modern);
    assert.equal(reply.status, 503);
    assert.equal(reply.json.error.code, -32603);
});
