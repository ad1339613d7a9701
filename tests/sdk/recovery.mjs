// A backend dies, by SIGKILL: what the clients behind the gateway see of it.

import assert from 'node:assert/strict';
import { withBackends } from './backends.mjs';
import { connect } from './clients.mjs';
import { test, until, within } from './tap.mjs';

// The backend that serves a session, and the name of the other.
async function home(session, { kind, servers }) {
    const name = await kind.where(session);
    return { name, server: servers[name], other: name === 'a' ? 'b' : 'a' };
}

function assertUntouched(session, id) {
    assert.equal(session.id, id);
    assert.equal(session.sent('POST', 'initialize').length, 1, 'the client had to initialise again');
}

async function goesOn(t, generation, target) {
    const { kind } = target;
    const session = await connect(t, generation, target.url);
    const neighbour = await connect(t, generation, target.url);
    const { id } = session;
    const { server, other } = await home(session, target);
    assert.equal(await kind.where(neighbour), other);
    await server.stop('SIGKILL');
    assert.equal(await session.call(kind.question(7)), kind.answer(7));
    assert.equal(await kind.where(session), other);
    assert.equal(await neighbour.call(kind.question(8)), kind.answer(8));
    assertUntouched(session, id);
}

async function manyAtOnce(t, generation, target) {
    const { kind } = target;
    const session = await connect(t, generation, target.url);
    const { id } = session;
    const { server, other } = await home(session, target);
    await server.stop('SIGKILL');
    const numbers = Array.from({ length: 10 }, (_, i) => i);
    const answers = await Promise.all(numbers.map(n => session.call(kind.question(n))));
    assert.deepEqual(answers, numbers.map(kind.answer));
    assert.equal(await kind.where(session), other);
    assertUntouched(session, id);
}

async function streamGoesOn(t, generation, target) {
    const { kind } = target;
    const session = await connect(t, generation, target.url);
    const { id } = session;
    await session.streaming();
    await session.notified(await kind.provoke(session, true), 'the notification before');
    const { server } = await home(session, target);
    await server.stop('SIGKILL');
    await session.ping();
    await session.heardAgain(kind);
    assertUntouched(session, id);
}

async function failsPromptly(t, generation, target) {
    const { kind } = target;
    const session = await connect(t, generation, target.url);
    const { server } = await home(session, target);
    let steps = 0;
    const doomed = session.call({ ...kind.long, onprogress: () => steps++, timeout: 60000 });
    const outcome = assert.rejects(doomed);
    outcome.catch(() => {}); // looked at below, if we come that far
    await until(() => steps > 0, 'the call being under way');
    await server.stop('SIGKILL');
    await within(3000, outcome, 'an error for the call that was under way');
    assert.equal(await session.call(kind.question(9)), kind.answer(9));
}

async function comesBack(t, generation, target) {
    const { kind, servers } = target;
    const session = await connect(t, generation, target.url);
    const { name, server } = await home(session, target);
    await server.stop('SIGKILL');
    assert.notEqual(await kind.where(session), name);
    servers[name] = await kind.start(name, server.port);
    await until(async () => {
        const newcomer = await connect(t, generation, target.url);
        const landed = await kind.where(newcomer);
        await newcomer.close();
        return landed === name;
    }, `a new session landing on ${name} again`, 10000);
    assert.equal(await session.call(kind.question(3)), kind.answer(3));
}

export async function recovery(generation, kind) {
    const each = (what, body) => test(`${generation.name}, gateway to ${kind.title}: ${what}`, async t => {
        await withBackends(t, kind, [], target => body(t, generation, target));
    }, 25);
    await each('a killed backend goes unnoticed', goesOn);
    await each('ten calls at once after a kill', manyAtOnce);
    await each('notifications go on after a kill', streamGoesOn);
    await each('a call under way in a killed backend fails at once', failsPromptly);
    await each('a restarted backend gets sessions again', comesBack);
}
