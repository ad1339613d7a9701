// Two gateways on one Redis: clients whose requests go to either, while backends, Redis and a gateway fail.

import assert from 'node:assert/strict';
import { startReplicas } from './backends.mjs';
import { connect } from './clients.mjs';
import { sleep, test, until } from './tap.mjs';

const numbers = Array.from({ length: 10 }, (_, i) => i);

async function answersAll(session, kind) {
    const answers = await Promise.all(numbers.map(n => session.call(kind.question(n))));
    assert.deepEqual(answers, numbers.map(kind.answer));
}

// The session is the one it was, and the client has noticed nothing.
function assertUntouched(session, id) {
    assert.equal(session.id, id);
    assert.equal(session.sent('POST', 'initialize').length, 1, 'the client had to initialise again');
    assert.ok(new Set(session.exchanges.map(each => each.origin)).size > 1, 'all requests went to one gateway');
}

async function home(session, { kind, servers }) {
    const name = await kind.where(session);
    return { server: servers[name], other: name === 'a' ? 'b' : 'a' };
}

async function killedBackend(t, generation, target) {
    const { kind } = target;
    const session = await connect(t, generation, target.url);
    const { id } = session;
    const { server, other } = await home(session, target);
    await server.stop('SIGKILL');
    await answersAll(session, kind); // both gateways find out at the same time
    for (let i = 0; i < 4; i++) assert.equal(await kind.where(session), other);
    assertUntouched(session, id);
}

async function streamElsewhere(t, generation, target) {
    const { kind } = target;
    const session = await connect(t, generation, target.url);
    await session.streaming();
    const { server } = await home(session, target);
    await session.notified(await kind.provoke(session, true), 'the notification before');
    await server.stop('SIGKILL');
    await session.ping();
    await session.heardAgain(kind);
}

async function killedRedis(t, generation, target) {
    const { kind, redis } = target;
    const session = await connect(t, generation, target.url);
    const { id } = session;
    for (let i = 0; i < 2; i++) await answersAll(session, kind);
    await redis.kill();
    for (let i = 0; i < 4; i++) await answersAll(session, kind);
    await assert.rejects(connect(t, generation, target.url), /503|store unavailable/i);
    await redis.run();
    const begin = Date.now();
    const newcomer = await until(() => connect(t, generation, target.url).catch(() => {}), 'a new session', 6000);
    console.log(`# new sessions ${Date.now() - begin} ms after Redis was back`);
    for (const each of [newcomer, session]) await answersAll(each, kind);
    assertUntouched(session, id);
}

async function emptiedRedis(t, generation, target) {
    const { kind, redis } = target;
    const session = await connect(t, generation, target.url);
    for (let i = 0; i < 2; i++) await answersAll(session, kind);
    await redis.cli('FLUSHALL');
    await assert.rejects(session.ping());
    assert.equal(session.sent('POST', 'ping').at(-1).status, 404);
    await answersAll(await connect(t, generation, target.url), kind);
}

async function paused(t, generation, target) {
    const { kind, redis } = target;
    const session = await connect(t, generation, target.url);
    const { id } = session;
    await answersAll(session, kind);
    await redis.cli('CLIENT', 'PAUSE', 500, 'ALL');
    const [newcomer] = await Promise.all([connect(t, generation, target.url), answersAll(session, kind)]);
    await answersAll(newcomer, kind);
    await redis.cli('CLIENT', 'PAUSE', 3500, 'ALL');
    for (let i = 0; i < 4; i++) await answersAll(session, kind); // longer than a gateway waits
    await until(async () => (await redis.cli('PING').catch(() => '')) === 'PONG', 'the end of the pause', 8000);
    await until(() => connect(t, generation, target.url).catch(() => {}), 'a new session', 6000);
    await answersAll(session, kind);
    assertUntouched(session, id);
}

async function cutOff(t, generation, target) {
    const { kind, redis } = target;
    const session = await connect(t, generation, target.url);
    const { id } = session;
    for (let i = 0; i < 20; i++) {
        const [kills] = await Promise.all([redis.cli('CLIENT', 'KILL', 'TYPE', 'normal'), answersAll(session, kind)]);
        assert.ok(Number(kills) > 0 || i > 0, 'nobody was connected');
        if (i % 5 === 0) await answersAll(await connect(t, generation, target.url), kind);
    }
    assertUntouched(session, id);
}

async function killedGateway(t, generation, target) {
    const { kind } = target;
    const [one, two] = target.url;
    const session = await connect(t, generation, [one]);
    const at = await kind.where(session);
    await target.proxies[0].stop('SIGKILL');
    await assert.rejects(session.ping());
    const heir = await connect(t, generation, [two], session.id);
    assert.equal(await kind.where(heir), at);
    await answersAll(heir, kind);
    await heir.transport.terminateSession();
    await assert.rejects(heir.ping());
}

export async function replicas(generation, kind) {
    const each = (what, body) => test(`${generation.name}, two gateways to ${kind.title}: ${what}`, async t => {
        const target = await startReplicas(kind);
        t.after(() => target.stop());
        t.explain(() => target.proxies.map(proxy => `gateway said:\n${proxy.output}`).join('\n'));
        await body(t, generation, target);
    }, 25);
    await each('a killed backend goes unnoticed', killedBackend);
    await each('notifications go on after a kill', streamElsewhere);
    await each('Redis is killed and comes back', killedRedis);
    await each('Redis loses everything', emptiedRedis);
    await each('Redis pauses', paused);
    await each('Redis cuts its connections, again and again', cutOff);
    await each('a killed gateway leaves its sessions to the other', killedGateway);
}
