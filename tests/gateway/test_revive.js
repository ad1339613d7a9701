'use strict';
// A backend loses a session: it dies, or it says that it does not know the session.

const { Backend } = require('./backend.js');
const { Gateway, assert, initialize, plain, scene, sleep, test, until } = require('./kit.js');

const json404 = { jsonrpc: '2.0', error: { code: -32001, message: 'Session not found' }, id: null };

scene('a backend that died: initialise elsewhere, go on under the same id', 2, {}, async (g, a, b) => {
    const sid = await g.session();
    a.kill();
    const reply = await g.call(sid);
    assert.deepEqual(reply.json, { jsonrpc: '2.0', id: 7, result: { backend: 'B', sid: 'B-session-1' } });
    assert.deepEqual(b.methods(), ['initialize', 'notifications/initialized', 'tools/list']);
    assert.equal(b.seen[0].body, JSON.stringify(initialize));
    assert.equal(b.seen[1].headers['mcp-session-id'], 'B-session-1');
    assert.equal(b.seen[1].headers['mcp-protocol-version'], '2025-11-25');
    assert.equal((await g.call(sid)).json.result.sid, 'B-session-1');
    assert.equal(await g.metric('reinitialisations_total'), 1);
    assert.equal(await g.metric('replays_total'), 1);
    assert.equal(await g.metric('backend_sessions', `backend="${b.url}"`), 1);
    assert.equal(await g.metric('backend_sessions', `backend="${a.url}"`), 0);
});

scene('the client headers go along when a session is initialised again', 2, {}, async (g, a, b) => {
    const sid = await g.session();
    a.kill();
    await g.call(sid, 'm', 1, {
        authorization: 'Bearer t',
        'x-own': '5',
        'mcp-protocol-version': '2025-11-25',
    });
    assert.deepEqual(
        b.seen.map((r) => r.headers.authorization),
        ['Bearer t', 'Bearer t', 'Bearer t'],
    );
    assert.deepEqual(
        b.seen.map((r) => r.headers['x-own']),
        ['5', '5', '5'],
    );
    assert.equal(b.seen[0].headers['mcp-protocol-version'], undefined);
});

scene('a GET stream of a session whose backend died is opened elsewhere', 2, {}, async (g, a, b) => {
    const sid = await g.session();
    a.kill();
    const stream = await g.stream({ 'mcp-session-id': sid, accept: 'text/event-stream' });
    assert.equal(stream.status, 200);
    b.streams[0].end('data: 1\n\n');
    await until(() => stream.ended, 'the end of the stream');
    assert.equal(plain(stream.text), 'data: 1\n\n');
    assert.deepEqual(b.methods(), ['initialize', 'notifications/initialized', 'GET']);
});

scene('a backend that answers 404 for its session gets it initialised again', 1, {}, async (g, a) => {
    const sid = await g.session();
    a.sessions.clear();
    assert.equal((await g.call(sid)).json.result.sid, 'A-session-2');
    assert.deepEqual(a.methods(), [
        'initialize',
        'tools/list',
        'initialize',
        'notifications/initialized',
        'tools/list',
    ]);
});

scene('so does one that says it with a 400', 1, {}, async (g, a) => {
    const sid = await g.session();
    a.hook = ({ message, headers }, res) => {
        if (message.method === 'initialize' || a.sessions.has(headers['mcp-session-id'])) return false;
        a.json(res, 400, {
            jsonrpc: '2.0',
            error: { code: -32000, message: 'Bad Request: No valid session ID provided' },
        });
        return true;
    };
    a.sessions.clear();
    assert.equal((await g.call(sid)).json.result.sid, 'A-session-2');
});

scene('any other 400 is passed on as it is', 1, {}, async (g, a) => {
    const sid = await g.session();
    for (const text of [
        '{"jsonrpc":"2.0","error":{"code":-32602,"message":"bad params"},"id":7}',
        'not json',
        '',
        'x'.repeat(100000),
    ]) {
        a.hook = (_, res) => (res.writeHead(400, { 'x-mine': '1' }).end(text), true);
        const reply = await g.call(sid);
        assert.equal(reply.status, 400);
        assert.equal(reply.text, text);
        assert.equal(reply.headers['x-mine'], '1');
    }
    assert.equal(a.count, 1);
});

scene('a request is sent again once, and not more', 1, {}, async (g, a) => {
    const sid = await g.session();
    a.hook = ({ message }, res) => message.method === 'tools/list' && (a.json(res, 404, json404), true);
    const reply = await g.call(sid);
    assert.equal(reply.status, 404);
    assert.equal(a.methods().filter((m) => m === 'tools/list').length, 2);
});

scene('a request that may have been carried out is not sent again', 2, {}, async (g, a, b) => {
    const sid = await g.session();
    for (const how of ['at once', 'later', 'in the head']) {
        a.hook = async (_, res) => {
            if (how === 'later') await sleep(50);
            if (how === 'in the head') res.socket.write('HTTP/1.1 200 OK\r\nContent-Ty');
            res.socket.destroy();
            return true;
        };
        assert.equal((await g.call(sid)).status, 502, how);
    }
    assert.equal(a.seen.length, 4);
    assert.equal(b.seen.length, 0);
    a.hook = null;
    assert.equal((await g.call(sid)).status, 200); // the session is where it was
});

