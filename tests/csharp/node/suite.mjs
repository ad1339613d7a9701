// The MCP C# SDK's event store, played, and a process of ours, on one Redis.   node suite.mjs SOCKET PEER FOLDER
//
// "item N" and "fault: ..." are those of the reference's checklist and of its known faults.

import assert from 'node:assert/strict';
import { randomBytes, randomInt } from 'node:crypto';
import { Cache, Reader, Writer, b64, deleteSession, eventId, keys, lives, netJson } from './dotnet.mjs';
import { Peer, Relay, client } from './kit.mjs';
import { Model, TTL } from './model.mjs';
import { finish, sleep, test, until } from './tap.mjs';

const [socket, program, folder] = process.argv.slice(2);
const redis = await client(socket);
const peer = new Peer(program, socket);
const cache = new Cache(redis);
const send = (...words) => redis.sendCommand(words.map(String));
const rpc = n => ({ result: { n }, id: 1, jsonrpc: '2.0' });

// -- ours --

const none = value => (value === undefined ? '-' : value);
const words = ({ type, retry, data }) => [none(type), none(retry), data === undefined ? '-' : netJson(data)];
const some = word => (word === '-' ? undefined : word);
// What next and range say of an event; as the original's readers have it.
const event = ([type, retry, data, id]) => ({
    type: some(type),
    data: data === '-' ? undefined : JSON.parse(data),
    retry: retry === '-' ? undefined : Number(retry),
    id
});

async function store(instance = '', index = 0, numbers = 0, rx = 0, who = peer) {
    assert.deepEqual(await who.ask('store', instance, index, numbers, rx), ['OK']);
}

async function opened(n, session, stream, fresh = 0, who = peer) {
    const [code, sequence] = await who.ask('wopen', n, session, stream, fresh);
    assert.equal(code, 'OK');
    return Number(sequence);
}

async function append(n, item, who = peer) {
    const [code, id] = await who.ask('wappend', n, ...words(item));
    assert.equal(code, 'OK');
    return id;
}

// All that our reader has from there on, to its end or as long as it need not wait.
async function rest(n, wait = 30) {
    const events = [];
    for (;;) {
        const [code, ...answer] = await peer.ask('rnext', n, wait);
        if (code !== 'OK') return { code, events };
        events.push(event(answer));
    }
}

async function replay(session, stream) {
    assert.equal(await peer.code('rread', 3, session, stream), 'OK');
    return (await rest(3)).events;
}

async function commands() {
    return Number((await peer.ask('count'))[1]);
}

// How many commands this takes.
async function cost(what) {
    const before = await commands();
    await what();
    return (await commands()) - before;
}

const held = key => send('HGETALL', key);
let sessions = 0;
const fresh = () => `s${process.pid}-${sessions++}`;
const ttl = key => send('PTTL', key);

// A key as one of .NET's would have it: fields in their order, instants within a second of those, the same TTL.
async function sameKey(ours, theirs) {
    const [a, b] = [await held(ours), await held(theirs)];
    const fields = Array.isArray(a) ? a : Object.entries(a).flat();
    const others = Array.isArray(b) ? b : Object.entries(b).flat();
    assert.equal(fields.length, 6);
    assert.deepEqual(fields.filter((_, n) => n % 2 === 0), others.filter((_, n) => n % 2 === 0));
    const of = list => Object.fromEntries(Array.from({ length: 3 }, (_, n) => [list[2 * n], list[2 * n + 1]]));
    const [x, y] = [of(fields), of(others)];
    assert.match(x.absexp, /^\d{18}$/);
    const apart = Number(BigInt(x.absexp) - BigInt(y.absexp));
    assert.ok(Math.abs(apart) < 1e7, `${apart} ticks apart`);
    assert.equal(x.sldexp, y.sldexp);
    const [left, right] = [await ttl(ours), await ttl(theirs)];
    assert.ok(left > 0 && Math.abs(left - right) < 1000, `TTLs ${left} and ${right}`);
    return [x.data, y.data];
}

await store();

// -- what is on the wire, and held --

await test('section 2.5: the client that plays .NET sends its very bytes', async t => {
    const relay = await Relay.start(`${folder}/theirs`, socket);
    const them = await client(`${folder}/theirs`);
    t.after(async () => relay.stop());
    const then = new Cache(them, '', () => Date.UTC(2026, 0, 1));
    const writer = new Writer(then, 'abc', '1');
    writer.sequence = 6;
    const said = await relay.during(() => writer.write({ data: { result: {}, id: 1, jsonrpc: '2.0' } }));
    const bulk = text => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
    const command = (...all) => `*${all.length}\r\n${all.map(bulk).join('')}`;
    assert.equal(
        said,
        command(
            'HMSET', 'mcp:sse:v1:event:YWJj:MQ==:7', 'absexp', '639028296000000000', 'sldexp', '18000000000', 'data',
            '{"eventType":"message","eventId":"YWJj:MQ==:7","data":{"result":{},"id":1,"jsonrpc":"2.0"}}'
        ) +
            '*3\r\n$6\r\nEXPIRE\r\n$28\r\nmcp:sse:v1:event:YWJj:MQ==:7\r\n$4\r\n1800\r\n' +
            '*8\r\n$5\r\nHMSET\r\n$25\r\nmcp:sse:v1:meta:YWJj:MQ==\r\n$6\r\nabsexp\r\n$18\r\n639028368000000000\r\n' +
            '$6\r\nsldexp\r\n$11\r\n36000000000\r\n$4\r\ndata\r\n$57\r\n' +
            '{"mode":"Streaming","isCompleted":false,"lastSequence":7}\r\n' +
            '*3\r\n$6\r\nEXPIRE\r\n$25\r\nmcp:sse:v1:meta:YWJj:MQ==\r\n$4\r\n3600\r\n'
    );
    const read = await relay.during(() => then.get('mcp:sse:v1:event:YWJj:MQ==:7'));
    assert.ok(
        read.startsWith(
            '*5\r\n$5\r\nHMGET\r\n$28\r\nmcp:sse:v1:event:YWJj:MQ==:7\r\n$6\r\nabsexp\r\n$6\r\nsldexp\r\n$4\r\ndata\r\n'
        )
    );
    await them.close();
    await send('FLUSHALL');
});

const items = {
    'a priming event': { type: 'prime' },
    'a message': { data: rpc(7) },
    'a retry': { type: 'message', retry: 2000 },
    'all of it': { type: 'Größe+', retry: 0, data: { error: { code: -1, message: '<&>"\'`+é日🎉\u007f\n' } } },
    'data longer than a small hash takes': { data: { x: 'y'.repeat(5000) } }
};
const ids = {
    plain: ['abc', '1'],
    'the GET stream': ['abc', '__get__'],
    'plus and slash': ['~~~', '???'],
    'colons and pipes': ['session:with:colons:and|pipes', 'stream:with:colons:and|special!chars@#$%'],
    'no ASCII': ['session', 'stream-日本語-émojis-🎉-中文'],
    'no name': ['session', '']
};

for (const numbers of [0, 1]) {
    for (const [name, [session, stream]] of Object.entries(ids)) {
        const form = numbers ? 'a number' : 'a word';
        await test(`items 1, 6, 8, 9: what Redis holds, byte for byte: ${name}, mode ${form}`, async () => {
            await send('FLUSHALL');
            await store('app:ours:', 0, numbers);
            const them = new Writer(new Cache(redis, 'app:theirs:'), session, stream, { numbers });
            await opened(0, session, stream);
            for (const [what, item] of Object.entries(items)) {
                const id = await them.write(item);
                assert.equal(await append(0, item), id, what);
                const [a, b] = await sameKey('app:ours:' + keys.event(id), 'app:theirs:' + keys.event(id));
                assert.equal(a, b, what);
                const meta = keys.meta(session, stream);
                const [c, d] = await sameKey('app:ours:' + meta, 'app:theirs:' + meta);
                assert.equal(c, d, what);
            }
            for (const polling of [true, false]) {
                await them.setMode(polling ? 'Polling' : 'Streaming');
                assert.equal(await peer.code('wmode', 0, Number(polling)), 'OK');
                const meta = keys.meta(session, stream);
                const [a, b] = await sameKey('app:ours:' + meta, 'app:theirs:' + meta);
                assert.equal(a, b);
            }
            await them.dispose();
            assert.equal(await peer.code('wcomplete', 0), 'OK');
            const meta = keys.meta(session, stream);
            const [a, b] = await sameKey('app:ours:' + meta, 'app:theirs:' + meta);
            assert.equal(a, b);
            assert.match(a, /"isCompleted":true/);
        });
    }
}

