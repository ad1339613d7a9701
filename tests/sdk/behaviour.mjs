// What any MCP server must do for any of these clients, be it asked directly or through the gateway.
// A target is { title, url, kind, unknown, names } where names are the backends that may answer.

import assert from 'node:assert/strict';
import { connect, modern, timed } from './clients.mjs';
import { sleep, test, until } from './tap.mjs';

async function initialises(t, generation, target) {
    const session = await connect(t, generation, target.url);
    assert.match(session.id, /^[\x21-\x7e]+$/);
    assert.match(session.client.getServerVersion().name, target.kind.server);
    assert.equal(session.sent('POST', 'initialize').length, 1);
    await session.ping();
    assert.equal(session.exchanges.at(-1).session, session.id);
    if (generation.name === '2.x auto') assertFellBack(session);
}

// An "auto" client asks in the modern way first; refused, it goes on as a client of 2025.
export function assertFellBack(session) {
    const [probe, handshake] = session.exchanges;
    assert.equal(probe.rpc, 'server/discover');
    assert.equal(probe.version, modern);
    assert.equal(probe.status, 400);
    assert.equal(probe.given, null, 'a refused probe must not open a session');
    assert.equal(handshake.rpc, 'initialize');
    assert.equal(handshake.version, null);
    assert.equal(session.client.getProtocolEra(), 'legacy');
}

async function lists(t, generation, target) {
    const session = await connect(t, generation, target.url);
    const { tools } = await session.client.listTools();
    const names = tools.map(tool => tool.name);
    for (const name of target.kind.tools) assert.ok(names.includes(name), `${name} in ${names}`);
}

async function calls(t, generation, target) {
    const { kind } = target;
    const session = await connect(t, generation, target.url);
    for (const n of [1, 2, 3]) assert.equal(await session.call(kind.question(n)), kind.answer(n));
    assert.ok(target.names.includes(await kind.where(session)));
    await assert.rejects(session.call({ name: 'no-such-tool' }), /no-such-tool|not found|unknown/i);
    await session.ping();
}

async function progresses(t, generation, target) {
    const { kind } = target;
    const session = await connect(t, generation, target.url);
    const { text, progress, answered } = await timed(session, kind.slow);
    assert.match(text, kind.slowAnswer);
    assert.ok(progress.length >= kind.slowSteps, `${progress.length} notifications`);
    progress.reduce((last, next) => (assert.ok(next.progress > last.progress), next));
    // held back anywhere on the way they would come in one burst
    const spread = answered - progress[0].at;
    assert.ok(spread > kind.slowMs / 2, `the first came ${spread.toFixed()} ms before the answer`);
    const pause = kind.slowMs / kind.slowSteps;
    const gaps = progress.slice(1).map((next, i) => next.at - progress[i].at);
    const paused = gaps.filter(gap => gap > pause / 3).length;
    assert.ok(paused >= gaps.length - 1, `gaps of ${gaps.map(gap => gap.toFixed())} ms`);
}

async function notifies(t, generation, target) {
    const session = await connect(t, generation, target.url);
    await session.streaming();
    for (const flag of [true, false]) {
        await session.notified(await target.kind.provoke(session, flag), `the notification of ${flag}`);
    }
}

async function answersAll(session, kind, numbers) {
    const answers = await Promise.all(numbers.map(n => session.call(kind.question(n))));
    assert.deepEqual(answers, numbers.map(kind.answer));
}

const numbers = (from, count) => Array.from({ length: count }, (_, i) => from + i);
// a small device refuses more connections than it has room for
const atOnce = (kind, count) => Math.min(count, kind.atOnce ?? count);

async function concurs(t, generation, target) {
    const { kind } = target;
    const session = await connect(t, generation, target.url);
    const slow = timed(session, kind.slow);
    const quick = answersAll(session, kind, numbers(1, atOnce(kind, 20))).then(() => performance.now());
    const [{ text, progress, answered }, last] = await Promise.all([slow, quick]);
    assert.match(text, kind.slowAnswer);
    assert.ok(progress.length >= kind.slowSteps);
    assert.ok(last < answered, 'the quick calls waited for the slow one');
}

