'use strict';
// Slow clients, too many clients, too many requests.

const fs = require('node:fs');
const net = require('node:net');
const { assert, plain, scene, sleep, until } = require('./kit.js');

function connect(g) {
    return new Promise((resolve, reject) => {
        const socket = net.connect(g.port, '127.0.0.1', () => resolve(socket));
        socket.text = '';
        socket.ended = false;
        socket.on('data', (d) => (socket.text += d));
        socket.on('close', () => (socket.ended = true));
        socket.on('error', (e) => reject(e));
    });
}

scene('a client that takes its time over a request is shut out', 1, { 'timeout-ms': 800, waits: true }, async (g) => {
    const drip = async (text) => {
        const socket = await connect(g);
        const begin = Date.now();
        for (let i = 0; i < text.length && !socket.ended && Date.now() - begin < 6000; i++) {
            socket.write(text[i]);
            await sleep(100); // never silent for long
        }
        const took = Date.now() - begin;
        socket.destroy();
        return took;
    };
    const sid = await g.session();
    const head = `POST /mcp HTTP/1.1\r\nX: ${'x'.repeat(100)}`;
    const body = `POST /mcp HTTP/1.1\r\nContent-Length: 500\r\n\r\n${' '.repeat(100)}`;
    const times = await Promise.all([
        drip(head),
        drip(head),
        drip(body),
        sleep(500).then(async () => {
            assert.equal((await g.call(sid)).status, 200); // the others are served meanwhile
            return 0;
        }),
    ]);
    for (const t of times) assert.ok(t < 3500, `${t} ms`);
    assert.ok((await g.metric('connections_slow_total')) >= 3);
});

scene('a stream may be silent longer than that', 1, { 'timeout-ms': 500, waits: true }, async (g, a) => {
    const stream = await g.stream({ 'mcp-session-id': await g.session() });
    await sleep(2500);
    assert.equal(stream.ended, false);
    a.streams[0].end('data: late\n\n');
    await until(() => stream.ended, 'the end');
    assert.equal(plain(stream.text), 'data: late\n\n');
});

scene('an idle connection is closed in time', 1, { 'timeout-ms': 500 }, async (g) => {
    const socket = await connect(g);
    await until(() => socket.ended, 'the end', 3000);
});

scene('a thousand idle connections', 1, {}, async (g) => {
    const sockets = [];
    for (let i = 0; i < 20; i++) sockets.push(...(await Promise.all(Array.from({ length: 50 }, () => connect(g)))));
    const sid = await g.session();
    const begin = Date.now();
    for (let i = 0; i < 20; i++) assert.equal((await g.call(sid)).status, 200);
    assert.ok(Date.now() - begin < 2000);
    await until(async () => (await g.metric('connections')) >= 1000, 'them to be counted');
    for (const s of sockets) s.destroy();
    await until(async () => (await g.metric('connections')) < 10, 'them to be forgotten');
});

scene('one connection too many is 503', 1, { 'max-connections': 4 }, async (g) => {
    const sid = await g.session();
    const sockets = [];
    for (let i = 0; i < 3; i++) sockets.push(await connect(g));
    await until(async () => (await g.metric('connections')) === 4, 'four connections');
    const reply = await g.request('GET', { path: '/mcp', agent: false, headers: { 'mcp-session-id': sid } });
    assert.equal(reply.status, 503);
    assert.equal(reply.headers['retry-after'], '1');
    assert.equal(reply.headers.connection, 'close');
    assert.equal((await g.call(sid)).status, 200); // over the connection that was there before
    for (const s of sockets) s.destroy();
    await until(async () => (await g.metric('connections')) === 1, 'room');
    assert.equal((await g.request('GET', { path: '/healthz', agent: false })).status, 200);
});

scene('a flood of connections beyond the limit passes', 1, { 'max-connections': 10 }, async (g) => {
    const sid = await g.session();
    const sockets = Array.from({ length: 300 }, () => net.connect(g.port, '127.0.0.1').on('error', () => {}));
    await sleep(200);
    assert.equal((await g.call(sid)).status, 200); // those who were there are served
    assert.ok((await g.metric('connections')) <= 10);
    for (const s of sockets) s.destroy();
    const health = () => g.request('GET', { path: '/healthz', agent: false }).catch(() => ({}));
    await until(async () => (await health()).status === 200, 'room');
});

scene('one request too many is 503', 1, {}, async (g, a) => {
    const sid = await g.session();
    const held = [];
    a.hook = ({ message }, res) => message?.method === 'wait' && held.push(res) > 0;
    const pending = Array.from({ length: 1024 }, (_, i) => g.call(sid, 'wait', i));
    await until(() => held.length === 1024, 'all to arrive', 15000);
    const reply = await g.call(sid);
    assert.equal(reply.status, 503);
    assert.equal(reply.headers['retry-after'], '1');
    for (const res of held) res.end('{}');
    for (const r of await Promise.all(pending)) assert.equal(r.status, 200);
    assert.equal((await g.call(sid)).status, 200);
});

const resident = (g) =>
    Number(/VmRSS:\s*(\d+)/.exec(fs.readFileSync(`/proc/${g.process.pid}/status`, 'utf8'))[1]) * 1024;

scene('what a backend sends that is no event is not kept', 1, { alone: true }, async (g, a) => {
    const sid = await g.session();
    const before = resident(g);
    const total = 150; // MB
    for (const line of [`: ${'x'.repeat(1000)}\n\n`, `: ${'x'.repeat(1000)}\r\n`]) {
        const c = await g.stream({ 'mcp-session-id': sid, accept: 'text/event-stream' });
        const source = a.streams.at(-1);
        const piece = Buffer.from(line.repeat(1000));
        for (let n = 0; n < total && !source.destroyed; n++) {
            if (!source.write(piece)) await new Promise((done) => source.once('drain', done).once('close', done));
        }
        if (line.endsWith('\n\n')) {
            source.write('data: 1\n\n');
            await until(() => plain(c.text) === 'data: 1\n\n', 'the event', 15000);
        }
        const grown = resident(g) - before;
        assert.ok(grown < 100e6, `${grown} bytes`);
        c.req.destroy();
    }
});
