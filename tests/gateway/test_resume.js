'use strict';
// A client loses its stream, and comes back for the rest.

const { Gateway, assert, plain, scene, sleep, until } = require('./kit.js');
const { Client, VERSION, answerTo, parse, range, sources } = require('./streams.js');

const GONE = 'Bad Request: The Last-Event-ID header is either invalid or expired.';
const FOREIGN = 'Bad Request: The Last-Event-ID header refers to a session with a different session ID.';

const [MANY, SHORT] = Gateway.binary.endsWith('slow') ? [100, 300] : [2000, 50];

async function assertRefused(reply, text = GONE) {
    assert.equal(reply.status, 400, reply.text);
    assert.equal(reply.json.error.code, -32000);
    assert.equal(reply.json.error.message, text);
}

const ask = (g, sid, id) => g.request('GET', { headers: { 'mcp-session-id': sid, 'last-event-id': id } });

scene('cut after each event of a call, it goes on where it was', 1, {}, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    for (let at = 0; at <= 5; at++) {
        const c = await new Client(g, sid).call();
        const source = list.at(-1);
        for (let n = 1; n <= at; n++) source.send(n);
        await c.has(at);
        await until(() => c.lastId, 'an id');
        c.cut();
        for (let n = at + 1; n <= 3; n++) source.send(n); // missed
        await sleep(20);
        await c.resume();
        for (let n = Math.max(at, 3) + 1; n <= 6; n++) source.send(n);
        source.answer();
        await c.end();
        assert.deepEqual(c.data, [...range(1, 6), answerTo()], `cut after ${at}`);
        assert.equal(new Set(c.messages.map((e) => e.id)).size, c.messages.length);
    }
    assert.equal(await g.metric('stream_resumed_total'), 6);
    assert.equal(await g.metric('stream_drains_total'), 6);
    assert.equal(list.length, 6, 'the backend was asked again');
});

scene('an answer that was complete meanwhile is there, once and again', 1, {}, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).call();
    await until(() => c.lastId, 'an id');
    const first = c.lastId;
    c.cut();
    list[0].send(1).send(2).answer();
    for (let i = 0; i < 3; i++) {
        const again = await new Client(g, sid).resume(g, first);
        await again.end();
        assert.deepEqual(again.data, [...range(1, 2), answerTo()]);
    }
    const last = await new Client(g, sid).resume(g, (await new Client(g, sid).resume(g, first)).lastId ?? first);
    await last.end();
});

scene('cut by the bytes: half an event does not count', 1, {}, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    const whole = await new Client(g, sid).call();
    list[0].send(1).send(2).send(3).answer();
    await whole.end();
    const text = whole.stream.text;
    for (let at = text.indexOf('\n\n') + 2; at < text.length; at += 29) {
        const seen = parse(text.slice(0, text.lastIndexOf('\n\n', at) + 2));
        const c = await new Client(g, sid).resume(g, seen.at(-1).id);
        await c.end();
        assert.deepEqual(c.events[0], { id: seen.at(-1).id, type: 'prime', data: '' });
        assert.deepEqual(seen.concat(c.events.slice(1)), whole.events);
    }
});

scene('an event is stored before it is sent, and its id is good at once', 1, {}, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).call();
    for (let n = 1; n <= 5; n++) {
        list[0].send(n);
        await c.has(n);
        assert.equal((await new Client(g, sid).resume(g, c.events.at(-2)?.id)).status, 200); // replaces c
        c.cut();
        await c.resume();
    }
    list[0].answer();
    await c.end();
    assert.deepEqual(c.data, [...range(1, 5), answerTo()]);
});

