'use strict';
// Starting, stopping, and what an operator sees.

const { Backend } = require('./backend.js');
const { Gateway, assert, scene, sleep, test, until } = require('./kit.js');

const message = { jsonrpc: '2.0', id: 1, method: 'work', params: {} };

scene('a stop lets what is under way finish', 1, {}, async (g, a) => {
    const sid = await g.session();
    let work;
    a.hook = ({ message }, res) => message?.method === 'work' && ((work = res), true);
    const stream = await g.stream({ 'mcp-session-id': sid });
    const pending = g.call(sid, 'work');
    await until(() => work, 'the request');
    g.process.kill('SIGTERM');
    await until(() => stream.ended, 'the stream to be ended');
    assert.ok(stream.res.complete);
    await assert.rejects(g.request('GET', { path: '/healthz', agent: false }), /ECONNREFUSED/);
    await sleep(300);
    assert.equal(g.status, undefined);
    a.json(work, 200, { done: true });
    const reply = await pending;
    assert.deepEqual(reply.json, { done: true });
    const end = Date.now();
    await g.exited;
    assert.ok(Date.now() - end < 2000);
    assert.equal(g.status, 0);
});

scene('a connection that was there before is told to go', 1, {}, async (g, a) => {
    const sid = await g.session();
    let work;
    a.hook = ({ message }, res) => message?.method === 'work' && ((work = res), true);
    const pending = g.call(sid, 'work');
    await until(() => work, 'the request');
    const other = await g.request('GET', { path: '/healthz' }); // a second connection, kept alive
    assert.equal(other.status, 200);
    g.process.kill('SIGTERM');
    await sleep(100);
    const reply = await g.call(sid);
    assert.equal(reply.status, 503);
    assert.equal(reply.headers['retry-after'], '1');
    assert.equal(reply.headers.connection, 'close');
    a.json(work, 200, {});
    assert.equal((await pending).status, 200);
});

scene('to be told more than once to stop is no other end', 1, {}, async (g) => {
    await g.session();
    while (g.status === undefined) {
        g.process.kill('SIGTERM');
        await sleep(1);
    }
    assert.equal(g.status, 0);
});

scene('a stop does not wait longer than its grace', 1, { 'grace-ms': 300 }, async (g, a) => {
    const sid = await g.session();
    a.hook = (_, res) => (a.stream(res), true);
    const begun = await g.stream({ 'mcp-session-id': sid }, { method: 'POST', body: JSON.stringify(message) });
    a.hook = () => true;
    const silent = g.call(sid, 'work').catch((e) => e);
    await until(() => a.seen.length === 3, 'both');
    const begin = Date.now();
    g.process.kill('SIGINT');
    await g.exited;
    assert.equal(g.status, 0);
    assert.ok(Date.now() - begin < 2500);
    await until(() => begun.ended, 'the end');
    assert.equal(begun.res.complete, false);
    await silent;
});

scene('a stop with every kind of thing under way', 3, { 'grace-ms': 0 }, async (g, a, b, c) => {
    const sids = [await g.session(), await g.session(), await g.session()];
    c.kill();
    a.hook = b.hook = () => true;
    for (const sid of sids) {
        for (let i = 0; i < 5; i++) g.call(sid, 'work', i).catch(() => {});
        g.stream({ 'mcp-session-id': sid }).catch(() => {});
    }
    g.initialize().catch(() => {});
    await sleep(200);
    g.process.kill('SIGTERM');
    await g.exited;
    assert.equal(g.status, 0);
});

test('--help: usage, and status 0', async () => {
    const { status, stdout } = await Gateway.ends('--help');
    assert.equal(status, 0);
    const names = [...stdout.matchAll(/^  (--[a-z-]+)/gm)].map((m) => m[1]);
    assert.equal(names.length, 40);
    for (const name of names) {
        assert.doesNotMatch((await Gateway.ends(name, '0')).stderr, /unrecognized/); // known, whatever its value
    }
});

