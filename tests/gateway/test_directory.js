'use strict';
// Whose backends are whose: a directory is asked, once for each user, and it may misbehave.

const { Gateway, assert, initialize, scene, sleep, test, until } = require('./kit.js');
const { as } = require('./directory.js');

const asks = { directory: true };
const briefly = { ...asks, 'directory-ttl': 2 };
const begin = (g, user) => g.initialize(as(user));
const call = (g, sid, user) => g.call(sid, 'tools/list', 7, as(user));
const where = (reply) => reply.json.result.backend ?? reply.json.result.serverInfo.name;
const UNAVAILABLE = 'The list of backends is unavailable';

function assertRefused(reply, status, message) {
    assert.equal(reply.status, status, reply.text);
    assert.deepEqual(reply.json, { jsonrpc: '2.0', id: 1, error: { code: -32000, message } });
    assert.equal(reply.headers['retry-after'], status === 503 ? '1' : undefined);
}

// ---- what it says is done

scene('a user gets the backends that the directory names', 2, asks, async (g, a, b, d) => {
    d.lists = { alice: [a], bob: [b] };
    for (let i = 0; i < 3; i++) {
        assert.equal(where(await begin(g, 'alice')), 'A');
        assert.equal(where(await begin(g, 'bob')), 'B');
    }
    assert.deepEqual(d.asked, ['alice', 'bob']);
    const sid = await g.session(as('alice'));
    assert.equal(where(await call(g, sid, 'alice')), 'A');
    assert.equal((await call(g, sid, 'bob')).status, 404);
});

scene('of those the one with the fewest sessions; the directory is asked once', 3, asks, async (g, a, b, c, d) => {
    d.lists = { alice: [a, b], bob: [c] };
    d.hook = (user, res) => setTimeout(() => d.answer(user, res), 50);
    const replies = await Promise.all(Array.from({ length: 20 }, () => begin(g, 'alice')));
    for (const r of replies) assert.equal(r.status, 200, r.text);
    for (let i = 0; i < 2; i++) assert.equal((await begin(g, 'alice')).status, 200);
    assert.deepEqual([a.count + b.count, c.count], [22, 0]);
    assert.deepEqual(d.asked, ['alice']);
    const [n, m] = [await begin(g, 'alice'), await begin(g, 'alice')].map(where);
    if (a.count === b.count) assert.notEqual(n, m);
    assert.equal(await g.metric('directory_requests_total'), 1);
});

scene('a name is passed on as it is', 1, asks, async (g, a, d) => {
    const names = ['a b&user=c', 'ü/?#%41', '../+"\\', 'x'.repeat(62)];
    for (const name of names) d.lists[name] = [a];
    for (const name of names) {
        const bytes = Buffer.from(JSON.stringify(initialize)); // before bytes Node sends a header as it is
        const reply = await g.post(bytes, as(Buffer.from(name).toString('latin1')));
        assert.equal(reply.status, 200, reply.text);
        assert.equal(d.asked.at(-1), name);
    }
    assert.match(d.seen[0].url, /^\/backends\?user=a%20b%26user%3Dc$/);
    assert.equal(d.seen[0].headers.host, `127.0.0.1:${d.port}`);
});

scene('no backends: 403, and a name too long for a key', 1, asks, async (g, a, d) => {
    for (let i = 0; i < 3; i++) assertRefused(await begin(g, 'carol'), 403, 'There is no backend for this user');
    assertRefused(await begin(g, 'x'.repeat(63)), 403, "The user's name is too long");
    assert.equal((await g.initialize()).status, 403);
    assert.deepEqual(d.asked, ['carol']);
    assert.equal(await g.metric('directory_users_refused_total'), 3);
    assert.equal((await g.request('GET', { path: '/healthz' })).status, 200);
});

scene('without a backend it is asked again before long', 1, briefly, async (g, a, d) => {
    assert.equal((await begin(g, 'carol')).status, 403);
    d.lists.carol = [a];
    assert.equal((await begin(g, 'carol')).status, 403);
    await sleep(300); // an eighth of the TTL
    assert.equal((await begin(g, 'carol')).status, 200);
    assert.equal(d.asked.length, 2);
});

scene('what was said is good for its TTL', 2, { directory: true, 'directory-ttl': 1 }, async (g, a, b, d) => {
    d.lists = { alice: [a] };
    const sid = await g.session(as('alice'));
    d.lists = { alice: [b] };
    assert.equal(where(await begin(g, 'alice')), 'A');
    await sleep(1050);
    assert.equal(where(await begin(g, 'alice')), 'B');
    assert.equal(d.asked.length, 2);
    assert.equal(where(await call(g, sid, 'alice')), 'A'); // a session stays where it is
});