scene('a priming event only for those who know it', 1, { 'retry-ms': 1234 }, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    for (const version of [undefined, '2025-03-26', '2025-06-18', '2025-11-25', '2026-07-28']) {
        const headers = version ? { 'mcp-protocol-version': version } : {};
        const primed = version === '2025-11-25';
        const c = await new Client(g, sid, headers).call();
        await sleep(SHORT);
        assert.equal(c.stream.text !== '', primed, version);
        list.at(-1).send(1).answer();
        await c.end();
        const [first, ...rest] = c.events;
        assert.ok(first.id);
        assert.equal(first.retry, '1234');
        assert.equal(first.data, primed ? '' : '{"n":1}');
        if (primed) assert.ok(c.stream.text.startsWith('event: prime\ndata: \nid: '));
        assert.ok(rest.every((e) => e.id && !e.retry));
    }
    const get = await new Client(g, sid).get();
    await until(() => get.lastId, 'the priming event of a GET');
    for (const version of ['2025-06-18', '2025-11-25']) {
        const back = await new Client(g, sid, { 'mcp-protocol-version': version }).resume(g, get.lastId);
        await sleep(SHORT);
        const again = `event: prime\ndata: \nid: ${get.lastId}\nretry: 1234\n\n`;
        assert.equal(back.stream.text, version === VERSION ? again : '');
        back.cut();
    }
});

scene('2026-07-28 is not touched', 1, {}, async (g, a) => {
    const text = ': c\n\nid: 4\r\nretry: 5\r\nevent: x\r\ndata: 1\r\n\r\ndata: 2\n\n';
    a.hook = (_, res) => {
        res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'private' });
        res.end(text);
        return true;
    };
    const meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };
    const message = { jsonrpc: '2.0', id: 5, method: 'tools/list', params: { _meta: meta } };
    const reply = await g.post(message, { 'mcp-protocol-version': '2026-07-28', 'last-event-id': '5' });
    assert.equal(reply.text, text);
    assert.equal(reply.headers['cache-control'], 'private');
    assert.equal(a.seen[0].headers['last-event-id'], undefined);
    assert.equal(await g.metric('streams_total'), 0);
});

scene('what is no id of ours is refused before anything is sent', 1, {}, async (g, a) => {
    const sid = await g.session();
    const other = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).call();
    list[0].send(1).answer();
    await c.end();
    const id = c.lastId;
    const [session, stream, epoch] = id.split(':');
    const b64 = (text) => Buffer.from(text).toString('base64');
    const next = id.replace(/\d+$/, (n) => Number(n) + 1);
    const bad = [
        next,
        '5', 'x', ':', ':::', 'no-separators', `${id}0`, id.slice(0, -1), `+${id}`, `${id}:1`, '::42',
        `${session}:${stream}:${epoch}:99`, `${session}:${stream}:${epoch}:0`, `${session}:${stream}:${epoch}:-1`,
        `${session}:${stream}:${epoch}:9223372036854775807`, `${session}:${stream}:${epoch}:9223372036854775808`,
        `${session}:${stream}:1:1`, `${session}:${stream}:1`, `${session}:${b64('__get__')}:${epoch}:1`,
        `${session}:${b64('x'.repeat(64))}:${epoch}:1`, `${session}:${b64('x'.repeat(65))}:${epoch}:1`,
        `${session}::${epoch}:1`, 'A'.repeat(4000), `${session}:${stream.replace(/=*$/, '')}x:${epoch}:1`,
    ];
    for (const each of bad) {
        const reply = await ask(g, sid, each);
        await assertRefused(reply);
    }
    await assertRefused(await ask(g, other, id), FOREIGN);
    await assertRefused(await ask(g, sid, `${b64(other)}:${stream}:${epoch}:1`), FOREIGN);
    assert.equal((await ask(g, 'unknown', id)).status, 404);
    assert.equal((await ask(g, sid, id)).status, 200);
    const twice = await g.raw(
        `GET /mcp HTTP/1.1\r\nHost: x\r\nMcp-Session-Id: ${sid}\r\nLast-Event-ID: ${id}\r\nlast-event-id: 5\r\n\r\n`,
    );
    assert.equal(twice.status, 400);
    assert.equal(await g.metric('stream_ids_refused_total'), bad.length + 2);
    assert.ok(a.seen.every((r) => r.headers['last-event-id'] === undefined));
});