await test('section 2.5: our own keys, JSON and lengths, as the reference gives them', async () => {
    await send('FLUSHALL');
    await store();
    await opened(0, 'abc', '1');
    for (let n = 1; n < 7; n++) await append(0, { type: 'prime' });
    assert.equal(await append(0, { data: { result: {}, id: 1, jsonrpc: '2.0' } }), 'YWJj:MQ==:7');
    assert.equal(
        await send('HGET', 'mcp:sse:v1:event:YWJj:MQ==:7', 'data'),
        '{"eventType":"message","eventId":"YWJj:MQ==:7","data":{"result":{},"id":1,"jsonrpc":"2.0"}}'
    );
    assert.equal(
        await send('HGET', 'mcp:sse:v1:meta:YWJj:MQ==', 'data'),
        '{"mode":"Streaming","isCompleted":false,"lastSequence":7}'
    );
    assert.equal(
        await send('HGET', 'mcp:sse:v1:event:YWJj:MQ==:1', 'data'),
        '{"eventType":"prime","eventId":"YWJj:MQ==:1"}'
    );
});

await test('section 2.5: ids of any bytes are the keys that the reference makes of them', async () => {
    await send('FLUSHALL');
    for (const [session, stream, n, id] of [
        ['abc', '1', 7, 'YWJj:MQ==:7'],
        ['~~~', '???', 3, 'fn5+:Pz8/:3'],
        ['>>>', 'a', 1, 'Pj4+:YQ==:1'],
        ['session-日本語-émojis-🎉', 'stream-中文-العربية', 999,
            'c2Vzc2lvbi3ml6XmnKzoqp4tw6ltb2ppcy3wn46J:c3RyZWFtLeS4reaWhy3Yp9mE2LnYsdio2YrYqQ==:999']
    ]) {
        const key = 'mcp:sse:v1:event:' + id;
        const [, writer] = await peer.ask('open', session, stream, 'token', 1);
        const them = new Writer(cache, session, stream);
        them.sequence = n - 1;
        await them.update();
        const answer = await peer.ask('append', session, stream, writer, n, n - 1, 'prime', '-', '-');
        assert.deepEqual(answer, ['OK', String(n)]);
        assert.equal(await send('HGET', key, 'data'), netJson({ eventType: 'prime', eventId: id }));
        assert.equal(await send('HGET', key, 'data'), them.event({ type: 'prime' }, id));
    }
    assert.equal(
        await send('HGET', 'mcp:sse:v1:event:fn5+:Pz8/:3', 'data'),
        '{"eventType":"prime","eventId":"fn5\\u002B:Pz8/:3"}'
    );
    await send('FLUSHALL');
});

// -- the writer --

await test('items 5, 12: opening writes no metadata; the first write, mode or end does', async () => {
    for (const what of ['wappend', 'wmode', 'wcomplete']) {
        const session = fresh();
        await opened(0, session, '1');
        assert.deepEqual(await send('KEYS', `*${b64(session)}*`), [keys.writer(session, '1')]);
        assert.equal(await Reader.open(cache, eventId(session, '1', 0)), null);
        assert.equal(await peer.code(what, 0, ...(what === 'wappend' ? words({ type: 'prime' }) : [])), 'OK');
        assert.equal(await send('EXISTS', keys.meta(session, '1')), 1, what);
    }
});

await test('item 7: an event that brings an id passes through, unstored, and uses no sequence', async () => {
    const session = fresh();
    await opened(0, session, '1');
    assert.equal(await append(0, { data: 1 }), eventId(session, '1', 1));
    assert.equal(await cost(() => peer.ask('wappend', 0, '-', '-', '2', 'an id of its own')), 0);
    assert.equal(await append(0, { data: 3 }), eventId(session, '1', 2));
    assert.deepEqual((await replay(session, '1')).map(each => each.data), [1, 3]);
});

await test("item 9: instants of the server's clock, to the tick, and whichever TTL is shorter", async () => {
    const now = async () => {
        const [seconds, us] = await send('TIME');
        return BigInt(seconds) * 10000000n + BigInt(us) * 10n + 621355968000000000n;
    };
    await peer.ask('limits', 0, 0, 50999, 70123, 200456, 100777);
    for (let round = 0; round < 10; round++) {
        const session = fresh();
        const [, writer] = await peer.ask('open', session, '1', 'token', 0);
        const before = await now();
        assert.equal(await peer.code('append', session, '1', writer, 1, 0, ...words({ data: 1 })), 'OK');
        const after = await now();
        for (const [key, sliding, absolute] of [
            [keys.event(eventId(session, '1', 1)), 50999, 70123],
            [keys.meta(session, '1'), 200456, 100777]
        ]) {
            const [absexp, sldexp] = (await send('HMGET', key, 'absexp', 'sldexp')).map(BigInt);
            assert.equal(sldexp, BigInt(sliding) * 10000n);
            assert.ok(absexp - BigInt(absolute) * 10000n >= before && absexp - BigInt(absolute) * 10000n <= after);
            const left = await ttl(key);
            assert.ok(left <= Math.min(sliding, absolute) && left > Math.min(sliding, absolute) - 1000, `${left}`);
        }
    }
    await peer.ask('limits');
});

await test('item 10: a mode is written at once, and not completed', async () => {
    const session = fresh();
    await opened(0, session, '1');
    assert.equal(await peer.code('wmode', 0, 1), 'OK');
    assert.equal(
        await send('HGET', keys.meta(session, '1'), 'data'),
        '{"mode":"Polling","isCompleted":false,"lastSequence":0}'
    );
});

await test('item 11: completion is written once; what comes after it is refused', async () => {
    const session = fresh();
    await opened(0, session, '1');
    await append(0, { data: 1 });
    assert.equal(await cost(() => peer.ask('wcomplete', 0)), 1);
    assert.equal(await cost(() => peer.ask('wcomplete', 0)), 0);
    assert.deepEqual(await peer.ask('wappend', 0, '-', '-', '2'), ['END', '1']);
    assert.equal(await peer.code('wmode', 0, 1), 'END');
    const [code, , last] = await peer.ask('state', session, '1');
    assert.deepEqual([code, last], ['OK', '1']);
});

await test('item 13: streams are apart, within a session and across', async () => {
    const [a, b] = [fresh(), fresh()];
    const all = [[a, '1'], [a, '2'], [b, '1']];
    for (const [n, [session, stream]] of all.entries()) await opened(n, session, stream);
    const given = new Set();
    for (let round = 0; round < 5; round++) {
        for (const n of [0, 1, 2]) given.add(await append(n, { data: `${n} ${round}` }));
    }
    assert.equal(given.size, 15);
    for (const [n, [session, stream]] of all.entries()) {
        assert.deepEqual((await replay(session, stream)).map(each => each.data), [0, 1, 2, 3, 4].map(r => `${n} ${r}`));
    }
});

await test('fault: an append is one round trip; so are open, mode, state, a page', async () => {
    const session = fresh();
    assert.equal(await cost(() => opened(0, session, '1')), 1);
    for (let n = 0; n < 20; n++) assert.equal(await cost(() => append(0, { data: rpc(n) })), 1);
    assert.equal(await cost(() => peer.ask('wmode', 0, 1)), 1);
    assert.equal(await cost(() => peer.ask('state', session, '1')), 1);
    assert.equal(await cost(() => peer.ask('range', session, '1', 0, 0)), 1);
    assert.equal(await cost(() => peer.ask('ropen', 0, eventId(session, '1', 3), session)), 1);
    assert.equal(await cost(() => rest(0)), 0); // 17 events, which came with the opening
    await store('', 1);
    await opened(0, session, '2');
    assert.equal(await cost(() => append(0, { data: 1 })), 1); // with the index, too
    await store();
});