const _meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };
const modern = { ...initialize, method: 'tools/list', params: { _meta } };
const ask = (g, user) =>
    g.post(modern, { ...as(user), 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/list' });

scene('2026-07-28 goes where its user may', 2, asks, async (g, a, b, d) => {
    d.lists = { alice: [b], bob: [a] };
    assert.equal(where(await ask(g, 'bob')), 'A');
    for (let i = 0; i < 3; i++) assert.equal(where(await ask(g, 'alice')), 'B');
    assert.equal((await ask(g, 'carol')).status, 403);
    assert.deepEqual(d.asked, ['bob', 'alice', 'carol']);
});

// ---- it misbehaves

scene('no usable answer: 503, nothing is kept, and the next one asks again', 1, asks, async (g, a, d) => {
    const json = (value) => (res) => res.end(JSON.stringify(value));
    const urls = (n, more = '') => Array.from({ length: n }, (_, i) => `http://127.0.0.1:${i + 1}/${more}`);
    const answers = {
        'a 500': (res) => res.writeHead(500).end('{"backends":[]}'),
        'a 404': (res) => res.writeHead(404).end(),
        'a redirect': (res) => res.writeHead(302, { location: d.url }).end(),
        'a broken connection': (res) => res.destroy(),
        'half an answer': (res) => {
            res.writeHead(200, { 'content-length': 100 }).write('{"backends":[]}');
            setTimeout(() => res.destroy(), 20);
        },
        nothing: (res) => res.end(),
        'no JSON': (res) => res.end('<html>'),
        'more than JSON': (res) => res.end('{"backends":[]}]'),
        'no list': json({}),
        'a list of another name': json([a.url]),
        'no list of strings': json({ backends: [a.url, 1] }),
        'a nested list': json({ backends: [[a.url]] }),
        'an object': json({ backends: { 0: a.url } }),
        'no URL': json({ backends: [a.url, 'x'] }),
        'another scheme': json({ backends: ['https://127.0.0.1/'] }),
        'a line break in a URL': json({ backends: [`${a.url}\nhttp://127.0.0.1:1/`] }),
        'a URL that is too long': json({ backends: [`http://127.0.0.1:1/${'x'.repeat(255)}`] }),
        'too many': json({ backends: urls(33) }),
        'too long in all': json({ backends: urls(32, 'x'.repeat(120)) }),
        'an answer without end': (res) => res.end(' '.repeat(100000) + '{"backends":[]}'),
    };
    for (const [what, answer] of Object.entries(answers)) {
        d.hook = (_, res) => (answer(res), true);
        assertRefused(await begin(g, 'alice'), 503, UNAVAILABLE);
        assert.equal(d.asked.splice(0).length, 1, what);
    }
    d.hook = null;
    d.lists = { alice: [a], bob: [...urls(31, 'x'.repeat(90)), a] };
    for (const user of ['alice', 'bob']) assert.equal((await begin(g, user)).status, 200);
    const failures = (await g.metric('directory_failures_total')) + (await g.metric('directory_answers_refused_total'));
    assert.equal(failures, Object.keys(answers).length);
});

scene('it is away, and back', 1, asks, async (g, a, d) => {
    d.lists = { alice: [a] };
    const sid = await g.session(as('alice'));
    d.close();
    assertRefused(await begin(g, 'bob'), 503, UNAVAILABLE);
    assert.equal((await begin(g, 'alice')).status, 200); // her list is known
    assert.equal((await call(g, sid, 'alice')).status, 200);
    await d.open();
    assertRefused(await begin(g, 'bob'), 403, 'There is no backend for this user');
});

scene('it does not answer', 1, { directory: true, 'timeout-ms': 300 }, async (g, a, d) => {
    for (const how of ['at all', 'to the end']) {
        d.hook = (_, res) => (how === 'at all' || res.writeHead(200, { 'content-length': 15 }).write('{'), true);
        const start = Date.now();
        const replies = await Promise.all([0, 1, 2].map(() => begin(g, 'alice')));
        for (const r of replies) assertRefused(r, 503, UNAVAILABLE);
        assert.ok(Date.now() - start < 1500, how);
    }
    assert.deepEqual(d.asked, ['alice', 'alice']);
});

scene('clients that leave meanwhile, and a stop', 1, { directory: true, 'grace-ms': 0 }, async (g, a, d) => {
    d.hook = () => true;
    for (const user of ['alice', 'bob']) for (let i = 0; i < 3; i++) begin(g, user).catch(() => {});
    await until(() => d.asked.length === 2, 'the directory to be asked');
    g.agent.destroy();
});

scene('whoever leaves takes nothing from those who wait', 1, asks, async (g, a, d) => {
    let answer;
    d.lists = { alice: [a] };
    d.hook = (user, res) => (answer = () => d.answer(user, res));
    const first = begin(g, 'alice').catch(() => {});
    await until(() => answer, 'the directory to be asked');
    const agent = new (require('node:http').Agent)();
    const second = g.request('POST', { agent, headers: as('alice'), body: JSON.stringify(initialize) });
    await sleep(30);
    g.agent.destroy();
    await first;
    await sleep(30);
    answer();
    assert.equal((await second).status, 200);
    assert.equal(d.asked.length, 1);
});

// ---- a backend dies

scene('a backend died: its session moves, and the list is loaded anew', 3, briefly, async (g, a, b, c, d) => {
    d.lists = { alice: [a, b] };
    const sid = await g.session(as('alice'));
    a.kill();
    await sleep(300); // an eighth of the TTL
    d.lists = { alice: [b, c] };
    assert.equal(where(await call(g, sid, 'alice')), 'B');
    assert.deepEqual(d.asked, ['alice']);
    assert.equal(where(await begin(g, 'alice')), 'C');
    assert.deepEqual(d.asked, ['alice', 'alice']);
    assert.equal(await g.metric('directory_lists_dropped_total'), 1);
});

scene('all died: the directory is asked again at once', 2, briefly, async (g, a, b, d) => {
    d.lists = { alice: [a] };
    const sids = [];
    for (let i = 0; i < 5; i++) sids.push(await g.session(as('alice')));
    a.kill();
    await sleep(300);
    d.lists = { alice: [b] };
    const replies = await Promise.all([...sids, ...sids].map((sid) => call(g, sid, 'alice')));
    for (const r of replies) assert.equal(where(r), 'B');
    assert.equal(b.count, 5);
    assert.deepEqual(d.asked, ['alice', 'alice']);
    assert.equal(await g.metric('directory_lists_dropped_total'), 1);
});

scene('but not again and again', 1, asks, async (g, a, d) => {
    d.lists = { alice: [a] };
    const sid = await g.session(as('alice'));
    a.kill();
    for (let i = 0; i < 20; i++) assert.equal((await (i % 2 ? call(g, sid, 'alice') : begin(g, 'alice'))).status, 503);
    assert.deepEqual(d.asked, ['alice']);
});

scene('there may be many backends in the course of time', 2, asks, async (g, a, b, d) => {
    d.lists.alice = [b];
    const sid = await g.session(as('alice'));
    const dead = (user) => Array.from({ length: 31 }, (_, i) => `http://127.0.0.1:1/${user}/${i}`);
    for (let i = 0; i < 12; i++) {
        d.lists[`u${i}`] = [a, ...dead(i)];
        if (i === 4 || i === 8) assert.equal(where(await begin(g, `u${i}`)), 'A'); // now others have fewer sessions
        assert.equal(where(await ask(g, `u${i}`)), 'A');
    }
    assert.equal(await g.metric('backend_sessions', `backend="${b.url}"`), 1);
    assert.equal(where(await call(g, sid, 'alice')), 'B');
    const { text } = await g.request('GET', { path: '/metrics' });
    const known = text.split('\n').filter((line) => line.startsWith('mcp_gateway_backend_up{'));
    assert.equal(known.length, 256);
    assert.equal(new Set(known).size, 256);
});

test('options about a directory', async () => {
    const listen = ['--listen', '127.0.0.1:0'];
    const directory = ['--directory', 'http://127.0.0.1:1/'];
    const header = ['--principal-header', 'X-User'];
    const bad = [
        [directory, 2, /--directory needs --principal-header/],
        [[...directory, ...header, '--backend', 'http://127.0.0.1:1/'], 2, /--directory takes the place of --backend/],
        [['--backend', 'http://127.0.0.1:1/', '--directory-ttl', '5'], 2, /--directory is missing/],
        [[...directory, ...header, '--directory-ttl', '0'], 2, /--directory-ttl: not a usable value: 0/],
        [[...directory, ...header, '--directory-lease-ms', '99'], 2, /--directory-lease-ms: not a usable value: 99/],
        [['--directory', 'x', ...header], 1, /not an http:\/\/ URL: x/],
        [['--directory', 'https://x/', ...header], 1, /not an http:\/\/ URL: https/],
    ];
    for (const [args, code, message] of bad) {
        const { status, stderr } = await Gateway.ends(...listen, ...args);
        assert.equal(status, code, `${args}: ${stderr}`);
        assert.match(stderr, message);
    }
});
