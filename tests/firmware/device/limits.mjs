// What is more than a board has room for, and what is no request at all: it costs whoever sends it, and nobody else.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { sleep, test, until, within } from '../tap.mjs';
import { Firmware } from './firmware.mjs';
import { begin, dial, end, exchange, hello, parse, post, request, rpc } from './raw.mjs';

// As device.h and lwipopts.h have them.
const SESSIONS = 4;
const JOBS = 2;
const CONNECTIONS = 8;
const BODY_MAX = 1024;
const REQUEST_MS = 10000;

const happened = [
    'connections refused',
    'sessions refused',
    'events dropped from full logs',
    'streams resumed',
    'replays refused'
];

const serves = async (board, session) => {
    const { status, body } = await exchange(board.port, post(session, rpc('ping')));
    assert.deepEqual([status, JSON.parse(body)], [200, { jsonrpc: '2.0', id: 1, result: {} }]);
};

function assertNoRoom(answer, text) {
    assert.equal(answer.status, 503);
    assert.equal(answer.headers['retry-after'], '10');
    assert.deepEqual(JSON.parse(answer.body).error, { code: -32000, message: text });
}

async function sessionsFull(board) {
    const all = [];
    for (let i = 0; i < SESSIONS; i++) all.push(await begin(board.port));
    assertNoRoom(await exchange(board.port, request('POST', { body: hello() })), 'no room for another session');
    for (const session of all) await serves(board, session);
    assert.equal((await end(board.port, all[0])).status, 204);
    assert.equal((await exchange(board.port, post(all[0], rpc('ping')))).status, 404);
    all[0] = await begin(board.port);
    assert.ok(all[0], 'the place of a session that has ended');
    for (const session of all) await serves(board, session);
    for (const session of all) await end(board.port, session);
}

async function tooLarge(board) {
    const session = await begin(board.port);
    const fill = rpc('ping', { text: '' }).length;
    const of = length => rpc('ping', { text: 'x'.repeat(length - fill) });
    const answer = async text => (await exchange(board.port, text)).status;
    assert.equal(await answer(post(session, of(BODY_MAX))), 200);
    assert.equal(await answer(post(session, of(BODY_MAX + 1))), 413);
    assert.equal(await answer(post(session, of(100 * BODY_MAX))), 413);
    const piece = `400\r\n${'x'.repeat(0x400)}\r\n`;
    assert.equal(await answer(post(session, piece.repeat(3), { 'Transfer-Encoding': 'chunked' })), 413);
    assert.equal(await answer(post(session, JSON.stringify(Array(200).fill(1)))), 413);
    assert.equal(await answer(post(session, rpc('ping'), { Accept: 'x'.repeat(200) })), 400);
    assert.equal(await answer(post(session, rpc('ping'), { 'X-Much': 'x'.repeat(8000) })), 400);
    await serves(board, session);
    await end(board.port, session);
}

// Sockets that are gone when the test is.
async function dialAll(t, board, count, text) {
    const sockets = [];
    t.after(() => sockets.forEach(socket => socket.destroy()));
    for (let i = 0; i < count; i++) {
        sockets.push(await dial(board.port));
        sockets[i].write(text);
        await sleep(10);
    }
    return sockets;
}

async function connectionsFull(board, t) {
    const session = await begin(board.port);
    const ping = () => exchange(board.port, post(session, rpc('ping')));
    const answers = status => until(async () => (await ping()).status === status, `the status ${status}`);
    const idle = await dialAll(t, board, CONNECTIONS, 'POST /mcp HTTP/1.1\r\n');
    await answers(503);
    for (let i = 0; i < 3; i++) assertNoRoom(await ping(), 'no room for another connection');
    idle[0].destroy();
    await answers(200);
    for (const socket of idle) socket.destroy();
    await answers(200);
    await end(board.port, session);
}

const calibrate = (seconds, id) =>
    rpc('tools/call', { name: 'calibrate', arguments: { seconds }, _meta: { progressToken: id } }, id);

// The data of the events in an answer.
const events = socket => [...socket.got.matchAll(/^data: (.+)\r?$/gm)].map(([, data]) => JSON.parse(data));