await test('fault: a restarted writer continues the sequence, whoever wrote before', async () => {
    const session = fresh();
    const them = new Writer(cache, session, '1');
    for (let n = 1; n <= 3; n++) await them.write({ data: rpc(n) });
    assert.equal(await opened(0, session, '1'), 3);
    assert.equal(await append(0, { data: rpc(4) }), eventId(session, '1', 4));
    await store(); // our process, again, without its memory
    await send('HSET', keys.writer(session, '1'), 'u', 0); // its lease has run out
    assert.equal(await opened(1, session, '1'), 4);
    assert.equal(await append(1, { data: rpc(5) }), eventId(session, '1', 5));
    const reader = await Reader.open(cache, eventId(session, '1', 0));
    assert.deepEqual((await reader.available()).map(each => each.data.result.n), [1, 2, 3, 4, 5]);
});

await test('fault: a request id that recurs does not continue the old stream', async () => {
    const session = fresh();
    const them = new Writer(cache, session, '1');
    for (let n = 1; n <= 5; n++) await them.write({ data: rpc(n) });
    await them.dispose();
    assert.equal(await peer.code('wopen', 0, session, '1', 0), 'END');
    const last = await opened(0, session, '1', 1);
    assert.ok(last > 5);
    assert.equal(await Reader.open(cache, eventId(session, '1', 3)), null); // gone, until it is written
    assert.deepEqual(await send('KEYS', `mcp:*${b64(session)}*`), []);
    assert.equal(await append(0, { data: rpc(100) }), eventId(session, '1', last + 1));
    for (let old = 0; old <= 5; old++) {
        assert.equal(await peer.code('ropen', 0, eventId(session, '1', old), session), old === 0 ? 'E_FORMAT' : 'GAP');
        const reader = await Reader.open(cache, eventId(session, '1', old));
        await assert.rejects(reader.available(), /was not found in the cache/); // nor do .NET's readers see another's
    }
    assert.deepEqual((await replay(session, '1')).map(each => each.data.result.n), [100]);
    await send('UNLINK', keys.writer(session, '1')); // and where that is forgotten there is still a hole
    assert.equal(await peer.code('ropen', 0, eventId(session, '1', 5), session), 'GAP');
});

await test('fault: an open that comes late once more begins nothing anew', async t => {
    const session = fresh();
    const relay = await Relay.start(`${folder}/late`, socket);
    const us = new Peer(program, `${folder}/late`);
    t.after(async () => relay.stop());
    await store('', 0, 0, 0, us);
    await us.ask('state', session, '1'); // connected
    let last;
    const said = await relay.during(async () => (last = await opened(0, session, '1', 1, us)));
    await append(0, { data: 1 }, us);
    const lines = said.split('\r\n').slice(2, -1); // each word behind a line with its length
    const late = lines.filter((_, n) => n % 2 === 0).map(word => Buffer.from(word, 'latin1'));
    assert.equal(String(late[0]), 'EVALSHA');
    assert.equal((await redis.sendCommand(late))[0], 0);
    assert.equal(await append(0, { data: 2 }, us), eventId(session, '1', last + 2));
    assert.deepEqual((await replay(session, '1')).map(each => each.data), [1, 2]);
    assert.ok((await opened(0, session, '1', 1, us)) > last + 2); // one that is asked for is another
    await us.stop();
});

await test('fault: a .NET writer that begins again at 1 is seen, and its ids are not given twice', async () => {
    const session = fresh();
    await opened(0, session, '1');
    for (let n = 1; n <= 6; n++) await append(0, { data: rpc(n) });
    await new Writer(cache, session, '1').write({ data: rpc(-1) });
    const [code, again] = await peer.ask('wappend', 0, ...words({ data: rpc(7) }));
    assert.equal(code, 'LOST_TAIL');
    assert.ok(Number(again) > 6);
    assert.equal(await append(0, { data: rpc(7) }), eventId(session, '1', Number(again) + 1));
    for (let old = 1; old <= 6; old++) {
        assert.equal(await peer.code('ropen', 0, eventId(session, '1', old), session), 'GAP');
    }
    assert.deepEqual((await replay(session, '1')).map(each => each.data.result.n), [7]);
});

await test('fault: a server that came back without its tail', async () => {
    const session = fresh();
    await opened(0, session, '1');
    for (let n = 1; n <= 4; n++) await append(0, { data: rpc(n) });
    const both = [keys.meta(session, '1'), keys.writer(session, '1')];
    const before = await Promise.all(both.map(held));
    for (let n = 5; n <= 7; n++) await append(0, { data: rpc(n) });
    for (const [n, key] of both.entries()) {
        await send('HSET', key, ...(Array.isArray(before[n]) ? before[n] : Object.entries(before[n]).flat()));
    }
    for (let n = 5; n <= 7; n++) await send('UNLINK', keys.event(eventId(session, '1', n)));
    assert.equal(await peer.code('wappend', 0, ...words({ data: rpc(8) })), 'LOST_TAIL');
    await append(0, { data: rpc(8) });
    for (let old = 1; old <= 7; old++) {
        assert.equal(await peer.code('ropen', 0, eventId(session, '1', old), session), 'GAP', String(old));
    }
    assert.deepEqual((await replay(session, '1')).map(each => each.data.result.n), [8]);
});

await test('fault: of two writers of ours the first is fenced', async () => {
    const session = fresh();
    const other = new Peer(program, socket);
    await store('', 0, 0, 0, other);
    await opened(0, session, '1');
    await append(0, { data: 1 });
    assert.equal(await other.code('wopen', 0, session, '1', 0), 'BUSY');
    await send('HSET', keys.writer(session, '1'), 'u', 0);
    await opened(0, session, '1', 0, other);
    await append(0, { data: 2 }, other);
    assert.equal(await peer.code('wappend', 0, ...words({ data: 3 })), 'FENCED');
    assert.equal(await peer.code('wcomplete', 0), 'FENCED');
    assert.deepEqual((await replay(session, '1')).map(each => each.data), [1, 2]);
    await send('HSET', keys.writer(session, '1'), 'u', 0, 'f', 9000000000000000); // by a clock that was ahead
    assert.equal((await peer.ask('open', session, '1', 'another', 0))[1], '9000000000000001');
    await other.stop();
});

await test('fault: where a .NET writer writes as well, ours is told, and nothing is overwritten', async () => {
    const session = fresh();
    const them = new Writer(cache, session, '1');
    await them.write({ data: rpc(1) });
    await opened(0, session, '1');
    await append(0, { data: rpc(2) });
    them.sequence = 2;
    await them.write({ data: rpc(3) });
    const [, , , , writer] = [0, 0, 0, 0, await send('HGET', keys.writer(session, '1'), 'f')];
    assert.deepEqual(await peer.ask('append', session, '1', writer, 3, 2, ...words({ data: rpc(-3) })), ['LOST', '3']);
    const reader = await Reader.open(cache, eventId(session, '1', 0));
    assert.deepEqual((await reader.available()).map(each => each.data.result.n), [1, 2, 3]);
});

await test('exactly once: what is appended again is a duplicate, other bytes are lost', async () => {
    const session = fresh();
    const [, writer] = await peer.ask('open', session, '1', 'token', 0);
    const put = (n, data) => peer.ask('append', session, '1', writer, n, n - 1, ...words({ data }));
    assert.deepEqual(await put(1, rpc(1)), ['OK', '1']);
    assert.deepEqual(await put(1, rpc(1)), ['DUP', '1']);
    assert.deepEqual(await put(1, rpc(2)), ['LOST', '1']);
    assert.deepEqual(await put(3, rpc(3)), ['LOST_TAIL', String(1 + 65537)]); // 2 was never there
    assert.deepEqual(await put(2, rpc(2)), ['LOST_TAIL', '65538']); // nor do those go on that were under way
    assert.equal(await peer.code('set', session, '1', writer, 1, 1, 0), 'LOST_TAIL');
    assert.deepEqual((await peer.ask('state', session, '1')).slice(0, 4), ['OK', '65539', '65538', '1']);
});

