// Revision 2026-07-28, which has no sessions: the 2.x client against a gateway that forwards it, and one that does not.

import assert from 'node:assert/strict';
import { kinds, modernKind, withBackends } from './backends.mjs';
import { assertFellBack } from './behaviour.mjs';
import { connect, modern, timed } from './clients.mjs';
import { test, until } from './tap.mjs';

// Nothing of the older era went over the wire.
function assertModern(session) {
    assert.equal(session.client.getProtocolEra(), 'modern');
    assert.equal(session.client.getNegotiatedProtocolVersion(), modern);
    for (const each of session.exchanges) {
        assert.equal(each.method, 'POST');
        assert.equal(each.version, modern);
        assert.equal(each.session ?? each.given, null, 'a session id in a revision without sessions');
    }
}

async function works(t, generation, { url }) {
    const session = await connect(t, generation, url);
    const { tools } = await session.client.listTools();
    assert.deepEqual(tools.map(tool => tool.name), ['whoami', 'add', 'count', 'cancelled', 'change']);
    const numbers = Array.from({ length: 20 }, (_, i) => i);
    const sums = numbers.map(n => session.call({ name: 'add', arguments: { a: n, b: 1000 } }));
    assert.deepEqual(await Promise.all(sums), numbers.map(n => `${n + 1000}`));
    await assert.rejects(session.call({ name: 'no-such-tool' }), /no-such-tool/);
    assertModern(session);
}

async function progresses(t, generation, { url }) {
    const session = await connect(t, generation, url);
    const { text, progress, answered } = await timed(session, { name: 'count' });
    assert.equal(text, 'counted');
    assert.deepEqual(progress.map(each => each.progress), [1, 2, 3, 4, 5]);
    assert.ok(answered - progress[0].at > 750, 'the first came together with the last');
    assertModern(session);
}

async function listens(t, generation, { url }) {
    const session = await connect(t, generation, url);
    const subscription = await session.client.listen({ toolsListChanged: true });
    await session.call({ name: 'change' });
    await session.notified(n => n.method === 'notifications/tools/list_changed', 'the notification');
    await subscription.close();
    assertModern(session);
}

// To close the stream is to cancel the call, and the gateway has to pass that on.
async function cancels(t, generation, { url }) {
    const session = await connect(t, generation, url);
    const control = new AbortController();
    const call = session.call({ name: 'count', signal: control.signal, onprogress: () => control.abort() });
    await assert.rejects(call, /abort/i);
    await until(async () => (await session.call({ name: 'cancelled' })) === '1', 'the backend noticing');
    assertModern(session);
}

async function outlives(t, generation, { url, servers }) {
    const session = await connect(t, generation, url);
    const victim = await session.call({ name: 'whoami' });
    await servers[victim].stop('SIGKILL');
    for (let i = 0; i < 4; i++) assert.notEqual(await session.call({ name: 'whoami' }), victim);
    assertModern(session);
}

async function refusesVerbs(t, generation, { url }) {
    for (const method of ['GET', 'DELETE']) {
        const headers = { accept: 'text/event-stream', 'mcp-protocol-version': modern };
        const response = await fetch(url, { method, headers });
        assert.equal(response.status, 405);
        assert.match(response.headers.get('allow'), /\bPOST\b/);
        await response.text();
    }
}

async function failsOld(t, generation, { url }) {
    await assert.rejects(connect(t, generation, url), /2026-07-28|version/i);
}

async function fallsBack(t, generation, target) {
    const session = await connect(t, generation, target.url);
    assertFellBack(session);
    assert.equal(await session.call(target.kind.question(1)), target.kind.answer(1));
}

async function failsPinned(t, generation, { url }) {
    await assert.rejects(connect(t, generation, url), error => /ERA_NEGOTIATION|UNSUPPORTED/i.test(error.code) ||
        error.code === -32022);
}

async function refused(t, generation, { url }) {
    let seen;
    t.explain(() => JSON.stringify(seen));
    await connect(t, generation, url).catch(error => (seen = { code: error.code, data: error.data }));
    assert.equal(seen.code, -32022);
    assert.ok(seen.data.supported.includes('2025-11-25'), 'the revisions it does speak');
    assert.ok(!seen.data.supported.includes(modern));
}

export async function eras(v1, v2) {
    const each = (mode, kind, generation, what, body, names) =>
        test(`${generation.name}, gateway --modern ${mode} to ${kind.title}: ${what}`, t =>
            withBackends(t, kind, ['--modern', mode], target => body(t, generation, target), names));
    for (const generation of [v2.auto, v2.pinned]) {
        await each('forward', modernKind, generation, 'works without a session', works);
        await each('forward', modernKind, generation, 'progress arrives as it is made', progresses);
        await each('forward', modernKind, generation, 'subscriptions/listen', listens, ['a']);
        await each('forward', modernKind, generation, 'a cancelled call stops', cancels, ['a']);
        await each('forward', modernKind, generation, 'a killed backend goes unnoticed', outlives);
    }
    await each('forward', modernKind, v1, 'is told that there is no common revision', failsOld);
    await each('forward', modernKind, v2.pinned, 'GET and DELETE are not allowed', refusesVerbs);
    for (const mode of ['forward', 'refuse']) {
        for (const kind of Object.values(kinds)) {
            await each(mode, kind, v2.auto, 'falls back to initialize', fallsBack);
            await each(mode, kind, v2.pinned, 'fails to connect', failsPinned);
        }
    }
    await each('refuse', kinds.everything, v2.pinned, 'is told which revisions there are', refused);
}
