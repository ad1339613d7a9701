'use strict';
// Sessions: who makes an id, where a request goes, and when a session ends.

const { assert, initialize, scene, sleep, until } = require('./kit.js');

const notFound = '{"error":{"code":-32001,"message":"Session not found"},"jsonrpc":"2.0"}';

scene('a client gets an id of the gateway, a backend sees its own', 1, {}, async (g, a) => {
    const reply = await g.initialize();
    const sid = reply.headers['mcp-session-id'];
    assert.match(sid, /^[A-Za-z0-9_-]{22}$/);
    assert.deepEqual(reply.json.result.serverInfo, { name: 'A', version: '1' });
    const call = await g.call(sid);
    assert.deepEqual(call.json, { jsonrpc: '2.0', id: 7, result: { backend: 'A', sid: 'A-session-1' } });
    assert.equal(a.seen[0].headers['mcp-session-id'], undefined);
    assert.equal(a.seen[1].headers['mcp-session-id'], 'A-session-1');
    assert.equal(a.seen[0].body, JSON.stringify(initialize));
});

scene('ids are not repeated', 1, {}, async (g) => {
    const ids = new Set();
    for (let i = 0; i < 50; i++) ids.add(await g.session());
    assert.equal(ids.size, 50);
});

scene('a session id that comes with initialize is dropped', 1, {}, async (g, a) => {
    const first = await g.session();
    const second = await g.session({ 'mcp-session-id': first });
    assert.notEqual(first, second);
    assert.equal(a.seen[1].headers['mcp-session-id'], undefined);
});

scene('a new session goes to the backend with the fewest', 3, {}, async (g, ...backends) => {
    const ids = [];
    for (let i = 0; i < 9; i++) ids.push(await g.session());
    assert.deepEqual(
        backends.map((b) => b.count),
        [3, 3, 3],
    );
    for (const sid of ids) {
        const { json } = await g.call(sid);
        if (json.result.backend === 'B') await g.request('DELETE', { headers: { 'mcp-session-id': sid } });
    }
    for (let i = 0; i < 3; i++) await g.session();
    assert.deepEqual(
        backends.map((b) => b.count),
        [3, 6, 3],
    );
    assert.equal(await g.metric('backend_sessions', `backend="${backends[1].url}"`), 3);
    assert.equal(await g.metric('sessions'), 9);
});

scene('POST, GET and DELETE of a session reach its backend alone', 2, {}, async (g, a, b) => {
    await g.session();
    const sid = await g.session();
    for (let i = 0; i < 5; i++) assert.equal((await g.call(sid)).json.result.sid, 'B-session-1');
    assert.equal((await g.post({ jsonrpc: '2.0', method: 'notifications/x' }, { 'mcp-session-id': sid })).status, 202);
    const stream = await g.stream({ 'mcp-session-id': sid, accept: 'text/event-stream' });
    stream.req.destroy();
    assert.equal((await g.request('DELETE', { headers: { 'mcp-session-id': sid } })).status, 200);
    assert.deepEqual(a.methods(), ['initialize']);
    assert.equal(b.seen.length, 9);
    assert.ok(b.seen.slice(1).every((r) => r.headers['mcp-session-id'] === 'B-session-1'));
});

scene('the name of the session header is case-insensitive', 1, {}, async (g, a) => {
    a.hook = ({ message }, res) => {
        if (message.method !== 'initialize') return false;
        a.sessions.add('x');
        a.json(res, 200, { jsonrpc: '2.0', id: 1, result: {} }, { 'MCP-SESSION-ID': 'x' });
        return true;
    };
    const sid = await g.session();
    const reply = await g.post({ jsonrpc: '2.0', id: 1, method: 'm' }, { 'mCP-SESSION-iD': sid });
    assert.equal(reply.json.result.sid, 'x');
});