// -- the reader --

await test('items 14, 15: which ids open, and where', async () => {
    const session = fresh();
    const them = new Writer(cache, session, 'a+b');
    for (let n = 1; n <= 4; n++) await them.write({ data: rpc(n) });
    assert.equal(await peer.code('ropen', 0, 'no-separators', session), 'E_FORMAT');
    assert.equal(await peer.code('ropen', 0, eventId(session, 'other', 1), session), 'MISS');
    assert.equal(await peer.code('ropen', 0, eventId('other', 'a+b', 1), session), 'E_ID');
    await send('UNLINK', keys.event(eventId(session, 'a+b', 2)));
    assert.deepEqual(await peer.ask('ropen', 0, eventId(session, 'a+b', 2), session), ['OK', session, 'a+b', '2']);
    assert.deepEqual((await rest(0)).events.map(each => each.data.result.n), [3, 4]);
});

await test('fault: negative, overflowing and future sequences are refused before anything is sent', async () => {
    const session = fresh();
    const them = new Writer(cache, session, '1');
    for (let n = 1; n <= 3; n++) await them.write({ data: rpc(n) });
    const open = n => peer.code('ropen', 0, `${b64(session)}:MQ==:${n}`, session);
    for (const n of ['-1', '+1', ' 1', '1 ', '01', '9223372036854775808', '99999999999999999999', '1e3', 'x', '']) {
        assert.equal(await open(n), 'E_FORMAT', n);
    }
    for (const n of ['4', '9007199254740991', '9007199254740993', '9223372036854775807']) {
        assert.equal(await open(n), 'GAP');
    }
    assert.equal(await open('3'), 'OK');
    assert.equal(await peer.code('ropen', 0, `${b64(session)}:MQ==:5:3`, session), 'GAP'); // an id of another layout
    assert.deepEqual((await peer.ask('range', session, '1', 5, 1)).slice(0, 3), ['GAP', '1', '3']);
});

await test('item 16: everything from there to the last, in order, whatever was written by whom', async () => {
    const session = fresh();
    const them = new Writer(cache, session, '1');
    for (const item of Object.values(items)) await them.write(item);
    await opened(0, session, '1');
    for (const item of Object.values(items)) await append(0, item);
    const reader = await Reader.open(cache, eventId(session, '1', 0));
    const all = await reader.available();
    assert.equal(all.length, 10);
    assert.deepEqual(await replay(session, '1'), all);
    for (const [keeps, first] of [[0, '4'], [1, '1']]) { // where all that there is begins is looked for by who opens
        assert.deepEqual((await peer.ask('range', session, '1', 0, 3, 1, keeps)).slice(0, 3), ['OK', first, '10']);
    }
    for (let from = 1; from <= 10; from++) {
        assert.equal(await peer.code('ropen', 0, eventId(session, '1', from), session), 'OK');
        assert.deepEqual((await rest(0)).events, all.slice(from));
    }
});

await test('item 17, fault: an expired event is GAP, told before anything of it', async () => {
    const session = fresh();
    const them = new Writer(cache, session, '1');
    for (let n = 1; n <= 6; n++) await them.write({ data: rpc(n) });
    await send('UNLINK', keys.event(eventId(session, '1', 4)));
    for (const from of [1, 2, 3]) {
        const answer = await peer.ask('range', session, '1', 0, from, 0, 1);
        assert.deepEqual(answer.slice(0, 3), ['GAP', '5', '6']);
        assert.equal(answer.length, 7);
        assert.equal(await peer.code('ropen', 0, eventId(session, '1', from), session), 'GAP');
        assert.equal(await peer.code('range', session, '1', 0, from, 0, 0), 'GAP'); // a page with the hole in it
    }
    assert.equal((await peer.ask('range', session, '1', 0, 1, 2, 0)).length, 13); // and one before it
    assert.deepEqual((await replay(session, '1')).map(each => each.data.result.n), [5, 6]);
});

await test('item 17: a stored null has nothing in it, and does not end the replay', async () => {
    const session = fresh();
    const them = new Writer(cache, session, '1');
    for (let n = 1; n <= 3; n++) await them.write({ data: rpc(n) });
    await send('HSET', keys.event(eventId(session, '1', 2)), 'data', 'null');
    const events = await replay(session, '1');
    assert.deepEqual(events[1], { type: undefined, data: undefined, retry: undefined, id: eventId(session, '1', 2) });
    assert.equal(events[2].data.result.n, 3);
});

await test('item 18: in polling mode it ends after what there is, with no further request', async () => {
    for (const numbers of [false, true]) {
        const session = fresh();
        const them = new Writer(cache, session, '1', { numbers });
        for (let n = 1; n <= 3; n++) await them.write({ data: rpc(n) });
        await them.setMode('Polling');
        assert.equal(await cost(() => peer.ask('ropen', 0, eventId(session, '1', 1), session)), 1);
        let result;
        assert.equal(await cost(async () => (result = await rest(0, 5000))), 0);
        assert.equal(result.code, 'END');
        assert.equal(result.events.length, 2);
    }
});

await test('item 19, fault: a waiting reader is woken, by whoever writes, long before it would poll', async () => {
    const session = fresh();
    const them = new Writer(cache, session, '1');
    await them.write({ data: rpc(0) });
    assert.equal(await peer.code('ropen', 0, eventId(session, '1', 1), session), 'OK');
    await opened(0, session, '1');
    const waits = [];
    for (let n = 1; n <= 10; n++) {
        const next = peer.ask('rnext', 0, 5000);
        await sleep(20);
        const begun = performance.now();
        await them.write({ data: rpc(n) });
        const [code, ...answer] = await next;
        waits.push(performance.now() - begun);
        assert.equal(code, 'OK');
        assert.equal(event(answer).data.result.n, n);
    }
    console.log(`# woken after ${Math.max(...waits).toFixed(1)} ms at most`);
    assert.ok(Math.max(...waits) < 500);
});

await test('item 19: a change to polling, and an end, while it waits', async () => {
    for (const ends of [them => them.setMode('Polling'), them => them.dispose()]) {
        const session = fresh();
        const them = new Writer(cache, session, '1');
        await them.write({ data: rpc(1) });
        assert.equal(await peer.code('ropen', 0, eventId(session, '1', 1), session), 'OK');
        const next = peer.ask('rnext', 0, 5000);
        await sleep(50);
        await ends(them);
        assert.deepEqual(await next, ['END']);
    }
});

await test('item 19: metadata that are gone while it waits', async () => {
    const session = fresh();
    const them = new Writer(cache, session, '1');
    await them.write({ data: rpc(1) });
    assert.equal(await peer.code('ropen', 0, eventId(session, '1', 1), session), 'OK');
    const next = peer.ask('rnext', 0, 5000);
    await sleep(50);
    await cache.remove(keys.meta(session, '1'));
    assert.deepEqual(await next, ['MISS']);
});

await test('item 20: complete at open, with nothing left', async () => {
    const session = fresh();
    const them = new Writer(cache, session, '1');
    await them.write({ data: rpc(1) });
    await them.dispose();
    assert.equal(await peer.code('ropen', 0, eventId(session, '1', 1), session), 'OK');
    assert.deepEqual(await peer.ask('rnext', 0, 5000), ['END']);
});

await test('a .NET reader follows a writer of ours, to its end', async () => {
    const session = fresh();
    await opened(0, session, '1');
    await append(0, { data: rpc(0) });
    const reader = await Reader.open(cache, eventId(session, '1', 0));
    const all = reader.read(10);
    for (let n = 1; n <= 20; n++) await append(0, { data: rpc(n) });
    assert.equal(await peer.code('wcomplete', 0), 'OK');
    assert.deepEqual((await all).map(each => each.data.result.n), Array.from({ length: 21 }, (_, n) => n));
});