scene('another principal gets nothing', 1, { 'principal-header': 'X-User' }, async (g, a) => {
    const [ann, bob] = [{ 'x-user': 'ann' }, { 'x-user': 'bob' }];
    const sid = await g.session(ann);
    const list = sources(a);
    const c = await new Client(g, sid, { ...ann, 'mcp-protocol-version': VERSION }).call();
    list[0].send(1).answer();
    await c.end();
    const headers = { 'mcp-session-id': sid, 'last-event-id': c.events[0].id };
    assert.equal((await g.request('GET', { headers: { ...headers, ...bob } })).status, 404);
    assert.equal((await g.request('GET', { headers: { ...headers, ...ann } })).status, 200);
});

scene('content is what it was, line ends apart', 1, {}, async (g, a) => {
    const sid = await g.session();
    const text = '\uFEFF: hello\n\ndata: 1\r\n\r\nevent: own\rdata: a\rdata: b\r\rdata:  two spaces \ndata\ndata:\n\n'
        + 'retry: 3\n\nevent: nothing\n\ndata: ü門🚪\u0000x\nunknown: 1\n\n:\n\ndata: lost';
    const list = sources(a);
    for (const step of [1, 7, 1000]) {
        const c = await new Client(g, sid, {}).call();
        const bytes = Buffer.from(text);
        for (let i = 0; i < bytes.length; i += step) {
            list.at(-1).res.write(bytes.subarray(i, i + step));
            if (step < 1000) await sleep(1);
        }
        list.at(-1).res.end();
        await c.end();
        const expected =
            'data: 1\n\nevent: own\ndata: a\ndata: b\n\ndata:  two spaces \ndata: \ndata: \n\ndata: ü門🚪\u0000x\n\n';
        assert.equal(plain(c.stream.text), expected);
    }
});

scene('a stream with a length, a coding, or another type', 1, {}, async (g, a) => {
    const sid = await g.session();
    const answer = (headers, text) => {
        a.hook = (_, res) => (res.writeHead(200, headers).end(text), true);
        return g.call(sid, 'work', 7, { 'accept-encoding': 'gzip', 'mcp-protocol-version': VERSION });
    };
    const type = { 'content-type': 'text/event-stream; charset=utf-8' };
    const long = await answer({ ...type, 'content-length': 9 }, 'data: 1\n\n');
    assert.equal(parse(long.text).length, 2);
    assert.equal(long.headers['content-length'], undefined);
    assert.equal(a.seen.at(-1).headers['accept-encoding'], 'identity');
    const coded = await answer({ ...type, 'content-encoding': 'gzip' }, 'data: 1\n\n');
    assert.equal(coded.text, 'data: 1\n\n');
    assert.equal(coded.headers['content-encoding'], 'gzip');
    const json = await answer({ 'content-type': 'application/json' }, '{"a":\r1}');
    assert.equal(json.text, '{"a":\r1}');
    assert.equal(await g.metric('streams_total'), 1);
});

scene('large events, many events', 1, { 'stream-bytes': 4000000 }, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).call();
    await until(() => c.lastId, 'an id');
    const first = c.lastId;
    const sizes = [0, 1, 4000, 5000, 16000, 17000, 70000, 300000, 1000000];
    for (const size of sizes) list[0].res.write(`data: ${'x'.repeat(size)}\n\n`);
    for (let n = 1; n <= MANY; n++) list[0].send(n);
    list[0].answer();
    await c.end(10000);
    const again = await new Client(g, sid).resume(g, first);
    await again.end(10000);
    for (const each of [c, again])
        assert.deepEqual(
            each.messages.map((e) => e.data.length),
            [...sizes.slice(1), ...range(1, MANY).map((d) => d.length), answerTo().length],
        );
    assert.deepEqual(again.messages, c.messages);
});