scene('an unknown session is 404, with the id of the request as it was written', 1, {}, async (g, a) => {
    const ids = ['0', '1', '"text"', '"\\u0041\\""', '9007199254740993', '1.50', '-7', '1e3'];
    for (const id of ids) {
        const reply = await g.post(`{"jsonrpc":"2.0","method":"m","id": ${id} }`, { 'mcp-session-id': 'unknown' });
        assert.equal(reply.status, 404);
        assert.equal(reply.headers['content-type'], 'application/json');
        assert.equal(reply.text, `{"error":{"code":-32001,"message":"Session not found"},"id":${id},"jsonrpc":"2.0"}`);
    }
    for (const body of ['{"jsonrpc":"2.0","method":"m"}', '{"jsonrpc":"2.0","method":"m","id":null}']) {
        assert.equal((await g.post(body, { 'mcp-session-id': 'unknown' })).text, notFound);
    }
    const nested = '{"params":{"id":5,"x":"\\"id\\":6"},"jsonrpc":"2.0","method":"m","id":8}';
    assert.equal((await g.post(nested, { 'mcp-session-id': 'unknown' })).json.id, 8);
    for (const method of ['GET', 'DELETE']) {
        const reply = await g.request(method, { headers: { 'mcp-session-id': 'unknown' } });
        assert.equal(`${reply.status} ${reply.text}`, `404 ${notFound}`);
    }
    assert.equal(a.seen.length, 0);
});

scene('a session id with any byte, of any length, is unknown and no more', 1, {}, async (g, a) => {
    const ids = [
        '',
        ' ',
        'a b',
        'a:b',
        '{tag}',
        '{',
        '}',
        '"',
        "'",
        '\\',
        'a,b',
        'a;b=c',
        '../..',
        '%00',
        '%0d%0a',
        '*',
        '$x',
        'x'.repeat(64),
        'x'.repeat(65),
        'x'.repeat(255),
        'x'.repeat(4096),
        '\u00e9',
        '\t',
        'a\tb',
        '\x7f',
    ];
    await g.session();
    for (const id of ids) {
        const reply = await g.raw(
            Buffer.from(`GET /mcp HTTP/1.1\r\nHost: x\r\nMcp-Session-Id: ${id}\r\nConnection: close\r\n\r\n`, 'latin1'),
        );
        assert.equal(reply.status, 404, JSON.stringify(id));
    }
    const injected = await g.raw(
        'GET /mcp HTTP/1.1\r\nHost: x\r\nMcp-Session-Id: a\r\nX-Injected: b\rc\r\nConnection: close\r\n\r\n',
    );
    assert.ok([400, 404].includes(injected.status));
    assert.equal(a.seen.length, 1);
});

scene('no session id is 400', 1, {}, async (g, a) => {
    const post = await g.post({ jsonrpc: '2.0', id: 3, method: 'tools/list' });
    assert.equal(post.status, 400);
    assert.deepEqual([post.json.error.code, post.json.id], [-32000, 3]);
    for (const method of ['GET', 'DELETE']) assert.equal((await g.request(method)).status, 400);
    assert.equal(a.seen.length, 0);
});

scene('DELETE ends a session when the backend says 2xx or 404, and not when it says 405', 1, {}, async (g, a) => {
    for (const [status, later] of [
        [200, 404],
        [204, 404],
        [404, 404],
        [405, 200],
        [500, 200],
    ]) {
        const sid = await g.session();
        a.hook = ({ method }, res) => method === 'DELETE' && (res.writeHead(status).end(), true);
        assert.equal((await g.request('DELETE', { headers: { 'mcp-session-id': sid } })).status, status);
        a.hook = null;
        assert.equal((await g.call(sid)).status, later, `after ${status}`);
    }
    assert.equal(await g.metric('sessions'), 2);
});

scene('a backend without session ids is served too', 1, {}, async (g, a) => {
    a.hook = ({ method, message }, res) => {
        if (method === 'POST')
            a.json(res, message.method === 'lost' ? 404 : 200, { jsonrpc: '2.0', id: message.id, result: {} });
        return true;
    };
    const sid = await g.session();
    assert.equal((await g.call(sid)).status, 200);
    assert.equal((await g.call(sid, 'lost')).status, 404); // its own business: it has no session to lose
    assert.equal((await g.request('DELETE', { headers: { 'mcp-session-id': sid } })).status, 204);
    assert.equal((await g.call(sid)).status, 404);
    assert.deepEqual(a.methods(), ['initialize', 'tools/list', 'lost']);
    assert.ok(a.seen.every((r) => r.headers['mcp-session-id'] === undefined));
});