await test('following writes nothing; opening only what has less than half of its life left', async () => {
    const session = fresh();
    const them = new Writer(cache, session, '1');
    for (let n = 1; n <= 3; n++) await them.write({ data: rpc(n) });
    const event2 = keys.event(eventId(session, '1', 2));
    const meta = keys.meta(session, '1');
    await send('EXPIRE', event2, 1000);
    await send('EXPIRE', meta, 2000);
    assert.equal(await peer.code('ropen', 0, eventId(session, '1', 1), session), 'OK');
    assert.ok((await ttl(event2)) <= 1000000 && (await ttl(meta)) <= 2000000);
    await send('EXPIRE', event2, 800);
    await send('EXPIRE', meta, 1700);
    assert.equal(await peer.code('range', session, '1', 0, 1, 0, 0), 'OK');
    assert.ok((await ttl(event2)) <= 800000 && (await ttl(meta)) <= 1700000);
    assert.equal(await peer.code('ropen', 0, eventId(session, '1', 1), session), 'OK');
    assert.ok((await ttl(event2)) > 1790000 && (await ttl(meta)) > 3590000);
});

await test('fault: metadata outlive every event that a replay keeps', async () => {
    const session = fresh();
    const even = { event: { sliding: 1800000, absolute: 7200000 }, meta: { sliding: 1800000, absolute: 14400000 } };
    const them = new Writer(cache, session, '1', { lives: even });
    await them.write({ data: rpc(1) });
    await send('EXPIRE', keys.event(eventId(session, '1', 1)), 840); // less than half
    await send('EXPIRE', keys.meta(session, '1'), 1000); // more
    assert.equal(await peer.code('limits', 0, 0, 0, 0, 1800000), 'OK');
    assert.equal(await peer.code('range', session, '1', 0, 0, 0, 1), 'OK');
    assert.ok((await ttl(keys.event(eventId(session, '1', 1)))) > 1790000);
    assert.ok((await ttl(keys.meta(session, '1'))) > 1790000);
    await peer.ask('limits');
});

await test('a lease that is kept writes metadata only when less than half of their life is left', async () => {
    const session = fresh();
    await opened(0, session, '1');
    await append(0, { data: 1 });
    const meta = keys.meta(session, '1');
    const before = await send('HGET', meta, 'absexp');
    await sleep(5);
    assert.equal(await peer.code('wkeep', 0), 'OK');
    assert.equal(await send('HGET', meta, 'absexp'), before);
    await send('EXPIRE', meta, 1700);
    assert.equal(await peer.code('wkeep', 0), 'OK');
    assert.notEqual(await send('HGET', meta, 'absexp'), before);
    assert.ok((await ttl(meta)) > 3590000);
});

await test('an index that is kept lives as long as what it names', async () => {
    await store('', 1);
    const session = fresh();
    await opened(0, session, '1');
    await append(0, { data: 1 });
    await send('EXPIRE', keys.index(session), 100);
    assert.equal(await peer.code('range', session, '1', 0, 0, 0, 0), 'OK');
    assert.ok((await ttl(keys.index(session))) <= 100000);
    assert.equal(await peer.code('range', session, '1', 0, 0, 0, 1), 'OK');
    assert.ok((await ttl(keys.index(session))) > 3590000);
    await store();
});

await test('nothing slides past its absolute end', async () => {
    const session = fresh();
    const short = { event: { sliding: 1800000, absolute: 100000 }, meta: { sliding: 3600000, absolute: 200000 } };
    const them = new Writer(cache, session, '1', { lives: short });
    await them.write({ data: rpc(1) });
    await send('EXPIRE', keys.event(eventId(session, '1', 1)), 10);
    await send('EXPIRE', keys.meta(session, '1'), 10);
    assert.equal(await peer.code('range', session, '1', 0, 0, 0, 1), 'OK');
    const [a, b] = [await ttl(keys.event(eventId(session, '1', 1))), await ttl(keys.meta(session, '1'))];
    assert.ok(a > 95000 && a <= 100000 && b > 195000 && b <= 200000, `${a} ${b}`);
});

await test('fault: no key is left without a TTL, not even one that a .NET process left so', async () => {
    const session = fresh();
    const them = new Writer(cache, session, '1');
    const id = eventId(session, '1', 1);
    them.sequence = 1;
    await cache.set(keys.event(id), them.event({ data: rpc(1) }, id), lives.event, true);
    await cache.set(keys.meta(session, '1'), them.metadata(), lives.meta, true);
    assert.equal(await ttl(keys.event(id)), -1);
    assert.equal(await peer.code('range', session, '1', 0, 0, 0, 1), 'OK');
    assert.ok((await ttl(keys.event(id))) > 1790000 && (await ttl(keys.meta(session, '1'))) > 3590000);
    await send('PERSIST', keys.event(id)); // and one whose end has long come is none
    await send('HSET', keys.event(id), 'absexp', '639028296000000000');
    assert.equal(await peer.code('range', session, '1', 0, 0, 0, 1), 'GAP');
    await until(async () => (await ttl(keys.event(id))) === -2, 'its end');
    await send('FLUSHALL'); // all that we make ourselves
    await store('', 1);
    await opened(0, session, '1');
    await opened(1, session, '2', 1);
    await append(0, { data: 1 });
    await append(1, { type: 'prime' });
    await peer.ask('wmode', 1, 1);
    await peer.ask('del', session, '2');
    for (const key of await send('KEYS', '*')) assert.ok((await ttl(key)) > 0, key);
    await store();
});

await test('events that .NET keeps without an end stay as they are', async () => {
    const session = fresh();
    const them = new Writer(cache, session, '1', { lives: { event: {}, meta: {} } });
    await them.write({ data: rpc(1) });
    assert.equal((await replay(session, '1')).length, 1);
    assert.equal(await ttl(keys.meta(session, '1')), -1);
    await cache.remove(keys.meta(session, '1'));
    await cache.remove(keys.event(eventId(session, '1', 1)));
});

const metadata = {
    '{"lastSequence":2,"isCompleted":true,"mode":"Polling"}': [2, 0, 1],
    '{"MODE":"polling","LASTSEQUENCE":"1"}': [1, 0, 0],
    ' { "mode" : 1 , "isCompleted" : false , "lastSequence" : 2 } ': [2, 0, 0],
    '{"mode":"0","lastSequence":1,"more":[{}]}': [1, 1, 0],
    '{"mode":"\\u0053treaming","isCompleted":true,"lastSequence":2}': [2, 1, 1],
    '{"mode":7,"isCompleted":false,"lastSequence":2}': [2, 1, 0],
    '{}': [0, 1, 0]
};

await test('metadata in every form that .NET reads; what it does not is E_FORMAT, or MISS', async () => {
    const session = fresh();
    const them = new Writer(cache, session, '1');
    for (let n = 1; n <= 2; n++) await them.write({ data: rpc(n) });
    const look = async text => {
        await send('HSET', keys.meta(session, '1'), 'data', text);
        return peer.ask('state', session, '1');
    };
    for (const [text, [last, streaming, done]] of Object.entries(metadata)) {
        const [code, , ...answer] = await look(text);
        assert.deepEqual([code, ...answer.map(Number)], ['OK', last, streaming, done, 0], text);
    }
    const bad = [
        ...['', 'x', '[]', '7', '{"mode":"Poll"}', '{"mode":null}', '{"isCompleted":"true"}', '{"isCompleted":1}'],
        ...['{"lastSequence":-1}', '{"lastSequence":1.5}', '{"lastSequence":null}'],
        '{"mode":0,"isCompleted":false,"lastSequence":2',
        '{"mode":"Streaming","isCompleted":false,"lastSequence":9007199254740992}'
    ];
    for (const text of bad) {
        assert.equal((await look(text))[0], 'E_FORMAT', text);
    }
    assert.equal((await look('null'))[0], 'MISS');
    await send('UNLINK', keys.meta(session, '1'));
    await send('SET', keys.meta(session, '1'), 'x');
    assert.equal(await peer.code('state', session, '1'), 'E_WRONGTYPE');
    assert.equal(await peer.code('wopen', 0, session, '1', 0), 'E_WRONGTYPE');
});