async function jobsFull(board, t) {
    const session = await begin(board.port);
    const calls = [];
    for (let id = 1; id <= JOBS; id++) calls.push(...(await dialAll(t, board, 1, post(session, calibrate(1, id)))));
    await until(() => calls.every(({ got }) => got.includes('event-stream')), 'the streams');
    const { body } = await exchange(board.port, post(session, calibrate(0, 9)));
    const { isError, content } = JSON.parse(body).result;
    assert.deepEqual([isError, content[0].text], [true, 'too many calibrations are under way; try again later']);
    await Promise.all(calls.map(({ over }) => within(8000, over, 'the end of a call')));
    calls.forEach((socket, i) => {
        const all = events(socket);
        assert.deepEqual(all.slice(0, -1).map(({ params }) => params.progress), [1, 2, 3, 4, 5]);
        assert.equal(all.at(-1).id, i + 1);
        assert.deepEqual(all.at(-1).result.structuredContent, { steps: 5, seconds: 1 });
    });
    await end(board.port, session);
}

// A slow call in a batch: its answer, and all others, come as events.
async function batchWithSlowCall(board) {
    const session = await begin(board.port, '2025-03-26');
    const messages = [rpc('ping'), calibrate(0, 2), rpc('no', {}, 3)];
    const { headers, body } = await exchange(board.port, post(session, `[${messages}]`));
    assert.equal(headers['content-type'], 'text/event-stream');
    const all = events({ got: body }).filter(({ method }) => !method);
    assert.deepEqual(all.map(({ id, error }) => [id, error?.code]), [[1, undefined], [3, -32601], [2, undefined]]);
    await end(board.port, session);
}

// Answers that do not fit into one: nothing of them comes, whether they would come as events or not.
async function batchTooLong(board) {
    const session = await begin(board.port, '2025-03-26');
    const note = (id, text) => rpc('tools/call', { name: 'note', arguments: { text } }, id);
    assert.equal((await exchange(board.port, post(session, note(1, '"'.repeat(100))))).status, 200);
    const notes = [1, 2, 3, 4].map(id => rpc('tools/call', { name: 'note' }, id));
    for (const batch of [notes, [calibrate(0, 5), ...notes]]) {
        const { status, body } = await exchange(board.port, post(session, `[${batch}]`));
        assert.equal(status, 413, body);
        assert.match(JSON.parse(body).error.message, /so are the answers/);
    }
    await serves(board, session);
    await end(board.port, session);
}

// More events than a log holds while nobody listens: who comes back too late is told, and told no other events.
async function logOverrun(board, t) {
    const session = await begin(board.port);
    const headers = { 'Mcp-Session-Id': session, Accept: 'text/event-stream' };
    const [get] = await dialAll(t, board, 1, request('GET', { headers }));
    const ids = () => [...get.got.matchAll(/^id: (.+)$/gm)].map(([, id]) => id);
    await until(() => ids().length === 1, 'the first id');
    get.destroy();
    const led = on => exchange(board.port, post(session, rpc('tools/call', { name: 'set_led', arguments: { on } })));
    for (let i = 0; i < 6; i++) await led(i % 2 === 0);
    const resume = async id => {
        const [socket] = await dialAll(t, board, 1, request('GET', { headers: { ...headers, 'Last-Event-ID': id } }));
        await Promise.race([socket.over, until(() => events(socket).length === 6, 'what was missed')]);
        socket.destroy();
        return socket;
    };
    const missed = events(await resume(ids()[0])).map(({ params }) => params.data);
    assert.deepEqual(missed, Array.from({ length: 6 }, (_, i) => `the LED is ${i % 2 === 0 ? 'on' : 'off'}`));
    for (let i = 0; i < 20; i++) await led(i % 2 === 0);
    const { status, body } = parse((await resume(ids()[0])).got);
    assert.equal(status, 400);
    assert.match(JSON.parse(body).error.message, /invalid or expired/);
    await end(board.port, session);
}

// The end of a session ends its streams.
async function endOfSession(board, t) {
    const session = await begin(board.port);
    const [get] = await dialAll(t, board, 1, request('GET', { headers: { 'Mcp-Session-Id': session } }));
    const [call] = await dialAll(t, board, 1, post(session, calibrate(5, 1)));
    await until(() => get.got.includes('event-stream') && call.got.includes('event-stream'), 'the streams');
    assert.equal((await end(board.port, session)).status, 204);
    await within(3000, Promise.all([get.over, call.over]), 'the end of the streams');
    assert.ok(!call.got.includes('"result"'), 'the call went on');
    assert.equal((await exchange(board.port, request('GET', { headers: { 'Mcp-Session-Id': session } }))).status, 404);
}