scene('a client that does not read holds up the backend, and loses nothing', 1, {}, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).call();
    c.stream.res.pause();
    for (let n = 1; n <= MANY; n++) list[0].res.write(`data: {"n":${n},"x":"${'x'.repeat(10000)}"}\n\n`);
    list[0].answer();
    await sleep(500);
    c.stream.res.resume();
    await c.end(10000);
    assert.equal(c.messages.length, MANY + 1);
});

const long = { 'stream-bytes': 12 << 20, streams: 2, waits: true };

scene('one that reads slowly what it missed', 1, long, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).call();
    list[0].send(1);
    await c.has(1);
    c.cut();
    for (let n = 2; n <= 70; n++) list[0].res.write(`data: {"n":${n},"x":"${'x'.repeat(100000)}"}\n\n`);
    list[0].answer();
    await sleep(1000);
    await c.resume();
    for (c.stream.res.pause(); !c.ended; await sleep(7)) c.stream.text += c.stream.res.read() ?? '';
    assert.equal(c.messages.length, 71);
});

const small = { 'stream-bytes': 2000 };

scene('what a log cannot hold has no id, and makes those before void', 1, small, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).call();
    list[0].send(1);
    await c.has(1);
    const before = c.lastId;
    list[0].res.write(`data: ${'x'.repeat(3000)}\n\n`);
    await c.has(2);
    assert.equal(c.messages[1].id, undefined);
    await assertRefused(await ask(g, sid, before));
    list[0].send(3);
    await c.has(3);
    assert.ok(c.messages[2].id);
    await assertRefused(await ask(g, sid, before));
    c.cut();
    list[0].answer();
    await c.resume();
    await c.end();
    assert.deepEqual(c.data.slice(2), ['{"n":3}', answerTo()]);
    assert.equal(await g.metric('stream_events_not_stored_total'), 1);
});

scene('too large for the log, and nobody there: an error in its place', 1, small, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).call();
    list[0].send(1);
    await c.has(1);
    c.cut();
    list[0].res.write(`data: ${'x'.repeat(3000)}\n\n`);
    await sleep(300);
    await c.resume();
    await c.end();
    assert.deepEqual(JSON.parse(c.data[1]), {
        jsonrpc: '2.0', id: 7, error: { code: -32000, message: 'An event is too large' },
    });
});

scene('over the bounds of a log the oldest go: a gap is told', 1, { 'stream-events': 5 }, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).call();
    for (let n = 1; n <= 9; n++) list[0].send(n);
    await c.has(9);
    const ids = c.events.map((e) => e.id);
    list[0].answer();
    await c.end();
    for (const [i, id] of ids.entries()) {
        const reply = await ask(g, sid, id);
        if (i < 5) await assertRefused(reply);
        else assert.equal(parse(reply.text).length, 10 - i, `after event ${i}`); // no version, no priming
    }
    assert.ok((await g.metric('stream_gaps_total')) > 0);
});

scene('as many logs as there may be', 1, { streams: 2 }, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    const done = await new Client(g, sid).call();
    list[0].send(1).answer();
    await done.end();
    const clients = [];
    for (let i = 0; i < 3; i++) {
        clients.push(await new Client(g, sid).call());
        list.at(-1).send(1);
        await clients[i].has(1);
    }
    assert.deepEqual(clients.map((c) => c.lastId !== undefined), [true, true, false]);
    await assertRefused(await ask(g, sid, done.lastId));
    for (const s of list.slice(1)) s.answer();
    for (const c of clients) assert.deepEqual((await c.end()).data, ['{"n":1}', answerTo()]);
    assert.equal(await g.metric('streams_not_stored_total'), 1);
});

scene('a stream that is silent is kept alive', 1, { 'keep-alive': 1, waits: true }, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).call();
    await until(() => (c.stream.text.match(/^: keep-alive\n\n/gm) ?? []).length === 2, 'two comments', 3000);
    await c.cut().resume();
    await until(() => /^: /m.test(c.stream.text), 'a comment', 3000);
    list[0].send(1).answer();
    await c.end();
    assert.deepEqual(c.data, ['{"n":1}', answerTo()]);
    c.stream.text = c.stream.text.replace(/^: .*\n\n/gm, '');
    assert.equal(c.events.length, 4);
});