scene('a backend killed while it works: 502 now, revived with the next request', 2, {}, async (g, a, b) => {
    const sid = await g.session();
    a.hook = () => new Promise(() => {});
    const pending = g.call(sid);
    await until(() => a.seen.length === 2, 'the request to arrive');
    a.kill();
    assert.equal((await pending).status, 502);
    assert.equal(b.seen.length, 0);
    assert.equal((await g.call(sid)).json.result.backend, 'B');
});

scene('an answer that breaks off does not look complete', 2, {}, async (g, a) => {
    const sid = await g.session();
    a.hook = (_, res) => {
        res.writeHead(200, { 'content-type': 'application/json', 'content-length': 100 });
        res.write('{"jsonrpc"');
        setTimeout(() => res.socket.destroy(), 50);
        return true;
    };
    assert.equal((await g.call(sid)).complete, false);
});

const sse = (headers = {}) => ({ 'content-type': 'text/event-stream', ...headers });

scene('a stream that breaks off ends with an error for its request', 1, {}, async (g, a) => {
    const sid = await g.session();
    a.hook = (_, res) => {
        res.writeHead(200, sse());
        res.write('data: {"n":1}\n\ndata: {"half');
        setTimeout(() => res.socket.destroy(), 50);
        return true;
    };
    const reply = await g.call(sid);
    assert.ok(reply.complete);
    assert.match(plain(reply.text), /^data: {"n":1}\n\ndata: {"error".*"id":7.*}\n\n$/);
});

scene('so does one whose backend died', 2, {}, async (g, a) => {
    for (const sent of ['data: {"n":1}\n\n', 'data: {"n":1}\n\ndata: {"half', 'data: {"n":1}\n\nid: 4\nda']) {
        const sid = await g.session();
        a.hook = ({ message }, res) => {
            if (message?.method !== 'tools/list') return false;
            res.writeHead(200, sse());
            res.write(sent);
            setTimeout(() => a.kill(), 50);
            return true;
        };
        const reply = await g.call(sid, 'tools/list', 'a"b');
        assert.ok(reply.complete);
        assert.ok(plain(reply.text).startsWith('data: {"n":1}\n\n'));
        const events = parseEvents(reply.text).filter((e) => e.type === 'message');
        assert.deepEqual(
            events.map((e) => JSON.parse(e.data)),
            [
                { n: 1 },
                {
                    jsonrpc: '2.0',
                    id: 'a"b',
                    error: { code: -32000, message: 'The backend was lost before it answered' },
                },
            ],
        );
        await a.open();
        await until(async () => (await g.metric('backend_up', `backend="${a.url}"`)) === 1, 'the probe');
        await g.request('DELETE', { headers: { 'mcp-session-id': sid } });
    }
});

scene('so does one whose backend came back without the session', 1, {}, async (g, a) => {
    const sid = await g.session();
    a.hook = ({ message }, res) => {
        if (message?.method !== 'tools/list') return false;
        res.writeHead(200, sse());
        res.write('data: {"n":1}\n\n');
        a.sessions.clear();
        setTimeout(() => res.socket.destroy(), 50);
        return true;
    };
    const reply = await g.call(sid);
    assert.match(reply.text, /"code":-32000.*"id":7/);
    assert.deepEqual(a.methods(), ['initialize', 'tools/list']);
});

scene('what is not a plain stream of events gets nothing added', 1, {}, async (g, a) => {
    for (const headers of [sse({ 'content-encoding': 'x' }), { 'content-type': 'application/json' }]) {
        const sid = await g.session();
        a.hook = ({ message }, res) => {
            if (message?.method !== 'tools/list') return false;
            res.writeHead(200, headers);
            res.write('data: 1\n\n');
            a.sessions.clear();
            setTimeout(() => res.socket.destroy(), 50);
            return true;
        };
        const reply = await g.call(sid);
        assert.equal(reply.text, 'data: 1\n\n');
        assert.equal(reply.complete, false);
    }
});