scene('an initialize that the backend refuses makes no session', 1, {}, async (g, a) => {
    a.hook = (_, res) => (a.json(res, 400, { jsonrpc: '2.0', id: 1, error: { code: -32602, message: 'no' } }), true);
    const reply = await g.initialize();
    assert.equal(reply.status, 400);
    assert.equal(reply.json.error.code, -32602);
    assert.equal(reply.headers['mcp-session-id'], undefined);
    assert.equal(await g.metric('sessions'), 0);
});

scene('a session id of a backend that is none is refused', 1, {}, async (g, a) => {
    for (const bad of ['a b', 'x'.repeat(300), '\u00ff']) {
        a.hook = (_, res) => (a.json(res, 200, {}, { 'mcp-session-id': bad }), true);
        assert.equal((await g.initialize()).status, 502);
    }
    a.hook = (_, res) => (a.json(res, 200, {}, { 'mcp-session-id': 'x'.repeat(255) }), true);
    assert.equal((await g.initialize()).status, 200);
});

scene('a session nobody uses ends after its TTL, one in use lives on', 1, { ttl: 1, waits: true }, async (g) => {
    const idle = await g.session();
    const used = await g.session();
    for (let i = 0; i < 5; i++) {
        await sleep(350);
        assert.equal((await g.call(used)).status, 200);
    }
    assert.equal((await g.call(idle)).status, 404);
    await sleep(1200);
    assert.equal((await g.call(used)).status, 404);
    await until(async () => (await g.metric('sessions')) === 0, 'the sweep');
});

scene('a full table refuses a new session, and the backend does not keep it', 1, { sessions: 2 }, async (g, a) => {
    const first = await g.session();
    await g.session();
    const reply = await g.initialize();
    assert.equal(reply.status, 503);
    assert.equal(reply.headers['retry-after'], '1');
    assert.equal(reply.headers['mcp-session-id'], undefined);
    await until(() => a.sessions.size === 2, 'DELETE of the third');
    assert.equal((await g.call(first)).status, 200);
    assert.equal(await g.metric('sessions_refused_total'), 1);
});

scene(
    'a full table drops the least recently used session, if told to',
    1,
    { sessions: 2, full: 'evict' },
    async (g) => {
        const first = await g.session();
        const second = await g.session();
        assert.equal((await g.call(first)).status, 200);
        const third = await g.session();
        assert.deepEqual(
            [(await g.call(first)).status, (await g.call(second)).status, (await g.call(third)).status],
            [200, 404, 200],
        );
        assert.equal(await g.metric('session_evictions_total'), 1);
        assert.equal(await g.metric('sessions'), 2);
    },
);

const who = { 'principal-header': 'X-User' };

scene('a session belongs to the principal that made it', 1, { ...who, ttl: 1 }, async (g, a) => {
    const sid = await g.session({ 'x-user': 'alice' });
    assert.equal((await g.call(sid, 'm', 1, { 'x-user': 'alice' })).status, 200);
    const foreign = await g.call(sid, 'm', 1, { 'x-user': 'bob' });
    const unknown = await g.call('A'.repeat(22), 'm', 1, { 'x-user': 'bob' });
    assert.equal(foreign.status, 404);
    assert.equal(foreign.text, unknown.text);
    const before = a.seen.length;
    for (const method of ['GET', 'DELETE']) {
        const reply = await g.request(method, { headers: { 'mcp-session-id': sid, 'x-user': 'bob' } });
        assert.equal(reply.status, 404);
    }
    assert.equal(a.seen.length, before);
    for (let i = 0; i < 6; i++) {
        await sleep(250);
        await g.call(sid, 'm', 1, { 'x-user': 'bob' });
    }
    assert.equal((await g.call(sid, 'm', 1, { 'x-user': 'alice' })).status, 404); // asking did not keep it alive
});

scene('without a principal nothing is served, where one is required', 1, who, async (g, a) => {
    const cases = [{}, { 'x-user': '' }, { 'x-user': 'x'.repeat(200) }];
    for (const headers of cases) assert.equal((await g.initialize(headers)).status, 403);
    assert.equal(a.seen.length, 0);
});

scene('a principal header that is not configured means nothing', 1, {}, async (g) => {
    const sid = await g.session({ 'x-user': 'alice' });
    assert.equal((await g.call(sid, 'm', 1, { 'x-user': 'bob' })).status, 200);
});