async function separates(t, generation, target) {
    const { kind } = target;
    const [one, two] = [await connect(t, generation, target.url), await connect(t, generation, target.url)];
    assert.notEqual(one.id, two.id);
    const homes = [await kind.where(one), await kind.where(two)];
    // of several gateways each counts the sessions that it knows
    if (!target.proxies) assert.equal(new Set(homes).size, target.names.length, `served by ${homes}`);
    await Promise.all([one.streaming(), two.streaming()]);
    // both count their requests from the same number, so only the session keeps the answers apart
    const count = atOnce(kind, 30);
    await Promise.all([answersAll(one, kind, numbers(1, count)), answersAll(two, kind, numbers(500, count))]);
    const mine = await kind.provoke(one, true);
    const yours = await kind.provoke(two, false);
    await Promise.all([one.notified(mine, 'the notification to one'), two.notified(yours, 'the notification to two')]);
    assert.ok(!one.notifications.some(yours) && !two.notifications.some(mine), 'a notification went astray');
}

// The session an id names is gone, or never was: the target's words for it.
async function assertUnknown(t, generation, target, id) {
    const stranger = await connect(t, generation, target.url, id);
    await assert.rejects(stranger.ping());
    const { status, error } = stranger.sent('POST', 'ping').at(-1);
    assert.equal(status, target.unknown.status);
    assert.equal(JSON.parse(error).error.code, target.unknown.code);
}

async function ends(t, generation, target) {
    const session = await connect(t, generation, target.url);
    const { id } = session;
    await session.ping();
    await session.transport.terminateSession();
    const [goodbye] = session.sent('DELETE');
    assert.ok(goodbye.status === 200 || goodbye.status === 204, `DELETE answered ${goodbye.status}`);
    assert.equal(goodbye.session, id);
    await assertUnknown(t, generation, target, id);
}

async function refuses(t, generation, target) {
    const session = await connect(t, generation, target.url);
    for (const id of ['3c9b8f0e-0000-4000-8000-000000000000', `${session.id}x`, session.id.slice(0, -1), '{a}:"b"']) {
        await assertUnknown(t, generation, target, id);
    }
    await session.ping();
}

// Far more than one read or one packet, in characters of one to four bytes.
async function carries(t, generation, target) {
    const { kind } = target;
    const session = await connect(t, generation, target.url);
    const text = 'gateway, Übergang, ворота, 门户, 🚪 "{}"\r\n\u0000'.repeat(5000);
    assert.equal(await session.call(kind.bulk(text)), kind.bulkAnswer(text));
}

// The client leaves in the middle of a call; another takes the session up and asks for what it missed.
async function resumes(t, generation, target) {
    const { kind } = target;
    const session = await connect(t, generation, target.url);
    const tokens = [];
    const call = session.call({ ...kind.slow, onprogress() {}, onresumptiontoken: token => tokens.push(token) });
    const left = assert.rejects(call);
    await until(() => tokens.length > 1, 'the first progress');
    await session.client.close();
    await left;
    assert.ok(tokens.length <= kind.slowSteps, 'nothing was missed');
    await sleep(kind.slowMs);
    const heir = await connect(t, generation, target.url, session.id);
    const resumptionToken = tokens.at(-1);
    assert.match(await heir.call({ ...kind.slow, resumptionToken }), kind.slowAnswer);
    assert.equal(heir.sent('GET').at(-1).lastEventId, resumptionToken);
    assert.equal(heir.sent('POST', 'tools/call').length, 0, 'the call was made again');
}

async function cancels(t, generation, target) {
    const { kind } = target;
    const session = await connect(t, generation, target.url);
    const control = new AbortController();
    const call = session.call({ ...kind.slow, signal: control.signal, onprogress: () => control.abort() });
    await assert.rejects(call, /abort/i);
    await sleep(kind.slowMs);
    assert.equal(session.sent('POST', 'notifications/cancelled').at(-1).status, 202);
    assert.ok(await kind.unfinished(session), 'the call ran on');
}

export async function behaviour(generation, target) {
    const each = (what, body, seconds) =>
        test(`${generation.name}, ${target.title}: ${what}`, t => body(t, generation, target), seconds);
    await each('initialises', initialises);
    await each('lists the tools', lists);
    await each('calls tools, and a wrong call harms nothing', calls);
    await each('progress arrives as it is made', progresses);
    await each('notifications arrive on the GET stream', notifies);
    await each(`${atOnce(target.kind, 20)} calls beside a slow one, in one session`, concurs);
    if (target.kind.bulk) await each('a quarter of a megabyte there and back', carries);
    if (target.kind.resumes) await each('a call is taken up again by its event id', resumes);
    if (target.kind.unfinished) await each('a cancelled call stops', cancels);
    await each('two clients are kept apart', separates);
    await each('DELETE ends the session', ends);
    await each('an unknown session is refused', refuses);
}
