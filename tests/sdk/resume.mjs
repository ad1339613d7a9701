// The official clients lose their connections in the middle of a long call, and come back to the other of two gateways,
// while Redis dies and returns: every message once and in order.

import assert from 'node:assert/strict';
import { connect as dial, createServer } from 'node:net';
import { startReplicas } from './backends.mjs';
import { connect } from './clients.mjs';
import { sleep, test, until } from './tap.mjs';

const HEAD = 300; // bytes of a reply before its first event, about
const MOST = 1500; // bytes more between two cuts

// A reply that is a stream, of which no event has come.
const forgetful = said =>
    /^content-type: text\/event-stream\r\n[^]*\r\n\r\n/im.test(said) && !/\nid: .+\n\n/.test(said);

// A wire to several servers in turn, that is cut after so many bytes on their way to the client, wherever that is.
// With a cut all connections on it end, and new ones go to the next server. Only a stream that has a head and no event
// yet is spared for the moment: with that the official clients forget where they were, whatever the server does.
class Wire {
    static async before(urls) {
        const wire = new Wire();
        wire.ports = urls.map(url => new URL(url).port);
        Object.assign(wire, { turn: 0, cuts: 0, left: Infinity, pairs: new Set(), used: new Set() });
        wire.server = createServer(near => wire.join(near));
        await new Promise(resolve => wire.server.listen(0, '127.0.0.1', resolve));
        wire.url = urls[0].replace(`:${wire.ports[0]}`, `:${wire.server.address().port}`);
        return wire;
    }

    join(near) {
        const port = this.ports[this.turn % this.ports.length];
        const far = dial(port, '127.0.0.1');
        const pair = Object.assign([near, far], { said: '' });
        this.used.add(port);
        this.pairs.add(pair);
        for (const [socket, other] of [pair, [far, near]]) {
            socket.setNoDelay(true);
            socket.on('error', () => other.destroy());
            socket.on('close', () => this.pairs.delete(pair) && other.destroySoon());
        }
        near.on('data', bytes => ((pair.said = ''), far.write(bytes)));
        far.on('data', bytes => this.pass(pair, bytes));
    }

    // The byte at which it is cut is the last of these that gets through.
    pass(pair, bytes) {
        const before = pair.said;
        pair.said += bytes.toString('latin1');
        this.left -= bytes.length;
        const due = this.left <= 0 && ![...this.pairs].some(each => forgetful(each.said));
        const some = due ? bytes.subarray(0, 1 + Math.floor(bytes.length * Math.random())) : bytes;
        if (due && forgetful(before + some.toString('latin1'))) return pair[0].write(bytes);
        if (!due) return pair[0].write(some);
        this.left = Infinity;
        pair[0].write(some, () => this.cut());
    }

    cut() {
        this.left = Infinity;
        this.cuts++;
        this.turn++;
        for (const pair of this.pairs) for (const socket of pair) socket.resetAndDestroy();
        if (this.cuts < this.most) this.arm();
    }

    arm() {
        this.left = 1 + Math.floor(HEAD * Math.random() + MOST * Math.random() ** 2);
    }

    // From now on.
    cutOften(most) {
        this.most = most;
        this.arm();
    }

    async stop() {
        this.most = 0;
        for (const pair of this.pairs) for (const socket of pair) socket.destroy();
        await new Promise(resolve => this.server.close(resolve));
    }
}

// A call of so many steps, each of which the client is told.
const work = (steps, pace) => ({
    name: 'trigger-long-running-operation',
    arguments: { duration: (steps * pace) / 1000, steps }
});

// A call that is cut so often. on(k): something that happens beside it, after k cuts.
async function cutCall(t, generation, target, cuts, beside = async () => {}) {
    const wire = await Wire.before(target.url);
    t.after(() => wire.stop());
    const session = await connect(t, generation, wire.url);
    const steps = cuts * 14;
    const progress = [];
    const call = session.call({
        ...work(steps, 25),
        timeout: steps * 25 + 60000,
        onprogress: p => progress.push(p.progress)
    });
    call.catch(() => {});
    await until(() => progress.length > 1, 'the call being under way');
    wire.cutOften(cuts);
    const side = beside(() => wire.cuts);
    assert.match(await call, new RegExp(`completed. Duration: ${(steps * 25) / 1000} seconds, Steps: ${steps}`));
    await side;
    assert.deepEqual(progress, Array.from({ length: steps }, (_, i) => i + 1));
    assert.equal(wire.cuts, cuts);
    assert.equal(wire.used.size, 2, 'all connections went to one gateway');
    assert.equal(session.sent('POST', 'tools/call').length, 1, 'the call was made again');
    const back = session.sent('GET').filter(each => each.lastEventId).length;
    console.log(`# ${progress.length} messages and the answer over ${cuts} cuts, ${back} times back`);
}

async function cutOnly(t, generation, target, cuts) {
    await cutCall(t, generation, target, cuts);
}

async function redisDies(t, generation, target, cuts) {
    await cutCall(t, generation, target, cuts, async done => {
        for (const share of [0.2, 0.6]) {
            await until(() => done() >= cuts * share, 'some cuts', 120000);
            await target.redis.kill();
            await sleep(400);
            await target.redis.run();
        }
    });
}

// The answer comes while the client is away, which asks for it late.
async function answeredMeanwhile(t, generation, target) {
    const wire = await Wire.before(target.url);
    t.after(() => wire.stop());
    const session = await connect(t, generation, wire.url);
    const progress = [];
    const call = session.call({ ...work(10, 50), onprogress: p => progress.push(p.progress) });
    await until(() => progress.length > 1, 'the call being under way');
    const ports = wire.ports;
    wire.ports = ['1']; // nobody listens there
    wire.most = 0;
    wire.cut();
    await sleep(1200);
    wire.ports = ports;
    assert.match(await call, /completed/);
    assert.deepEqual(progress, Array.from({ length: 10 }, (_, i) => i + 1));
}

// The session's own stream: what was said while the client was away comes when it is back, at the other gateway.
async function ownStream(t, generation, target) {
    const { kind } = target;
    const wire = await Wire.before(target.url);
    t.after(() => wire.stop());
    const session = await connect(t, generation, wire.url);
    await session.streaming();
    wire.most = 0;
    for (let i = 0; i < 5; i++) {
        const before = session.notifications.length;
        const notified = await kind.provoke(session, i % 2 === 0);
        await session.notified((n, at) => at >= before && notified(n), 'the notification');
        wire.cut();
        await sleep(50); // a request on a connection that is cut is not made again
    }
    await sleep(300);
    const said = session.notifications.filter(n => n.method === 'notifications/message').length;
    assert.equal(said, 5, 'a notification came twice, or not at all');
}

// With fewer cuts in a run of everything: 200 of them in a soak.
export async function resume(generation, kind, cuts) {
    const title = `${generation.name}, two gateways to ${kind.title}`;
    const each = (what, body) => test(`${title}: ${what}`, async t => {
        const target = await startReplicas(kind);
        t.after(() => target.stop());
        t.explain(() => target.proxies.map(proxy => `gateway said:\n${proxy.output}`).join('\n'));
        await body(t, generation, target, cuts);
    }, 40 + cuts);
    await each(`a call is cut ${cuts} times`, cutOnly);
    await each(`a call is cut ${cuts} times, and Redis dies twice`, redisDies);
    await each('an answer that came while the client was away', answeredMeanwhile);
    await each('the own stream is cut', ownStream);
}