// ---- nobody comes back

scene('a client that stays away: its answer is kept for a time', 1, { linger: 1, waits: true }, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).call('x"y');
    list[0].send(1);
    await c.has(1);
    c.cut();
    const begin = Date.now();
    await until(() => a.seen.at(-1).closed, 'the end for the backend', 3000);
    assert.ok(Date.now() - begin > 900);
    await c.resume();
    await c.end();
    assert.deepEqual(JSON.parse(c.data[1]), {
        jsonrpc: '2.0', id: 'x"y', error: { code: -32000, message: 'The client stayed away for too long' },
    });
    assert.equal(await g.metric('stream_drains_late_total'), 1);
    assert.equal(await g.metric('requests_in_flight'), 1);
});

scene('an answer gets no error behind it, if nobody ends its stream', 1, { linger: 1 }, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).call();
    await until(() => c.lastId, 'an id');
    c.cut();
    list[0].res.write(`data: ${answerTo()}\n\n`);
    await until(() => a.seen.at(-1).closed, 'the end for the backend', 3000);
    await c.resume();
    await c.end();
    assert.deepEqual(c.data, [answerTo()]);
});

scene('one that follows is not away', 1, { linger: 1, waits: true }, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).call();
    list[0].send(1);
    await c.has(1);
    c.cut();
    await c.resume();
    await sleep(2500);
    list[0].answer();
    await c.end();
    assert.deepEqual(c.data, ['{"n":1}', answerTo()]);
});

scene('only so many go on without their client', 1, { drains: 2 }, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    const clients = [];
    for (let i = 0; i < 4; i++) {
        const c = await new Client(g, sid).call(i);
        await until(() => c.lastId, 'an id');
        clients.push(c);
    }
    for (const c of clients) {
        c.cut();
        await sleep(50);
    }
    assert.equal(await g.metric('stream_drains'), 2);
    assert.equal(await g.metric('stream_drains_dropped_total'), 2);
    for (const s of list) s.res.writable && s.answer();
    for (const c of clients) await (await c.resume()).end();
    assert.deepEqual(
        clients.map((c) => JSON.parse(c.data[0]).error !== undefined),
        [true, true, false, false],
    );
});

scene('without an id nobody can come back', 1, { 'timeout-ms': 700 }, async (g, a) => {
    const sid = await g.session();
    sources(a);
    const old = { 'mcp-protocol-version': '2025-06-18' };
    (await new Client(g, sid, old).call()).cut();
    (await new Client(g, sid, old).get()).cut();
    await until(() => a.seen[2].closed, 'the end of the GET', 500);
    assert.equal(a.seen[1].closed, false);
    await until(() => a.seen[1].closed, 'the bound on the POST', 2000);
    assert.equal(await g.metric('stream_drains_total'), 0);
});

scene('nor if the backend gives ids, and breaks off or not', 1, { 'timeout-ms': 700, waits: true }, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    for (const breaks of [false, true]) {
        const from = list.length;
        const c = await new Client(g, sid, { 'mcp-protocol-version': '2025-06-18' }).call();
        list[from].res.write('id: e1\ndata: \n\n');
        await sleep(50);
        if (breaks) list[from].break();
        c.cut();
        await until(async () => (await g.metric('requests_in_flight')) === 1, 'the end of it', 3000);
        const asked = list.length;
        await sleep(300);
        assert.equal(list.length, asked);
        assert.ok(a.seen.at(-1).closed);
    }
});

// ---- the session's own stream

scene('the own stream of a session goes on while its client is away', 1, {}, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).get();
    list[0].send(1);
    await c.has(1);
    for (let n = 2; n <= 6; n += 2) {
        c.cut();
        list[0].send(n);
        await c.resume();
        list[0].send(n + 1);
        await c.has(n + 1);
    }
    assert.deepEqual(c.data, range(1, 7));
    assert.equal(list.length, 1);
    c.cut();
});