async function garbage(board) {
    const session = await begin(board.port);
    const pieces = [
        '\0'.repeat(3000),
        '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
        'GET\r\n\r\n',
        'GET /mcp HTTP/9.9\r\n\r\n',
        'POST /mcp HTTP/1.1\r\nContent-Length: -1\r\n\r\n',
        'POST /mcp HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n',
        'POST /mcp HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}',
        'POST /mcp HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}',
        'POST /mcp HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n',
        'GET /mcp HTTP/1.1\r\nAccept text\r\n\r\n',
        `GET /${'x'.repeat(20000)}`,
        ...Array.from({ length: 20 }, () => randomBytes(1 + Math.floor(Math.random() * 3000)))
    ];
    for (const bytes of pieces) {
        const socket = await dial(board.port);
        socket.write(bytes);
        await Promise.race([socket.over, sleep(50)]);
        socket.resetAndDestroy();
        if (socket.got) assert.ok(parse(socket.got).status >= 400, socket.got);
        await until(async () => (await exchange(board.port, post(session, rpc('ping')))).status === 200, 'service');
    }
    for (let i = 0; i < 60; i++) {
        const socket = await dial(board.port);
        socket.write(post(session, rpc('tools/list')).slice(0, 1 + 5 * i));
        socket.resetAndDestroy();
    }
    await until(async () => (await exchange(board.port, post(session, rpc('ping')))).status === 200, 'service');
    await end(board.port, session);
}

// Requests that never become whole hold their places for REQUEST_MS, and then no more. Beside the other tests.
export async function slowLoris() {
    const board = await Firmware.start();
    const session = await begin(board.port);
    const text = post(session, rpc('ping'));
    const slow = await dialAll({ after() {} }, board, CONNECTIONS - 1, text[0]);
    let at = 1;
    const drip = setInterval(() => slow.forEach(socket => socket.write(text[at])) || at++, 200);
    const begun = Date.now();
    while (slow.some(({ closed }) => !closed) && Date.now() - begun < 3 * REQUEST_MS) {
        await serves(board, session);
        await sleep(100);
    }
    clearInterval(drip);
    const took = Date.now() - begun;
    const { 'connections cut': cut } = await board.count();
    await board.stop();
    return { took, cut };
}

export async function limits() {
    const board = await Firmware.start();
    const each = (what, body, seconds) => test(`firmware: ${what}`, t => body(board, t), seconds);
    await each('more sessions than there is room for', sessionsFull);
    await each('more than a request may have', tooLarge);
    await each('more connections than there are places', connectionsFull);
    await each('more slow calls than there are places', jobsFull);
    await each('a slow call in a batch', batchWithSlowCall);
    await each('a batch whose answers are too long', batchTooLong);
    await each('more events than a log holds', logOverrun);
    await each('the end of a session', endOfSession);
    await each('garbage', garbage, 30);
    await each('after all that: another client', async () => {
        const session = await begin(board.port);
        await serves(board, session);
        await end(board.port, session);
    });
    await board.stop();
    await test('firmware: its counters say that this happened, and what it took', () => {
        const count = board.counters();
        for (const [name, number] of Object.entries(count)) console.log(`# ${name}: ${number}`);
        assert.equal(count['sessions at most'], SESSIONS);
        assert.equal(count['connections at most'], CONNECTIONS);
        for (const name of happened) assert.ok(count[name] > 0, name);
        assert.equal(count['replies without room'], 0);
        assert.ok(count['bytes of stack'] > 0, 'the stack was not looked at');
        assert.ok(count['bytes of stack'] < count['bytes of stack there are'], 'the stack is full');
    });
}

export const loris = promise => test('firmware: requests that never become whole', async () => {
    const { took, cut } = await promise;
    assert.equal(cut, CONNECTIONS - 1);
    assert.ok(took >= REQUEST_MS - 1000, `cut after ${took} ms`);
}, 45);