test('wrong options: usage, and status 2', async () => {
    const good = ['--listen', '127.0.0.1:0', '--backend', 'http://127.0.0.1:1/mcp'];
    const bad = [
        [],
        good.slice(0, 2),
        good.slice(2),
        [...good, 'extra'],
        [...good, '--unknown'],
        ['--listen', '127.0.0.1', ...good.slice(2)],
        ['--listen', '127.0.0.1:65536', ...good.slice(2)],
        [...good, '--ttl', '0'],
        [...good, '--ttl', '-1'],
        [...good, '--ttl', '1x'],
        [...good, '--sessions', '65535'],
        [...good, '--sessions', '0'],
        [...good, '--full', 'maybe'],
        [...good, '--modern', 'no'],
        [...good, '--max-body', '1'],
        [...good, '--timeout-ms', '99999999999'],
        [...good, '--linger', 'x'],
        [...good, '--drains', '1025'],
        [...good, '--stream-events', '0'],
        [...good, '--stream-bytes', '1000'],
        [...good, '--streams', '0'],
        [...good, '--streams', '1', '--redis', '127.0.0.1:1'],
        [...good, '--retry-ms', '3600001'],
        [...good, '--ttl'],
        [...good, ...Array.from({ length: 32 }, (_, i) => ['--backend', `http://127.0.0.1:${i + 1}/`]).flat()],
    ];
    for (const args of bad) {
        const { status, stderr } = await Gateway.ends(...args);
        assert.equal(status, 2, args.join(' '));
        assert.match(stderr, /usage: gateway --listen/);
    }
});

test('a backend that is no http URL, an address that is taken: status 1', async () => {
    const urls = [
        '',
        'ftp://127.0.0.1/',
        'https://127.0.0.1/',
        'http://',
        'http:///mcp',
        'http://127.0.0.1:0/',
        'http://127.0.0.1:99999/',
        'http://u:p@127.0.0.1/',
        'http://127.0.0.1/#f',
        `http://127.0.0.1/${'x'.repeat(300)}`,
    ];
    for (const url of urls) {
        const { status, stderr } = await Gateway.ends('--listen', '127.0.0.1:0', '--backend', url);
        assert.equal(status, 1, `${url}: ${stderr}`);
        assert.doesNotMatch(stderr, /Sanitizer/);
    }
    const a = await Backend.start('A');
    const args = ['--listen', `127.0.0.1:${a.port}`, '--backend', a.url];
    const { status, stderr } = await Gateway.ends(...args);
    a.close();
    assert.equal(status, 1);
    assert.match(stderr, /cannot listen/);
});

scene('metrics are in the Prometheus text format, and true', 2, {}, async (g) => {
    const sid = await g.session();
    await g.session();
    await g.call(sid);
    await g.call('unknown');
    const { text, headers } = await g.request('GET', { path: '/metrics' });
    assert.equal(headers['content-type'], 'text/plain; version=0.0.4');
    const families = new Map();
    let family;
    for (const line of text.split('\n').slice(0, -1)) {
        const help = /^# HELP (\w+) .+$/.exec(line);
        const type = /^# TYPE (\w+) (counter|gauge)$/.exec(line);
        const sample = /^(\w+)(\{\w+="[^"\\\n]*"(,\w+="[^"\\\n]*")*\})? \d+$/.exec(line);
        assert.ok(help || type || sample, line);
        if (help) assert.ok(!families.has(help[1]), line);
        if (help) families.set((family = help[1]), null);
        if (type) assert.equal(type[1], family);
        if (type) families.set(family, type[2]);
        if (sample) assert.equal(sample[1], family);
    }
    for (const [name, type] of families) assert.equal(type === 'counter', name.endsWith('_total'), name);
    assert.ok(text.endsWith('\n'));
    assert.equal(await g.metric('sessions'), 2);
    assert.equal(await g.metric('requests_total', 'kind="initialize",status="200"'), 2);
    assert.equal(await g.metric('requests_total', 'kind="session",status="200"'), 1);
    assert.equal(await g.metric('requests_total', 'kind="session",status="404"'), 1);
    assert.equal(await g.metric('session_local_hits_total'), 1);
    assert.ok((await g.metric('session_store_requests_total')) >= 3);
});

test('a backend that dies again and again', async () => {
    const a = await Backend.start('A');
    const g = await Gateway.start([a]);
    const sid = await g.session();
    for (let i = 0; i < 30; i++) {
        a.kill();
        g.call(sid).catch(() => {});
        await sleep(5);
        await a.open();
        await until(async () => (await g.call(sid)).status === 200, 'the session to go on', 8000);
    }
    a.close();
    await g.stop();
});