await test('events in every form that .NET reads; one that it does not is E_FORMAT, and ends a page', async () => {
    const session = fresh();
    const them = new Writer(cache, session, '1');
    for (let n = 1; n <= 3; n++) await them.write({ data: rpc(n) });
    const look = async text => {
        await send('HSET', keys.event(eventId(session, '1', 2)), 'data', text);
        const answer = await peer.ask('range', session, '1', 0, 1);
        return [answer[0], answer.slice(7, 10)];
    };
    const forms = {
        '{"data":{"a":"\\u002B"},"EventType":"t","reconnectionIntervalMs":"5"}': ['t', '5', '{"a":"\\u002B"}'],
        ' {"eventtype" : "a\\u002Bb" , "x":[] , "DATA" : [ 1 ] } ': ['a+b', '-', '[ 1 ]'],
        '{"eventType":null,"eventId":null,"reconnectionIntervalMs":null,"data":null}': ['-', '-', '-'],
        '{}': ['-', '-', '-']
    };
    for (const [text, want] of Object.entries(forms)) assert.deepEqual(await look(text), ['OK', want], text);
    for (const text of ['', 'x', '[]', '{"eventType":1}', '{"data":}', '{"eventType":"a\\nb"}',
        `{"eventType":"${'t'.repeat(256)}"}`]) {
        assert.deepEqual(await look(text), ['E_FORMAT', []], text);
        const before = await peer.ask('range', session, '1', 0, 0);
        assert.equal(before[0], 'OK');
        assert.equal(before.length, 10); // the first is there
    }
});

await test('pages: of every size of room, and of what arrives in pieces', async () => {
    const session = fresh();
    const them = new Writer(cache, session, '1');
    const all = [];
    for (let n = 1; n <= 12; n++) {
        all.push(netJson({ n, text: 'é+'.repeat(n * 7) }));
        await them.write({ data: JSON.parse(all[n - 1]) });
    }
    await store('', 0, 0, 96);
    for (const room of [1, 60, 200, 300, 500, 700, 1000, 1300, 5000]) {
        const got = [];
        let code, need, answer;
        for (;;) {
            [code, , , , , , need, ...answer] = await peer.ask('range', session, '1', 0, got.length, 0, 0, room);
            if (code === 'E_TOOBIG') {
                assert.ok(Number(need) > room);
                assert.equal(answer.length, 0);
                break;
            }
            assert.equal(code, 'OK');
            if (answer.length === 0) break;
            for (let n = 0; n < answer.length; n += 3) got.push(answer[n + 2]);
        }
        assert.deepEqual(got, all.slice(0, got.length));
        assert.deepEqual([code, got.length === 12], room < 1300 ? ['E_TOOBIG', false] : ['OK', true], `${room}`);
    }
    await store();
});

// -- bounds, principals, delete --

await test('an event that does not fit stays where it is', async () => {
    const session = fresh();
    const them = new Writer(cache, session, '1');
    for (const n of [1, 2]) await them.write({ data: 'x'.repeat(3000 * n) });
    const received = async () => Number((await peer.ask('count'))[5]);
    assert.equal(await peer.code('state', session, '1'), 'OK'); // connected
    const before = await received();
    assert.equal(await peer.code('range', session, '1', 0, 0, 0, 0, 3000), 'E_TOOBIG');
    assert.ok((await received()) - before < 200);
    assert.equal((await peer.ask('range', session, '1', 0, 0, 0, 0, 5000)).length, 10);
    assert.ok((await received()) - before < 3500);
});

await test('the bound on events is kept by the append that exceeds it', async () => {
    const session = fresh();
    await peer.ask('limits', 5, 300);
    await store();
    await opened(0, session, '1');
    for (let n = 1; n <= 12; n++) await append(0, { data: n });
    assert.deepEqual((await replay(session, '1')).map(each => each.data), [8, 9, 10, 11, 12]);
    assert.equal((await send('KEYS', `mcp:sse:v1:event:${b64(session)}:*`)).length, 5);
    assert.equal(await peer.code('ropen', 0, eventId(session, '1', 6), session), 'GAP');
    assert.equal(await peer.code('ropen', 0, eventId(session, '1', 7), session), 'OK');
    assert.equal((await peer.ask('count'))[4], '7');
    assert.equal(await peer.code('wappend', 0, '-', '-', netJson('x'.repeat(300))), 'E_TOOBIG');
    assert.equal(await append(0, { data: 13 }), eventId(session, '1', 13));
    const other = fresh(); // of what .NET wrote more is there, but nobody looks for more
    const them = new Writer(cache, other, '1');
    for (let n = 1; n <= 9; n++) await them.write({ data: n });
    assert.deepEqual((await peer.ask('state', other, '1')).slice(0, 3), ['OK', '5', '9']);
    await peer.ask('limits');
    assert.deepEqual((await peer.ask('state', other, '1')).slice(0, 3), ['OK', '1', '9']);
    await store();
});

await test("fault: another principal's stream is absent; .NET's readers ask for none", async () => {
    const session = fresh();
    await peer.ask('who', 'https://issuer.example', 'alice');
    await opened(0, session, '1');
    const id = await append(0, { data: rpc(1) });
    await peer.ask('who', 'https://issuer.example', 'bob');
    assert.equal(await peer.code('wopen', 1, session, '1', 1), 'MISS');
    assert.equal(await peer.code('ropen', 0, id, session), 'MISS');
    assert.deepEqual(await peer.ask('del', session, '1'), ['OK', '0']);
    assert.equal((await peer.ask('count'))[3], '3');
    await peer.ask('who', '', '');
    assert.equal(await peer.code('ropen', 0, id, session), 'MISS');
    await peer.ask('who', 'https://issuer.example', 'alice');
    assert.equal(await peer.code('ropen', 0, id, session), 'OK');
    await peer.ask('who', '', '');
    assert.equal((await (await Reader.open(cache, eventId(session, '1', 0))).available()).length, 1);
    const other = fresh(); // and what .NET wrote is nobody's, until a writer of ours takes it over
    await new Writer(cache, other, '1').write({ data: rpc(1) });
    await peer.ask('who', 'i', 'bob');
    assert.equal(await peer.code('ropen', 0, eventId(other, '1', 1), other), 'OK');
    await opened(2, other, '1');
    await peer.ask('who', 'i', 'eve');
    assert.equal(await peer.code('ropen', 0, eventId(other, '1', 1), other), 'MISS');
    await peer.ask('who', '', '');
});

await test('item 21: a session is deleted by its index, in one call, whoever kept it', async () => {
    await send('FLUSHALL');
    await store('', 1);
    const session = fresh();
    const [them, more] = [new Writer(cache, session, 'a+"é'), new Writer(cache, session, '2')].map(each =>
        Object.assign(each, { index: true })
    );
    const other = fresh();
    await new Writer(cache, other, '1', { index: true }).write({ data: rpc(1) });
    for (let n = 1; n <= 3; n++) await them.write({ data: rpc(n) });
    await opened(0, session, '1');
    for (let n = 1; n <= 4; n++) await append(0, { data: rpc(n) });
    await more.write({ data: rpc(1) });
    await opened(1, session, 'a+"é');
    await append(1, { data: rpc(4) });
    assert.equal(
        await send('HGET', keys.index(session), 'data'),
        netJson({
            streams: [
                { streamId: 'a+"é', lastSequence: 4 },
                { streamId: '1', lastSequence: 4 },
                { streamId: '2', lastSequence: 1 }
            ]
        })
    );
    assert.equal(await cost(async () => assert.deepEqual(await peer.ask('delall', session), ['OK', '9'])), 1);
    assert.deepEqual(await send('KEYS', `mcp:*${b64(session)}*`), []);
    assert.equal((await send('KEYS', `mcp:*${b64(other)}*`)).length, 3);
    assert.equal(await peer.code('wappend', 0, ...words({ data: 5 })), 'MISS');
    assert.deepEqual(await peer.ask('delall', session), ['OK', '0']);
    assert.deepEqual(await peer.ask('delall', fresh()), ['OK', '0']); // no index: nothing to do
    await store();
    assert.equal(await peer.code('delall', other), 'E_UNSUPPORTED');
});