// As a browser would: [{type, data}]
function parseEvents(text) {
    const events = [];
    let event = { type: 'message', data: null };
    for (const line of text.split('\n')) {
        if (line === '') {
            if (event.data !== null) events.push(event);
            event = { type: 'message', data: null };
        }
        const [, field, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
        if (field === 'data') event.data = event.data === null ? value : `${event.data}\n${value}`;
        if (field === 'event') event.type = value;
    }
    return events;
}

scene('many requests of a lost session initialise it once', 2, {}, async (g, a, b) => {
    const sid = await g.session();
    a.kill();
    b.hook = async ({ message }) => {
        if (message.method === 'initialize') await sleep(100);
        return false;
    };
    const replies = await Promise.all(Array.from({ length: 20 }, (_, i) => g.call(sid, 'm', i)));
    replies.forEach((r, i) =>
        assert.deepEqual(r.json, { jsonrpc: '2.0', id: i, result: { backend: 'B', sid: 'B-session-1' } }),
    );
    assert.equal(b.count, 1);
    assert.equal(b.seen.length, 22);
    assert.equal(await g.metric('reinitialisations_total'), 1);
});

scene('those who wait share the failure too', 2, {}, async (g, a, b) => {
    const sid = await g.session();
    a.kill();
    b.hook = async ({ message }, res) => {
        await sleep(100);
        b.json(res, 400, { jsonrpc: '2.0', id: message.id, error: { code: -32602, message: 'no' } });
        return true;
    };
    const replies = await Promise.all(Array.from({ length: 5 }, (_, i) => g.call(sid, 'm', i)));
    assert.deepEqual(
        replies.map((r) => r.status),
        [404, 404, 404, 404, 404],
    );
    assert.deepEqual(
        replies.map((r) => r.json.id),
        [0, 1, 2, 3, 4],
    );
    assert.equal(b.seen.length, 1);
});

scene('a session that ends while it is revived is not brought back', 2, {}, async (g, a, b) => {
    const sid = await g.session();
    a.kill();
    let go;
    b.hook = async ({ message }) => {
        if (message?.method === 'initialize') await new Promise((done) => (go = done));
        return false;
    };
    const pending = g.call(sid);
    await until(() => go, 'the second initialize');
    assert.equal((await g.request('DELETE', { headers: { 'mcp-session-id': sid } })).status, 204);
    go();
    assert.equal((await pending).status, 404);
    assert.equal((await g.call(sid)).status, 404);
    await until(() => b.sessions.size === 0, 'the new backend to be told');
    assert.equal(await g.metric('sessions'), 0);
});

scene('an initialize too long to be kept: such a session is lost with its backend', 2, {}, async (g, a, b) => {
    const long = { ...initialize, params: { ...initialize.params, filler: 'x'.repeat(5000) } };
    const sid = (await g.post(long)).headers['mcp-session-id'];
    assert.equal((await g.call(sid)).status, 200);
    a.kill();
    assert.equal((await g.call(sid)).status, 404);
    assert.equal(b.seen.length, 0);
});

test('a backend that is not there at first is known to be down, and found when it comes', async () => {
    const a = await Backend.start('A');
    a.kill();
    const g = await Gateway.start([`http://localhost:${a.port}/mcp`]);
    const health = async () => (await g.request('GET', { path: '/healthz' })).status;
    await until(async () => (await health()) === 503, 'it to be down');
    await a.open();
    await until(async () => (await health()) === 200, 'it to be up');
    await g.session();
    a.close();
    await g.stop();
});

scene('no backend at all is 503, and it goes on when one is back', 1, {}, async (g, a) => {
    const sid = await g.session();
    a.kill();
    const reply = await g.call(sid);
    assert.equal(reply.status, 503);
    assert.equal(reply.headers['retry-after'], '1');
    assert.equal((await g.initialize()).status, 503);
    assert.equal((await g.request('GET', { path: '/healthz' })).status, 503);
    assert.equal(await g.metric('backend_up', `backend="${a.url}"`), 0);
    await a.open();
    await until(async () => (await g.metric('backend_up', `backend="${a.url}"`)) === 1, 'the probe');
    assert.equal((await g.call(sid)).json.result.sid, 'A-session-2');
    assert.equal((await g.request('GET', { path: '/healthz' })).text, 'ok\n');
});

scene('an initialize finds a live backend', 3, {}, async (g, a, b, c) => {
    a.kill();
    b.kill();
    assert.equal((await g.initialize()).json.result.serverInfo.name, 'C');
    assert.equal(c.count, 1);
});

scene('an initialize that was sent is not sent to another backend', 2, {}, async (g, a, b) => {
    a.hook = (_, res) => (res.socket.destroy(), true);
    assert.equal((await g.initialize()).status, 502);
    assert.equal(b.seen.length, 0);
});

scene('DELETE of a session whose backend died ends it', 2, {}, async (g, a, b) => {
    const sid = await g.session();
    a.kill();
    assert.equal((await g.request('DELETE', { headers: { 'mcp-session-id': sid } })).status, 204);
    assert.equal((await g.call(sid)).status, 404);
    assert.equal(b.seen.length, 0);
});

scene('a backend that does not answer: 504, and the session stays', 1, { 'timeout-ms': 300 }, async (g, a) => {
    const sid = await g.session();
    a.hook = () => true;
    const begin = Date.now();
    assert.equal((await g.call(sid)).status, 504);
    assert.ok(Date.now() - begin < 2000);
    a.hook = null;
    assert.equal((await g.call(sid)).status, 200);
});

scene('a backend that closes an idle connection is no trouble', 1, {}, async (g, a) => {
    const sid = await g.session();
    for (let i = 0; i < 20; i++) {
        assert.equal((await g.call(sid)).status, 200);
        for (const s of a.sockets) s.end();
        await sleep(i % 4 === 0 ? 20 : 5);
    }
    assert.equal(a.count, 1);
});