scene('a client that is back is not there twice', 1, {}, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    const first = await new Client(g, sid).get();
    list[0].send(1);
    await first.has(1);
    const second = await new Client(g, sid).resume(g, first.events[0].id);
    await until(() => first.ended, 'the end of the first');
    const third = await new Client(g, sid).resume(g, first.events[0].id);
    await until(() => second.ended, 'the end of the second');
    list[0].send(2);
    await third.has(2);
    assert.equal(await g.metric('stream_replaced_total'), 2);
    assert.equal(list.length, 1);
    third.cut();
});

scene('a GET without an id begins anew, and the one that lingers ends', 1, {}, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).get();
    await until(() => c.lastId, 'an id');
    c.cut();
    await sleep(50);
    assert.equal(a.seen[1].closed, false);
    const d = await new Client(g, sid).get();
    await until(() => a.seen[1].closed, 'the end of the first');
    list[1].send(1);
    await d.has(1);
    d.cut();
});

scene('a GET that the backend ended, or broke, is taken up again when its client returns', 1, {}, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).get();
    for (let n = 1; n <= 3; n++) {
        list.at(-1).send(n);
        await c.has(n);
        if (n % 2) list.at(-1).res.end();
        else list.at(-1).break();
        await until(() => c.ended, 'the end');
        assert.equal(c.complete, n % 2 === 1);
        await c.cut().resume();
        assert.equal(c.status, 200);
        await until(() => list.length === n + 1, 'a GET to the backend');
    }
    list.at(-1).send(4);
    await c.has(4);
    assert.deepEqual(c.data, range(1, 4));
    assert.equal(await g.metric('streams_taken_over_total'), 3);
    c.cut();
});

scene('its backend died: it goes on elsewhere', 2, {}, async (g, a, b) => {
    const sid = await g.session();
    const [list, others] = [sources(a), sources(b)];
    const c = await new Client(g, sid).get();
    list[0].send(1, 'of-a');
    await c.has(1);
    a.kill();
    await until(() => c.ended || others.length, 'the end');
    if (c.ended) await c.cut().resume();
    await until(() => others.length === 1, 'a GET to the other');
    assert.equal(others[0].headers['last-event-id'], undefined);
    others[0].send(2);
    await c.has(2);
    assert.deepEqual(c.data, range(1, 2));
    c.cut();
});

// ---- a backend with ids of its own

scene('a backend that gives ids and breaks off is asked for the rest', 1, {}, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).call();
    for (let n = 1; n <= 4; n++) {
        if (n > 1) assert.equal(list.at(-1).headers['last-event-id'], `e${n - 1}`);
        list.at(-1).send(n, `e${n}`).res.write('data: half');
        await c.has(n);
        list.at(-1).break();
        await until(() => list.length === n + 1, 'a GET');
        assert.equal(list.at(-1).method, 'GET');
        assert.equal(list.at(-1).headers['mcp-session-id'], 'A-session-1');
        assert.equal(list.at(-1).headers['mcp-protocol-version'], VERSION);
    }
    list.at(-1).id = 7;
    list.at(-1).answer();
    await c.end();
    assert.deepEqual(c.data, [...range(1, 4), answerTo()]);
    assert.equal(await g.metric('stream_backend_resumed_total'), 4);
});

scene('and also while the client is away', 1, {}, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).call();
    list[0].send(1, 'e1');
    await c.has(1);
    c.cut();
    await until(async () => (await g.metric('stream_drains_total')) === 1, 'a drain');
    list[0].break();
    await until(() => list.length === 2, 'a GET');
    list[1].id = 7;
    list[1].send(2, 'e2').answer('e3');
    await c.resume();
    await c.end();
    assert.deepEqual(c.data, [...range(1, 2), answerTo()]);
});