await test('item 21: .NET deletes by the index that ours kept', async () => {
    await store('', 1);
    const session = fresh();
    await opened(0, session, '1');
    await opened(1, session, '日本');
    for (let n = 0; n < 6; n++) await append(n % 2, { data: rpc(n) });
    assert.equal(await deleteSession(cache, session), 6);
    assert.deepEqual(await send('KEYS', `mcp:*${b64(session)}*`), []);
    assert.equal(await peer.code('wappend', 0, ...words({ data: 5 })), 'MISS');
    await store();
});

await test('fault: streams of one session never lose each other\'s index entry', async () => {
    await store('', 1);
    const session = fresh();
    const others = [new Peer(program, socket), new Peer(program, socket)];
    for (const each of others) await store('', 1, 0, 0, each);
    const all = [peer, ...others];
    for (const [n, each] of all.entries()) await opened(0, session, `a${n}`, 0, each);
    for (const [n, each] of all.entries()) await opened(1, session, `b${n}`, 0, each);
    await Promise.all(
        all.map(async each => {
            for (let n = 0; n < 40; n++) await append(n % 2, { data: n }, each);
        })
    );
    const { streams } = JSON.parse(await send('HGET', keys.index(session), 'data'));
    assert.deepEqual(streams.map(each => [each.streamId, each.lastSequence]).sort(),
        ['a0', 'a1', 'a2', 'b0', 'b1', 'b2'].map(name => [name, 20]));
    assert.deepEqual(await peer.ask('delall', session), ['OK', '120']);
    for (const each of others) await each.stop();
    await store();
});

await test('an index that is none is not written over', async () => {
    await store('', 1);
    const session = fresh();
    await opened(0, session, '1');
    for (const text of ['', '{}', '{"streams": []}', '{"streams":[1]']) {
        await send('HSET', keys.index(session), 'data', text);
        assert.equal(await peer.code('wappend', 0, ...words({ data: 1 })), 'E_FORMAT', text);
        assert.equal(await send('HGET', keys.index(session), 'data'), text);
        assert.equal(await send('EXISTS', keys.meta(session, '1')), 0);
        if (text !== '') assert.equal(await peer.code('delall', session), 'E_FORMAT', text);
    }
    for (const n of ['9007199254740992', '18014398509481984', '9223372036854774784']) { // a script cannot count there
        await send('HSET', keys.index(session), 'data', `{"streams":[{"streamId":"1","lastSequence":${n}}]}`);
        assert.equal(await peer.code('delall', session), 'E_FORMAT', n);
    }
    await new Writer(cache, session, '1').write({ data: 1 });
    await send('SET', keys.index(session), 'x');
    assert.equal(await peer.code('del', session, '1'), 'E_WRONGTYPE');
    assert.equal(await send('EXISTS', keys.meta(session, '1')), 1);
    await store();
});

const fill = "for i=1,ARGV[2] do redis.call('HSET',ARGV[1]..i,'absexp','-1','sldexp','-1','data','{}') end";

await test('a delete of thousands goes on in steps of a thousand keys', async () => {
    const session = fresh();
    const make = async (stream, count) => {
        await send('EVAL', fill, 0, `mcp:sse:v1:event:${b64(session)}:${b64(stream)}:`, count);
        const them = new Writer(cache, session, stream, { index: true });
        them.sequence = count;
        await them.update();
        await them.enter();
    };
    await make('1', 2500);
    assert.equal(await cost(async () => assert.deepEqual(await peer.ask('del', session, '1'), ['OK', '2500'])), 3);
    await store('', 1);
    for (const [stream, count] of [['1', 700], ['2', 1800], ['3', 900]]) await make(stream, count);
    assert.equal(await cost(async () => assert.deepEqual(await peer.ask('delall', session), ['OK', '3400'])), 4);
    assert.deepEqual(await send('KEYS', `mcp:*${b64(session)}*`), []);
    await make('1', 3000);
    for (let n = 1; n <= 500; n++) await cache.remove(keys.event(eventId(session, '1', n)));
    assert.deepEqual(await peer.ask('del', session, '1'), ['OK', '2500']); // the oldest had expired
    await store();
});

await test('a delete whose first answer was lost is done all the same', async t => {
    const session = fresh();
    const relay = await Relay.start(`${folder}/lost`, socket);
    const us = new Peer(program, `${folder}/lost`);
    t.after(async () => relay.stop());
    await store('', 0, 0, 0, us);
    await us.ask('state', session, '1'); // connected
    const lines = (await relay.during(() => us.ask('del', session, '1'))).split('\r\n').slice(2, -1);
    const words = lines.filter((_, n) => n % 2 === 0).map(word => Buffer.from(word, 'latin1'));
    await send('EVAL', fill, 0, `mcp:sse:v1:event:${b64(session)}:MQ==:`, 2500);
    const them = new Writer(cache, session, '1');
    them.sequence = 2500;
    await them.update();
    assert.deepEqual((await redis.sendCommand(words))[0], 1); // there is more
    assert.deepEqual(await us.ask('del', session, '1'), ['OK', '1500']);
    assert.deepEqual(await send('KEYS', `mcp:*${b64(session)}*`), []);
    await us.stop();
});

await test('a session is deleted with the streams that are just begun anew', async () => {
    await store('', 1);
    const session = fresh();
    await opened(0, session, '1');
    for (let n = 1; n <= 3; n++) await append(0, { data: n });
    await send('HSET', keys.writer(session, '1'), 'u', 0); // the lease of the first
    await opened(1, session, '1', 1);
    assert.equal(await peer.code('delall', session), 'OK');
    assert.equal(await peer.code('wappend', 1, ...words({ data: 1 })), 'MISS');
    assert.equal(await peer.code('state', session, '1'), 'MISS');
    assert.ok((await opened(1, session, '1')) >= 4);
    await store();
});

await test('on a full server what is there is read, and its life is not what fails', async t => {
    const session = fresh();
    await opened(0, session, '1');
    await send('HSET', keys.writer(session, '1'), 'k', Date.now() + 60000); // less than half of an hour
    await send('CONFIG', 'SET', 'maxmemory', 1);
    t.after(() => send('CONFIG', 'SET', 'maxmemory', 0));
    assert.equal(await peer.code('wappend', 0, ...words({ data: 1 })), 'E_OOM');
    assert.equal(await peer.code('range', session, '1', 0, 0, 0, 1), 'OK');
    await send('CONFIG', 'SET', 'maxmemory', 0);
    assert.equal(await append(0, { data: 1 }), eventId(session, '1', 1));
});

await test('what is begun anew takes a thousand keys with it; the rest are left to their TTLs', async () => {
    const session = fresh();
    const them = new Writer(cache, session, '1');
    await send('EVAL', fill, 0, `mcp:sse:v1:event:${b64(session)}:MQ==:`, 1500);
    them.sequence = 1500;
    await them.update();
    assert.equal(await cost(() => opened(0, session, '1', 1)), 1);
    assert.equal((await send('KEYS', `mcp:*${b64(session)}*`)).length, 501);
    const [kept, gone] = [501, 502].map(n => keys.event(eventId(session, '1', n)));
    assert.deepEqual([await send('EXISTS', kept), await send('EXISTS', gone)], [1, 0]);
    await append(0, { data: rpc(1) });
    assert.equal(await peer.code('ropen', 0, eventId(session, '1', 300), session), 'GAP');
    assert.equal((await replay(session, '1')).length, 1);
    await send('FLUSHALL');
});

await test('a stream that was deleted does not come back, nor do its ids', async () => {
    const session = fresh();
    await store('', 1);
    await opened(0, session, '1');
    for (let n = 1; n <= 3; n++) await append(0, { data: rpc(n) });
    await opened(1, session, '2');
    await append(1, { data: rpc(1) });
    assert.deepEqual(await peer.ask('del', session, '1'), ['OK', '3']);
    assert.equal(
        await send('HGET', keys.index(session), 'data'),
        '{"streams":[{"streamId":"2","lastSequence":1}]}'
    );
    assert.equal(await peer.code('wappend', 0, ...words({ data: 4 })), 'MISS');
    const last = await opened(2, session, '1');
    assert.ok(last > 3);
    await append(2, { data: rpc(9) });
    for (const old of [1, 2, 3]) assert.equal(await peer.code('ropen', 0, eventId(session, '1', old), session), 'GAP');
    assert.deepEqual(await peer.ask('delall', session), ['OK', '2']);
    await store();
});

// -- both at once --

const letters = [...'ab<>&"\\/\'`+\b\f\n\r\t\u0001\u001f\u007fé€\u2028\ufffd😀.-_{}[]:, 7'];
const text = most => Array.from({ length: randomInt(most) }, () => letters[randomInt(letters.length)]).join('');
const line = most => text(most).replace(/[\n\r]/g, '');

await test('2,000 random steps of either side, and both sides read the same', async () => {
    const session = randomBytes(6).toString('base64');
    for (let round = 0; round < 20; round++) {
        const stream = text(8);
        const numbers = randomInt(2);
        await store('', randomInt(2), numbers, 64 + randomInt(4000));
        let them = new Writer(cache, session, stream, { index: randomInt(2) === 1, numbers: randomInt(2) === 1 });
        const wrote = [];
        let ours = false;
        for (let step = 0; step < 100; step++) {
            const item = {};
            if (randomInt(3) !== 0) item.type = 't' + line(6);
            if (randomInt(4) !== 0) item.data = { [text(5)]: [text(30), randomInt(1000), null, true] };
            if (randomInt(4) === 0) item.retry = randomInt(100000);
            if (randomInt(10) === 0) {
                ours = !ours;
                if (ours) await send('HSET', keys.writer(session, stream), 'u', 0);
                if (ours) assert.equal(await opened(0, session, stream), wrote.length);
                them = Object.assign(new Writer(cache, session, stream, them), { sequence: wrote.length });
            }
            const what = randomInt(12);
            if (what === 0 && ours) assert.equal(await peer.code('wmode', 0, randomInt(2)), 'OK');
            else if (what === 0) await them.setMode(randomInt(2) ? 'Polling' : 'Streaming');
            else if (what === 1) {
                const from = randomInt(wrote.length + 1);
                if (wrote.length === 0) continue;
                const reader = await Reader.open(cache, eventId(session, stream, from));
                assert.deepEqual(await reader.available(), wrote.slice(from));
                const code = await peer.code('ropen', 0, eventId(session, stream, from), session);
                assert.equal(code, from ? 'OK' : 'E_FORMAT');
                if (from !== 0) assert.deepEqual((await rest(0, 1)).events, wrote.slice(from));
            } else {
                const id = ours ? await append(0, item) : await them.write(item);
                assert.equal(id, eventId(session, stream, wrote.length + 1));
                wrote.push({ type: item.type ?? 'message', data: item.data, retry: item.retry, id });
                const stored = await send('HGET', keys.event(id), 'data');
                assert.equal(stored, them.event(item, id)); // the same bytes, whoever wrote it
            }
        }
        assert.deepEqual(await replay(session, stream), wrote);
        await cache.remove(keys.meta(session, stream));
        await cache.remove(keys.writer(session, stream));
        await cache.remove(keys.index(session));
    }
}, 90);

await test('1,500 random steps of several writers and readers, as a naive reference foretells', async t => {
    const seed = randomInt(2 ** 31);
    await send('FLUSHALL');
    await peer.ask('limits', 8, 0, TTL.event, TTL.eventMax, TTL.log, TTL.logMax);
    await store();
    const model = new Model({ peer, redis, cache, seed });
    let step = 0;
    t.explain(() => `seed ${seed}, step ${step}`);
    for (; step < 1500; step++) await model.step();
    console.log(`# ${JSON.stringify(model.seen)}`);
    await peer.ask('who', '', '');
    await peer.ask('limits');
    await store();
}, 120);

// -- what the documented user may --

await test('what the manual adds for these streams is needed, and no more', async t => {
    const rule = (...all) => redis.sendCommand(['ACL', 'SETUSER', 'mcpsess', ...all]);
    const added = ['+hget', '+hmget', '+hset', '+hdel', '+exists', '+unlink'];
    t.after(() => rule(...added, '~mcp:sse:v1:*'));
    await store('', 1);
    const session = fresh();
    const everything = async () => {
        const codes = [await peer.code('wopen', 0, session, '1', 1)];
        codes.push(await peer.code('wappend', 0, ...words({ data: 1 })));
        codes.push(await peer.code('wmode', 0, 1), await peer.code('rread', 0, session, '1'));
        codes.push(await peer.code('del', session, '1'), await peer.code('delall', session));
        return codes;
    };
    assert.deepEqual(new Set(await everything()), new Set(['OK']));
    for (const word of added) {
        await rule(word.replace('+', '-'));
        assert.ok((await everything()).some(code => code.startsWith('E_')), word);
        await rule(word);
    }
    await rule('resetkeys', '~mcpsess:*');
    assert.ok((await everything()).every(code => code !== 'OK'));
});

await test('fault: who may not set a TTL leaves no key without', async t => {
    const rule = (...all) => redis.sendCommand(['ACL', 'SETUSER', 'mcpsess', ...all]);
    t.after(() => rule('+pexpire'));
    await send('FLUSHALL');
    const session = fresh();
    await new Writer(cache, session, '2').write({ data: 1 });
    const [, writer] = await peer.ask('open', session, '1', 'token', 0);
    const [, third] = await peer.ask('open', session, '3', 'token', 0);
    await peer.ask('append', session, '3', third, 1, 0, ...words({ data: 1 }));
    await rule('-pexpire');
    const codes = [
        await peer.code('open', session, '2', 'token', 0),
        await peer.code('append', session, '1', writer, 1, 0, ...words({ data: 1 })),
        await peer.code('set', session, '1', writer, 0, 1, 0),
        await peer.code('set', session, '3', third, 1, 1, 0),
        await peer.code('del', session, '2')
    ];
    assert.ok(codes.every(code => code.startsWith('E_')), String(codes));
    for (const key of await send('KEYS', '*')) assert.ok((await ttl(key)) > 0, key);
    assert.equal(await send('EXISTS', keys.event(eventId(session, '1', 1)), keys.meta(session, '1')), 0);
    assert.equal(await send('EXISTS', keys.meta(session, '3')), 1); // what was there stays
    await rule('+pexpire');
    assert.deepEqual(await peer.ask('append', session, '1', writer, 1, 0, ...words({ data: 1 })), ['OK', '1']);
});

await test('a full server refuses what it would have to keep, and nothing is half written', async t => {
    t.after(() => send('CONFIG', 'SET', 'maxmemory', 0));
    const session = fresh();
    const [, writer] = await peer.ask('open', session, '1', 'token', 0);
    await peer.ask('append', session, '1', writer, 1, 0, ...words({ data: 1 }));
    await send('CONFIG', 'SET', 'maxmemory', 1);
    assert.equal(await peer.code('append', session, '1', writer, 2, 1, ...words({ data: 2 })), 'E_OOM');
    assert.equal(await peer.code('open', session, '2', 'token', 0), 'E_OOM');
    assert.equal(await peer.code('range', session, '1', 0, 0, 0, 1), 'OK');
    await send('CONFIG', 'SET', 'maxmemory', 0);
    assert.deepEqual((await replay(session, '1')).map(each => each.data), [1]);
    assert.deepEqual(await peer.ask('append', session, '1', writer, 2, 1, ...words({ data: 2 })), ['OK', '2']);
});

await test('our process ends well', () => peer.stop());
await redis.close();
process.exit(finish());