scene('a backend that ends a stream before the answer wants to be asked again, when it says', 1, {}, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).call();
    const begin = Date.now();
    list[0].res.end('id: p1\nretry: 400\ndata: \n\n');
    await until(() => list.length === 2, 'a GET');
    assert.ok(Date.now() - begin >= 390);
    assert.equal(list[1].headers['last-event-id'], 'p1');
    list[1].id = 7;
    list[1].send(1).answer('p2');
    await c.end();
    assert.deepEqual(c.data, ['{"n":1}', answerTo()]);
    assert.equal(c.events.filter((e) => e.data === '').length, 1, 'that priming event is not for this client');
});

scene('a backend that has nothing yet may be asked any number of times', 1, {}, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).call();
    for (let n = 1; n <= 12; n++) {
        await until(() => list.length === n, `request ${n}`);
        list[n - 1].res.end(`id: p${n}\nretry: 20\ndata: \n\n`);
    }
    await until(() => list.length === 13, 'the last request');
    assert.equal(list[12].headers['last-event-id'], 'p12');
    list[12].id = 7;
    list[12].answer('p13');
    await c.end();
    assert.deepEqual(c.data, [answerTo()]);
});

scene('a backend that breaks off after its answer has answered', 1, {}, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    for (const id of ['', 'id: e1\n']) {
        const c = await new Client(g, sid).call();
        list.at(-1).res.write(`${id}data: ${answerTo()}\n\n`);
        await c.has(1);
        list.at(-1).break();
        await c.end();
        assert.deepEqual(c.data, [answerTo()]);
    }
});

scene('one that does not go on after all: an error', 1, { waits: true }, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    for (const how of ['refuses', 'breaks']) {
        const c = await new Client(g, sid).call();
        list.at(-1).send(1, 'x');
        await c.has(1);
        const old = a.hook;
        a.hook = (_, res) => (how === 'refuses' ? res.writeHead(400).end() : res.socket.destroy(), true);
        list.at(-1).break();
        await c.end(15000);
        assert.deepEqual(JSON.parse(c.data[1]).error, {
            code: -32000, message: 'The backend was lost before it answered',
        });
        assert.ok(c.messages[1].id);
        a.hook = old;
    }
});

// ---- ends

scene('with the session go its streams', 1, {}, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    const done = await new Client(g, sid).call();
    list[0].answer();
    await done.end();
    const live = await new Client(g, sid).call();
    const away = await new Client(g, sid).call();
    for (const each of [live, away]) await until(() => each.lastId, 'an id');
    away.cut();
    assert.equal((await g.request('DELETE', { headers: { 'mcp-session-id': sid } })).status, 200);
    assert.equal((await ask(g, sid, done.lastId)).status, 404);
    list[1].send(1);
    list[2].send(1);
    await live.has(1);
    assert.equal(live.messages[0].id, undefined, 'it can not be come back to');
    await until(async () => (await g.metric('requests_in_flight')) === 2, 'the end of the one without a client');
    list[1].answer();
    await live.end();
});

scene('a gateway that stops lets its streams go', 1, { 'grace-ms': 2000 }, async (g, a) => {
    const sid = await g.session();
    const list = sources(a);
    const get = await new Client(g, sid).get();
    const call = await new Client(g, sid).call();
    for (const each of [get, call]) await until(() => each.lastId, 'an id');
    g.process.kill('SIGTERM');
    await get.end();
    list[1].send(1).answer();
    await call.end();
    assert.deepEqual(call.data, ['{"n":1}', answerTo()]);
    await g.exited;
});

scene('a client leaves while its session is revived', 2, {}, async (g, a, b) => {
    const sid = await g.session();
    const list = sources(a);
    const c = await new Client(g, sid).get();
    list[0].send(1, 'e1');
    await c.has(1);
    let initialized = 0;
    b.hook = async ({ message }, res) => {
        if (message?.method !== 'initialize' || initialized++) return false;
        await sleep(700);
        return false;
    };
    a.kill();
    await until(() => initialized === 1, 'a revival');
    const waiting = g.call(sid);
    await sleep(100);
    c.cut();
    assert.equal((await waiting).json.result.backend, 'B');
});
